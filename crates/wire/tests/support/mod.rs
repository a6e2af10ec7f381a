//! Headers of any kind, and packets made of them.
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses a part"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_wire::checksum;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::offload;
use switchboard_wire::packet::PartialChecksum;
use switchboard_wire::tcp::{
    self, FastOpen, FastOpenCookie, Flags, SackBlocks, TcpHeader, TcpOptions, Timestamps,
};
use switchboard_wire::udp::{self, UdpHeader};
use switchboard_wire::{IpProtocol, Transmit};

/// Two addresses of one family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
}

pub(crate) fn v4_pair() -> Pair {
    Pair {
        source: Ipv4Addr::new(10, 0, 2, 100).into(),
        destination: Ipv4Addr::new(10, 0, 2, 4).into(),
    }
}

pub(crate) fn v6_pair() -> Pair {
    Pair {
        source: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x64).into(),
        destination: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 4).into(),
    }
}

pub(crate) fn pairs() -> impl Strategy<Value = Pair> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(source, destination)| Pair {
            source: IpAddr::from(source),
            destination: IpAddr::from(destination),
        }),
        any::<([u8; 16], [u8; 16])>().prop_map(|(source, destination)| Pair {
            source: IpAddr::from(source),
            destination: IpAddr::from(destination),
        }),
    ]
}

/// A request, or a cookie of any length that there can be.
pub(crate) fn fast_opens() -> impl Strategy<Value = FastOpen> {
    prop_oneof![
        Just(FastOpen::Request),
        (vec(any::<u8>(), 16), 2usize..=8).prop_map(|(octets, pairs)| {
            let cookie = FastOpenCookie::new(&octets[..2 * pairs]);
            FastOpen::Cookie(cookie.expect("4 to 16 octets, an even number"))
        }),
    ]
}

/// Options as one header can carry them: those of a SYN, or those of any other segment.
pub(crate) fn tcp_options(is_syn: bool) -> impl Strategy<Value = TcpOptions> {
    let timestamps = proptest::option::of(
        any::<(u32, u32)>().prop_map(|(value, echo)| Timestamps { value, echo }),
    );
    let syn = (
        proptest::option::of(any::<u16>()),
        proptest::option::of(0u8..=14),
        any::<bool>(),
    );
    let blocks = vec(any::<(u32, u32)>(), 0..=4);
    let fast_open = proptest::option::of(fast_opens());
    (timestamps, syn, blocks, fast_open).prop_map(move |(timestamps, syn, blocks, fast_open)| {
        let (mss, window_scale, sack_permitted) = if is_syn { syn } else { (None, None, false) };
        let mut options = TcpOptions {
            mss,
            window_scale,
            sack_permitted,
            timestamps,
            sack: SackBlocks::new(),
            fast_open: fast_open.filter(|_| is_syn),
        };
        if !is_syn {
            options.sack = blocks.into_iter().take(options.sack_room()).collect();
        }
        options
    })
}

pub(crate) fn tcp_headers() -> impl Strategy<Value = TcpHeader> {
    (0u16..0x200)
        .prop_map(Flags::from_bits)
        .prop_flat_map(|flags| {
            let fields = any::<(u16, u16, u32, u32, u16, u16)>();
            (fields, tcp_options(flags.syn())).prop_map(
                move |((source_port, destination_port, seq, ack, window, urgent), options)| {
                    TcpHeader {
                        source_port,
                        destination_port,
                        seq,
                        ack,
                        flags,
                        window,
                        urgent,
                        options,
                    }
                },
            )
        })
}

/// Starts a packet: its IP header, and where the transport's starts.
fn ip_head(pair: Pair, protocol: IpProtocol, body_len: usize) -> (Transmit, u16) {
    let mut transmit = Transmit::default();
    match (pair.source, pair.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total_len = (20 + body_len) as u16;
            let mut header = Ipv4Header::new(source, destination, protocol, total_len);
            header.identification = 0xfffe;
            header.emit(&mut transmit.head);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Ipv6Header::new(source, destination, protocol, body_len as u16)
                .emit(&mut transmit.head);
        }
        _ => panic!("addresses of two families"),
    }
    let start = transmit.head.len() as u16;
    (transmit, start)
}

/// A TCP packet, checksum finished or left to the device.
pub(crate) fn tcp_transmit(
    pair: Pair,
    header: &TcpHeader,
    payload: &[&[u8]],
    deferred: bool,
) -> Transmit {
    let text_len: usize = payload.iter().map(|slice| slice.len()).sum();
    let body_len = header.len() + text_len;
    let (mut transmit, start) = ip_head(pair, IpProtocol::TCP, body_len);
    header.emit(&mut transmit.head);
    for slice in payload {
        transmit.payload.push(Bytes::copy_from_slice(slice));
    }
    let field = PartialChecksum {
        start,
        offset: tcp::CHECKSUM_AT,
    };
    let pseudo = checksum::pseudo(pair.source, pair.destination, IpProtocol::TCP, body_len);
    offload::seal(&mut transmit, field, pseudo, deferred);
    transmit
}

/// A UDP packet, checksum finished or left to the device.
pub(crate) fn udp_transmit(
    pair: Pair,
    ports: (u16, u16),
    payload: &[&[u8]],
    deferred: bool,
) -> Transmit {
    let payload_len: usize = payload.iter().map(|slice| slice.len()).sum();
    let header = UdpHeader::new(ports.0, ports.1, payload_len);
    let body_len = udp::HEADER_LEN + payload_len;
    let (mut transmit, start) = ip_head(pair, IpProtocol::UDP, body_len);
    header.emit(&mut transmit.head);
    for slice in payload {
        transmit.payload.push(Bytes::copy_from_slice(slice));
    }
    let field = PartialChecksum {
        start,
        offset: udp::CHECKSUM_AT,
    };
    let pseudo = checksum::pseudo(pair.source, pair.destination, IpProtocol::UDP, body_len);
    offload::seal(&mut transmit, field, pseudo, deferred);
    transmit
}

pub(crate) fn segment_size(octets: u16) -> Option<NonZeroU16> {
    NonZeroU16::new(octets)
}

/// An IPv6 packet of these octets behind the header.
pub(crate) fn ipv6_packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (v6_pair().source, v6_pair().destination)
    else {
        panic!("an IPv6 pair");
    };
    let mut packet = Vec::new();
    let next_header = IpProtocol(next_header);
    Ipv6Header::new(source, destination, next_header, payload.len() as u16).emit(&mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// An IPv4 packet with these options and octets behind the header.
pub(crate) fn ipv4_packet(options: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let source = Ipv4Addr::new(10, 0, 2, 100);
    let destination = Ipv4Addr::new(10, 0, 2, 4);
    let mut header = Ipv4Header::new(source, destination, IpProtocol(protocol), 0);
    header.options = options.iter().copied().collect();
    header.total_len = (header.header_len() + payload.len()) as u16;
    let mut packet = Vec::new();
    header.emit(&mut packet);
    packet.extend_from_slice(payload);
    packet
}
