//! What strangers try: floods, forged messages, lies about the path (FEATURES section 10,
//! bugs 13 to 16).

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, Side, at, config, pattern};
use switchboard_core::{
    Config, DropReason, Entropy, Instant, Readiness, RxPacket, Stack, State, TcpConfig, TcpId,
    TcpOptions,
};
use switchboard_wire::checksum::{Sum, pseudo};
use switchboard_wire::icmp::v4::Icmpv4Header;
use switchboard_wire::icmp::v6::Icmpv6Header;
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::tcp::{Flags, TcpHeader, TcpOptions as WireOptions};
use switchboard_wire::{IpPacket, IpProtocol};

fn ip_packet(source: IpAddr, destination: IpAddr, protocol: IpProtocol, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let len = u16::try_from(20 + body.len()).expect("short");
            Ipv4Header::new(source, destination, protocol, len).emit(&mut out);
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let len = u16::try_from(body.len()).expect("short");
            Ipv6Header::new(source, destination, protocol, len).emit(&mut out);
        }
        _ => panic!("one family"),
    }
    out.extend_from_slice(body);
    out
}

fn syn(source: IpAddr, source_port: u16, destination: IpAddr, port: u16) -> RxPacket {
    let header = TcpHeader {
        source_port,
        destination_port: port,
        seq: 1000,
        flags: Flags::SYN,
        window: 65_535,
        options: WireOptions {
            mss: Some(1460),
            ..WireOptions::NONE
        },
        ..TcpHeader::default()
    };
    let mut body = Vec::new();
    header.emit(&mut body);
    let sum = pseudo(source, destination, IpProtocol::TCP, body.len()).plus(&body);
    body[16..18].copy_from_slice(&sum.checksum().to_be_bytes());
    let packet = ip_packet(source, destination, IpProtocol::TCP, &body);
    RxPacket::new(Bytes::from(packet), Instant::ZERO)
}

fn spoofed(number: u32) -> IpAddr {
    // 1.0.0.0 up to 16.0.0.0: all of them unicast and none of ours.
    IpAddr::V4(Ipv4Addr::from_bits(0x0100_0000 + number * 13 % 0x0800_0000))
}

/// Bug 13: a million spoofed SYNs leave a bounded number of half-open connections, the true
/// client gets in while they pour, and afterwards all of them expire.
#[test]
fn a_flood_of_syns_keeps_out_nobody_and_leaves_nothing() {
    let mut b = config(B4, B6);
    b.limits.syn_backlog = 256;
    let mut pair = Pair::new(config(A4, A6), b);
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at(B4, 80), 16, &options)
        .expect("listens");
    let server: IpAddr = common::ip(B4);
    let mut answers = 0_u64;
    for number in 0..1_000_000_u32 {
        let port = 1024 + (number % 50_000) as u16;
        pair.b
            .handle_packet(pair.now, syn(spoofed(number), port, server, 80));
        while pair.b.poll_transmit(pair.now).is_some() {
            answers += 1;
        }
        if number % 1000 == 0 {
            pair.now += Duration::from_millis(1);
            assert!(pair.b.sockets().count() <= 256 + 1 + 16);
        }
        if number % 100_000 == 50_000 {
            let client = pair
                .a
                .call_tcp_connect(pair.now, None, at(B4, 80), &options);
            let client = client.expect("calls");
            // The client's SYN, the answer, its ACK; floods go on in between.
            for step in 0..4_u32 {
                if let Some(transmit) = pair.a.poll_transmit(pair.now) {
                    let rx = common::received(&transmit, pair.now);
                    pair.b.handle_packet(pair.now, rx);
                }
                for extra in 0..50 {
                    let number = number + step * 50 + extra;
                    pair.b
                        .handle_packet(pair.now, syn(spoofed(number), 7, server, 80));
                }
                while let Some(transmit) = pair.b.poll_transmit(pair.now) {
                    let rx = common::received(&transmit, pair.now);
                    pair.a.handle_packet(pair.now, rx);
                }
            }
            while let Some(event) = pair.a.poll_event() {
                pair.events_a.push(event);
            }
            assert!(
                pair.told_a(client).contains(Readiness::CONNECTED),
                "{number}"
            );
            let accepted = pair.b.call_tcp_accept(pair.now, listener);
            let accepted = accepted.expect("listener").expect("stands");
            pair.a.call_tcp_abort(pair.now, client).expect("aborts");
            pair.b
                .call_tcp_abort(pair.now, accepted.id)
                .expect("aborts");
            while pair.a.poll_transmit(pair.now).is_some() {}
        }
    }
    assert!(answers > 900_000);
    assert!(pair.b.stats().dropped(DropReason::SynBacklogFull) > 900_000);
    pair.filter = Some(Box::new(|_, _| false));
    pair.pass(Duration::from_secs(200));
    assert_eq!(pair.b.sockets().count(), 1, "the listener");
    assert_eq!(pair.b.stats().pinned_octets, 0);
}

