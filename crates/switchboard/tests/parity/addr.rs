// `ToSocketAddrs` and `lookup_host`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use helpers::{kind, listening};

async fn found(host: impl ToSocketAddrs) -> Vec<SocketAddr> {
    lookup_host(host).await.unwrap().collect()
}

#[test]
fn every_form_of_an_address() {
    run(async {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(found("127.0.0.1:80").await, [v4]);
        assert_eq!(found("[::1]:80").await, [v6]);
        assert_eq!(found(String::from("127.0.0.1:80")).await, [v4]);
        assert_eq!(found(&String::from("127.0.0.1:80")).await, [v4]);
        assert_eq!(found(("127.0.0.1", 80)).await, [v4]);
        assert_eq!(found(("::1", 80)).await, [v6]);
        assert_eq!(found((String::from("::1"), 80)).await, [v6]);
        assert_eq!(found((IpAddr::from(Ipv4Addr::LOCALHOST), 80)).await, [v4]);
        assert_eq!(found((Ipv4Addr::LOCALHOST, 80)).await, [v4]);
        assert_eq!(found((Ipv6Addr::LOCALHOST, 80)).await, [v6]);
        assert_eq!(found(v4).await, [v4]);
        assert_eq!(found(&v6).await, [v6]);
        assert_eq!(
            found(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80)).await,
            [v4]
        );
        assert_eq!(
            found(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0)).await,
            [v6]
        );
        assert_eq!(found(&[v4, v6][..]).await, [v4, v6]);
    });
}

#[test]
fn names_and_what_is_none() {
    run(async {
        let mut found = lookup_host("localhost:80").await.unwrap();
        assert!(found.all(|address| address.ip().is_loopback() && address.port() == 80));
        assert_eq!(kind(lookup_host("no port").await), ErrorKind::InvalidInput);
        assert_eq!(
            kind(lookup_host("127.0.0.1:port").await),
            ErrorKind::InvalidInput
        );
        let nowhere: &[SocketAddr] = &[];
        assert_eq!(
            kind(TcpStream::connect(nowhere).await),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(TcpListener::bind(nowhere).await),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(UdpSocket::bind(nowhere).await),
            ErrorKind::InvalidInput
        );
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(
            kind(socket.send_to(b"x", nowhere).await),
            ErrorKind::InvalidInput
        );
        assert_eq!(kind(socket.connect(nowhere).await), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_name_is_connected_to() {
    run(async {
        let (listener, address) = listening().await;
        let (stream, accepted) = tokio::join!(
            TcpStream::connect(("localhost", address.port())),
            listener.accept()
        );
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
        accepted.unwrap();
    });
}

/// Whoever listens everywhere says so as its address, and programs connect to what it says.
#[test]
fn the_unspecified_address_is_this_host() {
    run(async {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_unspecified());
        let (stream, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let stream = stream.unwrap();
        let peer = stream.peer_addr().unwrap();
        assert_eq!(peer, (Ipv4Addr::LOCALHOST, address.port()).into());
        assert_eq!(accepted.unwrap().1, stream.local_addr().unwrap());
        let receiver = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let address = receiver.local_addr().unwrap();
        let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        sender.send_to(b"here", address).await.unwrap();
        assert_eq!(receiver.recv(&mut [0; 8]).await.unwrap(), 4);
        sender.connect(address).await.unwrap();
        let peer = sender.peer_addr().unwrap();
        assert_eq!(peer, (Ipv4Addr::LOCALHOST, address.port()).into());
    });
}
