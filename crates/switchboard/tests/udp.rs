//! Datagrams between two hosts joined by a pipe.

mod common;

use std::io::ErrorKind;
use std::net::IpAddr;

use bytes::{Bytes, BytesMut};
use common::{A, B, run, two_hosts};
use switchboard::{SocketError, UdpMeta};

#[test]
fn datagrams_go_there_and_back() {
    run(async {
        let (a, b) = two_hosts();
        let server = b.udp_bind((B, 53)).await.unwrap();
        let client = a.udp_bind("0.0.0.0:0").await.unwrap();
        let port = client.local_addr().unwrap().port();
        assert_ne!(port, 0);
        client.send_to(b"question", (B, 53)).await.unwrap();
        let mut buffer = [0; 64];
        let (count, from) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..count], from.port()), (&b"question"[..], port));
        assert_eq!(from.ip().to_string(), A);
        server.send_to(b"answer", from).await.unwrap();
        assert_eq!(client.peek(&mut buffer).await.unwrap(), 6);
        // What does not fit is lost.
        let (count, from) = client.recv_from(&mut buffer[..3]).await.unwrap();
        assert_eq!((&buffer[..count], from.port()), (&b"ans"[..], 53));
        let error = client.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone_and_learns_of_refusals() {
    run(async {
        let (a, b) = two_hosts();
        let client = a.udp_bind((A, 0)).await.unwrap();
        let error = client.send(b"to whom?").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotConnected);
        assert_eq!(
            client.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        client.connect((B, 9)).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().port(), 9);
        client.send(b"anybody?").await.unwrap();
        let error = client.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let peer = b.udp_bind((B, 9)).await.unwrap();
        let stranger = b.udp_bind((B, 10)).await.unwrap();
        let address = client.local_addr().unwrap();
        stranger.send_to(b"psst", address).await.unwrap();
        peer.send_to(b"hello", address).await.unwrap();
        let mut buffer = BytesMut::with_capacity(64);
        client.recv_buf(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..], b"hello");
    });
}

#[test]
fn a_datagram_of_60_000_octets_is_cut_and_put_together() {
    run(async {
        let (a, b) = two_hosts();
        let server = b.udp_bind((B, 53)).await.unwrap();
        let client = a.udp_bind((A, 0)).await.unwrap();
        let mut data = vec![0; 60_000];
        common::fill(0, &mut data);
        client.send_to(&data, (B, 53)).await.unwrap();
        let (payload, meta) = server.recv_message().await.unwrap();
        assert!(payload == data);
        server.send_to(&payload, meta.remote).await.unwrap();
        let (payload, _) = client.recv_message().await.unwrap();
        assert!(payload == data);
        let error = client.send_to(&[0; 70_000], (B, 53)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn what_comes_with_a_datagram_is_told() {
    run(async {
        let (a, b) = two_hosts();
        let server = b.udp_bind("0.0.0.0:53").await.unwrap();
        let client = a.udp_bind((A, 0)).await.unwrap();
        let meta = UdpMeta {
            hop_limit: Some(17),
            traffic_class: Some(0b1011_1001),
            dont_fragment: true,
            ..UdpMeta::to(format!("{B}:53").parse().unwrap())
        };
        let sent = client.send_message(Bytes::from_static(b"x"), Some(meta));
        sent.await.unwrap();
        let (_, meta) = server.recv_message().await.unwrap();
        assert_eq!(meta.hop_limit, Some(17));
        assert_eq!(meta.traffic_class, Some(0b1011_1001));
        assert!(meta.dont_fragment);
        assert_eq!(meta.local.to_string(), format!("{B}:53"));
    });
}

#[test]
fn several_tasks_receive_and_each_datagram_goes_to_one() {
    run(async {
        let (a, b) = two_hosts();
        let server = std::sync::Arc::new(b.udp_bind((B, 53)).await.unwrap());
        let receivers: Vec<_> = (0..20)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { server.recv(&mut [0; 8]).await.unwrap() })
            })
            .collect();
        let client = a.udp_bind((A, 0)).await.unwrap();
        for _ in 0..20 {
            tokio::task::yield_now().await;
            client.send_to(b"one", (B, 53)).await.unwrap();
        }
        for receiver in receivers {
            assert_eq!(receiver.await.unwrap(), 3);
        }
    });
}

#[test]
fn a_port_can_be_taken_once() {
    run(async {
        let (_a, b) = two_hosts();
        let first = b.udp_bind((B, 53)).await.unwrap();
        let error = b.udp_bind((B, 53)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(first);
        b.udp_bind((B, 53)).await.unwrap();
        let error = b.udp_bind("192.0.2.1:53").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn a_send_that_fails_says_who_refused() {
    run(async {
        let (a, b) = two_hosts();
        let socket = a.udp_bind((A, 0)).await.unwrap();
        socket.connect((B, 9)).await.unwrap();
        socket.send(b"one").await.unwrap();
        socket.send(b"two").await.unwrap();
        // Both draw an error; readable says so without taking one.
        socket.readable().await.unwrap();
        while b.stats().icmp_errors_sent < 2 || a.stats().icmp_errors_received < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let error = socket.send(b"three").await.unwrap_err();
            let offender = match SocketError::of(&error) {
                Some(SocketError::Returned { offender, .. }) => *offender,
                other => panic!("{other:?}"),
            };
            assert_eq!(offender, B.parse::<IpAddr>().unwrap());
        }
        socket.send(b"three").await.unwrap();
    });
}

#[test]
fn buffers_of_no_size_have_the_least_size() {
    run(async {
        let (a, b) = two_hosts();
        let sender = a.udp_bind("10.0.0.1:0").await.unwrap();
        let receiver = b.udp_bind("10.0.0.2:7").await.unwrap();
        for socket in [&sender, &receiver] {
            socket.set_send_buffer_size(0).unwrap();
            socket.set_recv_buffer_size(0).unwrap();
            assert_eq!(socket.send_buffer_size().unwrap(), 512);
            assert_eq!(socket.recv_buffer_size().unwrap(), 512);
        }
        sender.send_to(b"hello", "10.0.0.2:7").await.unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 5);
    });
}
