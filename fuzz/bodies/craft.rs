//! Packets of a peer: valid ones, and ones that are nearly so.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use bytes::Bytes;
use switchboard_wire::icmp::v4::Icmpv4Header;
use switchboard_wire::icmp::v6::Icmpv6Header;
use switchboard_wire::icmp::{self, Echo};
use switchboard_wire::ip::Fragment;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::{FragmentHeader, Ipv6Header};
use switchboard_wire::packet::{Checksum, PartialChecksum};
use switchboard_wire::tcp::{self, Flags, TcpHeader, TcpOptions, TcpSegment, Timestamps};
use switchboard_wire::udp::{self, UdpHeader};
use switchboard_wire::{Instant, IpPacket, IpProtocol, RxPacket, Transmit, checksum, offload};

use super::host::{Host, OWN_V4, OWN_V6, Seen};
use super::input::Input;
use super::pattern;

const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x64);
const FAR_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const FAR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

static TEXT: [u8; 65_535] = [b'.'; 65_535];

/// An IP packet around a transport header and its payload.
fn packet(
    (source, destination): (IpAddr, IpAddr),
    protocol: IpProtocol,
    transport: &[u8],
    payload: &[u8],
    checksum_at: u16,
) -> Vec<u8> {
    let mut transmit = Transmit::default();
    let body_len = transport.len() + payload.len();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total_len = (20 + body_len) as u16;
            Ipv4Header::new(source, destination, protocol, total_len).emit(&mut transmit.head);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let payload_len = body_len as u16;
            Ipv6Header::new(source, destination, protocol, payload_len).emit(&mut transmit.head);
        }
        _ => unreachable!("addresses of two families"),
    }
    let field = PartialChecksum {
        start: transmit.head.len() as u16,
        offset: checksum_at,
    };
    let pseudo = if protocol == IpProtocol::ICMP {
        checksum::Sum::new()
    } else {
        checksum::pseudo(source, destination, protocol, body_len)
    };
    switchboard_wire::Output::put(&mut transmit.head, transport);
    transmit.payload.push(Bytes::copy_from_slice(payload));
    offload::seal(&mut transmit, field, pseudo, false);
    transmit.to_bytes().to_vec()
}

fn received(octets: Vec<u8>) -> RxPacket {
    RxPacket::new(octets.into(), Instant::ZERO)
}

/// A number at, or not far from, the one that would be right.
fn near(input: &mut Input<'_>, right: u32, len: u32) -> u32 {
    match input.u8() % 24 {
        0..=13 => right,
        14 => right.wrapping_sub(1),
        15 => right.wrapping_add(1),
        16 => right.wrapping_sub(len),
        17 => right.wrapping_add(len),
        18 => right.wrapping_sub(100),
        19 => right.wrapping_add(1448),
        20 => right.wrapping_add(65_535),
        21 => right.wrapping_sub(65_535),
        22 => right.wrapping_add(u32::from(input.u16())),
        _ => input.u32(),
    }
}

const FLAGS: [Flags; 20] = [
    Flags::SYN,
    Flags::ACK,
    Flags::ACK,
    Flags::ACK,
    Flags::ACK.with(Flags::PSH),
    Flags::ACK.with(Flags::PSH),
    Flags::ACK.with(Flags::PSH),
    Flags::SYN.with(Flags::ACK),
    Flags::SYN.with(Flags::ACK),
    Flags::FIN.with(Flags::ACK),
    Flags::FIN.with(Flags::ACK),
    Flags::FIN.with(Flags::PSH).with(Flags::ACK),
    Flags::RST,
    Flags::RST.with(Flags::ACK),
    Flags::NONE,
    Flags::URG.with(Flags::ACK),
    Flags::SYN.with(Flags::FIN),
    Flags::ACK.with(Flags::ECE),
    Flags::ACK.with(Flags::CWR),
    Flags::SYN.with(Flags::ECE).with(Flags::CWR),
];

