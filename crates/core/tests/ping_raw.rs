//! Sockets below the transports.

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, bytes_of, config, ip, pattern};
use switchboard_core::{
    BindError, Config, DropReason, Event, IpProtocol, IpVersion, PacketMeta, PacketOptions,
    PacketSendError, PingId, Readiness, ReceiveError, SocketKind, UdpMeta, UdpOptions, Unreachable,
};
use switchboard_wire::IpPacket;
use switchboard_wire::ipv4::Ipv4Header;

const FAMILIES: [(&str, &str, &str, IpVersion); 2] = [
    (A4, B4, "192.0.2.9", IpVersion::V4),
    (A6, B6, "2001:db8::9", IpVersion::V6),
];

fn options() -> PacketOptions {
    PacketOptions::default()
}

fn ping(pair: &mut Pair, id: PingId, sequence: u16, len: usize, meta: PacketMeta) {
    let payload = Bytes::from(pattern(len));
    pair.a
        .call_ping_send(pair.now, id, sequence, payload, Some(meta))
        .expect("sends");
    pair.settle();
}

#[test]
fn an_answer_comes_to_whoever_asked() {
    for (mine, theirs, _, _) in FAMILIES {
        let mut pair = Pair::plain();
        let first = pair.a.call_ping_bind(at(mine, 7), &options());
        let first = first.expect("binds");
        let any = if mine == A4 { "0.0.0.0" } else { "::" };
        let second = pair.a.call_ping_bind(at(any, 0), &options());
        let second = second.expect("binds");
        assert_ne!(pair.a.ping_local(second).expect("socket").port(), 0);
        for (sequence, len) in [(1, 0), (2, 56), (3, 5000)] {
            let meta = PacketMeta {
                traffic_class: Some(0xb8),
                ..PacketMeta::to(ip(theirs))
            };
            ping(&mut pair, second, sequence, len, meta);
            let told = Event::Ping(second, Readiness::READABLE);
            assert!(pair.events_a.contains(&told));
            let reply = pair.a.call_ping_receive(second).expect("answers");
            assert_eq!(reply.sequence, sequence);
            assert_eq!(reply.payload, pattern(len));
            assert_eq!(reply.meta.remote, ip(theirs));
            assert_eq!(reply.meta.local, ip(mine));
            assert_eq!(reply.meta.hop_limit, Some(64));
        }
        // To ourselves, too.
        ping(&mut pair, second, 4, 8, PacketMeta::to(ip(mine)));
        assert_eq!(pair.a.call_ping_receive(second).expect("loops").sequence, 4);
        let nothing = Err(ReceiveError::WouldBlock);
        assert_eq!(pair.a.call_ping_receive(first), nothing);
        // Both are listed, by their identifiers.
        let listed: Vec<_> = pair.a.sockets().collect();
        assert!(listed.iter().all(|entry| entry.kind == SocketKind::Ping));
        assert!(listed.iter().any(|entry| entry.local == at(mine, 7)));
        assert_eq!(listed.len(), 2);
        // An answer to nobody is dropped.
        let id = pair.a.ping_local(second).expect("socket").port();
        pair.a.call_ping_close(second).expect("closes");
        assert!(pair.a.call_ping_close(second).is_err(), "stale");
        let again = pair.a.call_ping_bind(at(any, id), &options());
        again.expect("the identifier is free again");
        assert_eq!(pair.a.stats().pinned_octets, 0);
        assert_eq!(pair.a.stats().dropped(DropReason::IcmpIgnored), 0);
    }
}

#[test]
fn identifiers_have_one_owner_and_addresses_must_be_ours() {
    let mut pair = Pair::plain();
    pair.a.call_ping_bind(at(A4, 7), &options()).expect("binds");
    let taken = pair.a.call_ping_bind(at("0.0.0.0", 7), &options());
    assert_eq!(taken, Err(BindError::AddressInUse));
    let foreign = pair.a.call_ping_bind(at("192.0.2.1", 8), &options());
    assert_eq!(foreign, Err(BindError::AddressNotAvailable));
    pair.a
        .call_ping_bind(at(A6, 7), &options())
        .expect("other family");
    let mut few = config(A4, A6);
    few.limits.packet_sockets = 1;
    let mut pair = Pair::new(few, config(B4, B6));
    pair.a.call_ping_bind(at(A4, 7), &options()).expect("binds");
    let many = pair
        .a
        .call_raw_open(IpVersion::V4, IpProtocol::IGMP, &options());
    assert_eq!(many, Err(BindError::NoBuffers));
}

