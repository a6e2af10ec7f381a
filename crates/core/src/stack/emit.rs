//! What leaves: answers, errors, datagrams.

use core::net::IpAddr;
use core::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::ip::{IpPacket, IpProtocol};
use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::udp::HEADER_LEN as UDP_HEADER_LEN;
use switchboard_wire::{Instant, RxPacket, Transmit};

use super::{OUTBOX_MAX, Stack, Way};
use crate::demux::FourTuple;
use crate::drop_reason::DropReason;
use crate::ip::egress::{self, IpHead, Message, Summing, ip_header_len};
use crate::ip::icmp::{self, Say};
use crate::ip::ingress;
use crate::tcp::{Flags, Header, Outgoing};

/// Whether an ICMP error counts against the rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limited {
    /// It does: strangers caused it.
    Yes,
    /// It does not: the application sends it on purpose.
    OnPurpose,
}

impl Stack {
    /// Which way a packet to `destination` leaves, and who finishes its checksum.
    pub(super) fn way_to(&self, destination: IpAddr) -> (Way, Summing) {
        if self.addresses.is_ours(destination) {
            (Way::Back, Summing::Later)
        } else {
            (Way::Out, self.summing())
        }
    }

    /// Who finishes the checksums of what leaves by the device.
    fn summing(&self) -> Summing {
        if self.config.offloads.checksum {
            Summing::Later
        } else {
            Summing::Here
        }
    }

    /// An IP header with our defaults.
    pub(super) fn ip_head(
        &self,
        source: IpAddr,
        destination: IpAddr,
        protocol: IpProtocol,
    ) -> IpHead {
        IpHead {
            source,
            destination,
            protocol,
            hop_limit: self.config.hop_limit,
            traffic_class: 0,
            dont_fragment: false,
            flow_label: 0,
            identification: 0,
            router_alert: false,
        }
    }

    /// Writes the packet of the segment in `outgoing` into `transmit`: one of conversation
    /// `tuple`, which hashes to `hash`.
    pub(super) fn emit_segment(
        &mut self,
        tuple: &FourTuple,
        hash: u64,
        transmit: &mut Transmit,
    ) -> Way {
        let (local, remote) = (tuple.local.ip(), tuple.remote.ip());
        let (way, summing) = self.way_to(remote);
        let mut ip = self.ip_head(local, remote, IpProtocol::TCP);
        let out = &mut self.outgoing;
        ip.hop_limit = out.hop_limit.unwrap_or(ip.hop_limit);
        ip.traffic_class = out.traffic_class;
        // Path MTU discovery (RFC 1191 section 6.1): routers must tell, not cut.
        ip.dont_fragment = true;
        ip.flow_label = flow_label(hash);
        self.stats.segments_sent += 1;
        self.stats.segments_retransmitted += u64::from(out.retransmission);
        self.stats.resets_sent += u64::from(out.header.flags.has(Flags::RST));
        egress::tcp(&ip, tuple, out, summing, transmit);
        way
    }

    /// A segment without text that leaves at once.
    pub(super) fn reply(&mut self, tuple: &FourTuple, header: Header) {
        self.outgoing = Outgoing {
            header,
            ..Outgoing::default()
        };
        let hash = self.tcp_table.hash(tuple);
        let mut transmit = Transmit::default();
        let way = self.emit_segment(tuple, hash, &mut transmit);
        self.push_out(way, transmit);
    }

    /// A packet waits for the device.
    pub(super) fn push_out(&mut self, way: Way, transmit: Transmit) {
        if self.outbox.len() >= OUTBOX_MAX {
            return self.drop_packet(DropReason::OutboxFull);
        }
        self.outbox.push_back((way, transmit));
    }

    /// Whether a super-datagram of segments of `segment_size` can leave toward `destination` as
    /// it is: somebody behind us cuts it, and each segment then fits the path.
    pub(super) fn leaves_uncut(
        &self,
        now: Instant,
        destination: IpAddr,
        segment_size: NonZeroU16,
    ) -> bool {
        let (way, _) = self.way_to(destination);
        let overhead = ip_header_len(destination.is_ipv6()) + UDP_HEADER_LEN;
        let is_short = overhead + usize::from(segment_size.get()) <= self.mtu_to(destination, now);
        is_short && (way == Way::Back || self.config.offloads.uso)
    }