/// A conversation that the stack has spoken in, or a new one.
fn conversation(input: &mut Input<'_>, host: &Host) -> Seen {
    if !input.one_in(4)
        && let Some(at) = input.index(host.seen.len())
    {
        return host.seen[at];
    }
    let (far, near) = addresses(input);
    Seen {
        near: SocketAddr::new(near, input.pick(&[80, 80, 81, 443])),
        far: SocketAddr::new(far, 40_000 + u16::from(input.u8() % 8)),
        snd_nxt: 0,
        rcv_nxt: 0xffff_ff00,
        timestamp: None,
    }
}

/// From a peer, to one of ours or to somebody's.
fn addresses(input: &mut Input<'_>) -> (IpAddr, IpAddr) {
    match input.u8() % 4 {
        0 | 1 => (PEER_V4.into(), input.pick(&[OWN_V4, OWN_V4, FAR_V4]).into()),
        _ => (PEER_V6.into(), input.pick(&[OWN_V6, OWN_V6, FAR_V6]).into()),
    }
}

fn options(input: &mut Input<'_>, seen: &Seen, flags: Flags) -> TcpOptions {
    let mut options = TcpOptions::NONE;
    if seen.timestamp.is_some() || input.one_in(4) {
        let value = u32::from(input.u8()).wrapping_mul(input.pick(&[1, 1, 1000, 0x0100_0000]));
        let echo = seen.timestamp.unwrap_or(0);
        let echo = echo.wrapping_sub(input.pick(&[0, 0, 0, 1, 1000]));
        options.timestamps = Some(Timestamps { value, echo });
    }
    if flags.syn() {
        options.mss = input.pick(&[Some(1460), Some(1460), None, Some(0), Some(1), Some(48)]);
        options.window_scale = input.pick(&[Some(7), None, Some(0), Some(14)]);
        options.sack_permitted = input.is_set();
    } else if input.one_in(4) {
        for _ in 0..input.u8() % 4 {
            let left = near(input, seen.snd_nxt.wrapping_sub(1448), 1448);
            let len = u32::from(input.pick(&[1448u16, 1, 0, 100, 65_535]));
            options.sack.push((left, left.wrapping_add(len)));
        }
    }
    options
}

/// A segment of a peer.
pub fn segment(input: &mut Input<'_>, host: &Host) -> RxPacket {
    let seen = conversation(input, host);
    let flags = input.pick(&FLAGS);
    let len = match input.u8() % 8 {
        0..=2 if !flags.psh() => 0,
        0 => 1,
        1..=3 => 100,
        4 => 1448,
        5 => 1,
        6 => usize::from(input.u16()) % 1449,
        _ => 9_000,
    };
    let header = TcpHeader {
        source_port: seen.far.port(),
        destination_port: seen.near.port(),
        seq: near(input, seen.rcv_nxt, len as u32),
        ack: near(input, seen.snd_nxt, 1448),
        flags,
        window: input.pick(&[65_535, 65_535, 512, 1, 0, 29_200]),
        urgent: input.pick(&[0, 0, 1, 500]),
        options: options(input, &seen, flags),
    };
    let mut transport = Vec::new();
    header.emit(&mut transport);
    let pair = (seen.far.ip(), seen.near.ip());
    // The text of a SYN begins behind the number that the SYN takes.
    let text = pattern::text(header.seq.wrapping_add(u32::from(flags.syn())), len);
    let octets = packet(pair, IpProtocol::TCP, &transport, &text, tcp::CHECKSUM_AT);
    let mut packet = received(octets);
    if len == 9_000 {
        packet.segment_size = NonZeroU16::new(1448);
        packet.checksum = Checksum::Verified;
    }
    packet
}

