//! Control messages: echo, errors out within their rate, errors in only if they quote us.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, bytes_of, config, ip};
use switchboard_core::{
    Config, DropReason, Entropy, Event, Instant, RxPacket, Stack, UdpMeta, UdpOptions, Unreachable,
};
use switchboard_wire::checksum::{Sum, pseudo_v6};
use switchboard_wire::icmp::Echo;
use switchboard_wire::icmp::v4::{Icmpv4Header, Icmpv4Message};
use switchboard_wire::icmp::v6::{Icmpv6Header, Icmpv6Message};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::ipv6::Ipv6Header;
use switchboard_wire::udp::UdpHeader;
use switchboard_wire::{IpPacket, IpProtocol};

/// An IPv4 packet.
fn v4(
    source: &str,
    destination: &str,
    protocol: IpProtocol,
    hop_limit: u8,
    body: &[u8],
) -> Vec<u8> {
    let parse = |text: &str| text.parse::<Ipv4Addr>().expect("IPv4");
    let len = u16::try_from(20 + body.len()).expect("short");
    let mut header = Ipv4Header::new(parse(source), parse(destination), protocol, len);
    header.hop_limit = hop_limit;
    let mut out = Vec::new();
    header.emit(&mut out);
    out.extend_from_slice(body);
    out
}

/// An IPv6 packet.
fn v6(
    source: &str,
    destination: &str,
    protocol: IpProtocol,
    hop_limit: u8,
    body: &[u8],
) -> Vec<u8> {
    let parse = |text: &str| text.parse::<Ipv6Addr>().expect("IPv6");
    let len = u16::try_from(body.len()).expect("short");
    let mut header = Ipv6Header::new(parse(source), parse(destination), protocol, len);
    header.hop_limit = hop_limit;
    let mut out = Vec::new();
    header.emit(&mut out);
    out.extend_from_slice(body);
    out
}

/// An ICMP message with its sum.
fn icmp4(header: Icmpv4Header, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    header.emit(&mut out);
    out.extend_from_slice(body);
    let sum = Sum::new().plus(&out).checksum();
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    out
}

fn icmp6(source: &str, destination: &str, header: Icmpv6Header, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    header.emit(&mut out);
    out.extend_from_slice(body);
    let parse = |text: &str| text.parse::<Ipv6Addr>().expect("IPv6");
    let pseudo = pseudo_v6(
        parse(source),
        parse(destination),
        IpProtocol::ICMPV6,
        out.len(),
    );
    let sum = pseudo.plus(&out).checksum();
    out[2..4].copy_from_slice(&sum.to_be_bytes());
    out
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    UdpHeader::new(source, destination, payload.len()).emit(&mut out);
    out.extend_from_slice(payload);
    out
}

fn stack(config: Config) -> Stack {
    Stack::new(config, Entropy::from_seed([7; 32]))
}

fn gateway() -> Config {
    Config {
        any_address: true,
        echo_to_application: true,
        ..config(B4, B6)
    }
}

fn give(stack: &mut Stack, packet: Vec<u8>) -> Option<Bytes> {
    give_at(stack, Instant::ZERO, packet)
}

fn give_at(stack: &mut Stack, now: Instant, packet: Vec<u8>) -> Option<Bytes> {
    stack.handle_packet(now, RxPacket::new(Bytes::from(packet), now));
    stack.poll_transmit(now).map(|transmit| bytes_of(&transmit))
}

const ECHO: Echo = Echo {
    identifier: 0x1234,
    sequence: 7,
};

#[test]
fn own_addresses_answer_echo_requests() {
    let mut stack = stack(config(B4, B6));
    let request = icmp4(Icmpv4Header::EchoRequest(ECHO), b"ping");
    let answer = give(&mut stack, v4(A4, B4, IpProtocol::ICMP, 64, &request)).expect("answers");
    let packet = IpPacket::parse(&answer).expect("valid");
    assert_eq!((packet.source, packet.destination), (ip(B4), ip(A4)));
    let message = Icmpv4Message::parse(packet.body()).expect("valid");
    assert_eq!(message.header, Icmpv4Header::EchoReply(ECHO));
    assert_eq!(message.body, b"ping");

    let request = icmp6(A6, B6, Icmpv6Header::EchoRequest(ECHO), b"ping");
    let answer = give(&mut stack, v6(A6, B6, IpProtocol::ICMPV6, 64, &request)).expect("answers");
    let packet = IpPacket::parse(&answer).expect("valid");
    let message = Icmpv6Message::parse(packet.body(), packet.pseudo_header()).expect("valid");
    assert_eq!(message.header, Icmpv6Header::EchoReply(ECHO));
    assert_eq!(message.body, b"ping");
}