    /// Writes a super-datagram into `transmit`. Whoever cuts it finishes the checksums.
    pub(super) fn make_super_datagram(
        &mut self,
        mut ip: IpHead,
        message: Message,
        segment_size: NonZeroU16,
        transmit: &mut Transmit,
    ) {
        if !ip.is_ipv6() && !ip.dont_fragment {
            let ids = &mut self.identifications;
            ip.identification = ids.next(ip.source, ip.destination, ip.protocol);
        }
        message.whole(&ip, Summing::Later, Some(segment_size), transmit);
    }

    /// A UDP datagram or ICMP message leaves, in fragments if it must.
    pub(super) fn emit_message(&mut self, now: Instant, ip: IpHead, message: Message) {
        let (way, _) = self.way_to(ip.destination);
        let mut transmit = Transmit::default();
        if self.make_message(now, way, ip, message, &mut transmit) {
            self.push_out(way, transmit);
        }
    }

    /// Writes the one packet of a datagram or message that leaves by `way` into `transmit`.
    /// `false`: it leaves in fragments, which wait in the outbox.
    pub(super) fn make_message(
        &mut self,
        now: Instant,
        way: Way,
        mut ip: IpHead,
        message: Message,
        transmit: &mut Transmit,
    ) -> bool {
        let (summing, mtu) = match way {
            Way::Back => (Summing::Later, IP_PACKET_MAX),
            Way::Out => (self.summing(), self.path_mtus.get(ip.destination, now)),
        };
        let len = ip_header_len(ip.is_ipv6()) + message.len();
        let is_long = len > mtu;
        if !ip.is_ipv6() && !ip.dont_fragment || is_long {
            let ids = &mut self.identifications;
            ip.identification = ids.next(ip.source, ip.destination, ip.protocol);
        }
        if !is_long {
            // A device offers to sum TCP and UDP, not ICMP; and whoever parses ICMP has no word
            // for a sum that nobody finished.
            let summing = match ip.protocol {
                IpProtocol::UDP => summing,
                _ => Summing::Here,
            };
            message.whole(&ip, summing, None, transmit);
            return true;
        }
        let (outbox, stats) = (&mut self.outbox, &mut self.stats);
        message.fragments(&ip, mtu, |transmit| {
            if outbox.len() >= OUTBOX_MAX {
                return stats.drop(DropReason::OutboxFull);
            }
            stats.fragments_sent += 1;
            outbox.push_back((way, transmit));
        });
        false
    }

    /// Tells the sender of a packet what is wrong with it, if the rules allow.
    pub(super) fn complain(
        &mut self,
        now: Instant,
        rx: &RxPacket,
        packet: &IpPacket<'_>,
        say: Say,
    ) {
        if !ingress::may_complain(packet, say, &self.addresses) {
            return;
        }
        let ipv6 = packet.is_ipv6();
        let quoted = packet.total_len().min(icmp::quote_max(ipv6));
        let quote = rx.bytes.slice(..quoted.min(rx.bytes.len()));
        let offender = if self.addresses.is_ours(packet.destination) {
            packet.destination
        } else {
            // A gateway without an address of that family has no better name than the one it
            // stands in for.
            self.addresses.first(ipv6).unwrap_or(packet.destination)
        };
        self.emit_icmp_error(now, offender, packet.source, say, quote, Limited::Yes);
    }

    /// Sends an ICMP error from `offender` to `to` about the packet that starts with `quote`.
    pub(super) fn emit_icmp_error(
        &mut self,
        now: Instant,
        offender: IpAddr,
        to: IpAddr,
        say: Say,
        quote: Bytes,
        limited: Limited,
    ) {
        if limited == Limited::Yes && !self.icmp_limit.allows(to, now) {
            return self.drop_packet(DropReason::IcmpRateLimit);
        }
        let ipv6 = to.is_ipv6();
        let message = Message::icmp(icmp::header(say, ipv6), quote, ipv6);
        let ip = self.ip_head(offender, to, icmp::protocol(ipv6));
        self.stats.icmp_errors_sent += 1;
        self.emit_message(now, ip, message);
    }

    /// Answers an echo request as `from`.
    pub(super) fn emit_echo_reply(
        &mut self,
        now: Instant,
        from: IpAddr,
        to: IpAddr,
        echo: switchboard_wire::icmp::Echo,
        payload: Bytes,
    ) {
        let ipv6 = to.is_ipv6();
        let message = Message::icmp(icmp::echo_reply(echo, ipv6), payload, ipv6);
        let ip = self.ip_head(from, to, icmp::protocol(ipv6));
        self.emit_message(now, ip, message);
    }
}

/// 20 bits of a conversation's hash (RFC 6437 section 3): not those that the tables use.
pub(super) fn flow_label(hash: u64) -> u32 {
    (hash >> 32) as u32 & 0xf_ffff
}
