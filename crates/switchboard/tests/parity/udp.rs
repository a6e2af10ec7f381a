// `UdpSocket`.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;

use helpers::{kind, moment, soon, udp_pair, waits};
use tokio::io::{Interest, ReadBuf};

#[test]
fn there_and_back() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        assert_eq!(kind(client.peer_addr()), ErrorKind::NotConnected);
        assert_eq!(client.send_to(b"hello", address).await.unwrap(), 5);
        let mut buffer = [0; 16];
        let (count, from) = soon(server.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((count, from), (5, client.local_addr().unwrap()));
        server.writable().await.unwrap();
        assert_eq!(server.try_send_to(b"reply", from).unwrap(), 5);
        assert_eq!(soon(client.recv(&mut buffer)).await.unwrap(), 5);
        client.connect(address).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(client.send(b"again").await.unwrap(), 5);
        assert_eq!(client.try_send(b"and again").unwrap(), 9);
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 5);
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 9);
    });
}

#[test]
fn receiving_in_every_way() {
    run(async {
        let (one, other) = udp_pair().await;
        let from = one.local_addr().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(kind(other.try_recv(&mut buffer)), ErrorKind::WouldBlock);
        assert_eq!(
            kind(other.try_recv_from(&mut buffer)),
            ErrorKind::WouldBlock
        );
        let mut vec = Vec::with_capacity(16);
        assert_eq!(kind(other.try_recv_buf(&mut vec)), ErrorKind::WouldBlock);
        assert_eq!(
            kind(other.try_recv_buf_from(&mut vec)),
            ErrorKind::WouldBlock
        );
        for round in 0..8u8 {
            one.send(&[round]).await.unwrap();
        }
        soon(other.readable()).await.unwrap();
        assert_eq!(other.try_recv(&mut buffer).unwrap(), 1);
        assert_eq!(other.try_recv_from(&mut buffer).unwrap(), (1, from));
        assert_eq!(other.try_recv_buf(&mut vec).unwrap(), 1);
        assert_eq!(other.try_recv_buf_from(&mut vec).unwrap(), (1, from));
        assert_eq!(other.recv_buf(&mut vec).await.unwrap(), 1);
        assert_eq!(other.recv_buf_from(&mut vec).await.unwrap(), (1, from));
        assert_eq!(vec, [2, 3, 4, 5]);
        let mut space = ReadBuf::new(&mut buffer);
        poll_fn(|cx| other.poll_recv(cx, &mut space)).await.unwrap();
        let sender = poll_fn(|cx| other.poll_recv_from(cx, &mut space)).await;
        assert_eq!(sender.unwrap(), from);
        assert_eq!(space.filled(), [6, 7]);
    });
}

#[test]
fn sending_in_every_way() {
    run(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        let sent = poll_fn(|cx| one.poll_send_to(cx, b"a", address)).await;
        assert_eq!(sent.unwrap(), 1);
        one.connect(address).await.unwrap();
        let sent = poll_fn(|cx| one.poll_send(cx, b"bc")).await;
        assert_eq!(sent.unwrap(), 2);
        // Somebody else can still be named.
        let third = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        one.send_to(b"def", third.local_addr().unwrap())
            .await
            .unwrap();
        let mut buffer = [0; 8];
        assert_eq!(soon(other.recv(&mut buffer)).await.unwrap(), 1);
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 2);
        assert_eq!(soon(third.recv(&mut buffer)).await.unwrap(), 3);
    });
}

#[test]
fn peeking_takes_nothing() {
    run(async {
        let (one, other) = udp_pair().await;
        let from = one.local_addr().unwrap();
        let mut buffer = [0; 16];
        assert_eq!(kind(other.try_peek(&mut buffer)), ErrorKind::WouldBlock);
        assert_eq!(
            kind(other.try_peek_from(&mut buffer)),
            ErrorKind::WouldBlock
        );
        assert_eq!(kind(other.try_peek_sender()), ErrorKind::WouldBlock);
        assert!(waits(other.peek(&mut buffer)).await);
        one.send(b"hello").await.unwrap();
        assert_eq!(soon(other.peek(&mut buffer)).await.unwrap(), 5);
        assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (5, from));
        assert_eq!(other.peek_sender().await.unwrap(), from);
        assert_eq!(other.try_peek(&mut buffer).unwrap(), 5);
        assert_eq!(other.try_peek_from(&mut buffer[..2]).unwrap(), (2, from));
        assert_eq!(other.try_peek_sender().unwrap(), from);
        let mut space = ReadBuf::new(&mut buffer);
        poll_fn(|cx| other.poll_peek(cx, &mut space)).await.unwrap();
        assert_eq!(space.filled(), b"hello");
        space.clear();
        let sender = poll_fn(|cx| other.poll_peek_from(cx, &mut space)).await;
        assert_eq!(sender.unwrap(), from);
        let sender = poll_fn(|cx| other.poll_peek_sender(cx)).await;
        assert_eq!(sender.unwrap(), from);
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 5);
        assert!(waits(other.peek_sender()).await);
    });
}

