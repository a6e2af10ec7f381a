//! Connections between two stacks, as an application sees them.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, config, offloads, pattern, received};
use switchboard_core::{
    Config, ConnectError, Event, ListenError, Lost, NoSuchSocket, Readiness, ReceiveError,
    SendError, Shutdown, Stack, State, TcpOptions,
};

#[test]
fn bytes_arrive_in_order_over_both_families_with_and_without_offloads() {
    let plain = (config(A4, A6), config(B4, B6));
    let wide = |config: Config| Config {
        mtu: 65_520,
        offloads: offloads(),
        ..config
    };
    let offloaded = (wide(config(A4, A6)), wide(config(B4, B6)));
    for (a, b) in [plain, offloaded] {
        for theirs in [B4, B6] {
            let mut pair = Pair::new(a.clone(), b.clone());
            let (client, server) = pair.connected(at(theirs, 80));
            let data = pattern(3_000_000);
            assert_eq!(pair.transfer(client, server, &data), data);
            let info = pair.a.tcp_info(client).expect("socket");
            assert_eq!(info.state, State::Established);
            assert_eq!(info.octets_sent, 3_000_000);
            assert!(info.timestamps && info.sack && info.window_scale.is_some());
            assert_eq!(pair.a.stats().segments_retransmitted, 0);
        }
    }
}

#[test]
fn both_sides_close_and_nothing_is_left_but_time_wait() {
    for theirs in [B4, B6] {
        let mut pair = Pair::plain();
        let (client, server) = pair.connected(at(theirs, 80));
        pair.a
            .call_tcp_shutdown(pair.now, client, Shutdown::Write)
            .expect("shuts");
        pair.settle();
        assert!(pair.told_b(server).contains(Readiness::READ_CLOSED));
        let end = pair.b.call_tcp_receive(pair.now, server, 10);
        assert_eq!(end.as_deref(), Ok(&[][..]), "end of stream");
        // The other half still works.
        let answer = Bytes::from_static(b"the rest");
        let sent = pair.b.call_tcp_send(pair.now, server, &mut answer.clone());
        assert_eq!(sent, Ok(answer.len()));
        pair.settle();
        assert_eq!(pair.a.call_tcp_receive(pair.now, client, 100), Ok(answer));
        pair.b.call_tcp_close(pair.now, server).expect("closes");
        pair.a.call_tcp_close(pair.now, client).expect("closes");
        pair.settle();
        assert_eq!(pair.a.tcp_info(client), Err(NoSuchSocket));
        assert_eq!(pair.b.sockets().count(), 0);
        let left: Vec<_> = pair.a.sockets().map(|socket| socket.state).collect();
        assert_eq!(left, [Some(State::TimeWait)]);
        pair.pass(Duration::from_secs(61));
        assert_eq!(pair.a.sockets().count(), 0);
        assert_eq!(pair.next_deadline(), None);
        assert_eq!(pair.a.stats().pinned_octets, 0);
        assert_eq!(pair.b.stats().pinned_octets, 0);
    }
}

#[test]
fn crossing_fins_that_come_in_one_batch_are_both_acknowledged() {
    let mut pair = Pair::plain();
    let (client, server) = pair.connected(at(B4, 80));
    let now = pair.now;
    let drain = |stack: &mut Stack| -> Vec<_> {
        let sent = std::iter::from_fn(|| stack.poll_transmit(now));
        sent.map(|transmit| received(&transmit, now)).collect()
    };
    pair.a
        .call_tcp_shutdown(now, client, Shutdown::Write)
        .expect("shuts");
    pair.b
        .call_tcp_shutdown(now, server, Shutdown::Write)
        .expect("shuts");
    let (from_a, mut from_b) = (drain(&mut pair.a), drain(&mut pair.b));
    for packet in from_a {
        pair.b.handle_packet(now, packet);
    }
    // The FIN and the acknowledgement of the other one, before anything is sent in between.
    from_b.extend(drain(&mut pair.b));
    assert_eq!(from_b.len(), 2);
    for packet in from_b {
        pair.a.handle_packet(now, packet);
    }
    pair.settle();
    pair.pass(Duration::from_secs(2));
    for stack in [&pair.a, &pair.b] {
        assert_eq!(stack.stats().segments_retransmitted, 0);
        let states: Vec<_> = stack.sockets().map(|socket| socket.state).collect();
        assert_eq!(states.last(), Some(&Some(State::TimeWait)));
    }
}

