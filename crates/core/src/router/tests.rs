//! The router, packet by packet.

mod craft;
mod property;

use alloc::vec::Vec;
use core::net::IpAddr;

use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message, time_exceeded, unreachable};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::{Checksum, Instant, IpPacket, IpProtocol, RxPacket, Transmit, offload};

use super::{PortConfig, PortId, Router};
use crate::config::Offloads;
use crate::drop_reason::DropReason;
use crate::entropy::Entropy;
use crate::limits::Limits;
use craft::{Udp, tcp_super, udp};

const NOW: Instant = Instant::from_nanos(1_000_000_000);

/// A router between 10.1.0.0/16 and fd01::/64 at its first port, 10.2.0.0/16 and fd02::/64 at
/// its second.
struct Bench {
    router: Router,
    west: PortId,
    east: PortId,
}

fn port(addresses: &[&str], mtu: usize, offloads: Offloads) -> PortConfig {
    PortConfig {
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        mtu,
        offloads,
        hairpin: false,
    }
}

const ALL: Offloads = Offloads {
    checksum: true,
    tso4: true,
    tso6: true,
    uso: true,
};

impl Bench {
    fn new(east_mtu: usize, east_offloads: Offloads) -> Self {
        let mut router = Router::new(&Limits::default(), Entropy::from_seed([7; 32]));
        let west = router.add_port(port(&["10.1.0.1/16", "fd01::1/64"], 1500, ALL));
        let east = ["10.2.0.1/16", "fd02::1/64"];
        let east = router.add_port(port(&east, east_mtu, east_offloads));
        Self { router, west, east }
    }

    fn plain() -> Self {
        Self::new(1500, Offloads::default())
    }

    /// What comes out when `packet` comes in by the western port.
    fn give(&mut self, packet: &RxPacket) -> Vec<(PortId, Transmit)> {
        let mut out = Vec::new();
        let mut each = |port, transmit| out.push((port, transmit));
        self.router.handle_packet(NOW, self.west, packet, &mut each);
        out
    }

    /// The one transmit that comes out, which must leave by `port`.
    fn give_one(&mut self, packet: &RxPacket, port: PortId) -> Transmit {
        let mut out = self.give(packet);
        assert_eq!(out.len(), 1, "{:?}", self.router.stats());
        let (by, transmit) = out.remove(0);
        assert_eq!(by, port);
        transmit
    }

    /// Nothing comes out, for this reason.
    fn refuses(&mut self, packet: &RxPacket, reason: DropReason) {
        let before = self.router.stats().dropped(reason);
        assert_eq!(self.give(packet).len(), 0);
        assert_eq!(self.router.stats().dropped(reason), before + 1, "{reason}");
    }
}

fn icmp_v4(transmit: &Transmit) -> Icmpv4Header {
    let bytes = transmit.to_bytes();
    let packet = IpPacket::parse(&bytes).unwrap();
    assert_eq!(packet.protocol, IpProtocol::ICMP);
    Icmpv4Message::parse(packet.body()).unwrap().header
}

fn icmp_v6(transmit: &Transmit) -> Icmpv6Header {
    let bytes = transmit.to_bytes();
    let packet = IpPacket::parse(&bytes).unwrap();
    let message = Icmpv6Message::parse(packet.body(), packet.pseudo_header());
    message.unwrap().header
}

