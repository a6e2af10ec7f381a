//! Datagrams between two stacks.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, config, ip, pattern};
use switchboard_core::{
    BindError, Config, DropReason, Event, Instant, Readiness, ReceiveError, RxPacket, UdpMeta,
    UdpOptions, UdpSendError, Unreachable,
};

fn to(remote: &str, port: u16) -> Option<UdpMeta> {
    Some(UdpMeta::to(at(remote, port)))
}

#[test]
fn sixty_thousand_octets_go_there_and_back_in_fragments() {
    for (mine, theirs) in [(A4, B4), (A6, B6)] {
        let mut pair = Pair::plain();
        let options = UdpOptions::default();
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let server = pair
            .b
            .call_udp_bind(at(theirs, 7), &options)
            .expect("binds");
        for len in [0, 1, 1471, 1472, 1473, 1452, 1453, 60_000, 65_507 - 20] {
            let data = Bytes::from(pattern(len));
            let sent = pair
                .a
                .call_udp_send(pair.now, client, data.clone(), to(theirs, 7));
            sent.expect("sends");
            pair.settle();
            let (asked, meta) = pair.b.call_udp_receive(server).expect("arrives");
            assert_eq!(asked, data, "{len}");
            assert_eq!(meta.hop_limit, Some(64));
            let answer = pair.b.call_udp_send(pair.now, server, asked, Some(meta));
            answer.expect("sends");
            pair.settle();
            let (answer, meta) = pair.a.call_udp_receive(client).expect("arrives");
            assert_eq!(answer, data);
            assert_eq!(meta.remote, at(theirs, 7));
        }
        assert!(pair.a.stats().fragments_sent > 80);
        assert_eq!(pair.b.stats().reassembled, if mine == A4 { 3 } else { 6 });
        assert_eq!(pair.a.stats().pinned_octets, 0);
        assert_eq!(pair.b.stats().pinned_octets, 0);
    }
}

#[test]
fn the_longest_datagram_is_as_long_as_the_length_fields_allow() {
    for (mine, theirs, limit) in [(A4, B4, 65_507), (A6, B6, 65_527)] {
        let mut pair = Pair::plain();
        let options = UdpOptions::default();
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let server = pair
            .b
            .call_udp_bind(at(theirs, 7), &options)
            .expect("binds");
        let own = pair.a.call_udp_bind(at(mine, 7), &options).expect("binds");
        let send = |pair: &mut Pair, len: usize, to| {
            let data = Bytes::from(pattern(len));
            pair.a.call_udp_send(pair.now, client, data, to)
        };
        assert_eq!(
            send(&mut pair, limit + 1, to(theirs, 7)),
            Err(UdpSendError::TooLong { limit })
        );
        send(&mut pair, limit, to(theirs, 7)).expect("sends");
        send(&mut pair, limit, to(mine, 7)).expect("sends");
        pair.settle();
        let (data, _) = pair.b.call_udp_receive(server).expect("arrives");
        assert_eq!(data, pattern(limit));
        let (data, _) = pair.a.call_udp_receive(own).expect("loops");
        assert_eq!(data, pattern(limit));
    }
}

#[test]
fn what_must_not_be_cut_is_not_cut() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    let mut meta = to(B4, 7);
    if let Some(meta) = &mut meta {
        meta.dont_fragment = true;
    }
    let sent = pair
        .a
        .call_udp_send(pair.now, client, Bytes::from(vec![0; 1473]), meta);
    assert_eq!(sent, Err(UdpSendError::TooLong { limit: 1472 }));
}