/// The same against a gateway: pending flows are bounded, hold nothing, and expire.
#[test]
fn a_flood_at_a_gateway_leaves_nothing() {
    let gateway = Config {
        any_address: true,
        ..config(B4, B6)
    };
    let mut stack = Stack::new(gateway, Entropy::from_seed([3; 32]));
    let far = common::ip("192.0.2.1");
    for number in 0..1_000_000_u32 {
        stack.handle_packet(Instant::ZERO, syn(spoofed(number), 7, far, 80));
        while stack.poll_transmit(Instant::ZERO).is_some() {}
        while stack.poll_event().is_some() {}
    }
    let max = stack.config().limits.pending_flows as u64;
    assert_eq!(
        stack.stats().dropped(DropReason::PendingFull),
        1_000_000 - max
    );
    let age = stack.config().limits.pending_flow_age;
    let due = stack.poll_timeout().expect("they expire");
    assert_eq!(due, Instant::ZERO + age);
    stack.handle_timeout(due);
    assert_eq!(stack.stats().dropped(DropReason::PendingExpired), max);
    assert_eq!(stack.poll_timeout(), None);
}

/// Bug 14: TIME-WAIT must not use up the ports toward one remote.
#[test]
fn a_hundred_thousand_connections_to_one_port_one_after_the_other() {
    let mut pair = Pair::plain();
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at(B4, 80), 16, &options)
        .expect("listens");
    for round in 0..100_000 {
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(B4, 80), &options);
        let client = client.unwrap_or_else(|error| panic!("{round}: {error:?}"));
        pair.settle();
        let server = pair
            .b
            .call_tcp_accept(pair.now, listener)
            .expect("listener");
        let server = server
            .unwrap_or_else(|| panic!("{round}: not connected"))
            .id;
        // We close first, so TIME-WAIT is ours.
        pair.a.call_tcp_close(pair.now, client).expect("closes");
        pair.settle();
        pair.b.call_tcp_close(pair.now, server).expect("closes");
        pair.settle();
        pair.now += Duration::from_micros(100);
        pair.events_a.clear();
        pair.events_b.clear();
    }
    let waiting = pair
        .a
        .sockets()
        .filter(|socket| socket.state == Some(State::TimeWait));
    assert!(waiting.count() <= pair.a.config().limits.time_wait);
}

/// Bug 14, other half: clocks of 32 bits wrap; nothing may notice.
#[test]
fn a_transfer_across_each_wrap_of_a_clock() {
    let wraps = [
        // Milliseconds in 32 and 31 bits, microseconds in 32 bits, ISN ticks of 4 µs.
        Duration::from_millis(1 << 32),
        Duration::from_millis(1 << 31),
        Duration::from_micros(1 << 32),
        Duration::from_micros(4 << 32),
    ];
    for wrap in wraps {
        let mut pair = Pair::plain();
        pair.now = Instant::ZERO + wrap - Duration::from_millis(20);
        let (client, server) = pair.connected(at(B4, 80));
        let data = pattern(50_000);
        for _ in 0..10 {
            assert_eq!(pair.transfer(client, server, &data), data, "{wrap:?}");
            pair.pass(Duration::from_millis(7));
        }
        assert_eq!(pair.a.stats().segments_retransmitted, 0, "{wrap:?}");
    }
}

/// Sequence number of the last segment with text that `a` sent; see `watch`.
fn seq_of(packet: &[u8]) -> Option<(u32, usize)> {
    let packet = IpPacket::parse(packet).ok()?;
    let (header, len) = TcpHeader::parse(packet.body()).ok()?;
    (packet.body_len() > len).then_some((header.seq, packet.total_len()))
}

