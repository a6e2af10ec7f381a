// What goes wrong with datagrams.

use std::io::ErrorKind;
use std::net::SocketAddr;

use helpers::{kind, moment, soon, waits};
use tokio::io::Interest;

/// A connected socket whose peer is gone.
async fn lonely() -> (UdpSocket, SocketAddr) {
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(address).await.unwrap();
    (socket, address)
}

#[test]
fn errors_of_binding() {
    run(async {
        let first = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(kind(UdpSocket::bind(address).await), ErrorKind::AddrInUse);
        assert_eq!(
            kind(UdpSocket::bind("192.0.2.1:0").await),
            ErrorKind::AddrNotAvailable
        );
        let choice = [address, "127.0.0.1:0".parse().unwrap()];
        UdpSocket::bind(&choice[..]).await.unwrap();
        drop(first);
        UdpSocket::bind(address).await.unwrap();
    });
}

#[test]
fn without_a_destination_nothing_is_sent() {
    run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert!(socket.send(b"x").await.is_err());
        assert!(socket.try_send(b"x").is_err());
        assert_eq!(kind(socket.peer_addr()), ErrorKind::NotConnected);
    });
}

#[test]
fn a_refusal_is_told_to_the_next_receive_once() {
    run(async {
        let (socket, _) = lonely().await;
        socket.send(b"anybody?").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(
            kind(soon(socket.recv(&mut buffer)).await),
            ErrorKind::ConnectionRefused
        );
        assert!(waits(socket.recv(&mut buffer)).await);
    });
}

#[test]
fn a_refusal_is_told_to_the_next_send_once() {
    run(async {
        let (socket, _) = lonely().await;
        socket.send(b"anybody?").await.unwrap();
        moment().await;
        assert_eq!(
            kind(socket.send(b"anybody?").await),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn a_refusal_can_be_taken() {
    run(async {
        let (socket, _) = lonely().await;
        socket.send(b"anybody?").await.unwrap();
        moment().await;
        let error = socket.take_error().unwrap().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn a_refusal_closes_no_direction() {
    run(async {
        let (socket, _) = lonely().await;
        socket.send(b"anybody?").await.unwrap();
        moment().await;
        let interest = Interest::READABLE | Interest::ERROR;
        let ready = soon(socket.ready(interest)).await.unwrap();
        assert!(ready.is_error(), "{ready:?}");
        assert!(!ready.is_read_closed(), "{ready:?}");
    });
}

#[test]
fn who_is_not_connected_hears_of_no_refusal() {
    run(async {
        let (other, gone) = lonely().await;
        drop(other);
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(b"anybody?", gone).await.unwrap();
        moment().await;
        assert!(waits(socket.recv(&mut [0; 8])).await);
        assert!(socket.take_error().unwrap().is_none());
        socket.send_to(b"anybody?", gone).await.unwrap();
    });
}
