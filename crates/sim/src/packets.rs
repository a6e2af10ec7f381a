//! Whole packets made and read by hand: what a peer without a stack sends.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use switchboard_core::Unreachable;
use switchboard_wire::icmp::v4::{Icmpv4Header, time_exceeded, unreachable as v4};
use switchboard_wire::icmp::v6::{Icmpv6Header, unreachable as v6};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::line::{Relative, Side, TcpLine, TimestampsShown};
use switchboard_wire::tcp::{TcpHeader, TcpOptions, Timestamps};
use switchboard_wire::udp::UdpHeader;
use switchboard_wire::{IpPacket, IpProtocol, Malformed, checksum};

use crate::icmp;

/// Reads a TCP segment: source, destination, header, text.
///
/// # Errors
///
/// The first rule that the packet breaks; not TCP counts as too short for it.
pub fn tcp(packet: &[u8]) -> Result<(SocketAddr, SocketAddr, TcpHeader, Bytes), Malformed> {
    let ip = IpPacket::parse(packet)?;
    if ip.protocol != IpProtocol::TCP || ip.fragment.is_some() {
        return Err(Malformed::TcpTruncated);
    }
    let (header, text_at) = TcpHeader::parse(ip.body())?;
    let text = ip.body().get(text_at..).unwrap_or_default();
    Ok((
        SocketAddr::new(ip.source, header.source_port),
        SocketAddr::new(ip.destination, header.destination_port),
        header,
        Bytes::copy_from_slice(text),
    ))
}

/// What a line needs to become a header.
#[derive(Clone, Copy, Debug)]
pub struct SegmentParts<'a> {
    /// Who sends.
    pub source: SocketAddr,
    /// To whom.
    pub destination: SocketAddr,
    /// The line.
    pub line: &'a TcpLine,
    /// Where each side's numbers begin; the sender is the far one.
    pub relative: &'a Relative,
    /// The sender's clock, for a bare `ts`.
    pub timestamp: u32,
    /// The clock that it echoes, for a bare `ts`.
    pub echo: u32,
}

/// The header that a line describes.
#[must_use]
pub fn header(parts: &SegmentParts<'_>) -> TcpHeader {
    let SegmentParts { line, relative, .. } = parts;
    let timestamps = match line.timestamps {
        TimestampsShown::Absent => None,
        TimestampsShown::Present => Some(Timestamps {
            value: parts.timestamp,
            echo: parts.echo,
        }),
        TimestampsShown::Values(values) => Some(values),
    };
    TcpHeader {
        source_port: parts.source.port(),
        destination_port: parts.destination.port(),
        seq: relative.absolute(Side::Far, line.seq.unwrap_or(0)),
        ack: line.ack.map_or(0, |ack| relative.absolute(Side::Near, ack)),
        flags: line.flags,
        window: line.window.unwrap_or(u16::MAX),
        urgent: line.urgent.unwrap_or(0),
        options: TcpOptions {
            mss: line.mss,
            window_scale: line.window_scale,
            sack_permitted: line.sack_permitted,
            timestamps,
            sack: relative.absolute_sack(Side::Far, line),
            fast_open: line.fast_open,
        },
    }
}

/// A TCP segment in an IP packet, every sum finished.
#[must_use]
pub fn tcp_packet(
    source: SocketAddr,
    destination: SocketAddr,
    header: &TcpHeader,
    text: &[u8],
) -> Bytes {
    let mut segment = Vec::new();
    header.emit(&mut segment);
    segment.extend_from_slice(text);
    let at = usize::from(switchboard_wire::tcp::CHECKSUM_AT);
    ip_packet(source.ip(), destination.ip(), IpProtocol::TCP, segment, at)
}

/// A UDP datagram in an IP packet, every sum finished.
#[must_use]
pub fn udp_packet(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Bytes {
    let mut datagram = Vec::new();
    UdpHeader::new(source.port(), destination.port(), payload.len()).emit(&mut datagram);
    datagram.extend_from_slice(payload);
    let at = usize::from(switchboard_wire::udp::CHECKSUM_AT);
    ip_packet(source.ip(), destination.ip(), IpProtocol::UDP, datagram, at)
}

fn ip_packet(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpProtocol,
    mut body: Vec<u8>,
    checksum_at: usize,
) -> Bytes {
    let pseudo = checksum::pseudo(source, destination, protocol, body.len());
    let sum = pseudo.plus(&body).checksum();
    body[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total_len = (20 + body.len()) as u16;
            Ipv4Header::new(source, destination, protocol, total_len).emit(&mut packet);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Ipv6Header::new(source, destination, protocol, body.len() as u16).emit(&mut packet);
        }
        _ => {}
    }
    packet.extend_from_slice(&body);
    packet.into()
}