#[test]
fn a_closed_port_refuses_at_once() {
    for theirs in [B4, B6] {
        let mut pair = Pair::plain();
        let options = TcpOptions::default();
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(theirs, 81), &options)
            .expect("calls");
        pair.settle();
        assert!(pair.told_a(client).contains(Readiness::ERROR));
        let refused = Lost::NeverConnected(ConnectError::Refused);
        assert_eq!(pair.a.take_tcp_error(client), Ok(Some(refused)));
        pair.a.call_tcp_close(pair.now, client).expect("closes");
        assert_eq!(pair.a.sockets().count(), 0);
    }
}

#[test]
fn an_abort_is_seen_as_a_reset() {
    let mut pair = Pair::plain();
    let (client, server) = pair.connected(at(B4, 80));
    let mut data = Bytes::from_static(b"last words");
    pair.a
        .call_tcp_send(pair.now, client, &mut data)
        .expect("sends");
    pair.settle();
    pair.a.call_tcp_abort(pair.now, client).expect("aborts");
    pair.settle();
    let told = pair.told_b(server);
    assert!(told.contains(Readiness::ERROR), "{told:?}");
    // After an error nothing more is read (RFC 9293 section 3.10.7.4, second check).
    let read = pair.b.call_tcp_receive(pair.now, server, 100);
    assert!(
        matches!(read, Ok(_) | Err(ReceiveError::Lost(Lost::Reset))),
        "{read:?}"
    );
    let sent = pair
        .b
        .call_tcp_send(pair.now, server, &mut Bytes::from_static(b"x"));
    assert_eq!(sent, Err(SendError::Lost(Lost::Reset)));
    pair.b.call_tcp_close(pair.now, server).expect("closes");
    assert_eq!(pair.b.sockets().count(), 0);
}

#[test]
fn a_listener_announces_and_accepts_in_order() {
    let mut pair = Pair::plain();
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at("::", 0), 16, &options)
        .expect("listens");
    let port = pair.b.listener_local(listener).expect("listener").port();
    let mut clients = vec![];
    for theirs in [B4, B6, B4] {
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(theirs, port), &options);
        clients.push(client.expect("calls"));
        pair.settle();
    }
    let told: Vec<_> = pair.events_b.drain(..).collect();
    assert_eq!(told, [Event::Acceptable(listener); 3], "once for each poll");
    for client in clients {
        let accepted = pair.b.call_tcp_accept(pair.now, listener);
        let accepted = accepted.expect("listener").expect("waits");
        let (local, remote) = pair.a.tcp_endpoints(client).expect("socket");
        assert_eq!((accepted.remote, accepted.local), (local, remote));
    }
    assert_eq!(pair.b.call_tcp_accept(pair.now, listener), Ok(None));
}

#[test]
fn a_port_is_listened_on_once_unless_shared() {
    let mut pair = Pair::plain();
    let options = TcpOptions::default();
    let shared = TcpOptions {
        reuse_port: true,
        ..options
    };
    let v6_only = TcpOptions {
        only_v6: true,
        ..options
    };
    let stack = &mut pair.b;
    let first = stack
        .call_tcp_listen(at("::", 80), 1, &options)
        .expect("listens");
    let taken = Err(ListenError::AddressInUse);
    for address in ["::", "0.0.0.0", B4, B6] {
        assert_eq!(
            stack.call_tcp_listen(at(address, 80), 1, &options),
            taken,
            "{address}"
        );
    }
    stack.call_tcp_unlisten(pair.now, first).expect("listener");
    assert!(stack.listener_local(first).is_err(), "stale");
    stack
        .call_tcp_listen(at("::", 80), 1, &v6_only)
        .expect("listens");
    stack
        .call_tcp_listen(at("0.0.0.0", 80), 1, &options)
        .expect("another family");
    stack
        .call_tcp_listen(at(B4, 81), 1, &shared)
        .expect("listens");
    stack
        .call_tcp_listen(at(B4, 81), 1, &shared)
        .expect("shares");
    assert_eq!(stack.call_tcp_listen(at(B4, 81), 1, &options), taken);
    let foreign = stack.call_tcp_listen(at("192.0.2.1", 80), 1, &options);
    assert_eq!(foreign, Err(ListenError::AddressNotAvailable));
}