#[test]
fn nobody_there_is_told_as_such_to_connected_and_other_sockets() {
    for (mine, theirs) in [(A4, B4), (A6, B6)] {
        let mut pair = Pair::plain();
        let options = UdpOptions::default();
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let data = Bytes::from_static(b"anybody?");
        pair.a
            .call_udp_send(pair.now, client, data.clone(), to(theirs, 9))
            .expect("sends");
        pair.settle();
        let told = Readiness::ERROR | Readiness::READABLE;
        assert!(pair.events_a.contains(&Event::Udp(client, told)));
        let error = pair
            .a
            .take_udp_error(client)
            .expect("socket")
            .expect("told");
        assert_eq!(error.why, Unreachable::Port);
        assert_eq!(error.offender, ip(theirs));
        assert_eq!(error.remote, at(theirs, 9));
        assert_eq!(pair.a.take_udp_error(client), Ok(None));

        pair.a
            .call_udp_connect(client, at(theirs, 9))
            .expect("connects");
        let send = |pair: &mut Pair| pair.a.call_udp_send(pair.now, client, data.clone(), None);
        send(&mut pair).expect("sends");
        pair.settle();
        let refused = Err(UdpSendError::Unreachable(Unreachable::Port));
        assert_eq!(send(&mut pair), refused);
        assert_eq!(send(&mut pair), Ok(()), "told once");
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let server = pair.b.call_udp_bind(at(B4, 7), &options).expect("binds");
    let friend = pair.a.call_udp_bind(at(A4, 1000), &options).expect("binds");
    let stranger = pair.a.call_udp_bind(at(A4, 1001), &options).expect("binds");
    pair.b
        .call_udp_connect(server, at(A4, 1000))
        .expect("connects");
    for client in [friend, stranger] {
        let data = Bytes::from_static(b"hello");
        let sent = pair.a.call_udp_send(pair.now, client, data, to(B4, 7));
        sent.expect("sends");
    }
    pair.settle();
    let (_, meta) = pair.b.call_udp_receive(server).expect("arrives");
    assert_eq!(meta.remote, at(A4, 1000));
    assert_eq!(
        pair.b.call_udp_receive(server),
        Err(ReceiveError::WouldBlock)
    );
    // For a stranger the port is nobody's, and it is told so (RFC 1122 section 4.1.3.1).
    assert_eq!(pair.b.stats().dropped(DropReason::NoSocket), 1);
    let error = pair.a.take_udp_error(stranger).expect("is there");
    assert_eq!(error.map(|error| error.why), Some(Unreachable::Port));
    assert_eq!(pair.b.udp_remote(server), Ok(Some(at(A4, 1000))));
}

#[test]
fn what_was_sent_before_close_still_leaves() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let server = pair.b.call_udp_bind(at(B4, 7), &options).expect("binds");
    let client = pair.a.call_udp_bind(at(A4, 1000), &options).expect("binds");
    for number in 0..3u8 {
        let data = Bytes::from(vec![number]);
        let sent = pair.a.call_udp_send(pair.now, client, data, to(B4, 7));
        sent.expect("sends");
    }
    pair.a.call_udp_close(client).expect("closes");
    assert!(
        pair.a.udp_local(client).is_err(),
        "the handle is stale at once"
    );
    let again = pair.a.call_udp_bind(at(A4, 1000), &options);
    assert!(again.is_ok(), "and the port is free");
    pair.settle();
    for number in 0..3u8 {
        let (data, _) = pair.b.call_udp_receive(server).expect("arrives");
        assert_eq!(data[..], [number]);
    }
    assert_eq!(pair.a.sockets().count(), 1);
}