/// What traceroute does: each router tells of itself when the hop limit runs out.
#[test]
fn a_router_on_the_way_tells_of_itself() {
    for (mine, theirs, far, _) in FAMILIES {
        let mut pair = Pair::with_gateway();
        let id = pair.a.call_ping_bind(at(mine, 0), &options());
        let id = id.expect("binds");
        let meta = PacketMeta {
            hop_limit: Some(1),
            ..PacketMeta::to(ip(far))
        };
        ping(&mut pair, id, 33, 32, meta);
        assert!(
            pair.events_a
                .contains(&Event::Ping(id, Readiness::ERROR | Readiness::READABLE))
        );
        let error = pair.a.take_ping_error(id).expect("socket").expect("told");
        assert_eq!(error.why, Unreachable::TimeExceeded);
        assert_eq!(error.offender, ip(theirs));
        assert_eq!((error.remote, error.sequence), (ip(far), Some(33)));
        assert_eq!(pair.a.take_ping_error(id), Ok(None));
        // One hop more reaches the far end, which is the application's to answer for.
        let meta = PacketMeta {
            hop_limit: Some(2),
            ..meta
        };
        ping(&mut pair, id, 34, 32, meta);
        let request = pair.b.receive_echo().expect("at the gateway");
        let payload = request.payload.clone();
        pair.b.reply_echo(pair.now, &request, payload);
        pair.settle();
        let reply = pair.a.call_ping_receive(id).expect("answers");
        assert_eq!((reply.sequence, reply.meta.remote), (34, ip(far)));
        // A connected socket hears of an error by its next call.
        pair.a.call_ping_connect(id, ip(far)).expect("connects");
        let meta = PacketMeta {
            hop_limit: Some(1),
            ..meta
        };
        ping(&mut pair, id, 35, 0, meta);
        let sent = pair.a.call_ping_send(pair.now, id, 36, Bytes::new(), None);
        let why = Unreachable::TimeExceeded;
        assert_eq!(sent, Err(PacketSendError::Unreachable(why)));
    }
}

#[test]
fn errors_about_pings_that_nobody_sent_are_nobodys() {
    let mut pair = Pair::with_gateway();
    let id = pair.a.call_ping_bind(at(A4, 0), &options()).expect("binds");
    let meta = PacketMeta {
        hop_limit: Some(1),
        ..PacketMeta::to(ip("192.0.2.9"))
    };
    let payload = Bytes::new();
    pair.a
        .call_ping_send(pair.now, id, 1, payload, Some(meta))
        .expect("sends");
    pair.a.call_ping_close(id).expect("closes");
    pair.settle();
    assert_eq!(pair.a.stats().dropped(DropReason::IcmpNotOurs), 1);
}

#[test]
fn pings_are_refused_for_a_reason_each() {
    let mut pair = Pair::plain();
    let id = pair.a.call_ping_bind(at(A4, 0), &options()).expect("binds");
    let now = pair.now;
    let mut send = |len: usize, meta| {
        let payload = Bytes::from(vec![0; len]);
        pair.a.call_ping_send(now, id, 1, payload, meta)
    };
    let to = |remote: &str| Some(PacketMeta::to(ip(remote)));
    assert_eq!(send(0, None), Err(PacketSendError::NotConnected));
    assert_eq!(send(0, to(B6)), Err(PacketSendError::NoRoute));
    let refused = PacketSendError::BroadcastNotAllowed;
    assert_eq!(send(0, to("255.255.255.255")), Err(refused));
    let limit = 65_535 - 20;
    let too_long = PacketSendError::TooLong { limit };
    assert_eq!(send(limit - 8 + 1, to(B4)), Err(too_long));
    let whole = PacketMeta {
        dont_fragment: true,
        ..PacketMeta::to(ip(B4))
    };
    let too_long = PacketSendError::TooLong { limit: 1480 };
    assert_eq!(send(1473, Some(whole)), Err(too_long));
    assert_eq!(send(1472, Some(whole)), Ok(()));
}

