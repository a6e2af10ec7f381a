//! Headers of what leaves, and packets that are longer than their path.

use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::checksum::{self, Sum};
use switchboard_wire::ip::{Fragment, IpProtocol};
use switchboard_wire::ipv4::{self, Ipv4Header};
use switchboard_wire::ipv6::extensions::{
    FRAGMENT_HEADER_LEN, FragmentHeader, ROUTER_ALERT_HEADER_LEN, emit_router_alert,
};
use switchboard_wire::ipv6::{Ipv6Header, header};
use switchboard_wire::packet::{IP_PACKET_MAX, PartialChecksum};
use switchboard_wire::tcp::{self as wire_tcp, TcpHeader, TcpOptions, Timestamps};
use switchboard_wire::udp::{self, UdpHeader};
use switchboard_wire::{Head, Output, Payload, Transmit, offload};

use crate::tcp::{FourTuple, Header, Outgoing};

/// All of an IP header that is not the same in every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpHead {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) protocol: IpProtocol,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    pub(crate) dont_fragment: bool,
    /// IPv6: 20 bits, the same for all packets of a conversation (RFC 6437).
    pub(crate) flow_label: u32,
    /// Tells the fragments of one packet from those of another. Never a counter: it would
    /// tell strangers how much we send (RFC 7739). Of a packet that cannot be fragmented it
    /// means nothing, and is zero (RFC 6864 section 4.1).
    pub(crate) identification: u32,
    /// Routers are asked to look at it (RFC 2113, RFC 2711).
    pub(crate) router_alert: bool,
}

/// Octets of an IP header that we send.
pub(crate) const fn ip_header_len(ipv6: bool) -> usize {
    if ipv6 {
        header::HEADER_LEN
    } else {
        ipv4::HEADER_MIN
    }
}

impl IpHead {
    /// Whether it is an IPv6 packet.
    pub(crate) const fn is_ipv6(&self) -> bool {
        self.destination.is_ipv6()
    }

    /// Appends the header of a packet with `body_len` octets behind it.
    fn emit(&self, body_len: usize, fragment: Option<Fragment>, out: &mut Head) {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header::new(source, destination, self.protocol, 0);
                if self.router_alert {
                    header.options.put(&ipv4::ROUTER_ALERT);
                }
                let total = header.header_len() + body_len;
                header.total_len = u16::try_from(total).unwrap_or(u16::MAX);
                header.hop_limit = self.hop_limit;
                header.traffic_class = self.traffic_class;
                header.dont_fragment = self.dont_fragment;
                header.identification = self.identification as u16;
                if let Some(fragment) = fragment {
                    header.more_fragments = fragment.more;
                    header.fragment_offset = fragment.offset;
                }
                header.emit(out);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut len = body_len + fragment.map_or(0, |_| FRAGMENT_HEADER_LEN);
                let after = fragment.map_or(self.protocol, |_| IpProtocol::FRAGMENT);
                let mut next = after;
                if self.router_alert {
                    len += ROUTER_ALERT_HEADER_LEN;
                    next = IpProtocol::HOP_BY_HOP;
                }
                let len = u16::try_from(len).unwrap_or(u16::MAX);
                let mut header = Ipv6Header::new(source, destination, next, len);
                header.hop_limit = self.hop_limit;
                header.traffic_class = self.traffic_class;
                header.flow_label = self.flow_label;
                header.emit(out);
                if self.router_alert {
                    emit_router_alert(after, out);
                }
                if let Some(fragment) = fragment {
                    let next_header = self.protocol;
                    FragmentHeader {
                        next_header,
                        fragment,
                    }
                    .emit(out);
                }
            }
            _ => debug_assert!(false, "addresses of two families"),
        }
    }

    /// The pseudo header of a packet with `body_len` octets behind this one.
    pub(crate) fn pseudo(&self, body_len: usize) -> Sum {
        checksum::pseudo(self.source, self.destination, self.protocol, body_len)
    }
}

/// Who finishes a transport checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summing {
    /// We do.
    Here,
    /// The device, or nobody where no wire will ever see the packet.
    Later,
}

/// Puts in the checksum of a transport header at `start` of the head.
fn seal(transmit: &mut Transmit, pseudo: Sum, start: usize, offset: u16, summing: Summing) {
    let field = PartialChecksum {
        start: u16::try_from(start).unwrap_or(u16::MAX),
        offset,
    };
    offload::seal(transmit, field, pseudo, summing == Summing::Later);
}

/// Writes the packet of a TCP segment into `transmit`; takes the payload out of `out`.
pub(crate) fn tcp(
    ip: &IpHead,
    tuple: &FourTuple,
    out: &mut Outgoing,
    summing: Summing,
    transmit: &mut Transmit,
) {
    transmit.head.clear();
    transmit.payload.clear();
    transmit.payload.append(&mut out.payload);
    transmit.segment_size = out.segment_size;
    let header = tcp_header(tuple, &out.header);
    let body_len = header.len() + transmit.payload_len();
    ip.emit(body_len, None, &mut transmit.head);
    let start = transmit.head.len();
    header.emit(&mut transmit.head);
    let summing = if transmit.segment_size.is_some() {
        Summing::Later
    } else {
        summing
    };
    let pseudo = ip.pseudo(body_len);
    seal(transmit, pseudo, start, wire_tcp::CHECKSUM_AT, summing);
}