#[test]
fn ports_are_taken_once_unless_shared_and_free_again_after_close() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let shared = UdpOptions {
        reuse_address: true,
        ..options
    };
    let first = pair.b.call_udp_bind(at(B4, 53), &options).expect("binds");
    assert_eq!(
        pair.b.call_udp_bind(at(B4, 53), &options),
        Err(BindError::AddressInUse)
    );
    assert_eq!(
        pair.b.call_udp_bind(at(B4, 53), &shared),
        Err(BindError::AddressInUse)
    );
    assert_eq!(
        pair.b.call_udp_bind(at("192.0.2.9", 53), &options),
        Err(BindError::AddressNotAvailable)
    );
    pair.b.call_udp_close(first).expect("closes");
    assert!(pair.b.udp_local(first).is_err(), "stale");
    pair.b.call_udp_bind(at(B4, 53), &shared).expect("binds");
    pair.b.call_udp_bind(at(B4, 53), &shared).expect("shares");
    // A dual-stack wildcard holds the port of both families.
    pair.b.call_udp_bind(at("::", 54), &options).expect("binds");
    assert_eq!(
        pair.b.call_udp_bind(at("0.0.0.0", 54), &options),
        Err(BindError::AddressInUse)
    );
}

#[test]
fn a_dual_stack_wildcard_hears_both_families() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let server = pair.b.call_udp_bind(at("::", 7), &options).expect("binds");
    for (mine, theirs) in [(A4, B4), (A6, B6)] {
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let data = Bytes::from_static(b"hello");
        pair.a
            .call_udp_send(pair.now, client, data, to(theirs, 7))
            .expect("sends");
        pair.settle();
        let (_, meta) = pair.b.call_udp_receive(server).expect("arrives");
        assert_eq!(meta.local, at(theirs, 7));
        pair.b
            .call_udp_send(pair.now, server, Bytes::new(), Some(meta))
            .expect("answers");
        pair.settle();
        pair.a.call_udp_receive(client).expect("arrives");
    }
}

#[test]
fn ttl_and_traffic_class_arrive() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    for (mine, theirs) in [(A4, B4), (A6, B6)] {
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let server = pair
            .b
            .call_udp_bind(at(theirs, 7), &options)
            .expect("binds");
        let meta = to(theirs, 7).map(|meta| UdpMeta {
            hop_limit: Some(3),
            traffic_class: Some(0xb8),
            dont_fragment: true,
            ..meta
        });
        pair.a
            .call_udp_send(pair.now, client, Bytes::new(), meta)
            .expect("sends");
        pair.settle();
        let (_, meta) = pair.b.call_udp_receive(server).expect("arrives");
        assert_eq!((meta.hop_limit, meta.traffic_class), (Some(3), Some(0xb8)));
        assert_eq!(meta.dont_fragment, mine == A4);
    }
}

#[test]
fn the_receive_queue_is_bounded_by_what_it_pins() {
    let mut pair = Pair::plain();
    let options = UdpOptions {
        receive_buffer: 10_000,
        ..UdpOptions::default()
    };
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    let server = pair.b.call_udp_bind(at(B4, 7), &options).expect("binds");
    for _ in 0..100 {
        let data = Bytes::from(vec![0; 1000]);
        pair.a
            .call_udp_send(pair.now, client, data, to(B4, 7))
            .expect("sends");
        pair.settle();
    }
    let mut count = 0;
    while pair.b.call_udp_receive(server).is_ok() {
        count += 1;
    }
    assert!((5..=10).contains(&count), "{count}");
    assert_eq!(
        pair.b.stats().dropped(DropReason::ReceiveBufferFull),
        100 - count
    );
    assert_eq!(pair.b.stats().pinned_octets, 0);
}

#[test]
fn a_full_send_queue_blocks_and_tells_when_there_is_room() {
    let mut pair = Pair::plain();
    let options = UdpOptions {
        send_buffer: 4000,
        ..UdpOptions::default()
    };
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    let send = |pair: &mut Pair| {
        let data = Bytes::from(vec![0; 1000]);
        pair.a.call_udp_send(pair.now, client, data, to(B4, 7))
    };
    let mut sent = 0;
    while send(&mut pair).is_ok() {
        sent += 1;
    }
    assert_eq!(send(&mut pair), Err(UdpSendError::WouldBlock));
    assert!((2..=4).contains(&sent), "{sent}");
    pair.settle();
    let is_told = |event: &Event| match event {
        Event::Udp(id, news) => *id == client && news.contains(Readiness::WRITABLE),
        _ => false,
    };
    assert!(pair.events_a.iter().any(is_told));
    assert_eq!(pair.a.stats().pinned_octets, 0);
}

