//! Datagrams through the gateway to this machine's loopback, and back.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::{inside, loopbacks, within, world, world_with};
use switchboard::net::UdpSocket;
use switchboard_gateway::{DnsServers, Happening, HostLoopback, Refused, Resolution};

const SOON: Duration = Duration::from_secs(5);

/// A server of this machine that sends back what it gets.
async fn echo_server(ip: IpAddr) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind((ip, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            let _ = socket.send_to(&buffer[..len], from).await;
        }
    });
    address
}

fn any(of: SocketAddr) -> SocketAddr {
    let any: IpAddr = match of {
        SocketAddr::V4(_) => "0.0.0.0".parse().unwrap(),
        SocketAddr::V6(_) => "::".parse().unwrap(),
    };
    SocketAddr::new(any, 0)
}

#[tokio::test]
async fn datagrams_of_every_size_come_back() {
    let world = world().await;
    for loopback in loopbacks() {
        let server = echo_server(loopback).await;
        let socket = world.program.udp_bind(any(server)).await.unwrap();
        socket.connect(inside(server)).await.unwrap();
        // An IPv6 packet of the stack is 65,535 octets at most, its header included.
        let longest = if server.is_ipv4() { 65_507 } else { 65_487 };
        for len in [0, 1, 1472, 9000, 60_000, longest] {
            let sent: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            socket.send(&sent).await.unwrap();
            let mut got = vec![0; 65_536];
            let len = within(SOON, socket.recv(&mut got)).await.unwrap();
            assert_eq!(got[..len], sent, "{len} octets by {loopback}");
        }
    }
}

#[tokio::test]
async fn a_closed_port_is_told() {
    let world = world().await;
    for loopback in loopbacks() {
        let closed = {
            let socket = std::net::UdpSocket::bind((loopback, 0)).unwrap();
            socket.local_addr().unwrap()
        };
        let socket = world.program.udp_bind(any(closed)).await.unwrap();
        socket.connect(inside(closed)).await.unwrap();
        socket.send(b"anyone?").await.unwrap();
        let mut got = [0; 16];
        let error = within(SOON, socket.recv(&mut got)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{loopback}");
    }
    let why = world.heard.wait(|happening| match happening {
        Happening::DatagramRefused { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.await, Refused::NobodyThere);
}

#[tokio::test]
async fn many_sources_have_a_mapping_each() {
    let world = world().await;
    let server = echo_server("127.0.0.1".parse().unwrap()).await;
    let mut sockets = Vec::new();
    let mut got = [0; 16];
    // The server's kernel buffer holds some two hundred datagrams at once.
    for batch in 0..5_u32 {
        for n in 0..100 {
            let number = (batch * 100 + n).to_be_bytes();
            let socket = world.program.udp_bind("0.0.0.0:0").await.unwrap();
            socket.send_to(&number, inside(server)).await.unwrap();
            sockets.push((socket, number));
        }
        for (socket, number) in sockets.iter().rev().take(100) {
            let (len, from) = within(SOON, socket.recv_from(&mut got)).await.unwrap();
            assert_eq!(got[..len], *number);
            assert_eq!(from, inside(server));
        }
    }
    let rows = world.gateway.registry().snapshot();
    let open = rows.iter().filter(|row| row.state.as_str() == "open");
    assert_eq!(open.count(), 500);
}

#[tokio::test]
async fn one_source_talks_to_many_and_strangers_are_kept_out() {
    let world = world_with(|config| {
        config.host_loopback = HostLoopback::AtGateway;
        config.udp_filtering = switchboard_gateway::Filtering::AddressAndPortDependent;
    })
    .await;
    let loopback = "127.0.0.1".parse().unwrap();
    let servers = [echo_server(loopback).await, echo_server(loopback).await];
    let listener = tokio::net::UdpSocket::bind((loopback, 0)).await.unwrap();
    let socket = world.program.udp_bind("0.0.0.0:0").await.unwrap();
    let mut got = [0; 16];
    for server in servers {
        socket.send_to(b"hello", inside(server)).await.unwrap();
        let (_, from) = within(SOON, socket.recv_from(&mut got)).await.unwrap();
        assert_eq!(from, inside(server));
    }
    let to = inside(listener.local_addr().unwrap());
    socket.send_to(b"where am I?", to).await.unwrap();
    let (_, mapped) = within(SOON, listener.recv_from(&mut got)).await.unwrap();
    let stranger = tokio::net::UdpSocket::bind((loopback, 0)).await.unwrap();
    stranger.send_to(b"psst", mapped).await.unwrap();
    listener.send_to(b"there", mapped).await.unwrap();
    let (len, from) = within(SOON, socket.recv_from(&mut got)).await.unwrap();
    assert_eq!((&got[..len], from), (&b"there"[..], to));
}

#[tokio::test]
async fn loopback_and_links_are_out_of_reach_unless_asked_for() {
    let world = world_with(|_| {}).await;
    let server = echo_server("127.0.0.1".parse().unwrap()).await;
    let link: SocketAddr = "169.254.169.254:80".parse().unwrap();
    for to in [inside(server), link] {
        let socket = world.program.udp_bind("0.0.0.0:0").await.unwrap();
        socket.connect(to).await.unwrap();
        socket.send(b"let me in").await.unwrap();
        let mut got = [0; 16];
        let error = within(SOON, socket.recv(&mut got)).await.unwrap_err();
        // "Administratively prohibited": Linux says EHOSTUNREACH over IPv4.
        assert_ne!(error.kind(), ErrorKind::ConnectionRefused, "{to}: {error}");
    }
}

/// Asks the gateway's directory for the A record of `name`; says the response code.
async fn look_up(socket: &UdpSocket, name: &str) -> u8 {
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&question, "10.0.2.3:53").await.unwrap();
    let mut answer = [0; 512];
    let (len, from) = within(SOON, socket.recv_from(&mut answer)).await.unwrap();
    assert_eq!(from.to_string(), "10.0.2.3:53");
    assert!(len >= 12 && answer[..2] == [0x12, 0x34]);
    answer[3] & 15
}

#[tokio::test]
async fn the_directory_answers_on_the_stack() {
    // A server that knows no name at all.
    let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (len, from) = server.recv_from(&mut buffer).await.unwrap();
            buffer[2] |= 0x80;
            buffer[3] = 3;
            server.send_to(&buffer[..len], from).await.unwrap();
        }
    });
    let world = world_with(|config| config.dns_servers = DnsServers::These(vec![address])).await;
    let socket = world.program.udp_bind("0.0.0.0:0").await.unwrap();
    assert_eq!(look_up(&socket, "switchboard.internal").await, 0);
    assert_eq!(look_up(&socket, "nosuch.example.org").await, 3);
    let resolved = world.heard.wait(|happening| match happening {
        Happening::Resolved {
            name,
            resolution: Resolution::NoSuchName,
            holder,
            ..
        } => Some((name.to_string(), holder.clone())),
        _ => None,
    });
    let (name, holder) = resolved.await;
    assert_eq!(name, "nosuch.example.org");
    assert_eq!(holder.unwrap().to_string(), "curl[48213]");
    let rows = world.gateway.registry().snapshot();
    let row = rows.iter().find(|row| {
        row.endpoint.address
            == SocketAddr::new(
                "10.0.2.100".parse().unwrap(),
                socket.local_addr().unwrap().port(),
            )
    });
    assert_eq!(row.unwrap().state.as_str(), "done");
}