/// The pieces into which a router cuts an IPv4 packet for a link of `mtu` octets; none where
/// it must not (RFC 791 section 3.2).
#[must_use]
pub fn fragments(packet: &Bytes, mtu: usize) -> Vec<Bytes> {
    let Ok(whole) = Ipv4Header::parse(packet) else {
        return Vec::new();
    };
    let header_len = whole.header_len();
    let body = packet.get(header_len..).unwrap_or_default();
    let room = mtu.saturating_sub(header_len) / 8 * 8;
    if whole.dont_fragment || room == 0 {
        return Vec::new();
    }
    let count = body.len().div_ceil(room);
    let pieces = body.chunks(room).enumerate().map(|(index, part)| {
        let header = Ipv4Header {
            more_fragments: whole.more_fragments || index + 1 < count,
            fragment_offset: whole.fragment_offset + (index * room) as u16,
            total_len: (header_len + part.len()) as u16,
            ..whole.clone()
        };
        let mut piece = Vec::with_capacity(header_len + part.len());
        header.emit(&mut piece);
        piece.extend_from_slice(part);
        Bytes::from(piece)
    });
    pieces.collect()
}

/// An ICMP error from `router` about `packet`; with `seq` it quotes another sequence number
/// than the packet's own, as somebody who guesses would.
#[must_use]
pub fn icmp_error(
    why: Unreachable,
    router: IpAddr,
    packet: &Bytes,
    seq: Option<u32>,
) -> Option<Bytes> {
    let about = IpPacket::parse(packet).ok()?;
    let mut quoted = packet.to_vec();
    if let Some(seq) = seq {
        let at = about.header_len + 4;
        quoted
            .get_mut(at..at + 4)?
            .copy_from_slice(&seq.to_be_bytes());
    }
    let source = about.source;
    if about.is_ipv6() {
        icmp::error_v6(router, source, v6_header(why)?, &quoted)
    } else {
        icmp::error_v4(router, source, v4_header(why)?, &quoted)
    }
}

fn v4_header(why: Unreachable) -> Option<Icmpv4Header> {
    let (code, mtu) = match why {
        Unreachable::Network => (v4::NET, 0),
        Unreachable::Host => (v4::HOST, 0),
        Unreachable::Protocol => (v4::PROTOCOL, 0),
        Unreachable::Port => (v4::PORT, 0),
        Unreachable::TooBig { mtu } => (v4::FRAGMENTATION_NEEDED, u16::try_from(mtu).ok()?),
        Unreachable::Prohibited => (v4::ADMIN_PROHIBITED, 0),
        Unreachable::TimeExceeded => {
            return Some(Icmpv4Header::TimeExceeded {
                code: time_exceeded::TTL,
                quoted_words: 0,
            });
        }
        Unreachable::SourceRoute | Unreachable::ParameterProblem => return None,
    };
    Some(Icmpv4Header::DestinationUnreachable {
        code,
        mtu,
        quoted_words: 0,
    })
}

fn v6_header(why: Unreachable) -> Option<Icmpv6Header> {
    let code = match why {
        Unreachable::Network => v6::NO_ROUTE,
        Unreachable::Host => v6::ADDRESS,
        Unreachable::Port => v6::PORT,
        Unreachable::Prohibited => v6::ADMIN_PROHIBITED,
        Unreachable::TooBig { mtu } => return Some(Icmpv6Header::PacketTooBig { mtu }),
        Unreachable::TimeExceeded => {
            return Some(Icmpv6Header::TimeExceeded {
                code: 0,
                quoted_words: 0,
            });
        }
        Unreachable::Protocol | Unreachable::SourceRoute | Unreachable::ParameterProblem => {
            return None;
        }
    };
    Some(Icmpv6Header::DestinationUnreachable {
        code,
        quoted_words: 0,
    })
}