#[test]
fn a_small_payload_does_not_pin_a_large_slot() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    pair.b.call_udp_bind(at(B4, 7), &options).expect("binds");
    let data = Bytes::from_static(b"small");
    pair.a
        .call_udp_send(pair.now, client, data, to(B4, 7))
        .expect("sends");
    let transmit = pair.a.poll_transmit(pair.now).expect("a packet");
    let rx = RxPacket {
        slot_size: 65_536,
        ..common::received(&transmit, pair.now)
    };
    pair.b.handle_packet(pair.now, rx);
    assert!(pair.b.stats().pinned_octets < 512);
}

#[test]
fn a_super_datagram_is_split_without_copies() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    let client = pair.a.call_udp_bind(at(A4, 0), &options).expect("binds");
    let server = pair.b.call_udp_bind(at(B4, 7), &options).expect("binds");
    // The link takes 1500; the device of `b` hands over many at once, as GRO does.
    let mut wide = Pair::new(
        Config {
            mtu: 65_535,
            ..config(A4, A6)
        },
        config(B4, B6),
    );
    let sender = wide.a.call_udp_bind(at(A4, 5000), &options).expect("binds");
    let data = pattern(2500);
    wide.a
        .call_udp_send(wide.now, sender, Bytes::from(data.clone()), to(B4, 7))
        .expect("sends");
    let transmit = wide.a.poll_transmit(wide.now).expect("a packet");
    let rx = RxPacket {
        segment_size: std::num::NonZeroU16::new(1000),
        ..common::received(&transmit, pair.now)
    };
    let slot = rx.bytes.as_ptr_range();
    pair.b.handle_packet(pair.now, rx);
    let _ = client;
    let mut joined = Vec::new();
    for len in [1000, 1000, 500] {
        let (part, meta) = pair.b.call_udp_receive(server).expect("arrives");
        assert_eq!(part.len(), len);
        assert_eq!(meta.remote, at(A4, 5000));
        assert!(slot.contains(&part.as_ptr()), "a slice of the slot");
        joined.extend_from_slice(&part);
    }
    assert_eq!(joined, data);
}

#[test]
fn a_socket_talks_to_another_of_the_same_stack() {
    let mut pair = Pair::plain();
    let options = UdpOptions::default();
    for address in [A4, "127.0.0.1", A6, "::1"] {
        let server = pair
            .a
            .call_udp_bind(at(address, 7), &options)
            .expect("binds");
        let client = pair
            .a
            .call_udp_bind(at(address, 0), &options)
            .expect("binds");
        let data = Bytes::from(pattern(40_000));
        pair.a
            .call_udp_send(pair.now, client, data.clone(), to(address, 7))
            .expect("sends");
        pair.settle();
        assert_eq!(pair.packets, 0, "nothing leaves");
        let (got, _) = pair.a.call_udp_receive(server).expect("arrives");
        assert_eq!(got, data);
    }
    assert_eq!(pair.a.stats().packets_looped, 4);
}

#[test]
fn a_zero_checksum_is_fine_over_ipv4_and_fatal_over_ipv6() {
    for (mine, theirs, arrives) in [(A4, B4, true), (A6, B6, false)] {
        let mut pair = Pair::plain();
        let options = UdpOptions::default();
        let client = pair.a.call_udp_bind(at(mine, 0), &options).expect("binds");
        let server = pair
            .b
            .call_udp_bind(at(theirs, 7), &options)
            .expect("binds");
        let data = Bytes::from_static(b"summed");
        pair.a
            .call_udp_send(pair.now, client, data, to(theirs, 7))
            .expect("sends");
        let transmit = pair.a.poll_transmit(pair.now).expect("a packet");
        let mut bytes = common::bytes_of(&transmit).to_vec();
        let field = if mine == A4 { 26 } else { 46 };
        bytes[field..field + 2].fill(0);
        pair.b.handle_packet(
            pair.now,
            RxPacket::new(Bytes::from(bytes.clone()), Instant::ZERO),
        );
        assert_eq!(pair.b.call_udp_receive(server).is_ok(), arrives);
        // A wrong one never is.
        bytes[field] = 0x12;
        pair.b
            .handle_packet(pair.now, RxPacket::new(Bytes::from(bytes), Instant::ZERO));
        assert!(pair.b.call_udp_receive(server).is_err());
    }
}

