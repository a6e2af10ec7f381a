//! An ICMP message arrived: echo, or an error about something of ours.

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::icmp::{Echo, HEADER_LEN, Quote};
use switchboard_wire::ip::IpProtocol;
use switchboard_wire::membership::MLD_QUERY;

use super::Stack;
use super::inputs::Admitted;
use super::tcp_sockets::mss_of;
use crate::demux::addresses::Destination;
use crate::demux::four_tuple;
use crate::demux::table::Holder;
use crate::demux::udp_table::Found;
use crate::drop_reason::DropReason;
use crate::error::Unreachable;
use crate::event::Readiness;
use crate::ip::icmp;
use crate::ready::Who;
use crate::socket::{EchoRequest, UdpError};
use crate::tcp::SeqNum;
use crate::udp::queue::keep;

impl Stack {
    pub(super) fn icmp_v4_arrives(&mut self, now: Instant, admitted: &Admitted<'_>) {
        let message = match Icmpv4Message::parse(admitted.packet.body()) {
            Ok(message) => message,
            Err(rule) => return self.stats.drop_malformed(rule),
        };
        match message.header {
            Icmpv4Header::EchoRequest(echo) => self.echo_arrives(now, admitted, echo),
            Icmpv4Header::EchoReply(echo) => self.echo_reply_arrives(admitted, echo),
            header if header.is_error() => match message.quote() {
                Ok(quote) => {
                    self.error_arrives(now, admitted, icmp::understand_v4(&header), &quote)
                }
                Err(rule) => self.stats.drop_malformed(rule),
            },
            _ => self.drop_packet(DropReason::IcmpIgnored),
        }
    }

    pub(super) fn icmp_v6_arrives(&mut self, now: Instant, admitted: &Admitted<'_>) {
        let packet = &admitted.packet;
        let message = match Icmpv6Message::parse(packet.body(), packet.pseudo_header()) {
            Ok(message) => message,
            Err(rule) => return self.stats.drop_malformed(rule),
        };
        match message.header {
            Icmpv6Header::EchoRequest(echo) => self.echo_arrives(now, admitted, echo),
            Icmpv6Header::EchoReply(echo) => self.echo_reply_arrives(admitted, echo),
            Icmpv6Header::Other {
                kind: MLD_QUERY,
                code: 0,
                word,
            } => self.mld_query_arrives(now, admitted, word, message.body),
            header if header.is_error() => match message.quote() {
                Ok(quote) => {
                    self.error_arrives(now, admitted, icmp::understand_v6(&header), &quote)
                }
                Err(rule) => self.stats.drop_malformed(rule),
            },
            _ => self.drop_packet(DropReason::IcmpIgnored),
        }
    }

    /// An echo request: answered if it is for an address of ours (RFC 1122 section 3.2.2.6,
    /// RFC 4443 section 4.2), else the application's if it wants them.
    fn echo_arrives(&mut self, now: Instant, admitted: &Admitted<'_>, echo: Echo) {
        let packet = &admitted.packet;
        match admitted.destination {
            Destination::Ours => {
                let payload = echo_payload(admitted);
                self.emit_echo_reply(now, packet.destination, packet.source, echo, payload);
            }
            Destination::Foreign if self.config.echo_to_application => {
                if self.echoes.len() >= self.config.limits.echo_requests {
                    return self.drop_packet(DropReason::EchoQueueFull);
                }
                let (payload, _) = keep(echo_payload(admitted), admitted.rx.slot_size);
                self.echoes.push_back(EchoRequest {
                    source: packet.source,
                    destination: packet.destination,
                    identifier: echo.identifier,
                    sequence: echo.sequence,
                    hop_limit: packet.hop_limit,
                    payload,
                });
                self.events.enter(Who::Echo, &mut self.is_echo_announced);
            }
            _ => self.drop_packet(DropReason::IcmpIgnored),
        }
    }

