//! Packets by hand.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU16;

use switchboard_wire::icmp::Echo;
use switchboard_wire::icmp::v4::Icmpv4Header;
use switchboard_wire::icmp::v6::Icmpv6Header;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::tcp::{Flags, TcpHeader};
use switchboard_wire::udp::UdpHeader;
use switchboard_wire::{Checksum, IpProtocol, RxPacket, checksum};

use super::NOW;

/// What is special about a datagram.
#[derive(Clone, Copy)]
pub(super) struct Udp<'a> {
    pub(super) payload: usize,
    pub(super) hops: u8,
    pub(super) dont_fragment: bool,
    pub(super) fragment_offset: u16,
    pub(super) options: &'a [u8],
}

impl Udp<'_> {
    pub(super) fn of(payload: usize) -> Self {
        Self {
            payload,
            hops: 64,
            dont_fragment: false,
            fragment_offset: 0,
            options: &[],
        }
    }
}

fn ends(from: &str, to: &str) -> (IpAddr, IpAddr) {
    (from.parse().unwrap(), to.parse().unwrap())
}

/// An IP packet with `body`.
fn ip(from: &str, to: &str, protocol: IpProtocol, how: Udp<'_>, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match ends(from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = Ipv4Header::new(from, to, protocol, 0);
            header.options.extend(how.options.iter().copied());
            header.total_len = (header.header_len() + body.len()) as u16;
            header.hop_limit = how.hops;
            header.dont_fragment = how.dont_fragment;
            header.fragment_offset = how.fragment_offset;
            header.identification = 0x1234;
            header.emit(&mut out);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = Ipv6Header::new(from, to, protocol, body.len() as u16);
            header.hop_limit = how.hops;
            header.emit(&mut out);
        }
        _ => panic!("addresses of two families"),
    }
    out.extend_from_slice(body);
    out
}

fn put_sum(from: &str, to: &str, protocol: IpProtocol, body: &mut [u8], at: usize) {
    let (from, to) = ends(from, to);
    let sum = checksum::pseudo(from, to, protocol, body.len()).plus(body);
    body[at..at + 2].copy_from_slice(&sum.checksum().to_be_bytes());
}

pub(super) fn udp(from: &str, to: &str, how: Udp<'_>) -> RxPacket {
    let mut body = Vec::new();
    UdpHeader::new(4000, 5000, how.payload).emit(&mut body);
    body.extend((0..how.payload).map(|at| at as u8));
    put_sum(from, to, IpProtocol::UDP, &mut body, 6);
    let packet = ip(from, to, IpProtocol::UDP, how, &body);
    RxPacket::new(packet.into(), NOW)
}

/// A TCP super-segment as a stack with offloads sends it.
pub(super) fn tcp_super(from: &str, to: &str, payload: usize, segment_size: u16) -> RxPacket {
    let header = TcpHeader {
        source_port: 4000,
        destination_port: 80,
        seq: 0xffff_fe00,
        ack: 77,
        flags: Flags::ACK | Flags::PSH,
        window: 5000,
        ..TcpHeader::default()
    };
    let mut body = Vec::new();
    header.emit(&mut body);
    body.extend((0..payload).map(|at| at as u8));
    let how = Udp {
        dont_fragment: true,
        ..Udp::of(0)
    };
    let packet = ip(from, to, IpProtocol::TCP, how, &body);
    RxPacket {
        checksum: Checksum::Partial,
        segment_size: NonZeroU16::new(segment_size),
        ..RxPacket::new(packet.into(), NOW)
    }
}

pub(super) fn echo(from: &str, to: &str, payload: &[u8]) -> RxPacket {
    let echo = Echo {
        identifier: 9,
        sequence: 1,
    };
    let mut body = Vec::new();
    let v6 = from.contains(':');
    if v6 {
        Icmpv6Header::EchoRequest(echo).emit(&mut body);
        body.extend_from_slice(payload);
        put_sum(from, to, IpProtocol::ICMPV6, &mut body, 2);
    } else {
        Icmpv4Header::EchoRequest(echo).emit(&mut body);
        body.extend_from_slice(payload);
        let sum = checksum::checksum(&body);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    let protocol = if v6 {
        IpProtocol::ICMPV6
    } else {
        IpProtocol::ICMP
    };
    let packet = ip(from, to, protocol, Udp::of(0), &body);
    RxPacket::new(packet.into(), NOW)
}

/// A UDP datagram behind one extension header of eight octets.
pub(super) fn with_extension(from: &str, to: &str, kind: IpProtocol, options: [u8; 6]) -> RxPacket {
    let mut body = Vec::from([IpProtocol::UDP.0, 0]);
    body.extend_from_slice(&options);
    let mut datagram = Vec::new();
    UdpHeader::new(4000, 5000, 4).emit(&mut datagram);
    datagram.extend_from_slice(&[1, 2, 3, 4]);
    put_sum(from, to, IpProtocol::UDP, &mut datagram, 6);
    body.extend_from_slice(&datagram);
    let packet = ip(from, to, kind, Udp::of(0), &body);
    RxPacket::new(packet.into(), NOW)
}

/// Sums an IPv4 header of 20 octets anew.
pub(super) fn fix_header(packet: &mut [u8]) {
    packet[10..12].copy_from_slice(&[0, 0]);
    let sum = checksum::checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}