#[test]
fn accepted_flows_hear_their_source_whatever_its_destination() {
    let mut pair = Pair::with_gateway();
    let options = UdpOptions::default();
    let client = pair.a.call_udp_bind(at(A4, 4000), &options).expect("binds");
    let own = pair.b.call_udp_bind(at(B4, 53), &options).expect("binds");
    let far: [IpAddr; 2] = [ip("192.0.2.1"), ip("198.51.100.7")];
    let send = |pair: &mut Pair, remote: &str, port: u16| {
        let data = Bytes::from_static(b"question");
        pair.a
            .call_udp_send(pair.now, client, data, to(remote, port))
            .expect("sends");
        pair.settle();
    };
    send(&mut pair, "192.0.2.1", 1111);
    send(&mut pair, "198.51.100.7", 2222);
    let flow = match pair.events_b.as_slice() {
        [Event::Incoming(switchboard_core::Incoming::Udp { id, remote, local })] => {
            assert_eq!((*remote, *local), (at(A4, 4000), at("192.0.2.1", 1111)));
            *id
        }
        other => panic!("{other:?}"),
    };
    let socket = pair
        .b
        .accept_udp(pair.now, flow, &options)
        .expect("accepts");
    for (remote, port) in far.into_iter().zip([1111, 2222]) {
        let (_, meta) = pair.b.call_udp_receive(socket).expect("kept");
        assert_eq!(meta.local.ip(), remote);
        assert_eq!(meta.local.port(), port);
        // Answered as whoever was asked.
        let answer = Bytes::from_static(b"answer");
        pair.b
            .call_udp_send(pair.now, socket, answer, Some(meta))
            .expect("sends");
        pair.settle();
        let (_, meta) = pair.a.call_udp_receive(client).expect("arrives");
        assert_eq!(meta.remote.ip(), remote);
    }
    // Our own sockets come first at our own addresses; what they leave is the flow's as well.
    send(&mut pair, B4, 53);
    pair.b.call_udp_receive(own).expect("arrives");
    send(&mut pair, B4, 54);
    let (_, meta) = pair.b.call_udp_receive(socket).expect("arrives");
    assert_eq!(meta.local, at(B4, 54));
    // What the relay learned outside is told inside, signed by whoever said it.
    let meta = UdpMeta {
        local: at("192.0.2.1", 1111),
        ..UdpMeta::to(at(A4, 4000))
    };
    let offender = ip("203.0.113.9");
    pair.b
        .call_udp_refuse(pair.now, socket, &meta, Unreachable::Host, Some(offender))
        .expect("refuses");
    pair.settle();
    let error = pair
        .a
        .take_udp_error(client)
        .expect("socket")
        .expect("told");
    assert_eq!((error.why, error.offender), (Unreachable::Host, offender));
    assert_eq!(error.remote, at("192.0.2.1", 1111));
    // After it is closed, the source is a stranger again.
    pair.events_b.clear();
    pair.b.call_udp_close(socket).expect("closes");
    send(&mut pair, "192.0.2.1", 1111);
    assert!(matches!(pair.events_b.as_slice(), [Event::Incoming(_)]));
    pair.pass(Duration::from_secs(200));
    assert_eq!(pair.b.stats().pinned_octets, 0, "expired");
}
