// `TcpSocket`.

use std::io::ErrorKind;
use std::time::Duration;

use helpers::{kind, listening, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[test]
fn options_are_kept() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        assert!(!socket.reuseaddr().unwrap());
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        assert!(!socket.reuseport().unwrap());
        socket.set_reuseport(true).unwrap();
        assert!(socket.reuseport().unwrap());
        assert!(!socket.keepalive().unwrap());
        socket.set_keepalive(true).unwrap();
        assert!(socket.keepalive().unwrap());
        assert!(!socket.nodelay().unwrap());
        socket.set_nodelay(true).unwrap();
        assert!(socket.nodelay().unwrap());
        assert_eq!(socket.linger().unwrap(), None);
        socket.set_zero_linger().unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        socket.set_send_buffer_size(16 << 10).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 16 << 10);
        socket.set_recv_buffer_size(16 << 10).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 16 << 10);
        assert_eq!(socket.tos_v4().unwrap(), 0);
        socket.set_tos_v4(0b1011_1000).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0b1011_1000);
        assert_eq!(socket.device().unwrap(), None);
        socket.bind_device(None).unwrap();
        assert!(socket.bind_device(Some(b"nosuchdevice")).is_err());
        assert!(socket.take_error().unwrap().is_none());
        assert_eq!(socket.local_addr().unwrap(), "0.0.0.0:0".parse().unwrap());
        let socket = TcpSocket::new_v6().unwrap();
        socket.set_tclass_v6(0b1011_1000).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0b1011_1000);
        assert_eq!(kind(socket.set_tclass_v6(256)), ErrorKind::InvalidInput);
        assert_eq!(socket.local_addr().unwrap(), "[::]:0".parse().unwrap());
    });
}

#[test]
#[allow(deprecated, reason = "the old names are there too")]
fn old_names() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
        socket.set_tos(0b1011_1000).unwrap();
        assert_eq!(socket.tos().unwrap(), 0b1011_1000);
    });
}

#[test]
fn binding_takes_the_port() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        assert!(socket.bind("[::1]:0".parse().unwrap()).is_err());
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let again = socket.bind("127.0.0.1:0".parse().unwrap());
        assert_eq!(kind(again), ErrorKind::InvalidInput);
        let other = TcpSocket::new_v4().unwrap();
        assert_eq!(kind(other.bind(address)), ErrorKind::AddrInUse);
        other.set_reuseaddr(true).unwrap();
        assert_eq!(kind(other.bind(address)), ErrorKind::AddrInUse);
        let everywhere = ("0.0.0.0", address.port());
        assert_eq!(
            kind(TcpListener::bind(everywhere).await),
            ErrorKind::AddrInUse
        );
        let foreign = "192.0.2.1:0".parse().unwrap();
        assert_eq!(kind(other.bind(foreign)), ErrorKind::AddrNotAvailable);
        drop(socket);
        other.bind(address).unwrap();
        drop(other);
        TcpListener::bind(address).await.unwrap();
    });
}

#[test]
fn two_that_share_a_port_share_it_until_one_listens() {
    run(async {
        let sockets = [(); 3].map(|()| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket
        });
        let [first, second, third] = sockets;
        first.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        second.bind(address).unwrap();
        let listener = first.listen(8).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        assert_eq!(kind(second.listen(8)), ErrorKind::AddrInUse);
        assert_eq!(kind(third.bind(address)), ErrorKind::AddrInUse);
    });
}

#[test]
fn several_listen_where_all_say_so() {
    run(async {
        let share = || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseport(true).unwrap();
            socket
        };
        let first = share();
        first.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let _first = first.listen(8).unwrap();
        let second = share();
        second.bind(address).unwrap();
        let _second = second.listen(8).unwrap();
        assert_eq!(kind(TcpListener::bind(address).await), ErrorKind::AddrInUse);
    });
}

#[test]
fn it_connects_from_where_it_is_bound() {
    run(async {
        let (listener, address) = listening().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let local = socket.local_addr().unwrap();
        let (client, server) = tokio::join!(socket.connect(address), listener.accept());
        let client = client.unwrap();
        assert_eq!(client.local_addr().unwrap(), local);
        assert!(client.nodelay().unwrap());
        assert_eq!(server.unwrap().1, local);
        // The port is still taken.
        let other = TcpSocket::new_v4().unwrap();
        assert_eq!(kind(other.bind(local)), ErrorKind::AddrInUse);
    });
}

#[test]
fn the_same_pair_of_endpoints_is_not_available_twice() {
    run(async {
        let (listener, address) = listening().await;
        let share = || {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket
        };
        let (first, second) = (share(), share());
        first.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        second.bind(first.local_addr().unwrap()).unwrap();
        let (client, server) = tokio::join!(first.connect(address), listener.accept());
        let _held = (client.unwrap(), server.unwrap());
        assert_eq!(
            kind(second.connect(address).await),
            ErrorKind::AddrNotAvailable
        );
    });
}

#[test]
fn refused() {
    run(async {
        let (listener, address) = listening().await;
        drop(listener);
        let socket = TcpSocket::new_v4().unwrap();
        assert_eq!(
            kind(socket.connect(address).await),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn a_socket_connects_within_its_family() {
    run(async {
        let v4 = listening().await;
        let v6 = TcpListener::bind("[::1]:0").await.unwrap();
        let of_v6 = v6.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        assert!(socket.connect(of_v6).await.is_err());
        let socket = TcpSocket::new_v6().unwrap();
        assert_eq!(kind(socket.connect(v4.1).await), ErrorKind::InvalidInput);
        let socket = TcpSocket::new_v6().unwrap();
        assert_eq!(kind(socket.bind(v4.1)), ErrorKind::InvalidInput);
        let socket = TcpSocket::new_v6().unwrap();
        let (client, server) = tokio::join!(socket.connect(of_v6), v6.accept());
        client.unwrap();
        server.unwrap();
    });
}

#[test]
fn buffers_of_no_size_have_the_least_size() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(0).unwrap();
        socket.set_send_buffer_size(0).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 512);
        assert!(socket.send_buffer_size().unwrap() >= 512);
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(0).unwrap();
        socket.set_send_buffer_size(0).unwrap();
        let (client, server) = tokio::join!(socket.connect(address), listener.accept());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
        let (written, read) = tokio::join!(
            soon(async {
                client.write_all(&[7; 10_000]).await?;
                client.shutdown().await
            }),
            soon(async {
                let mut got = Vec::new();
                server.read_to_end(&mut got).await.map(|_| got)
            })
        );
        written.unwrap();
        assert_eq!(read.unwrap(), [7; 10_000]);
    });
}

#[test]
fn connections_take_after_their_listener() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        let listener = socket.listen(8).unwrap();
        let address = listener.local_addr().unwrap();
        assert!(address.ip().is_unspecified() && address.port() != 0);
        let target = ("127.0.0.1", address.port());
        let (client, server) = tokio::join!(TcpStream::connect(target), listener.accept());
        client.unwrap();
        assert!(server.unwrap().0.nodelay().unwrap());
    });
}