thread_local! {
    static LAST: std::cell::Cell<(u32, usize)> = const { std::cell::Cell::new((0, 0)) };
    static LONGEST: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Notes what `a` sends; packets longer than `black_hole` vanish.
fn watch(pair: &mut Pair, black_hole: usize) {
    pair.filter = Some(Box::new(move |from, packet| {
        if from == Side::A
            && let Some(seq) = seq_of(packet)
        {
            LAST.set(seq);
            LONGEST.set(LONGEST.get().max(packet.len()));
        }
        from == Side::B || packet.len() <= black_hole
    }));
}

/// "Too big" about a segment of `a`'s connection `client` with sequence number `seq`.
fn too_big(pair: &Pair, client: TcpId, mtu: u32, seq: u32) -> RxPacket {
    let (local, remote) = pair.a.tcp_endpoints(client).expect("socket");
    let header = TcpHeader {
        source_port: local.port(),
        destination_port: remote.port(),
        seq,
        flags: Flags::ACK,
        ..TcpHeader::default()
    };
    let mut body = Vec::new();
    header.emit(&mut body);
    let quoted = ip_packet(local.ip(), remote.ip(), IpProtocol::TCP, &body);
    let ipv6 = local.is_ipv6();
    let mut message = Vec::new();
    if ipv6 {
        Icmpv6Header::PacketTooBig { mtu }.emit(&mut message);
    } else {
        let header = Icmpv4Header::DestinationUnreachable {
            code: 4,
            mtu: u16::try_from(mtu).expect("16 bits"),
            quoted_words: 0,
        };
        header.emit(&mut message);
    }
    message.extend_from_slice(&quoted);
    let router = common::ip(if ipv6 { "2001:db8::1" } else { "192.0.2.1" });
    let protocol = if ipv6 {
        IpProtocol::ICMPV6
    } else {
        IpProtocol::ICMP
    };
    let sum = if ipv6 {
        pseudo(router, local.ip(), protocol, message.len())
    } else {
        Sum::new()
    };
    let sum = sum.plus(&message).checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let packet = ip_packet(router, local.ip(), protocol, &message);
    RxPacket::new(Bytes::from(packet), pair.now)
}

/// A pair with a connection whose `a` has octets in flight that nobody acknowledged.
fn in_flight(theirs: &str, black_hole: usize) -> (Pair, TcpId, TcpId) {
    let mut pair = Pair::plain();
    let (client, server) = pair.connected(at(theirs, 80));
    watch(&mut pair, black_hole);
    LONGEST.set(0);
    let data = pattern(100_000);
    pair.a
        .call_tcp_send_slice(pair.now, client, &data)
        .expect("sends");
    pair.settle();
    (pair, client, server)
}

fn mss(pair: &Pair, client: TcpId) -> usize {
    pair.a.tcp_info(client).expect("socket").send_mss
}

/// Bug 15: lies about the path's MTU do not cripple a connection.
#[test]
fn a_path_mtu_is_believed_within_reason_and_only_about_what_is_in_flight() {
    for theirs in [B4, B6] {
        let header = if theirs == B4 { 40 } else { 60 };
        // Everything vanishes, so something is in flight.
        let (mut pair, client, _) = in_flight(theirs, 100);
        let before = mss(&pair, client);
        assert!(before > 1400 - header, "{before}");
        let (seq, _) = LAST.get();
        // Quoting what is not in flight: ignored.
        for offset in [1 << 20, 1 << 31, u32::MAX - (1 << 20)] {
            let forged = too_big(&pair, client, 1300, seq.wrapping_add(offset));
            pair.a.handle_packet(pair.now, forged);
            assert_eq!(mss(&pair, client), before, "{offset}");
        }
        // Growing: ignored.
        let lie = too_big(&pair, client, 65_535, seq);
        pair.a.handle_packet(pair.now, lie);
        assert_eq!(mss(&pair, client), before);
        // Too small: IPv6 ignores it, IPv4 stops at its floor.
        for mtu in [0, 68, 1279] {
            let lie = too_big(&pair, client, mtu, LAST.get().0);
            pair.a.handle_packet(pair.now, lie);
            pair.settle();
            if theirs == B6 {
                assert_eq!(mss(&pair, client), before, "{mtu}");
            } else {
                assert!(mss(&pair, client) >= 552 - header - 12, "{mtu}");
            }
        }
    }
}

/// Bug 15: a narrow path whose router speaks lets the transfer go on at once, and larger
/// packets are tried again when what it said has aged.
#[test]
fn a_narrow_path_is_followed_and_its_recovery_too() {
    for theirs in [B4, B6] {
        let (mut pair, client, server) = in_flight(theirs, 1300);
        assert!(LONGEST.get() > 1300);
        let (seq, _) = LAST.get();
        let told = too_big(&pair, client, 1300, seq);
        pair.a.handle_packet(pair.now, told);
        let mut read = 0;
        for _ in 0..200 {
            while let Ok(chunk) = pair.b.call_tcp_receive(pair.now, server, usize::MAX) {
                read += chunk.len();
            }
            if read == 100_000 {
                break;
            }
            pair.pass(Duration::from_millis(20));
        }
        assert_eq!(read, 100_000, "within four seconds");
        // The path recovers; after ten minutes full segments are sent again.
        watch(&mut pair, usize::MAX);
        pair.pass(Duration::from_secs(601));
        LONGEST.set(0);
        let data = pattern(100_000);
        pair.transfer(client, server, &data);
        assert_eq!(LONGEST.get(), 1500);
    }
}

/// A path that swallows what is too long and says nothing stalls nobody else.
#[test]
fn a_black_hole_ends_in_a_time_out_not_in_a_loop() {
    let mut a = config(A4, A6);
    a.tcp = TcpConfig::default();
    let mut pair = Pair::new(a, config(B4, B6));
    let (client, _) = pair.connected(at(B4, 80));
    watch(&mut pair, 1000);
    let data = pattern(10_000);
    pair.a
        .call_tcp_send_slice(pair.now, client, &data)
        .expect("sends");
    let before = pair.packets;
    pair.pass(Duration::from_secs(1200));
    assert!(pair.packets - before < 200, "{}", pair.packets - before);
    let told = pair.told_a(client);
    assert!(told.contains(Readiness::ERROR), "{told:?}");
}

/// Bug 16, through the whole stack: overlapping fragments never reach a socket, in either
/// family, and memory stays within its bound.
#[test]
fn fragments_of_an_attacker_stay_bounded_and_unread() {
    let mut stack = Stack::new(config(B4, B6), Entropy::from_seed([5; 32]));
    let options = switchboard_core::UdpOptions::default();
    let socket = stack.call_udp_bind(at(B4, 53), &options).expect("binds");
    let fragment = |id: u16, offset: u16, len: usize, more: bool| {
        let mut header = Ipv4Header::new(
            A4.parse().expect("IPv4"),
            B4.parse().expect("IPv4"),
            IpProtocol::UDP,
            u16::try_from(20 + len).expect("short"),
        );
        header.identification = id;
        header.dont_fragment = false;
        header.fragment_offset = offset;
        header.more_fragments = more;
        let mut packet = Vec::new();
        header.emit(&mut packet);
        // A UDP header of source 9, destination 53, length 72, no checksum.
        let mut body = vec![0, 9, 0, 53, 0, 72, 0, 0];
        body.resize(len, 0xaa);
        packet.extend_from_slice(&body);
        RxPacket::new(Bytes::from(packet), Instant::ZERO)
    };
    stack.handle_packet(Instant::ZERO, fragment(1, 0, 64, true));
    stack.handle_packet(Instant::ZERO, fragment(1, 56, 16, false));
    stack.handle_packet(Instant::ZERO, fragment(1, 64, 8, false));
    assert!(stack.call_udp_receive(socket).is_err());
    assert!(stack.stats().dropped(DropReason::FragmentOverlap) >= 1);
    // The same without the overlap arrives.
    stack.handle_packet(Instant::ZERO, fragment(2, 0, 64, true));
    stack.handle_packet(Instant::ZERO, fragment(2, 64, 8, false));
    assert!(stack.call_udp_receive(socket).is_ok());
    for id in 0..60_000 {
        stack.handle_packet(Instant::ZERO, fragment(id, 0, 1400, true));
    }
    assert!(stack.stats().dropped(DropReason::ReassemblyFull) > 50_000);
    stack.handle_packet(Instant::ZERO, fragment(60_001, 0, 64, true));
    stack.handle_packet(Instant::ZERO, fragment(60_001, 64, 8, false));
    assert!(
        stack.call_udp_receive(socket).is_ok(),
        "a true one still gets through"
    );
}
