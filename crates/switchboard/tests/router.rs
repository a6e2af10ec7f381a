//! Three hosts over two routers, under paused time.
//!
//! ```text
//!   west 10.1.0.5 ── R1 ══ 1280 octets ══ R2 ── east 10.2.0.5
//!                    │
//!   north 10.3.0.5 ──┘
//! ```

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use switchboard::device::{Offloads, pipe};
use switchboard::net::UdpSocket;
use switchboard::{Cidr, DropReason, Ended, Net, Router, SocketError, Unreachable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

struct World {
    west: Net,
    east: Net,
    north: Net,
    r1: Router,
    r2: Router,
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn host(v4: &str, v6: &str, seed: u8) -> switchboard::NetBuilder {
    Net::builder()
        .address(cidr(v4))
        .address(cidr(v6))
        .seed([seed; 32])
}

/// `offloads`: of the link between the routers.
fn world(offloads: Offloads) -> World {
    let (r1, r2) = (Router::with_seed([1; 32]), Router::with_seed([2; 32]));
    let (_, west) = r1
        .attach([cidr("10.1.0.1/24"), cidr("fd01::1/64")])
        .unwrap();
    let (_, north) = r1
        .attach([cidr("10.3.0.1/24"), cidr("fd03::1/64")])
        .unwrap();
    let (_, east) = r2
        .attach([cidr("10.2.0.1/24"), cidr("fd02::1/64")])
        .unwrap();
    let (one, two) = pipe::pair(1280, offloads, 64);
    let to_r2 = r1.add_port(one, [cidr("10.9.0.1/30")]).unwrap();
    let to_r1 = r2.add_port(two, [cidr("10.9.0.2/30")]).unwrap();
    for network in ["10.2.0.0/24", "fd02::/64"] {
        r1.add_route(cidr(network), to_r2);
    }
    for network in ["0.0.0.0/0", "::/0"] {
        r2.add_route(cidr(network), to_r1);
    }
    World {
        west: host("10.1.0.5/24", "fd01::5/64", 3).build(west).unwrap(),
        east: host("10.2.0.5/24", "fd02::5/64", 4).build(east).unwrap(),
        north: host("10.3.0.5/24", "fd03::5/64", 5).build(north).unwrap(),
        r1,
        r2,
    }
}

const ALL: Offloads = Offloads {
    checksum: true,
    tso4: true,
    tso6: true,
    uso: true,
};

async fn transfer(from: &Net, to: &Net, address: SocketAddr, octets: usize) {
    let listener = to.tcp_listen(address).await.unwrap();
    let data: Vec<u8> = (0..octets).map(|at| (at % 251) as u8).collect();
    let send = async {
        let mut stream = from.tcp_connect(address).await.unwrap();
        stream.write_all(&data).await.unwrap();
        stream.shutdown().await.unwrap();
        stream
    };
    let receive = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        got
    };
    let both = async { tokio::join!(send, receive) };
    let (_stream, got) = timeout(Duration::from_secs(60), both).await.unwrap();
    assert!(got == data, "{} octets of {octets}", got.len());
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn dropped(router: &Router) -> Vec<(DropReason, u64)> {
    router.stats().drops().collect()
}

#[tokio::test(start_paused = true)]
async fn streams_cross_two_routers_and_find_the_smaller_link() {
    for offloads in [Offloads::default(), ALL] {
        let world = world(offloads);
        for address in ["10.2.0.5:80", "[fd02::5]:80"] {
            transfer(&world.west, &world.east, at(address), 3 << 20).await;
        }
        // Path MTU discovery: told once for each family or so, then it fits.
        let too_long = world.r1.stats().dropped(DropReason::TooLong);
        assert!((2..100).contains(&too_long), "{:?}", dropped(&world.r1));
        assert!(world.west.stats().icmp_errors_received >= 2);
        // And the other way, where the far router is the one that tells.
        transfer(&world.east, &world.north, at("10.3.0.5:80"), 1 << 20).await;
        assert!(world.r2.stats().dropped(DropReason::TooLong) > 0);
        let (r1, r2) = (world.r1.stats(), world.r2.stats());
        assert_eq!((r1.fragments_sent, r2.fragments_sent), (0, 0));
        assert_eq!(r1.cut > 0, offloads == Offloads::default(), "{r1:?}");
    }
}

/// Sends one datagram with this TTL, and says who returned it, and why.
async fn probe(socket: &UdpSocket, ttl: u32) -> (IpAddr, Unreachable) {
    socket.set_ttl(ttl).unwrap();
    socket.send(b"probe").await.unwrap();
    let error = timeout(SOON, socket.recv(&mut [0; 8])).await.unwrap();
    match SocketError::of(&error.unwrap_err()) {
        Some(SocketError::Returned { why, offender, .. }) => (*offender, *why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_hop_answers_for_itself() {
    let world = world(Offloads::default());
    let socket = world.west.udp_bind("10.1.0.5:0").await.unwrap();
    socket.connect("10.2.0.5:33434").await.unwrap();
    let ip = |text: &str| -> IpAddr { text.parse().unwrap() };
    let exceeded = Unreachable::TimeExceeded;
    assert_eq!(probe(&socket, 1).await, (ip("10.1.0.1"), exceeded));
    // R2 answers from where its answer leaves.
    assert_eq!(probe(&socket, 2).await, (ip("10.9.0.2"), exceeded));
    assert_eq!(probe(&socket, 3).await, (ip("10.2.0.5"), Unreachable::Port));
}

#[tokio::test(start_paused = true)]
async fn where_no_route_leads_connecting_fails_at_once() {
    let world = world(Offloads::default());
    let nowhere = timeout(SOON, world.west.tcp_connect("192.0.2.1:80"));
    let error = nowhere.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    assert_eq!(dropped(&world.r1), [(DropReason::NoRoute, 1)]);
    // An address of our own link where nobody lives would come straight back.
    let nobody = timeout(SOON, world.west.tcp_connect("[fd01::77]:80"));
    let error = nobody.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HostUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_long_datagram_is_fragmented_on_the_way_and_arrives_whole() {
    let world = world(Offloads::default());
    let receiver = world.east.udp_bind("10.2.0.5:9").await.unwrap();
    let sender = world.west.udp_bind("10.1.0.5:0").await.unwrap();
    let payload: Vec<u8> = (0..5000_usize).map(|at| (at % 253) as u8).collect();
    sender.send_to(&payload, "10.2.0.5:9").await.unwrap();
    let mut buffer = vec![0; 8192];
    let (len, from) = timeout(SOON, receiver.recv_from(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(from, sender.local_addr().unwrap());
    assert!(buffer[..len] == payload[..]);
    assert!(world.r1.stats().fragments_sent > 0);
}

#[tokio::test(start_paused = true)]
async fn ports_come_and_go_while_it_runs() {
    let world = world(Offloads::default());
    let target = "10.4.0.5:80";
    let error = timeout(SOON, world.west.tcp_connect(target)).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NetworkUnreachable);

    let (port, south) = world.r1.attach([cidr("10.4.0.1/24")]).unwrap();
    let south = host("10.4.0.5/24", "fd04::5/64", 6).build(south).unwrap();
    transfer(&world.west, &south, at(target), 100_000).await;
    world.r1.remove_port(port);
    assert!(matches!(south.closed().await, Ended::LinkGone));
    let error = timeout(SOON, world.west.tcp_connect(target)).await.unwrap();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::NetworkUnreachable);

    // A device that goes by itself takes its port with it.
    world.north.shutdown();
    let error = timeout(SOON, world.west.tcp_connect("10.3.0.5:80"));
    assert!(error.await.unwrap().is_err());

    drop(world.r1);
    assert!(matches!(world.west.closed().await, Ended::LinkGone));
}

#[tokio::test(start_paused = true)]
async fn a_slow_port_drops_what_it_cannot_hold_and_the_rest_goes_through() {
    let world = world(Offloads::default());
    // Nobody takes anything from this device.
    let (slow, _other) = pipe::pair(1500, Offloads::default(), 4);
    world.r1.add_port(slow, [cidr("10.5.0.1/24")]).unwrap();
    let sender = world.west.udp_bind("10.1.0.5:0").await.unwrap();
    for _ in 0..1000 {
        sender.send_to(b"flood", "10.5.0.5:9").await.unwrap();
        tokio::task::yield_now().await;
    }
    transfer(&world.west, &world.east, at("10.2.0.5:80"), 100_000).await;
    let full = world.r1.stats().dropped(DropReason::PortFull);
    assert_eq!(full, 1000 - 4 - 256, "{:?}", dropped(&world.r1));
}
