//! Flows to any address, as a gateway sees them.

mod common;

use std::time::Duration;

use common::{A4, A6, B4, Pair, Side, at, ip};
use switchboard_core::{
    AcceptError, ConnectError, DropReason, Event, FlowId, Incoming, Lost, Readiness, Refusal,
    TcpId, TcpOptions, UdpOptions, Unreachable,
};

const FAR4: &str = "192.0.2.80";
const FAR6: &str = "2001:db8::80";

fn call(pair: &mut Pair, to: &str) -> TcpId {
    let options = TcpOptions::default();
    let id = pair
        .a
        .call_tcp_connect(pair.now, None, at(to, 80), &options);
    pair.settle();
    id.expect("connects")
}

/// The one flow that `b` was told of.
fn incoming(pair: &mut Pair) -> FlowId {
    match pair.events_b.drain(..).collect::<Vec<_>>().as_slice() {
        [Event::Incoming(Incoming::Tcp { id, .. } | Incoming::Udp { id, .. })] => *id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_accepted_flow_is_a_connection_as_whom_they_called() {
    for (far, near) in [(FAR4, A4), (FAR6, A6)] {
        let mut pair = Pair::with_gateway();
        let client = call(&mut pair, far);
        assert!(pair.told_a(client).is_empty(), "nothing is answered yet");
        let flow = incoming(&mut pair);
        let options = TcpOptions::default();
        let server = pair
            .b
            .accept_tcp(pair.now, flow, &options)
            .expect("accepts");
        assert_eq!(
            pair.b.accept_tcp(pair.now, flow, &options),
            Err(AcceptError::NoSuchFlow)
        );
        pair.settle();
        assert!(pair.told_a(client).contains(Readiness::CONNECTED));
        assert!(pair.told_b(server).contains(Readiness::CONNECTED));
        let (local, remote) = pair.b.tcp_endpoints(server).expect("socket");
        assert_eq!((local, remote.ip()), (at(far, 80), ip(near)));
        let data = common::pattern(300_000);
        assert_eq!(pair.transfer(client, server, &data), data);
    }
}

/// "All of ours" is not everybody's: who listens on every address of a gateway is not called
/// by those who call a stranger.
#[test]
fn a_wildcard_listener_takes_no_calls_to_others() {
    let mut pair = Pair::with_gateway();
    let options = TcpOptions::default();
    for everywhere in ["0.0.0.0", "::"] {
        let _ = pair.b.call_tcp_listen(at(everywhere, 80), 8, &options);
    }
    for far in [FAR4, FAR6] {
        call(&mut pair, far);
        incoming(&mut pair);
    }
}

#[test]
fn each_refusal_is_seen_for_what_it_is() {
    let unreachable = |why, offender: &str| Refusal::Unreachable {
        why,
        offender: Some(ip(offender)),
    };
    let seen = |why, offender: &str| ConnectError::Unreachable {
        why,
        offender: ip(offender),
    };
    let (v4, v6) = ("203.0.113.1", "2001:db8::ffff");
    let cases = [
        (FAR4, Refusal::Reset, ConnectError::Refused),
        (FAR6, Refusal::Reset, ConnectError::Refused),
        (
            FAR4,
            unreachable(Unreachable::Prohibited, v4),
            seen(Unreachable::Prohibited, v4),
        ),
        (
            FAR6,
            unreachable(Unreachable::Prohibited, v6),
            seen(Unreachable::Prohibited, v6),
        ),
        (
            FAR4,
            unreachable(Unreachable::Port, v4),
            seen(Unreachable::Port, v4),
        ),
        (
            FAR6,
            unreachable(Unreachable::Port, v6),
            seen(Unreachable::Port, v6),
        ),
        (
            FAR4,
            unreachable(Unreachable::Protocol, v4),
            seen(Unreachable::Protocol, v4),
        ),
    ];
    for (far, refusal, expected) in cases {
        let mut pair = Pair::with_gateway();
        let client = call(&mut pair, far);
        let flow = incoming(&mut pair);
        pair.b.refuse(pair.now, flow, refusal).expect("refuses");
        pair.settle();
        let error = pair.a.take_tcp_error(client).expect("socket");
        assert_eq!(error, Some(Lost::NeverConnected(expected)), "{refusal:?}");
        assert_eq!(pair.b.stats().pinned_octets, 0);
    }
}

#[test]
fn host_and_network_unreachable_are_seen_too() {
    for why in [Unreachable::Host, Unreachable::Network] {
        for far in [FAR4, FAR6] {
            let mut pair = Pair::with_gateway();
            let client = call(&mut pair, far);
            let flow = incoming(&mut pair);
            let refusal = Refusal::Unreachable {
                why,
                offender: None,
            };
            pair.b.refuse(pair.now, flow, refusal).expect("refuses");
            pair.settle();
            assert_eq!(pair.a.stats().icmp_errors_received, 1, "{why:?} {far}");
            let error = pair.a.take_tcp_error(client).expect("socket");
            let Some(Lost::NeverConnected(ConnectError::Unreachable { why: seen, .. })) = error
            else {
                panic!("{error:?}");
            };
            assert_eq!(seen, why);
        }
    }
}

#[test]
fn repeated_syns_are_absorbed_and_silence_times_out() {
    let mut pair = Pair::with_gateway();
    let client = call(&mut pair, FAR4);
    pair.pass(Duration::from_secs(20));
    let flow = incoming(&mut pair);
    assert!(pair.a.stats().segments_retransmitted >= 3);
    assert_eq!(pair.b.stats().packets_sent, 0, "absorbed in silence");
    assert!(pair.b.is_pending(flow));
    pair.b
        .refuse(pair.now, flow, Refusal::Silent)
        .expect("refuses");
    pair.settle();
    assert!(pair.a.take_tcp_error(client).expect("socket").is_none());
}

#[test]
fn a_flow_that_nobody_decides_about_is_refused_in_the_end() {
    let mut pair = Pair::with_gateway();
    let client = call(&mut pair, FAR4);
    let flow = incoming(&mut pair);
    let age = pair.b.config().limits.pending_flow_age;
    pair.filter = None;
    // The caller must still be there to hear it.
    pair.b.handle_timeout(pair.now + age);
    pair.settle();
    assert_eq!(pair.events_b, [Event::FlowGone(flow)]);
    assert_eq!(
        pair.a.take_tcp_error(client).expect("socket"),
        Some(Lost::NeverConnected(ConnectError::Refused))
    );
    assert_eq!(pair.b.stats().dropped(DropReason::PendingExpired), 1);
    assert_eq!(
        pair.b.refuse(pair.now, flow, Refusal::Reset),
        Err(AcceptError::NoSuchFlow)
    );
}

#[test]
fn a_caller_that_gives_up_takes_its_flow_along() {
    let mut pair = Pair::with_gateway();
    pair.filter = Some(Box::new(|from, packet| {
        if from == Side::A {
            let seq = packet[24..28].try_into().expect("four octets");
            SYN_SEQ.set(u32::from_be_bytes(seq));
        }
        true
    }));
    let client = call(&mut pair, FAR4);
    let flow = incoming(&mut pair);
    // A SYN-SENT connection that closes sends nothing (RFC 9293 section 3.10.4); kernels send
    // a RST where the application aborts.
    let (local, remote) = pair.a.tcp_endpoints(client).expect("socket");
    pair.a.call_tcp_abort(pair.now, client).expect("aborts");
    pair.settle();
    if pair.b.is_pending(flow) {
        let rst = reset(&pair, local, remote);
        pair.b.handle_packet(pair.now, rst);
        pair.settle();
    }
    assert_eq!(pair.events_b, [Event::FlowGone(flow)]);
    assert!(!pair.b.is_pending(flow));
}

/// The RST of a caller that knows its own SYN's number: it follows the recorded SYN.
fn reset(
    pair: &Pair,
    from: std::net::SocketAddr,
    to: std::net::SocketAddr,
) -> switchboard_core::RxPacket {
    use switchboard_wire::checksum::pseudo;
    use switchboard_wire::ipv4::Ipv4Header;
    use switchboard_wire::tcp::{Flags, TcpHeader};
    let seq = SYN_SEQ.with(std::cell::Cell::get);
    let header = TcpHeader {
        source_port: from.port(),
        destination_port: to.port(),
        seq: seq.wrapping_add(1),
        flags: Flags::RST,
        ..TcpHeader::default()
    };
    let (std::net::IpAddr::V4(source), std::net::IpAddr::V4(destination)) = (from.ip(), to.ip())
    else {
        panic!("IPv4");
    };
    let mut body = Vec::new();
    header.emit(&mut body);
    let protocol = switchboard_wire::IpProtocol::TCP;
    let sum = pseudo(from.ip(), to.ip(), protocol, body.len())
        .plus(&body)
        .checksum();
    body[16..18].copy_from_slice(&sum.to_be_bytes());
    let mut packet = Vec::new();
    Ipv4Header::new(source, destination, protocol, 40).emit(&mut packet);
    packet.extend(body);
    switchboard_core::RxPacket::new(packet.into(), pair.now)
}

thread_local! {
    static SYN_SEQ: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// What nobody listens for at a gateway's own address waits for a verdict like everything else
/// that comes to it: the gateway may stand for another machine there.
#[test]
fn own_addresses_of_a_gateway_wait_for_a_verdict_too() {
    let mut pair = Pair::with_gateway();
    let options = TcpOptions::default();
    let client = pair
        .a
        .call_tcp_connect(pair.now, None, at(B4, 81), &options)
        .expect("connects");
    pair.settle();
    let flow = incoming(&mut pair);
    pair.b
        .refuse(pair.now, flow, Refusal::Reset)
        .expect("pending");
    pair.settle();
    let refused = Lost::NeverConnected(ConnectError::Refused);
    assert_eq!(pair.a.take_tcp_error(client), Ok(Some(refused)));
}

#[test]
fn too_many_pending_flows_are_refused_at_once() {
    let mut pair = Pair::with_gateway();
    let max = pair.b.config().limits.pending_flows;
    let options = TcpOptions::default();
    let mut last = None;
    for _ in 0..=max {
        let id = pair
            .a
            .call_tcp_connect(pair.now, None, at(FAR4, 80), &options);
        last = Some(id.expect("connects"));
        pair.settle();
    }
    let error = pair
        .a
        .take_tcp_error(last.expect("called"))
        .expect("socket");
    assert_eq!(error, Some(Lost::NeverConnected(ConnectError::Refused)));
    assert_eq!(pair.b.stats().dropped(DropReason::PendingFull), 1);
}

#[test]
fn a_udp_flow_that_is_refused_is_told() {
    let mut pair = Pair::with_gateway();
    let options = UdpOptions::default();
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    pair.a
        .call_udp_connect(client, at(FAR4, 9))
        .expect("connects");
    let data = bytes::Bytes::from_static(b"hello");
    pair.a
        .call_udp_send(pair.now, client, data, None)
        .expect("sends");
    pair.settle();
    let flow = incoming(&mut pair);
    assert_eq!(
        pair.b.accept_tcp(pair.now, flow, &TcpOptions::default()),
        Err(AcceptError::NoSuchFlow),
        "it is no TCP"
    );
    pair.b
        .refuse(pair.now, flow, Refusal::Reset)
        .expect("refuses");
    pair.settle();
    let error = pair
        .a
        .take_udp_error(client)
        .expect("socket")
        .expect("told");
    assert_eq!((error.why, error.offender), (Unreachable::Port, ip(FAR4)));
    assert_eq!(pair.b.stats().pinned_octets, 0);
}