#[test]
fn what_does_not_fit_is_lost() {
    run(async {
        let (one, other) = udp_pair().await;
        one.send(b"hello").await.unwrap();
        one.send(b"there").await.unwrap();
        one.send(b"you").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(other.recv(&mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(&buffer[..2], b"he");
        let mut vec = Vec::with_capacity(3);
        assert_eq!(other.recv_buf(&mut vec).await.unwrap(), 3);
        assert_eq!(vec, b"the");
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 3);
    });
}

#[test]
fn nothing_is_a_datagram_too() {
    run(async {
        let (one, other) = udp_pair().await;
        assert_eq!(one.send(b"").await.unwrap(), 0);
        assert_eq!(one.send(b"x").await.unwrap(), 1);
        let mut buffer = [0; 8];
        assert_eq!(
            other.peek_sender().await.unwrap(),
            one.local_addr().unwrap()
        );
        assert_eq!(other.recv(&mut buffer).await.unwrap(), 0);
        assert_eq!(other.recv(&mut []).await.unwrap(), 0);
        assert!(waits(other.recv(&mut buffer)).await);
    });
}

#[test]
fn a_large_one_arrives_whole() {
    run(async {
        let (one, other) = udp_pair().await;
        let data: Vec<u8> = (0..65_507u32).map(|place| place as u8).collect();
        assert_eq!(one.send(&data).await.unwrap(), 65_507);
        let mut buffer = vec![0; 1 << 16];
        assert_eq!(soon(other.recv(&mut buffer)).await.unwrap(), 65_507);
        assert!(buffer[..65_507] == data);
        // One octet more than IPv4 can carry.
        assert!(one.send(&[0; 65_508]).await.is_err());
    });
}

#[test]
fn a_connected_socket_hears_its_peer_alone() {
    run(async {
        let (one, other) = udp_pair().await;
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        stranger.send_to(b"psst", address).await.unwrap();
        one.send(b"hello").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(soon(other.recv(&mut buffer)).await.unwrap(), 5);
        assert!(waits(other.recv(&mut buffer)).await);
        // Another peer may be chosen.
        other.connect(stranger.local_addr().unwrap()).await.unwrap();
        stranger.send_to(b"psst", address).await.unwrap();
        assert_eq!(soon(other.recv(&mut buffer)).await.unwrap(), 4);
    });
}

#[test]
fn readiness() {
    run(async {
        let (one, other) = udp_pair().await;
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = one.ready(both).await.unwrap();
        assert!(ready.is_writable() && !ready.is_readable());
        assert!(!ready.is_read_closed() && !ready.is_write_closed());
        poll_fn(|cx| one.poll_send_ready(cx)).await.unwrap();
        assert!(waits(other.readable()).await);
        assert!(waits(other.ready(Interest::READABLE)).await);
        let (ready, sent) = tokio::join!(
            soon(poll_fn(|cx| other.poll_recv_ready(cx))),
            one.send(b"hello")
        );
        ready.unwrap();
        sent.unwrap();
        let ready = other.ready(both).await.unwrap();
        assert!(ready.is_readable() && ready.is_writable());
        let mut buffer = [0; 8];
        assert_eq!(other.try_recv(&mut buffer).unwrap(), 5);
        assert_eq!(kind(other.try_recv(&mut buffer)), ErrorKind::WouldBlock);
        assert!(waits(other.readable()).await);
    });
}

#[test]
fn try_io_and_async_io() {
    run(async {
        let (one, other) = udp_pair().await;
        let mut buffer = [0; 8];
        let never = || -> std::io::Result<()> { panic!("it is not ready") };
        assert_eq!(
            kind(other.try_io(Interest::READABLE, never)),
            ErrorKind::WouldBlock
        );
        one.send(b"hello").await.unwrap();
        soon(other.readable()).await.unwrap();
        let would_block = || Err::<(), _>(ErrorKind::WouldBlock.into());
        assert_eq!(
            kind(other.try_io(Interest::READABLE, would_block)),
            ErrorKind::WouldBlock
        );
        assert!(waits(other.readable()).await);
        one.send(b"more").await.unwrap();
        let received = other.async_io(Interest::READABLE, || other.try_recv(&mut buffer));
        assert_eq!(soon(received).await.unwrap(), 5);
        let sent = other.async_io(Interest::WRITABLE, || other.try_send(b"back"));
        assert_eq!(sent.await.unwrap(), 4);
        assert_eq!(soon(one.recv(&mut buffer)).await.unwrap(), 4);
    });
}

#[test]
fn receives_that_are_dropped_lose_nothing() {
    run(async {
        let (one, other) = udp_pair().await;
        let mut buffer = [0; 8];
        for round in 0..5u8 {
            assert!(waits(other.recv(&mut buffer)).await);
            assert!(waits(other.recv_from(&mut buffer)).await);
            one.send(&[round]).await.unwrap();
            assert_eq!(soon(other.recv(&mut buffer)).await.unwrap(), 1);
            assert_eq!(buffer[0], round);
        }
    });
}

#[test]
fn several_tasks_receive() {
    run(async {
        let (one, other) = udp_pair().await;
        let other = Arc::new(other);
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let other = Arc::clone(&other);
                tokio::spawn(async move {
                    let mut buffer = [0; 8];
                    other.recv(&mut buffer).await.unwrap();
                    buffer[0]
                })
            })
            .collect();
        moment().await;
        for round in 0..4u8 {
            one.send(&[round]).await.unwrap();
        }
        let mut got = Vec::new();
        for task in tasks {
            got.push(soon(task).await.unwrap());
        }
        got.sort();
        assert_eq!(got, [0, 1, 2, 3]);
    });
}