#[test]
fn connections_that_nobody_accepted_are_reset_with_their_listener() {
    let mut pair = Pair::plain();
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at(B4, 80), 16, &options)
        .expect("listens");
    let client = pair
        .a
        .call_tcp_connect(pair.now, None, at(B4, 80), &options);
    let client = client.expect("calls");
    pair.settle();
    assert!(pair.told_a(client).contains(Readiness::CONNECTED));
    pair.b
        .call_tcp_unlisten(pair.now, listener)
        .expect("listener");
    pair.settle();
    assert_eq!(pair.a.take_tcp_error(client), Ok(Some(Lost::Reset)));
    assert_eq!(pair.b.sockets().count(), 0);
}

#[test]
fn a_full_accept_queue_makes_callers_wait() {
    let mut pair = Pair::plain();
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at(B4, 80), 2, &options)
        .expect("listens");
    let mut clients = vec![];
    for _ in 0..3 {
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(B4, 80), &options);
        clients.push(client.expect("calls"));
        pair.settle();
    }
    assert!(!pair.told_a(clients[2]).contains(Readiness::CONNECTED));
    let accepted = pair.b.call_tcp_accept(pair.now, listener);
    assert!(accepted.expect("listener").is_some());
    pair.pass(Duration::from_secs(4));
    assert!(
        pair.told_a(clients[2]).contains(Readiness::CONNECTED),
        "its SYN came again"
    );
}

#[test]
fn a_stack_calls_itself() {
    for address in [A4, "127.0.0.1", A6, "::1"] {
        let mut pair = Pair::plain();
        let options = TcpOptions::default();
        let listener = pair
            .a
            .call_tcp_listen(at(address, 80), 16, &options)
            .expect("listens");
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(address, 80), &options);
        let client = client.expect("calls");
        pair.settle();
        let server = pair.a.call_tcp_accept(pair.now, listener);
        let server = server.expect("listener").expect("waits").id;
        let data = pattern(500_000);
        let mut left = Bytes::from(data.clone());
        let mut read = vec![];
        for _ in 0..10_000 {
            let _ = pair.a.call_tcp_send(pair.now, client, &mut left);
            pair.settle();
            while let Ok(chunk) = pair.a.call_tcp_receive(pair.now, server, usize::MAX) {
                read.extend_from_slice(&chunk);
            }
            if read.len() == data.len() {
                break;
            }
            pair.pass(Duration::from_millis(50));
        }
        assert!(read == data, "{address}: {}", read.len());
        assert_eq!(pair.packets, 0, "nothing leaves");
    }
}

#[test]
fn a_stale_name_never_means_another_connection() {
    let mut pair = Pair::plain();
    let (old, _) = pair.connected(at(B4, 80));
    pair.a.call_tcp_abort(pair.now, old).expect("aborts");
    pair.settle();
    let (new, _) = pair.connected(at(B4, 80));
    assert_eq!(old.index(), new.index(), "the place is used again");
    assert_eq!(pair.a.tcp_info(old), Err(NoSuchSocket));
    let sent = pair
        .a
        .call_tcp_send(pair.now, old, &mut Bytes::from_static(b"x"));
    assert_eq!(sent, Err(SendError::NoSuchSocket));
    assert!(pair.a.tcp_info(new).is_ok());
}