#[test]
fn echo_to_another_address_is_the_applications() {
    let mut stack = stack(gateway());
    let request = icmp4(Icmpv4Header::EchoRequest(ECHO), b"ping");
    let packet = v4(A4, "192.0.2.1", IpProtocol::ICMP, 64, &request);
    assert!(give(&mut stack, packet.clone()).is_none());
    assert_eq!(stack.poll_event(), Some(Event::EchoRequested));
    let request = stack.receive_echo().expect("waits");
    assert_eq!(request.destination, ip("192.0.2.1"));
    assert_eq!((request.identifier, request.sequence), (0x1234, 7));
    stack.reply_echo(Instant::ZERO, &request, request.payload.clone());
    let answer = stack.poll_transmit(Instant::ZERO).expect("answers");
    let answer = bytes_of(&answer);
    let answer = IpPacket::parse(&answer).expect("valid");
    assert_eq!(answer.source, ip("192.0.2.1"));
    assert_eq!(answer.body()[8..], *b"ping");
    // Refused: the error quotes the request, with its identifier, so that ping sees it.
    stack.refuse_echo(
        Instant::ZERO,
        &request,
        Unreachable::Host,
        Some(ip("203.0.113.1")),
    );
    let error = bytes_of(&stack.poll_transmit(Instant::ZERO).expect("an error"));
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.source, ip("203.0.113.1"));
    let message = Icmpv4Message::parse(error.body()).expect("valid");
    assert_eq!(message.quote().expect("quotes").echo(), Some(ECHO));
    // And bounded.
    for _ in 0..1000 {
        give(&mut stack, packet.clone());
    }
    assert_eq!(stack.stats().dropped(DropReason::EchoQueueFull), 1000 - 256);
}

#[test]
fn a_hop_limit_that_runs_out_at_the_gateway_is_answered() {
    let mut stack = stack(gateway());
    let probe = v4(
        A4,
        "192.0.2.1",
        IpProtocol::UDP,
        1,
        &udp(1000, 33_434, b"trace"),
    );
    let error = give(&mut stack, probe.clone()).expect("an error");
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!((error.source, error.destination), (ip(B4), ip(A4)));
    let message = Icmpv4Message::parse(error.body()).expect("valid");
    let expected = Icmpv4Header::TimeExceeded {
        code: 0,
        quoted_words: 0,
    };
    assert_eq!(message.header, expected);
    assert_eq!(message.body, probe, "quoted whole");
    let probe = v6(
        A6,
        "2001:db8::1",
        IpProtocol::UDP,
        1,
        &udp(1000, 33_434, b"trace"),
    );
    let error = give(&mut stack, probe).expect("an error");
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.source, ip(B6));
}

#[test]
fn errors_keep_to_their_rate_and_go_to_nobody_who_must_not_get_one() {
    let mut stack = stack(config(B4, B6));
    let to_closed = |source: &str, destination: &str| {
        v4(
            source,
            destination,
            IpProtocol::UDP,
            64,
            &udp(1000, 9, b"x"),
        )
    };
    // To groups, to everybody, from nobody, about errors: silence.
    assert!(give(&mut stack, to_closed(A4, "224.0.0.1")).is_none());
    assert!(give(&mut stack, to_closed(A4, "255.255.255.255")).is_none());
    assert!(give(&mut stack, to_closed(A4, "10.0.0.255")).is_none());
    assert!(give(&mut stack, to_closed("0.0.0.0", B4)).is_none());
    assert!(give(&mut stack, to_closed("224.0.0.1", B4)).is_none());
    assert!(give(&mut stack, to_closed("127.0.0.1", B4)).is_none());
    assert!(
        give(&mut stack, to_closed(B4, B4)).is_none(),
        "from ourselves"
    );
    assert!(give(&mut stack, to_closed(A4, "127.0.0.1")).is_none());
    assert!(
        give(&mut stack, to_closed(A4, "192.0.2.1")).is_none(),
        "not for us"
    );
    let quoted = v4(B4, A4, IpProtocol::UDP, 64, &udp(9, 9, b""));
    let error = Icmpv4Header::DestinationUnreachable {
        code: 3,
        mtu: 0,
        quoted_words: 0,
    };
    let error = v4(A4, B4, IpProtocol::ICMP, 64, &icmp4(error, &quoted));
    assert!(give(&mut stack, error).is_none());
    assert_eq!(stack.stats().icmp_errors_sent, 0);
    // One noisy peer gets a burst, then its share of the rate; another still gets its own.
    let mut errors = 0;
    for step in 0..10_000 {
        let now = Instant::from_micros(step * 100);
        errors += usize::from(give_at(&mut stack, now, to_closed(A4, B4)).is_some());
    }
    assert!((100..=130).contains(&errors), "{errors} in one second");
    let now = Instant::from_millis(1000);
    assert!(give_at(&mut stack, now, to_closed("10.0.0.3", B4)).is_some());
}