fn addresses(transmit: &Transmit) -> (IpAddr, IpAddr) {
    let bytes = transmit.to_bytes();
    let packet = IpPacket::parse(&bytes).unwrap();
    (packet.source, packet.destination)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_packet_goes_on_with_one_hop_less_and_a_good_sum() {
    let mut bench = Bench::plain();
    for (from, to) in [("10.1.0.5", "10.2.0.5"), ("fd01::5", "fd02::5")] {
        for hops in [2, 64, 255] {
            let packet = udp(
                from,
                to,
                Udp {
                    hops,
                    ..Udp::of(100)
                },
            );
            let out = bench.give_one(&packet, bench.east).to_bytes();
            // Parsing verifies the header's checksum.
            let passed = IpPacket::parse(&out).unwrap();
            assert_eq!(passed.hop_limit, hops - 1);
            let arrived = IpPacket::parse(&packet.bytes).unwrap();
            assert_eq!(passed.body(), arrived.body());
        }
    }
    assert_eq!(bench.router.stats().forwarded, 6);
}

#[test]
fn the_last_hop_is_answered_from_where_the_answer_leaves() {
    let mut bench = Bench::plain();
    let out = udp(
        "10.1.0.5",
        "10.2.0.5",
        Udp {
            hops: 1,
            ..Udp::of(8)
        },
    );
    let out = bench.give_one(&out, bench.west);
    assert_eq!(addresses(&out), (ip("10.1.0.1"), ip("10.1.0.5")));
    let code = time_exceeded::TTL;
    assert!(matches!(icmp_v4(&out), Icmpv4Header::TimeExceeded { code: c, .. } if c == code));
    let out = udp(
        "fd01::5",
        "fd02::5",
        Udp {
            hops: 1,
            ..Udp::of(8)
        },
    );
    let out = bench.give_one(&out, bench.west);
    assert_eq!(addresses(&out), (ip("fd01::1"), ip("fd01::5")));
    assert!(matches!(icmp_v6(&out), Icmpv6Header::TimeExceeded { .. }));
    assert_eq!(bench.router.stats().dropped(DropReason::HopLimit), 2);
}

#[test]
fn the_longest_prefix_counts_and_no_route_is_told() {
    let mut bench = Bench::plain();
    let north = bench
        .router
        .add_port(port(&["10.3.0.1/24"], 1500, Offloads::default()));
    let route = |text: &str| text.parse().unwrap();
    bench.router.add_route(route("0.0.0.0/0"), bench.east);
    bench.router.add_route(route("192.0.2.0/24"), north);
    bench.router.add_route(route("192.0.2.77/32"), bench.east);
    let to = |to| udp("10.1.0.5", to, Udp::of(8));
    bench.give_one(&to("198.51.100.1"), bench.east);
    bench.give_one(&to("192.0.2.78"), north);
    bench.give_one(&to("192.0.2.77"), bench.east);
    assert!(bench.router.remove_route(route("192.0.2.77/32")));
    assert!(!bench.router.remove_route(route("192.0.2.77/32")));
    bench.give_one(&to("192.0.2.77"), north);
    // The routes by a port go with it.
    bench.router.remove_port(bench.east);
    let out = bench.give_one(&to("198.51.100.1"), bench.west);
    let code = unreachable::NET;
    assert!(
        matches!(icmp_v4(&out), Icmpv4Header::DestinationUnreachable { code: c, .. } if c == code)
    );
}

#[test]
fn nothing_goes_back_where_it_came_from_unless_several_live_there() {
    let mut bench = Bench::plain();
    let packet = udp("fd01::5", "fd01::6", Udp::of(8));
    let out = bench.give_one(&packet, bench.west);
    // RFC 4443 section 3.1: code 3, address unreachable.
    let is_code_3 = |header| matches!(header, Icmpv6Header::DestinationUnreachable { code: 3, .. });
    assert!(is_code_3(icmp_v6(&out)));
    let shared = PortConfig {
        hairpin: true,
        ..port(&["fd09::1/64"], 1500, ALL)
    };
    let shared = bench.router.add_port(shared);
    let packet = udp("fd09::5", "fd09::6", Udp::of(8));
    let mut out = Vec::new();
    let mut each = |port, transmit| out.push((port, transmit));
    bench.router.handle_packet(NOW, shared, &packet, &mut each);
    assert_eq!(out.len(), 1);
    assert_eq!(addresses(&out[0].1), (ip("fd09::5"), ip("fd09::6")));
}

#[test]
fn what_is_too_long_and_must_not_be_cut_is_told_the_mtu() {
    let mut bench = Bench::new(1280, Offloads::default());
    let packet = udp(
        "10.1.0.5",
        "10.2.0.5",
        Udp {
            dont_fragment: true,
            ..Udp::of(1400)
        },
    );
    let out = bench.give_one(&packet, bench.west);
    let told = |header| {
        matches!(header, Icmpv4Header::DestinationUnreachable { code, mtu: 1280, .. }
            if code == unreachable::FRAGMENTATION_NEEDED)
    };
    assert!(told(icmp_v4(&out)));
    let packet = udp("fd01::5", "fd02::5", Udp::of(1400));
    let out = bench.give_one(&packet, bench.west);
    assert_eq!(icmp_v6(&out), Icmpv6Header::PacketTooBig { mtu: 1280 });
    // As long as the link takes: passes.
    let packet = udp("fd01::5", "fd02::5", Udp::of(1280 - 48));
    bench.give_one(&packet, bench.east);
    assert_eq!(bench.router.stats().dropped(DropReason::TooLong), 2);
}

#[test]
fn fragments_hold_the_whole_and_later_ones_only_copied_options() {
    let mut bench = Bench::new(576, Offloads::default());
    // A record route (not copied), a no-op, and an option with the copied flag.
    let options = [7, 3, 4, 1, 0x82, 4, 0xaa, 0xbb];
    let sent = Udp {
        options: &options,
        ..Udp::of(1400)
    };
    let packet = udp("10.1.0.5", "10.2.0.5", sent);
    let out = bench.give(&packet);
    let mut body = Vec::new();
    for (index, (port, transmit)) in out.iter().enumerate() {
        assert_eq!(*port, bench.east);
        let bytes = transmit.to_bytes();
        assert!(bytes.len() <= 576);
        let header = Ipv4Header::parse(&bytes).unwrap();
        assert_eq!(usize::from(header.fragment_offset), body.len());
        assert_eq!(header.more_fragments, index + 1 < out.len());
        assert_eq!(header.identification, 0x1234);
        assert_eq!(header.hop_limit, 63);
        let kept: &[u8] = if index == 0 {
            &options
        } else {
            &[0x82, 4, 0xaa, 0xbb]
        };
        assert_eq!(&header.options[..], kept);
        body.extend_from_slice(&bytes[header.header_len()..]);
    }
    assert_eq!(body, IpPacket::parse(&packet.bytes).unwrap().body());
    assert_eq!(bench.router.stats().fragments_sent, 3);
    assert_eq!(bench.router.stats().forwarded, 1);

    // A fragment that is cut again keeps its place, and that more follow.
    let mut header = Ipv4Header::parse(&packet.bytes).unwrap();
    header.options.clear();
    header.total_len = 20 + 1200;
    header.fragment_offset = 800;
    header.more_fragments = true;
    let mut bytes = Vec::new();
    header.emit(&mut bytes);
    bytes.extend_from_slice(&[9; 1200]);
    let out = bench.give(&RxPacket::new(bytes.into(), NOW));
    let offsets: Vec<_> = out
        .iter()
        .map(|(_, transmit)| {
            let header = Ipv4Header::parse(&transmit.to_bytes()).unwrap();
            (header.fragment_offset, header.more_fragments)
        })
        .collect();
    assert_eq!(offsets, [(800, true), (1352, true), (1904, true)]);
}

#[test]
fn super_segments_go_on_whole_where_the_device_takes_them_and_cut_elsewhere() {
    for (from, to) in [("10.1.0.5", "10.2.0.5"), ("fd01::5", "fd02::5")] {
        let packet = tcp_super(from, to, 4000, 1000);
        let mut bench = Bench::new(1500, ALL);
        let whole = bench.give_one(&packet, bench.east);
        assert_eq!(whole.segment_size.map(|size| size.get()), Some(1000));
        assert_eq!(whole.len(), packet.bytes.len());
        let whole: Vec<_> = offload::cut(&whole).map(|piece| piece.to_bytes()).collect();

        let mut bench = Bench::plain();
        let cut = bench.give(&packet);
        let cut: Vec<_> = cut.iter().map(|(_, piece)| piece.to_bytes()).collect();
        assert_eq!(cut.len(), 4);
        // Who cuts makes no difference, and every piece is a packet with good sums.
        assert_eq!(cut, whole);
        for piece in &cut {
            let piece = IpPacket::parse(piece).unwrap();
            assert_eq!(piece.hop_limit, 63);
            let sum = piece.pseudo_header().plus(piece.body()).checksum();
            assert_eq!(sum, 0);
        }
        assert_eq!(bench.router.stats().cut, 1);

        // Its segments fit a smaller link, or do not: the length of the whole says nothing.
        let mut bench = Bench::new(1300, ALL);
        bench.give_one(&packet, bench.east);
        let packet = tcp_super(from, to, 4000, 1400);
        let error = bench.give_one(&packet, bench.west);
        assert_eq!(addresses(&error).1, ip(from));
    }
}

#[test]
fn a_checksum_that_nobody_finished_is_finished_for_a_device_that_does_not() {
    let mut packet = udp("10.1.0.5", "10.2.0.5", Udp::of(100));
    // Only the pseudo header is summed.
    let mut bytes = packet.bytes.to_vec();
    bytes[26..28].copy_from_slice(&[0x55, 0xaa]);
    packet.bytes = bytes.into();
    packet.checksum = Checksum::Partial;
    let mut bench = Bench::plain();
    let out = bench.give_one(&packet, bench.east);
    assert!(offload::is_plain(&out));
    let bytes = out.to_bytes();
    let passed = IpPacket::parse(&bytes).unwrap();
    assert_eq!(
        passed.pseudo_header().plus(passed.body()).checksum(),
        0,
        "the sum"
    );
    let mut bench = Bench::new(1500, ALL);
    let out = bench.give_one(&packet, bench.east);
    assert!(out.checksum.is_some());
    let finished = offload::cut(&out).next().unwrap().to_bytes();
    assert_eq!(finished, bytes);
}

#[test]
fn martians_groups_broadcasts_and_link_addresses_stay_out() {
    let mut bench = Bench::plain();
    let cases = [
        ("0.0.0.0", "10.2.0.5", DropReason::MartianSource),
        ("127.0.0.1", "10.2.0.5", DropReason::MartianSource),
        ("240.0.0.1", "10.2.0.5", DropReason::MartianSource),
        ("224.0.0.1", "10.2.0.5", DropReason::MartianSource),
        ("10.1.0.1", "10.2.0.5", DropReason::MartianSource),
        ("10.2.0.5", "10.2.0.5", DropReason::MartianSource),
        ("::1", "fd02::5", DropReason::MartianSource),
        ("::ffff:10.1.0.5", "fd02::5", DropReason::MartianSource),
        ("10.1.0.5", "127.0.0.1", DropReason::MartianDestination),
        ("fd01::5", "::1", DropReason::MartianDestination),
        ("10.1.0.5", "255.255.255.255", DropReason::NotUnicast),
        ("10.1.0.5", "10.2.255.255", DropReason::NotUnicast),
        ("10.1.0.5", "224.0.0.251", DropReason::NotUnicast),
        ("fd01::5", "ff02::1", DropReason::NotUnicast),
        ("169.254.3.4", "10.2.0.5", DropReason::LinkScope),
        ("fe80::5", "fd02::5", DropReason::LinkScope),
        ("10.1.0.5", "169.254.169.254", DropReason::LinkScope),
    ];
    for (from, to, reason) in cases {
        bench.refuses(&udp(from, to, Udp::of(8)), reason);
    }
    let source_route = Udp {
        options: &[131, 7, 4, 10, 2, 0, 9, 0],
        ..Udp::of(8)
    };
    let packet = udp("10.1.0.5", "10.2.0.5", source_route);
    bench.refuses(&packet, DropReason::SourceRoute);
}

#[test]
fn no_error_is_sent_about_errors_and_later_fragments_nor_too_many() {
    let mut bench = Bench::plain();
    // Its error is itself an ICMP error.
    let packet = udp("10.1.0.5", "10.9.0.5", Udp::of(8));
    let error = bench.give_one(&packet, bench.west).to_bytes();
    let mut turned = error.to_vec();
    turned[12..16].copy_from_slice(&[10, 1, 0, 5]);
    turned[16..20].copy_from_slice(&[10, 9, 0, 5]);
    craft::fix_header(&mut turned);
    bench.refuses(&RxPacket::new(turned.into(), NOW), DropReason::NoRoute);

    let later = Udp {
        fragment_offset: 800,
        ..Udp::of(64)
    };
    bench.refuses(&udp("10.1.0.5", "10.9.0.5", later), DropReason::NoRoute);

    let flood = (0..1000).map(|_| bench.give(&packet).len()).sum::<usize>();
    assert!((1..100).contains(&flood), "{flood} errors at once");
    let held_back = bench.router.stats().dropped(DropReason::IcmpRateLimit);
    assert_eq!(held_back, 1000 - flood as u64);
}

#[test]
fn the_router_answers_echo_requests_to_itself_and_serves_nothing() {
    let mut bench = Bench::plain();
    for (from, own) in [
        ("10.1.0.5", "10.1.0.1"),
        ("10.1.0.5", "10.2.0.1"),
        ("fd01::5", "fd02::1"),
    ] {
        let request = craft::echo(from, own, b"payload of the ping");
        let reply = bench.give_one(&request, bench.west);
        assert_eq!(addresses(&reply), (ip(own), ip(from)));
        let bytes = reply.to_bytes();
        assert!(bytes.ends_with(b"payload of the ping"));
        if from.contains(':') {
            assert!(matches!(icmp_v6(&reply), Icmpv6Header::EchoReply(_)));
        } else {
            assert!(matches!(icmp_v4(&reply), Icmpv4Header::EchoReply(_)));
        }
    }
    assert_eq!(bench.router.stats().echoes_answered, 3);
    let packet = udp(
        "10.1.0.5",
        "10.1.0.1",
        Udp {
            hops: 1,
            ..Udp::of(8)
        },
    );
    let out = bench.give_one(&packet, bench.west);
    let code = unreachable::PORT;
    assert!(
        matches!(icmp_v4(&out), Icmpv4Header::DestinationUnreachable { code: c, .. } if c == code)
    );
}

#[test]
fn hop_by_hop_options_are_the_routers_business_and_destination_options_are_not() {
    let mut bench = Bench::plain();
    // An option whose highest bits ask that it be known, or the packet dropped with an error.
    let options = [0x80, 4, 1, 2, 3, 4];
    let packet = craft::with_extension("fd01::5", "fd02::5", IpProtocol::HOP_BY_HOP, options);
    let out = bench.give_one(&packet, bench.west);
    assert!(matches!(
        icmp_v6(&out),
        Icmpv6Header::ParameterProblem { .. }
    ));
    let kind = IpProtocol::DESTINATION_OPTIONS;
    let packet = craft::with_extension("fd01::5", "fd02::5", kind, options);
    bench.give_one(&packet, bench.east);
}

#[test]
fn what_a_link_appended_does_not_go_on() {
    let mut bench = Bench::plain();
    let packet = udp("10.1.0.5", "10.2.0.5", Udp::of(8));
    let mut padded = packet.bytes.to_vec();
    padded.resize(padded.len() + 18, 0);
    let out = bench.give_one(&RxPacket::new(padded.into(), NOW), bench.east);
    assert_eq!(out.len(), packet.bytes.len());
}