/// A datagram of a peer.
pub fn datagram(input: &mut Input<'_>) -> RxPacket {
    let port = input.pick(&[53, 53, 54, 443]);
    let len = input.pick(&[0, 1, 100, 1400, 9_000, 60_000]);
    let header = UdpHeader::new(40_000 + u16::from(input.u8() % 4), port, len);
    let mut transport = Vec::new();
    header.emit(&mut transport);
    let pair = addresses(input);
    received(packet(
        pair,
        IpProtocol::UDP,
        &transport,
        &TEXT[..len],
        udp::CHECKSUM_AT,
    ))
}

/// An echo request.
pub fn echo(input: &mut Input<'_>) -> RxPacket {
    let pair = addresses(input);
    let echo = Echo {
        identifier: input.u16(),
        sequence: input.u16(),
    };
    let len = input.pick(&[0, 56, 1400, 60_000]);
    let mut transport = Vec::new();
    let protocol = if pair.0.is_ipv4() {
        Icmpv4Header::EchoRequest(echo).emit(&mut transport);
        IpProtocol::ICMP
    } else {
        Icmpv6Header::EchoRequest(echo).emit(&mut transport);
        IpProtocol::ICMPV6
    };
    received(packet(
        pair,
        protocol,
        &transport,
        &TEXT[..len],
        icmp::CHECKSUM_AT,
    ))
}

/// An ICMP error about something that the stack sent, or any other message.
pub fn icmp_error(input: &mut Input<'_>, host: &Host) -> RxPacket {
    let quoted = match input.index(host.recent.len()) {
        Some(at) => host.recent[at].clone(),
        None => input.take(60).to_vec(),
    };
    let quoted = &quoted[..quoted.len().min(input.pick(&[576, 576, 48, 28, 60, 10]))];
    let is_v4 = quoted.first().is_none_or(|first| first >> 4 == 4);
    let code = input.u8() % 20;
    let (kind, word) = (input.u8(), input.u32().to_be_bytes());
    let mtu = u32::from(input.pick(&[1400u16, 0, 1, 68, 552, 1279, 1280, 65_535]));
    let mut transport = Vec::new();
    if is_v4 {
        let header = match kind % 4 {
            0 | 1 => Icmpv4Header::DestinationUnreachable {
                code,
                mtu: mtu as u16,
                quoted_words: 0,
            },
            2 => Icmpv4Header::from_octets(input.pick(&[4, 5, 11, 12]), code % 3, word),
            _ => Icmpv4Header::from_octets(kind, code, word),
        };
        header.emit(&mut transport);
        let source = input.pick(&[PEER_V4, FAR_V4]).into();
        let pair = (source, OWN_V4.into());
        return received(packet(
            pair,
            IpProtocol::ICMP,
            &transport,
            quoted,
            icmp::CHECKSUM_AT,
        ));
    }
    let header = match kind % 4 {
        0 => Icmpv6Header::DestinationUnreachable {
            code,
            quoted_words: 0,
        },
        1 => Icmpv6Header::PacketTooBig { mtu },
        2 => Icmpv6Header::from_octets(input.pick(&[3, 4]), code % 4, word),
        _ => Icmpv6Header::from_octets(kind, code, word),
    };
    header.emit(&mut transport);
    let source = input.pick(&[PEER_V6, FAR_V6]).into();
    let pair = (source, OWN_V6.into());
    received(packet(
        pair,
        IpProtocol::ICMPV6,
        &transport,
        quoted,
        icmp::CHECKSUM_AT,
    ))
}

