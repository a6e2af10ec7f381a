use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

/// Whatever crosses a loopback needs a moment.
async fn moment() {
    tokio::time::sleep(Duration::from_millis(30)).await;
}

#[test]
fn addresses_agree() {
    run(async {
        let (client, server) = tcp_pair().await;
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert_eq!(client.peer_addr().unwrap(), server.local_addr().unwrap());
        assert!(client.peer_addr().unwrap().ip().is_loopback());
    });
}

#[test]
fn refused() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn the_second_address_is_tried() {
    run(async {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let targets = [closed.local_addr().unwrap(), open.local_addr().unwrap()];
        drop(closed);
        let stream = TcpStream::connect(&targets[..]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), targets[1]);
    });
}

#[test]
fn errors_of_binding() {
    run(async {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        let error = TcpListener::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = TcpListener::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let first = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let error = UdpSocket::bind(first.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let error = UdpSocket::bind("192.0.2.1:0").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn half_close() {
    run(async {
        let (mut client, mut server) = tcp_pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        let mut said = Vec::new();
        server.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"question");
        server.write_all(b"answer").await.unwrap();
        server.shutdown().await.unwrap();
        said.clear();
        client.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"answer");
        let error = client.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn unread_data_at_close_resets() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        client.write_all(b"never read").await.unwrap();
        server.readable().await.unwrap();
        drop(server);
        moment().await;
        let mut buffer = [0; 8];
        let error = client.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.read(&mut buffer).await.unwrap(), 0);
        let error = client.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn writing_to_a_closed_peer_resets_then_breaks() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        drop(server);
        moment().await;
        assert_eq!(client.write(b"x").await.unwrap(), 1);
        moment().await;
        let error = client.write(b"x").await.unwrap_err();
        // Linux: the reset came after the peer's FIN, so the pipe is broken.
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn zero_linger_resets() {
    run(async {
        let (mut client, server) = tcp_pair().await;
        server.set_zero_linger().unwrap();
        drop(server);
        moment().await;
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn readiness() {
    run(async {
        let (client, server) = tcp_pair().await;
        let mut buffer = [0; 16];
        let error = server.try_read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let ready = client.ready(Interest::READABLE | Interest::WRITABLE).await;
        let ready = ready.unwrap();
        assert!(ready.is_writable() && !ready.is_readable());
        assert_eq!(client.try_write(b"hello").unwrap(), 5);
        server.readable().await.unwrap();
        assert_eq!(server.peek(&mut buffer).await.unwrap(), 5);
        let (one, rest) = buffer.split_at_mut(1);
        let mut bufs = [IoSliceMut::new(one), IoSliceMut::new(rest)];
        assert_eq!(server.try_read_vectored(&mut bufs).unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
        let error = server.try_read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let bufs = [IoSlice::new(b"ab"), IoSlice::new(b"c")];
        assert_eq!(client.try_write_vectored(&bufs).unwrap(), 3);
        server.readable().await.unwrap();
        let mut vec = Vec::with_capacity(8);
        assert_eq!(server.try_read_buf(&mut vec).unwrap(), 3);
        drop(client);
        let ready = server.ready(Interest::READABLE).await.unwrap();
        assert!(ready.is_readable());
        assert_eq!(server.try_read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn owned_halves() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (mut read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
        server.write_all(b"late").await.unwrap();
        drop(server);
        let mut got = Vec::new();
        read.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"late");
    });
}

#[test]
fn a_forgotten_half_does_not_end_the_stream() {
    run(async {
        let (client, mut server) = tcp_pair().await;
        let (read, write) = client.into_split();
        write.forget();
        let wait = Duration::from_millis(30);
        let mut buffer = [0; 4];
        assert!(tokio::time::timeout(wait, server.read(&mut buffer)).await.is_err());
        drop(read);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0);
    });
}

#[test]
fn options() {
    run(async {
        let (client, _server) = tcp_pair().await;
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        assert_eq!(client.ttl().unwrap(), 64);
        client.set_ttl(7).unwrap();
        assert_eq!(client.ttl().unwrap(), 7);
        assert_eq!(client.linger().unwrap(), None);
        assert!(client.take_error().unwrap().is_none());
        let socket = TcpSocket::new_v4().unwrap();
        assert!(!socket.reuseaddr().unwrap());
        socket.set_reuseaddr(true).unwrap();
        assert!(socket.reuseaddr().unwrap());
        assert!(!socket.keepalive().unwrap());
        socket.set_keepalive(true).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.local_addr().unwrap().port(), 0);
        assert!(socket.bind("[::1]:0".parse().unwrap()).is_err());
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        assert_ne!(listener.local_addr().unwrap().port(), 0);
    });
}

#[test]
fn datagrams() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let mut buffer = [0; 16];
        let error = client.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(client.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(client.send_to(b"hello", address).await.unwrap(), 5);
        let (count, from) = server.peek_from(&mut buffer).await.unwrap();
        assert_eq!((count, from), (5, client.local_addr().unwrap()));
        let (count, _) = server.recv_from(&mut buffer[..2]).await.unwrap();
        assert_eq!(count, 2);
        let error = server.try_recv(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        client.connect(address).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        client.send(b"").await.unwrap();
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 0);
        let mut vec = Vec::with_capacity(8);
        server.send_to(b"reply", from).await.unwrap();
        assert_eq!(client.recv_buf(&mut vec).await.unwrap(), 5);
        assert_eq!(vec, b"reply");
    });
}

#[test]
fn a_datagram_that_nobody_takes_is_refused() {
    run(async {
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(address).await.unwrap();
        client.send(b"anybody?").await.unwrap();
        let error = client.recv(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn addresses_are_looked_up() {
    run(async {
        let found: Vec<_> = lookup_host("127.0.0.1:80").await.unwrap().collect();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
        let found: Vec<_> = lookup_host(("::1", 80)).await.unwrap().collect();
        assert_eq!(found, ["[::1]:80".parse().unwrap()]);
        let mut found = lookup_host("localhost:80").await.unwrap();
        assert!(found.all(|address| address.ip().is_loopback()));
        let error = lookup_host("no port").await.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}