/// Who was refused memory hears of room as soon as its own share is free, whatever others hold.
#[test]
fn a_writer_that_was_refused_memory_is_woken_by_its_own_progress() {
    let mut a = config(A4, A6);
    a.limits.buffers = 1 << 20;
    let mut pair = Pair::new(a, config(B4, B6));
    let options = TcpOptions::default();
    let mut ends = vec![];
    for port in [80, 81] {
        let listener = pair.b.call_tcp_listen(at(B4, port), 1, &options);
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(B4, port), &options)
            .expect("calls");
        pair.settle();
        let server = pair.b.call_tcp_accept(pair.now, listener.expect("listens"));
        ends.push((client, server.expect("listener").expect("waits").id));
    }
    let (hog, writer, reader) = (ends[0].0, ends[1].0, ends[1].1);
    // Nobody reads what the first one sends: it holds the memory for good.
    let chunk = pattern(8 << 20);
    while pair.a.call_tcp_send_slice(pair.now, hog, &chunk).is_ok() {
        pair.settle();
    }
    let mut sent = 0;
    for _ in 0..20 {
        match pair.a.call_tcp_send_slice(pair.now, writer, &chunk) {
            Ok(len) => sent += len,
            Err(error) => {
                assert_eq!(error, SendError::WouldBlock);
                let _ = pair.told_a(writer);
                pair.settle();
                pair.pass(Duration::from_millis(100));
                while pair
                    .b
                    .call_tcp_receive(pair.now, reader, usize::MAX)
                    .is_ok()
                {}
                pair.settle();
                assert!(
                    pair.told_a(writer).contains(Readiness::WRITABLE),
                    "after {sent} octets"
                );
            }
        }
    }
    assert!(sent > 64 << 10, "{sent}");
}

#[test]
fn all_buffers_together_keep_to_their_bound() {
    let mut a = config(A4, A6);
    a.limits.buffers = 1 << 20;
    let mut b = config(B4, B6);
    b.limits.buffers = 1 << 20;
    let mut pair = Pair::new(a, b);
    let options = TcpOptions::default();
    let mut ends = vec![];
    for port in 80..90 {
        let listener = pair
            .b
            .call_tcp_listen(at(B4, port), 1, &options)
            .expect("listens");
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(B4, port), &options);
        let client = client.expect("calls");
        pair.settle();
        let server = pair.b.call_tcp_accept(pair.now, listener);
        ends.push((client, server.expect("listener").expect("waits").id));
    }
    let chunk = pattern(1 << 20);
    let mut bound = 0;
    for round in 0..20 {
        for (client, _) in &ends {
            let _ = pair.a.call_tcp_send_slice(pair.now, *client, &chunk);
            let pinned = pair.a.stats().pinned_octets;
            bound = bound.max(pinned);
            assert!(
                pinned <= (1 << 20) + (4 << 20) + 10 * (16 << 10),
                "{round}: {pinned}"
            );
        }
        pair.pass(Duration::from_millis(200));
        let pinned = pair.b.stats().pinned_octets;
        // One segment may go over the bound, and everybody may keep a little.
        assert!(pinned <= (1 << 20) + 10 * (80 << 10), "{round}: {pinned}");
    }
    assert!(bound >= 1 << 20, "the bound was reached");
    // Once the readers read, everybody finishes.
    let mut read = 0_usize;
    for _ in 0..2000 {
        for (_, server) in &ends {
            while let Ok(chunk) = pair.b.call_tcp_receive(pair.now, *server, usize::MAX) {
                read += chunk.len();
            }
        }
        pair.pass(Duration::from_millis(100));
        if pair.a.stats().pinned_octets == 0 {
            break;
        }
    }
    assert_eq!(pair.a.stats().pinned_octets, 0, "read {read}");
}

#[test]
fn the_same_seed_and_the_same_inputs_give_the_same_packets() {
    let run = || {
        let mut pair = Pair::plain();
        let trace = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let seen = trace.clone();
        pair.filter = Some(Box::new(move |_, packet| {
            seen.borrow_mut().push(packet.clone());
            true
        }));
        for port in 80..100 {
            let (client, server) = pair.connected(at(B4, port));
            let data = pattern(20_000);
            pair.transfer(client, server, &data);
            pair.a.call_tcp_close(pair.now, client).expect("closes");
            pair.b.call_tcp_close(pair.now, server).expect("closes");
        }
        pair.pass(Duration::from_secs(100));
        trace.take()
    };
    assert!(run() == run());
}
