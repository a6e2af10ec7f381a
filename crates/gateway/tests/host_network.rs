//! A network in this process whose other end is this machine's.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{Stream, loopbacks, within};
use switchboard::Unreachable;
use switchboard::net::TcpStream;
use switchboard::shape::{Chance, Conditions};
use switchboard_gateway::{Flow, HostNetwork, Verdict};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const SOON: Duration = Duration::from_secs(5);
const OCTETS: usize = 64 << 20;

async fn open() -> HostNetwork {
    let host = HostNetwork::builder().host_loopback(true);
    host.start().await.unwrap()
}

async fn host_listener(ip: IpAddr) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn v4() -> IpAddr {
    "127.0.0.1".parse().unwrap()
}

async fn send(mut to: impl AsyncWrite + Unpin) -> u64 {
    let mut stream = Stream::default();
    let mut buffer = vec![0; 64 << 10];
    for _ in 0..OCTETS / buffer.len() {
        stream.fill(&mut buffer);
        to.write_all(&buffer).await.unwrap();
    }
    to.shutdown().await.unwrap();
    stream.sum
}

async fn receive(mut from: impl AsyncRead + Unpin) -> (usize, u64) {
    let mut stream = Stream::default();
    let mut buffer = vec![0; 256 << 10];
    let mut octets = 0;
    loop {
        match from.read(&mut buffer).await.unwrap() {
            0 => return (octets, stream.sum),
            len => {
                stream.add(&buffer[..len]);
                octets += len;
            }
        }
    }
}

/// Code that knows nothing of gateways: tokio's names, an address that it was given.
async fn ask(server: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"ping").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn sixty_four_megabytes_each_way_arrive_whole() {
    let host = open().await;
    for loopback in loopbacks() {
        let (listener, address) = host_listener(loopback).await;
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, write) = stream.into_split();
            tokio::join!(receive(read), send(write))
        });
        let stream = host.net().tcp_connect(address).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let (read, write) = stream.into_split();
        let both = async { tokio::join!(receive(read), send(write)) };
        let (got, sent) = within(Duration::from_secs(60), both).await;
        let (server_got, server_sent) = server.await.unwrap();
        assert_eq!(got, (OCTETS, server_sent), "down, {loopback}");
        assert_eq!(server_got, (OCTETS, sent), "up, {loopback}");
    }
}

#[tokio::test]
async fn unchanged_code_half_closes_and_hears_the_answer() {
    let host = open().await;
    let (listener, address) = host_listener(v4()).await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = String::new();
            // Ends only because the end of the caller's stream came through.
            stream.read_to_string(&mut asked).await.unwrap();
            let answer = format!("{asked}-pong");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let answer = within(SOON, host.net().scope(ask(address))).await;
    assert_eq!(answer.unwrap(), "ping-pong");
    // By name, too: `localhost` is the host's.
    let by_name = ("localhost", address.port());
    within(SOON, host.net().tcp_connect(by_name)).await.unwrap();
}