#[test]
fn what_waits_for_the_device_is_bounded_and_room_is_told() {
    let mut pair = Pair::plain();
    let id = pair.a.call_ping_bind(at(A4, 0), &options()).expect("binds");
    let meta = Some(PacketMeta::to(ip(B4)));
    let mut count = 0;
    let refused = loop {
        let sent = pair.a.call_ping_send(pair.now, id, 1, Bytes::new(), meta);
        match sent {
            Ok(()) => count += 1,
            Err(why) => break why,
        }
        assert!(count < 10_000, "bounded");
    };
    assert_eq!(refused, PacketSendError::WouldBlock);
    let ready = pair.a.ping_readiness(id).expect("socket");
    assert!(!ready.contains(Readiness::WRITABLE));
    pair.a.poll_transmit(pair.now).expect("the first");
    let told = Event::Ping(id, Readiness::WRITABLE);
    assert_eq!(pair.a.poll_event(), Some(told));
    let sent = pair.a.call_ping_send(pair.now, id, 1, Bytes::new(), meta);
    assert_eq!(sent, Ok(()));
}

#[test]
fn the_receive_queue_is_bounded_and_what_has_no_room_is_counted() {
    let mut pair = Pair::plain();
    let small = PacketOptions {
        receive_buffer: 4000,
        ..options()
    };
    let id = pair.a.call_ping_bind(at(A4, 0), &small).expect("binds");
    for sequence in 0..20 {
        ping(&mut pair, id, sequence, 1000, PacketMeta::to(ip(B4)));
    }
    let mut count = 0;
    while pair.a.call_ping_receive(id).is_ok() {
        count += 1;
    }
    assert!((3..=5).contains(&count), "{count}");
    let dropped = pair.a.stats().dropped(DropReason::ReceiveBufferFull);
    assert_eq!(dropped, 20 - count);
    assert_eq!(pair.a.stats().pinned_octets, 0);
}

#[test]
fn a_raw_socket_sees_datagrams_before_their_socket_does() {
    for (mine, theirs, _, version) in FAMILIES {
        let mut pair = Pair::plain();
        let raws = [0, 1].map(|_| {
            let raw = pair.b.call_raw_open(version, IpProtocol::UDP, &options());
            raw.expect("opens")
        });
        let udp = UdpOptions::default();
        let server = pair.b.call_udp_bind(at(theirs, 7), &udp).expect("binds");
        let client = pair.a.call_udp_bind(at(mine, 9), &udp).expect("binds");
        // Fragmented on its way.
        let data = Bytes::from(pattern(3000));
        pair.a
            .call_udp_send(
                pair.now,
                client,
                data.clone(),
                Some(UdpMeta::to(at(theirs, 7))),
            )
            .expect("sends");
        pair.settle();
        assert_eq!(pair.b.call_udp_receive(server).expect("arrives").0, data);
        for raw in raws {
            let (packet, meta) = pair.b.call_raw_receive(raw).expect("arrives");
            let datagram = if mine == A4 {
                let packet = IpPacket::parse(&packet).expect("with its header");
                packet.body().to_vec()
            } else {
                packet.to_vec()
            };
            assert_eq!(datagram[..6], [0, 9, 0, 7, 0x0b, 0xc0]);
            assert_eq!(datagram[8..], data[..]);
            assert_eq!((meta.remote, meta.local), (ip(mine), ip(theirs)));
        }
        assert_eq!(pair.b.stats().packets_to_sockets, 2);
        let kinds: Vec<_> = pair.b.sockets().map(|entry| entry.kind).collect();
        assert!(kinds.contains(&SocketKind::Raw(IpProtocol::UDP)));
        for raw in raws {
            pair.b.call_raw_close(raw).expect("closes");
        }
        assert_eq!(pair.b.sockets().count(), 1);
    }
}

#[test]
fn a_protocol_of_ones_own_goes_there_and_back() {
    const OWN: IpProtocol = IpProtocol(253);
    for (mine, theirs, _, version) in FAMILIES {
        let mut pair = Pair::plain();
        let a = pair
            .a
            .call_raw_open(version, OWN, &options())
            .expect("opens");
        let data = Bytes::from(pattern(2000));
        let meta = PacketMeta {
            hop_limit: Some(9),
            ..PacketMeta::to(ip(theirs))
        };
        pair.a.call_raw_connect(a, ip(theirs)).expect("connects");
        // Nobody speaks it there: that is told.
        pair.a
            .call_raw_send(pair.now, a, data.clone(), Some(meta))
            .expect("sends");
        pair.settle();
        let error = pair.a.take_raw_error(a).expect("socket").expect("told");
        assert_eq!(error.why, Unreachable::Protocol);
        assert_eq!((error.offender, error.sequence), (ip(theirs), None));
        // Now somebody does, and nobody complains.
        let b = pair
            .b
            .call_raw_open(version, OWN, &options())
            .expect("opens");
        let unknown = pair.b.stats().dropped(DropReason::UnknownProtocol);
        pair.a
            .call_raw_send(pair.now, a, data.clone(), Some(meta))
            .expect("sends");
        pair.settle();
        assert_eq!(pair.b.stats().dropped(DropReason::UnknownProtocol), unknown);
        let (packet, meta) = pair.b.call_raw_receive(b).expect("arrives");
        let header = if mine == A4 { 20 } else { 0 };
        assert_eq!(packet[header..], data[..]);
        assert_eq!((meta.remote, meta.hop_limit), (ip(mine), Some(9)));
        // Bound elsewhere or connected elsewhere it is deaf.
        pair.b.call_raw_bind(b, ip(theirs)).expect("binds");
        pair.b
            .call_raw_connect(b, stranger(mine))
            .expect("connects");
        pair.a
            .call_raw_send(pair.now, a, data.clone(), None)
            .expect("sends");
        pair.settle();
        assert!(pair.b.call_raw_receive(b).is_err());
    }
}