    /// An ICMP error: believed only if it quotes a packet that a socket of ours may have sent
    /// (RFC 5927 section 4).
    fn error_arrives(
        &mut self,
        now: Instant,
        admitted: &Admitted<'_>,
        why: Option<Unreachable>,
        quote: &Quote<'_>,
    ) {
        let offender = admitted.packet.source;
        let Some(why) = why else {
            return self.drop_packet(DropReason::IcmpIgnored);
        };
        let is_ours = self.addresses.is_ours(quote.source);
        let of_packet_socket = is_ours && self.error_to_packet_sockets(now, why, offender, quote);
        let ends = quote.ports().map(|(source, destination)| {
            let local = SocketAddr::new(quote.source, source);
            (local, SocketAddr::new(quote.destination, destination))
        });
        let of_transport = match (quote.protocol, ends) {
            (IpProtocol::TCP, Some(ends)) => self.error_to_tcp(now, why, offender, ends, quote),
            (IpProtocol::UDP, Some(ends)) => self.error_to_udp(now, why, offender, ends, quote),
            _ => false,
        };
        if of_packet_socket || of_transport {
            self.stats.icmp_errors_received += 1;
        } else {
            self.drop_packet(DropReason::IcmpNotOurs);
        }
    }

    fn error_to_tcp(
        &mut self,
        now: Instant,
        why: Unreachable,
        offender: IpAddr,
        (local, remote): (SocketAddr, SocketAddr),
        quote: &Quote<'_>,
    ) -> bool {
        let tuple = four_tuple(local, remote);
        let hash = self.tcp_table.hash(&tuple);
        let Some(Holder::Connection(key)) = self.find_tcp(hash, &tuple) else {
            return false;
        };
        let (Some(seq), Some(socket)) = (quote.tcp_seq(), self.tcp.get_mut(key)) else {
            return false;
        };
        let seq = SeqNum::new(seq);
        if !socket.connection.quotes_us(seq) {
            return false;
        }
        let Unreachable::TooBig { mtu } = why else {
            let step = socket.connection.on_icmp(now, why, offender, seq);
            self.after_step(key, step);
            return true;
        };
        let dropped = socket.path_mtu;
        let claimed = usize::try_from(mtu).unwrap_or(usize::MAX);
        let Some(path_mtu) = self.path_mtus.reduce(remote.ip(), claimed, dropped, now) else {
            return true;
        };
        if let Some(socket) = self.tcp.get_mut(key) {
            socket.path_mtu = path_mtu;
            let mss = mss_of(path_mtu, remote.is_ipv6());
            socket.connection.on_path_mtu(now, mss);
        }
        self.refresh(key);
        true
    }

    fn error_to_udp(
        &mut self,
        now: Instant,
        why: Unreachable,
        offender: IpAddr,
        (local, remote): (SocketAddr, SocketAddr),
        quote: &Quote<'_>,
    ) -> bool {
        let is_ours = self.addresses.is_ours(local.ip());
        let Some(Found::Socket(key)) = self.find_udp(local, remote, is_ours) else {
            return false;
        };
        let Some(socket) = self.udp.get_mut(key) else {
            return false;
        };
        let is_told = socket.hears_errors();
        if is_told {
            socket.push_error(UdpError {
                why,
                offender,
                remote,
            });
        }
        self.learn_path_mtu(now, why, quote);
        if is_told {
            self.tell_udp(key, Readiness::ERROR | Readiness::READABLE);
        }
        true
    }

    /// A packet of no connection was too big for its path.
    pub(super) fn learn_path_mtu(&mut self, now: Instant, why: Unreachable, quote: &Quote<'_>) {
        if let Unreachable::TooBig { mtu } = why {
            let to = quote.destination;
            let claimed = usize::try_from(mtu).unwrap_or(usize::MAX);
            let dropped = self.mtu_to(to, now).max(quote.transport.len());
            let _ = self.path_mtus.reduce(to, claimed, dropped, now);
        }
    }
}

/// What an echo request carries.
pub(super) fn echo_payload(admitted: &Admitted<'_>) -> Bytes {
    let Admitted { rx, packet, .. } = admitted;
    let end = packet.total_len().min(rx.bytes.len());
    let start = (packet.header_len + HEADER_LEN).min(end);
    rx.bytes.slice(start..end)
}