#[tokio::test]
async fn echo_on_port_seven() {
    let world = world().await;
    let socket = world.program.udp_bind("0.0.0.0:0").await.unwrap();
    socket.send_to(b"hello", "10.0.2.4:7").await.unwrap();
    let mut got = [0; 16];
    let (len, from) = within(SOON, socket.recv_from(&mut got)).await.unwrap();
    assert_eq!(
        (&got[..len], from.to_string().as_str()),
        (&b"hello"[..], "10.0.2.4:7")
    );
}

#[tokio::test]
async fn a_forwarded_port_brings_datagrams_in_and_answers_out() {
    let world = world().await;
    let server = world.program.udp_bind("0.0.0.0:5353").await.unwrap();
    let forward = switchboard_gateway::Forward {
        protocol: switchboard_wire::Protocol::Udp,
        listen: "127.0.0.1:0".parse().unwrap(),
        target: "10.0.2.100:5353".parse().unwrap(),
    };
    let bound = world.gateway.forward(forward).await.unwrap();
    let caller = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    caller.connect(bound).await.unwrap();
    caller.send(b"ping").await.unwrap();
    let mut got = [0; 16];
    let (len, from) = within(SOON, server.recv_from(&mut got)).await.unwrap();
    assert_eq!(&got[..len], b"ping");
    assert_eq!(
        from.ip().to_string(),
        "10.0.2.2",
        "a loopback caller is the gateway"
    );
    server.send_to(b"pong", from).await.unwrap();
    let len = within(SOON, caller.recv(&mut got)).await.unwrap();
    assert_eq!(&got[..len], b"pong");
}