/// Another address of the same family.
fn stranger(of: &str) -> IpAddr {
    ip(if of == A4 { "10.0.0.77" } else { "fd00::77" })
}

#[test]
fn an_icmpv6_message_gets_its_checksum() {
    let mut pair = Pair::plain();
    let raw = pair
        .a
        .call_raw_open(IpVersion::V6, IpProtocol::ICMPV6, &options());
    let raw = raw.expect("opens");
    let request = Bytes::from_static(&[128, 0, 0, 0, 0, 7, 0, 1, b'h', b'i']);
    let meta = Some(PacketMeta::to(ip(B6)));
    pair.a
        .call_raw_send(pair.now, raw, request, meta)
        .expect("sends");
    pair.settle();
    let (reply, _) = pair.a.call_raw_receive(raw).expect("answered");
    assert_eq!(
        (reply[0], &reply[4..]),
        (129, &[0, 7, 0, 1, b'h', b'i'][..])
    );
}

#[test]
fn a_header_of_ones_own_is_completed_and_checked() {
    let mut pair = Pair::plain();
    let whole = PacketOptions {
        header_included: true,
        ..options()
    };
    let raw = pair
        .a
        .call_raw_open(IpVersion::V4, IpProtocol(255), &whole)
        .expect("opens");
    let mut header = Ipv4Header::new(
        "0.0.0.0".parse().unwrap(),
        B4.parse().unwrap(),
        IpProtocol(253),
        0,
    );
    header.hop_limit = 3;
    header.dont_fragment = false;
    let mut packet = vec![];
    header.emit(&mut packet);
    packet.extend_from_slice(b"body");
    let send = |pair: &mut Pair, packet: &[u8]| {
        let packet = Bytes::copy_from_slice(packet);
        pair.a.call_raw_send(pair.now, raw, packet, None)
    };
    send(&mut pair, &packet).expect("sends");
    let sent = bytes_of(&pair.a.poll_transmit(pair.now).expect("leaves"));
    let read = Ipv4Header::parse(&sent).expect("valid");
    assert_eq!(IpAddr::V4(read.source), ip(A4));
    assert_eq!((read.hop_limit, read.total_len), (3, 24));
    assert_ne!(read.identification, 0);
    assert_eq!(&sent[20..], b"body");
    // What cannot be read is refused, and what does not fit.
    for broken in [&packet[..0], &packet[..10], &[0x4f; 24][..]] {
        let refused = send(&mut pair, broken);
        assert!(
            matches!(refused, Err(PacketSendError::Malformed(_))),
            "{refused:?}"
        );
    }
    packet.resize(1501, 0);
    let limit = 1500;
    let refused = Err(PacketSendError::TooLong { limit });
    assert_eq!(send(&mut pair, &packet), refused);
    assert!(pair.a.poll_transmit(pair.now).is_none());
}

/// A gateway's raw socket sees what comes to any address.
#[test]
fn a_gateways_raw_socket_sees_everything_that_comes_in() {
    let gateway = Config {
        any_address: true,
        ..config(B4, B6)
    };
    let mut pair = Pair::new(config(A4, A6), gateway);
    let raw = pair
        .b
        .call_raw_open(IpVersion::V4, IpProtocol::ICMP, &options())
        .expect("opens");
    let id = pair.a.call_ping_bind(at(A4, 5), &options()).expect("binds");
    ping(&mut pair, id, 1, 4, PacketMeta::to(ip("192.0.2.9")));
    let (packet, meta) = pair.b.call_raw_receive(raw).expect("arrives");
    assert_eq!(meta.local, ip("192.0.2.9"));
    assert_eq!(packet[20], 8);
}