#[tokio::test]
async fn a_closed_port_of_the_host_refuses_at_once() {
    let host = open().await;
    for loopback in loopbacks() {
        let (listener, address) = host_listener(loopback).await;
        drop(listener);
        let error = within(SOON, host.net().tcp_connect(address)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn the_loopback_is_the_networks_own_unless_it_is_asked_for() {
    let host = HostNetwork::start().await.unwrap();
    let (_listener, address) = host_listener(v4()).await;
    let error = within(SOON, host.net().tcp_connect(address)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // A listener of the network's own is found there.
    let inside = host.net().tcp_listen(address).await.unwrap();
    let (accepted, connected) = tokio::join!(inside.accept(), host.net().tcp_connect(address));
    assert_eq!(
        accepted.unwrap().1,
        connected.unwrap().local_addr().unwrap()
    );
    // And where the loopback is the host's, nobody else can claim it.
    let shared = open().await;
    let error = shared.net().tcp_listen("127.0.0.1:0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let error = shared.net().udp_bind("127.0.0.1:0").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
}

#[tokio::test]
async fn datagrams_go_out_and_answers_come_from_whom_they_were_sent_to() {
    let host = open().await;
    for loopback in loopbacks() {
        let server = UdpSocket::bind((loopback, 0)).await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (len, from) = server.recv_from(&mut buffer).await.unwrap();
                server.send_to(&buffer[..len], from).await.unwrap();
            }
        });
        let any = if loopback.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = host.net().udp_bind(any).await.unwrap();
        let mut buffer = [0; 2048];
        socket.send_to(b"hello", address).await.unwrap();
        let (len, from) = within(SOON, socket.recv_from(&mut buffer)).await.unwrap();
        assert_eq!((&buffer[..len], from), (&b"hello"[..], address));
        // Connected, it hears its peer alone: the answer must bear the peer's address.
        let socket = host.net().udp_bind(any).await.unwrap();
        socket.connect(address).await.unwrap();
        socket.send(b"again").await.unwrap();
        let len = within(SOON, socket.recv(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..len], b"again");
    }
}

#[tokio::test]
async fn a_datagram_to_nobody_comes_back_as_an_error() {
    let host = open().await;
    let closed = UdpSocket::bind((v4(), 0)).await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let socket = host.net().udp_bind("0.0.0.0:0").await.unwrap();
    socket.connect(address).await.unwrap();
    socket.send(b"anybody?").await.unwrap();
    let error = within(SOON, socket.recv(&mut [0; 16])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn published_ports_lead_from_the_host_to_listeners_inside() {
    let host = open().await;
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = host.net().tcp_listen("0.0.0.0:80").await.unwrap();
    let inside = "0.0.0.0:80".parse().unwrap();
    let published = host.publish_tcp(any, inside).await.unwrap();
    let mut caller = tokio::net::TcpStream::connect(published).await.unwrap();
    let (mut stream, from) = within(SOON, listener.accept()).await.unwrap();
    assert_eq!(from, caller.local_addr().unwrap());
    stream.write_all(b"served").await.unwrap();
    drop(stream);
    let mut answer = String::new();
    within(SOON, caller.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "served");

    let server = host.net().udp_bind("0.0.0.0:53").await.unwrap();
    let inside = "0.0.0.0:53".parse().unwrap();
    let published = host.publish_udp(any, inside).await.unwrap();
    let caller = UdpSocket::bind(any).await.unwrap();
    caller.connect(published).await.unwrap();
    caller.send(b"who?").await.unwrap();
    let mut buffer = [0; 16];
    let (len, from) = within(SOON, server.recv_from(&mut buffer)).await.unwrap();
    assert_eq!(from, caller.local_addr().unwrap());
    server.send_to(&buffer[..len], from).await.unwrap();
    let len = within(SOON, caller.recv(&mut buffer)).await.unwrap();
    assert_eq!(&buffer[..len], b"who?");
}

#[tokio::test]
async fn dropping_it_ends_everything() {
    let host = open().await;
    let (listener, address) = host_listener(v4()).await;
    let net = host.net().clone();
    let mut stream = net.tcp_connect(address).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let inside = "0.0.0.0:80".parse().unwrap();
    let published = host.publish_tcp(any, inside).await.unwrap();
    drop(host);
    // The host's connection is closed or reset, never left open.
    let end = within(SOON, far.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let error = within(SOON, stream.read(&mut [0; 1])).await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(net.tcp_connect(address).await.is_err());
    within(SOON, async {
        // The port is free once its task has seen the end.
        while TcpListener::bind(published).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_record_has_every_packet_and_the_name() {
    let path = std::env::temp_dir().join(format!("sb-host-network-{}.pcapng", std::process::id()));
    let host = HostNetwork::builder()
        .host_loopback(true)
        .record(&path)
        .resolver(|name: &str| -> switchboard::net::Resolving {
            assert_eq!(name, "server.example");
            Box::pin(async { Ok(vec!["127.0.0.1".parse().unwrap()]) })
        })
        .start()
        .await
        .unwrap();
    let (listener, address) = host_listener(v4()).await;
    let name = format!("server.example:{}", address.port());
    let mut stream = host.net().tcp_connect(name).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    far.write_all(b"unmistakable octets").await.unwrap();
    drop(far);
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    let stats = host.close().await.unwrap();
    let record = stats.record.unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!((record.octets, record.dropped), (file.len() as u64, 0));
    // SYN, SYN|ACK, ACK, data and FIN at least.
    assert!(record.written >= 5, "{record:?}");
    let has = |text: &[u8]| file.windows(text.len()).any(|octets| octets == text);
    assert!(has(b"unmistakable octets"));
    assert!(has(b"server.example"));
}

#[tokio::test]
async fn a_policy_refuses_in_the_way_that_it_says() {
    let host = HostNetwork::builder()
        .host_loopback(true)
        .policy(|flow: &Flow| match flow.to.port() {
            1 => Verdict::reset("port 1 is closed"),
            2 => Verdict::unreachable(Unreachable::Host, "nobody goes there"),
            3 => Verdict::silent("hush"),
            4 => Verdict::prohibited("not here"),
            _ => Verdict::Pass,
        })
        .start()
        .await
        .unwrap();
    let (listener, address) = host_listener(v4()).await;
    let net = host.net();
    within(SOON, net.tcp_connect(address)).await.unwrap();
    drop(listener);
    let refused = async |to: &str| within(SOON, net.tcp_connect(to)).await.unwrap_err().kind();
    assert_eq!(refused("127.0.0.1:1").await, ErrorKind::ConnectionRefused);
    assert_eq!(refused("192.0.2.1:2").await, ErrorKind::HostUnreachable);
    assert_eq!(refused("127.0.0.1:4").await, ErrorKind::HostUnreachable);
    let silence = tokio::time::timeout(Duration::from_millis(1500), net.tcp_connect("127.0.0.1:3"));
    assert!(silence.await.is_err(), "somebody answered");
    // Its SYN was sent again meanwhile; it was one flow all the same.
    let rows = host.registry().snapshot();
    let silent = rows
        .iter()
        .filter(|row| row.peer.is_some_and(|peer| peer.port() == 3));
    assert_eq!(silent.count(), 1);

    // Datagrams too, each destination of a socket by itself.
    let socket = net.udp_bind("0.0.0.0:0").await.unwrap();
    let server = UdpSocket::bind((v4(), 0)).await.unwrap();
    let open = server.local_addr().unwrap();
    socket.send_to(b"may pass", open).await.unwrap();
    let mut buffer = [0; 16];
    within(SOON, server.recv_from(&mut buffer)).await.unwrap();
    socket.connect("127.0.0.1:1").await.unwrap();
    socket.send(b"may not").await.unwrap();
    let error = within(SOON, socket.recv(&mut buffer)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_shaped_host_network_is_as_far_as_it_says() {
    let line = Conditions::delay(Duration::from_millis(30)).loss(Chance::NEVER);
    let host = HostNetwork::builder()
        .host_loopback(true)
        .shape(line)
        .start()
        .await
        .unwrap();
    let (listener, address) = host_listener(v4()).await;
    let started = std::time::Instant::now();
    let mut stream = host.net().tcp_connect(address).await.unwrap();
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(60), "{elapsed:?}");
    let (mut far, _) = listener.accept().await.unwrap();
    far.write_all(&[7; 200_000]).await.unwrap();
    drop(far);
    let mut got = Vec::new();
    within(SOON, stream.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, [7; 200_000]);
    let (down, up) = host.shape().unwrap().stats();
    // Wire packets: none longer than 1500 octets.
    assert!(down.arrived >= 200_000 / 1500, "{down:?}");
    assert!(up.arrived >= 3, "{up:?}");
}