#[test]
fn errors_on_purpose_are_not_held_back() {
    let mut stack = stack(gateway());
    let socket = stack
        .call_udp_bind(at(B4, 53), &UdpOptions::default())
        .expect("binds");
    let meta = UdpMeta {
        local: at(B4, 53),
        ..UdpMeta::to(at(A4, 1000))
    };
    for _ in 0..1000 {
        stack
            .call_udp_refuse(Instant::ZERO, socket, &meta, Unreachable::Prohibited, None)
            .expect("refuses");
        let error = bytes_of(&stack.poll_transmit(Instant::ZERO).expect("sent"));
        let error = IpPacket::parse(&error).expect("valid");
        assert_eq!(error.body()[..2], [3, 13], "administratively prohibited");
    }
    let meta = UdpMeta {
        remote: at(A6, 1000),
        local: at("2001:db8::1", 53),
        ..meta
    };
    stack
        .call_udp_refuse(Instant::ZERO, socket, &meta, Unreachable::Prohibited, None)
        .expect("refuses");
    let error = bytes_of(&stack.poll_transmit(Instant::ZERO).expect("sent"));
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.source, ip(B6));
    assert_eq!(error.body()[..2], [1, 1], "administratively prohibited");
}

#[test]
fn an_error_that_quotes_no_socket_of_ours_is_ignored() {
    let mut stack = stack(config(B4, B6));
    let socket = stack
        .call_udp_bind(at(B4, 53), &UdpOptions::default())
        .expect("binds");
    stack.call_udp_connect(socket, at(A4, 9)).expect("connects");
    let header = Icmpv4Header::DestinationUnreachable {
        code: 3,
        mtu: 0,
        quoted_words: 0,
    };
    let error = |source: &str, ports: (u16, u16)| {
        let quoted = v4(source, A4, IpProtocol::UDP, 64, &udp(ports.0, ports.1, b""));
        v4(A4, B4, IpProtocol::ICMP, 64, &icmp4(header, &quoted))
    };
    give(&mut stack, error(B4, (54, 9)));
    give(&mut stack, error(B4, (53, 10)));
    give(&mut stack, error("10.0.0.9", (53, 9)));
    assert_eq!(stack.take_udp_error(socket), Ok(None));
    assert_eq!(stack.stats().dropped(DropReason::IcmpNotOurs), 3);
    give(&mut stack, error(B4, (53, 9)));
    assert!(stack.take_udp_error(socket).expect("socket").is_some());
}

#[test]
fn what_we_do_not_speak_is_said_so() {
    let mut stack = stack(config(B4, B6));
    let gre = IpProtocol(47);
    let error = give(&mut stack, v4(A4, B4, gre, 64, &[0; 16])).expect("an error");
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.body()[..2], [3, 2], "protocol unreachable");
    let error = give(&mut stack, v6(A6, B6, gre, 64, &[0; 16])).expect("an error");
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.body()[..2], [4, 1], "unrecognised next header");
    assert_eq!(error.body()[4..8], 6_u32.to_be_bytes(), "points at it");
}

#[test]
fn source_routed_packets_are_dropped_in_silence() {
    let mut stack = stack(config(B4, B6));
    let mut header = Ipv4Header::new(
        A4.parse().expect("IPv4"),
        B4.parse().expect("IPv4"),
        IpProtocol::UDP,
        28 + 8,
    );
    header.options.extend([131, 7, 4, 192, 0, 2, 1, 0]);
    let mut packet = Vec::new();
    header.emit(&mut packet);
    packet.extend(udp(1000, 9, b""));
    assert!(give(&mut stack, packet).is_none());
    assert_eq!(stack.stats().dropped(DropReason::SourceRoute), 1);
}

#[test]
fn fragments_that_stay_alone_are_told_after_their_time() {
    let mut stack = stack(config(B4, B6));
    let mut header = Ipv4Header::new(
        A4.parse().expect("IPv4"),
        B4.parse().expect("IPv4"),
        IpProtocol::UDP,
        20 + 64,
    );
    header.more_fragments = true;
    header.dont_fragment = false;
    let mut packet = Vec::new();
    header.emit(&mut packet);
    packet.extend(udp(1000, 9, &[0; 56]));
    assert!(give(&mut stack, packet).is_none());
    let due = stack.poll_timeout().expect("waits");
    assert_eq!(due, Instant::ZERO + Duration::from_secs(30));
    stack.handle_timeout(due);
    let error = bytes_of(&stack.poll_transmit(due).expect("an error"));
    let error = IpPacket::parse(&error).expect("valid");
    assert_eq!(error.body()[..2], [11, 1], "reassembly time exceeded");
    assert_eq!(stack.poll_timeout(), None);
}

/// Echo across the pair, longer than the link: fragmented both ways.
#[test]
fn a_long_ping_comes_back_whole() {
    let mut pair = Pair::plain();
    let body: Vec<u8> = common::pattern(5000);
    let request = icmp4(Icmpv4Header::EchoRequest(ECHO), &body);
    let packet = v4(A4, B4, IpProtocol::ICMP, 64, &request);
    pair.b
        .handle_packet(pair.now, RxPacket::new(Bytes::from(packet), pair.now));
    pair.settle();
    assert_eq!(pair.b.stats().fragments_sent, 4);
    // `a` has no ping socket; that the whole reached it shows in its counters.
    assert_eq!(pair.a.stats().reassembled, 1);
    assert_eq!(pair.a.stats().dropped(DropReason::IcmpIgnored), 1);
    let _: IpAddr = ip(A6);
}