/// A header in the form of the wire.
fn tcp_header(tuple: &FourTuple, header: &Header) -> TcpHeader {
    let mut flags = wire_tcp::Flags::from_bits(u16::from(header.flags.bits()));
    if header.ack.is_some() {
        flags |= wire_tcp::Flags::ACK;
    }
    let options = &header.options;
    TcpHeader {
        source_port: tuple.local.port(),
        destination_port: tuple.remote.port(),
        seq: header.seq.value(),
        ack: header.ack.map_or(0, |ack| ack.value()),
        flags,
        window: header.window,
        urgent: 0,
        options: TcpOptions {
            mss: options.mss,
            window_scale: options.window_scale,
            sack_permitted: options.sack_permitted,
            fast_open: options.fast_open,
            timestamps: options.timestamps.map(|timestamps| Timestamps {
                value: timestamps.value,
                echo: timestamps.echo,
            }),
            sack: options
                .sack
                .iter()
                .map(|block| (block.left.value(), block.right.value()))
                .collect(),
        },
    }
}

/// A transport header of 8 octets, UDP's or ICMP's, and what follows it; or a payload alone.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    header: [u8; 8],
    /// Octets of the header: none if the payload is all there is.
    header_len: usize,
    /// Where in the header the checksum is.
    checksum_at: Option<u16>,
    payload: Bytes,
    /// UDP and ICMPv6 sum a pseudo header, ICMP does not.
    has_pseudo_header: bool,
}

impl Message {
    /// A UDP datagram.
    pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, payload: Bytes) -> Self {
        let header = UdpHeader::new(source.port(), destination.port(), payload.len());
        Self {
            header: eight(|out| header.emit(out)),
            header_len: 8,
            checksum_at: Some(udp::CHECKSUM_AT),
            payload,
            has_pseudo_header: true,
        }
    }

    /// An ICMP message.
    pub(crate) fn icmp(header: [u8; 8], payload: Bytes, ipv6: bool) -> Self {
        Self {
            header,
            header_len: 8,
            checksum_at: Some(switchboard_wire::icmp::CHECKSUM_AT),
            payload,
            has_pseudo_header: ipv6,
        }
    }

    /// What an application writes behind the IP header, as it is.
    pub(crate) fn bare(payload: Bytes) -> Self {
        Self {
            header: [0; 8],
            header_len: 0,
            checksum_at: None,
            payload,
            has_pseudo_header: false,
        }
    }

    fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }

    /// Octets behind the IP header.
    pub(crate) fn len(&self) -> usize {
        self.header_len + self.payload.len()
    }

    fn pseudo(&self, ip: &IpHead) -> Sum {
        if self.has_pseudo_header {
            ip.pseudo(self.len())
        } else {
            Sum::new()
        }
    }

    /// Writes the one packet that it is into `transmit`, or the super-datagram if there is a
    /// `segment_size`.
    pub(crate) fn whole(
        self,
        ip: &IpHead,
        summing: Summing,
        segment_size: Option<NonZeroU16>,
        transmit: &mut Transmit,
    ) {
        transmit.head.clear();
        transmit.payload.clear();
        transmit.checksum = None;
        transmit.segment_size = segment_size;
        ip.emit(self.len(), None, &mut transmit.head);
        let start = transmit.head.len();
        transmit.head.put(self.header());
        let pseudo = self.pseudo(ip);
        let checksum_at = self.checksum_at;
        if !self.payload.is_empty() {
            transmit.payload.push(self.payload);
        }
        if let Some(at) = checksum_at {
            seal(transmit, pseudo, start, at, summing);
        }
    }

    /// The fragments that it makes on a path of `mtu` (RFC 791 section 3.2, RFC 8200 section
    /// 4.5), each but the last as long as it can be.
    pub(crate) fn fragments(mut self, ip: &IpHead, mtu: usize, mut each: impl FnMut(Transmit)) {
        self.finish_checksum(ip);
        let ipv6 = ip.is_ipv6();
        let overhead = ip_header_len(ipv6) + if ipv6 { FRAGMENT_HEADER_LEN } else { 0 };
        let step = (mtu.saturating_sub(overhead) / 8 * 8).max(8);
        let total = self.len();
        let mut offset = 0;
        while offset < total {
            let len = step.min(total - offset);
            let fragment = Fragment {
                identification: ip.identification,
                offset: u16::try_from(offset).unwrap_or(u16::MAX),
                more: offset + len < total,
            };
            let mut transmit = Transmit::default();
            ip.emit(len, Some(fragment), &mut transmit.head);
            let start = if offset == 0 {
                transmit.head.put(self.header());
                0
            } else {
                offset - self.header_len
            };
            let end = offset + len - self.header_len;
            let mut payload = Payload::new();
            if end > start {
                payload.push(self.payload.slice(start..end));
            }
            transmit.payload = payload;
            each(transmit);
            offset += len;
        }
    }

    /// Sums header and payload before they are cut.
    fn finish_checksum(&mut self, ip: &IpHead) {
        let Some(at) = self.checksum_at else {
            return;
        };
        let sum = self.pseudo(ip).plus(self.header()).plus(&self.payload);
        let value = match sum.checksum() {
            0 => 0xffff,
            sum => sum,
        };
        let at = usize::from(at);
        if let Some(field) = self.header.get_mut(at..at + 2) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// A header of 8 octets.
pub(crate) fn eight(emit: impl FnOnce(&mut Head)) -> [u8; 8] {
    let mut out = Head::new();
    emit(&mut out);
    out.first_chunk().copied().unwrap_or_default()
}

/// Longest payload of a UDP datagram (RFC 768 with RFC 791 or RFC 8200, no jumbograms): 65,507
/// octets over IPv4, 65,527 over IPv6, whose length field does not count the header.
pub(crate) const fn udp_payload_max(ipv6: bool) -> usize {
    let header = if ipv6 { 0 } else { ip_header_len(false) };
    IP_PACKET_MAX - header - udp::HEADER_LEN
}