/// A part of a packet: where it says it belongs may overlap others.
pub fn fragment(input: &mut Input<'_>) -> RxPacket {
    let (source, destination) = addresses(input);
    let protocol = input.pick(&[IpProtocol::UDP, IpProtocol::TCP, IpProtocol::ICMP]);
    let len = input.pick(&[8, 16, 1400, 7, 0, 20_000]);
    let offset = 8 * (u16::from(input.u8()) % 12) * input.pick(&[1, 2, 175, 600]);
    let fragment = Fragment {
        identification: u32::from(input.u8() % 3),
        offset,
        more: input.is_set(),
    };
    let mut octets = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = Ipv4Header::new(source, destination, protocol, (20 + len) as u16);
            header.identification = fragment.identification as u16;
            header.fragment_offset = fragment.offset;
            header.more_fragments = fragment.more;
            header.dont_fragment = false;
            header.emit(&mut octets);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = (8 + len) as u16;
            Ipv6Header::new(source, destination, IpProtocol::FRAGMENT, len).emit(&mut octets);
            FragmentHeader {
                next_header: protocol,
                fragment,
            }
            .emit(&mut octets);
        }
        _ => unreachable!("addresses of two families"),
    }
    // A transport header of the first fragment, its checksum wrong: it is whole or dropped.
    let text = [input.take(8), &TEXT[..len]].concat();
    octets.extend_from_slice(&text[..len]);
    received(octets)
}

/// IPv6 extension headers in front of a datagram.
pub fn extensions(input: &mut Input<'_>) -> RxPacket {
    let kinds = [0u8, 43, 44, 60, 17, 58, 59, 200];
    let first = input.pick(&kinds);
    let mut payload = Vec::new();
    for _ in 0..input.u8() % 6 {
        payload.extend_from_slice(&[input.pick(&kinds), input.u8() % 2]);
        payload.extend_from_slice(input.take(6));
        payload.resize(payload.len().next_multiple_of(8), 0);
    }
    payload.extend_from_slice(&[0x9c, 0x40, 0, 53, 0, 8, 0, 0]);
    let mut octets = Vec::new();
    let destination = input.pick(&[OWN_V6, FAR_V6, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)]);
    let len = payload.len() as u16;
    Ipv6Header::new(PEER_V6, destination, IpProtocol(first), len).emit(&mut octets);
    octets.extend_from_slice(&payload);
    let mut packet = received(octets);
    packet.checksum = Checksum::Verified;
    packet
}

/// Changes some octets; then the sums may be made to fit, so that what lies behind the
/// checks is reached.
pub fn mutate(input: &mut Input<'_>, packet: RxPacket) -> RxPacket {
    let mut octets = packet.bytes.to_vec();
    for _ in 0..=input.u8() % 4 {
        // Headers are more interesting than text.
        if let Some(at) = input.index(octets.len().min(80)) {
            octets[at] = input.u8();
        }
    }
    if input.one_in(8) {
        octets.truncate(usize::from(input.u8()));
    }
    let is_repaired = !input.one_in(4);
    if is_repaired {
        repair_ipv4(&mut octets);
    }
    let checksum = if is_repaired {
        Checksum::Verified
    } else {
        packet.checksum
    };
    if checksum == Checksum::Verified {
        repair_text(&mut octets);
    }
    RxPacket {
        checksum,
        segment_size: packet.segment_size,
        ..received(octets)
    }
}

/// Makes a segment's text that of its sequence number: the peer may lie about everything but
/// what it says.
fn repair_text(octets: &mut [u8]) {
    let found = IpPacket::parse(octets).ok().and_then(|ip| {
        let segment = TcpSegment::parse(&ip, Checksum::Verified).ok()?;
        let is_tcp = ip.protocol == IpProtocol::TCP && ip.fragment.is_none();
        is_tcp.then_some((segment.header, segment.text_at, segment.text.len()))
    });
    if let Some((header, at, len)) = found {
        let first = header.seq.wrapping_add(u32::from(header.flags.syn()));
        octets[at..at + len].copy_from_slice(&pattern::text(first, len));
    }
}

/// Makes an IPv4 header's checksum right.
pub fn repair_ipv4(octets: &mut [u8]) {
    let header_len = octets
        .first()
        .map_or(0, |first| usize::from(first & 15) * 4);
    if header_len >= 20 && octets.len() >= header_len && octets[0] >> 4 == 4 {
        octets[10..12].fill(0);
        let sum = checksum::checksum(&octets[..header_len]);
        octets[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}
