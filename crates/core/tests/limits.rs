//! Each bound of `Limits` that no other test reaches.

mod common;

use std::time::Duration;

use common::{A4, A6, B4, B6, Pair, at, config};
use switchboard_core::{
    AcceptError, BindError, Config, ConnectError, DropReason, Event, Incoming, State, TcpOptions,
    UdpOptions,
};

#[test]
fn connections_are_counted_on_both_sides() {
    let (mut a, mut b) = (config(A4, A6), config(B4, B6));
    a.limits.connections = 3;
    b.limits.connections = 2;
    let mut pair = Pair::new(a, b);
    let options = TcpOptions::default();
    pair.b
        .call_tcp_listen(at(B4, 80), 16, &options)
        .expect("listens");
    for _ in 0..3 {
        let client = pair
            .a
            .call_tcp_connect(pair.now, None, at(B4, 80), &options);
        client.expect("calls");
        pair.settle();
    }
    let fourth = pair
        .a
        .call_tcp_connect(pair.now, None, at(B4, 80), &options);
    assert_eq!(fourth, Err(ConnectError::NoBuffers));
    assert_eq!(pair.b.stats().dropped(DropReason::ConnectionsFull), 1);
}

#[test]
fn a_flow_that_finds_no_room_still_waits() {
    let mut gateway = Config {
        any_address: true,
        ..config(B4, B6)
    };
    gateway.limits.connections = 0;
    gateway.limits.udp_sockets = 0;
    let mut pair = Pair::new(config(A4, A6), gateway);
    let far = at("192.0.2.1", 80);
    let options = TcpOptions::default();
    pair.a
        .call_tcp_connect(pair.now, None, far, &options)
        .expect("calls");
    let client = pair
        .a
        .call_udp_bind(at(A4, 0), &UdpOptions::default())
        .expect("binds");
    pair.a.call_udp_connect(client, far).expect("connects");
    pair.a
        .call_udp_send(pair.now, client, bytes::Bytes::new(), None)
        .expect("sends");
    pair.settle();
    let mut seen = 0;
    for event in pair.events_b.drain(..).collect::<Vec<_>>() {
        let (error, id) = match event {
            Event::Incoming(Incoming::Tcp { id, .. }) => {
                (pair.b.accept_tcp(pair.now, id, &options).map(drop), id)
            }
            Event::Incoming(Incoming::Udp { id, .. }) => {
                let options = UdpOptions::default();
                (pair.b.accept_udp(pair.now, id, &options).map(drop), id)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(error, Err(AcceptError::NoBuffers));
        assert!(pair.b.is_pending(id));
        seen += 1;
    }
    assert_eq!(seen, 2);
    let bound = pair.b.call_udp_bind(at(B4, 53), &UdpOptions::default());
    assert_eq!(bound, Err(BindError::NoBuffers));
}

#[test]
fn the_oldest_record_of_time_wait_makes_room() {
    let mut a = config(A4, A6);
    a.limits.time_wait = 5;
    let mut pair = Pair::new(a, config(B4, B6));
    for _ in 0..20 {
        let (client, server) = pair.connected(at(B4, 80));
        pair.a.call_tcp_close(pair.now, client).expect("closes");
        pair.settle();
        pair.b.call_tcp_close(pair.now, server).expect("closes");
        pair.settle();
        pair.now += Duration::from_millis(1);
    }
    let waiting = pair
        .a
        .sockets()
        .filter(|socket| socket.state == Some(State::TimeWait));
    assert_eq!(waiting.count(), 5);
    assert_eq!(pair.a.stats().dropped(DropReason::TimeWaitFull), 15);
    pair.pass(Duration::from_secs(61));
    assert_eq!(pair.a.sockets().count(), 0);
}

#[test]
fn a_handle_of_another_shard_names_nothing() {
    let shard = |number| Config {
        shard: number,
        ..config(A4, A6)
    };
    let mut pair = Pair::new(shard(1), config(B4, B6));
    let mut other = Pair::new(shard(2), config(B4, B6));
    let (client, _) = pair.connected(at(B4, 80));
    let (same_place, _) = other.connected(at(B4, 80));
    assert_eq!((client.shard(), same_place.shard()), (1, 2));
    assert_eq!(client.index(), same_place.index());
    assert!(other.a.tcp_info(client).is_err());
}