#[test]
fn options() {
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        assert_eq!(socket.ttl().unwrap(), 64);
        socket.set_ttl(7).unwrap();
        assert_eq!(socket.ttl().unwrap(), 7);
        assert_eq!(kind(socket.set_ttl(0)), ErrorKind::InvalidInput);
        assert_eq!(kind(socket.set_ttl(256)), ErrorKind::InvalidInput);
        assert_eq!(socket.tos_v4().unwrap(), 0);
        socket.set_tos_v4(0b1011_1010).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0b1011_1010);
        assert_eq!(socket.device().unwrap(), None);
        socket.bind_device(None).unwrap();
        assert!(socket.bind_device(Some(b"nosuchdevice")).is_err());
        assert!(socket.take_error().unwrap().is_none());
        let socket = UdpSocket::bind("[::1]:0").await.unwrap();
        socket.set_tclass_v6(0b1011_1010).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0b1011_1010);
        assert_eq!(kind(socket.set_tclass_v6(256)), ErrorKind::InvalidInput);
    });
}

#[test]
#[allow(deprecated, reason = "the old names are there too")]
fn old_names() {
    run(async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.set_tos(0b1011_1000).unwrap();
        assert_eq!(socket.tos().unwrap(), 0b1011_1000);
    });
}

#[test]
fn groups_are_joined_and_left() {
    run(async {
        let socket = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        assert!(socket.multicast_loop_v4().unwrap());
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 1);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let here = Ipv4Addr::LOCALHOST;
        let none = socket.join_multicast_v4(Ipv4Addr::new(10, 0, 0, 1), here);
        assert_eq!(kind(none), ErrorKind::InvalidInput);
        socket.join_multicast_v4(group, here).unwrap();
        let again = socket.join_multicast_v4(group, here);
        assert_eq!(kind(again), ErrorKind::AddrInUse);
        socket.leave_multicast_v4(group, here).unwrap();
        let again = socket.leave_multicast_v4(group, here);
        assert_eq!(kind(again), ErrorKind::AddrNotAvailable);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        let nowhere = socket.join_multicast_v4(group, Ipv4Addr::new(192, 0, 2, 1));
        assert!(nowhere.is_err());
        let socket = UdpSocket::bind("[::]:0").await.unwrap();
        assert!(socket.multicast_loop_v6().unwrap());
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        let group = "ff02::1234".parse().unwrap();
        assert_eq!(
            kind(socket.leave_multicast_v6(&group, 1)),
            ErrorKind::AddrNotAvailable
        );
        socket.join_multicast_v6(&group, 1).unwrap();
        socket.leave_multicast_v6(&group, 1).unwrap();
        assert!(socket.join_multicast_v6(&group, 9999).is_err());
    });
}
