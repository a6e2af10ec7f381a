//! A shaped device between two networks, under paused time: what a line is said to do, it does.

use std::time::Duration;

use switchboard::Net;
use switchboard::device::{Offloads, pipe};
use switchboard::net::UdpSocket;
use switchboard::shape::{Chance, Conditions, Mtu, Partition, Rate, Seed, ShapeHandle, Shaped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const ALL: Offloads = Offloads {
    checksum: true,
    tso4: true,
    tso6: true,
    uso: true,
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

struct Pair {
    near: Net,
    far: Net,
    shape: ShapeHandle,
}

/// Two hosts on a pipe that takes super-segments, and a line in front of the first of them.
fn pair(toward: Conditions, away: Conditions, seed: u64) -> Pair {
    let (near, far) = pipe::pair(1500, ALL, 512);
    let near = Shaped::new(near, toward, away, Seed(seed));
    let shape = near.handle();
    let host = |address: &str| {
        Net::builder()
            .address(address.parse().unwrap())
            .seed([seed as u8; 32])
    };
    Pair {
        near: host("10.0.0.1/24").build(near).unwrap(),
        far: host("10.0.0.2/24").build(far).unwrap(),
        shape,
    }
}

async fn echo(socket: UdpSocket) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        socket.send_to(&buffer[..len], from).await.unwrap();
    }
}

/// Moves `octets` from near to far, and says how long that took, the close included.
async fn move_octets(pair: &Pair, octets: usize) -> Duration {
    let listener = pair.far.tcp_listen("10.0.0.2:80").await.unwrap();
    let near = pair.near.clone();
    let started = Instant::now();
    let sender = tokio::spawn(async move {
        let mut stream = near.tcp_connect("10.0.0.2:80").await.unwrap();
        let data: Vec<u8> = (0..octets).map(|at| (at % 251) as u8).collect();
        stream.write_all(&data).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut end = [0];
        assert_eq!(stream.read(&mut end).await.unwrap(), 0);
    });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).await.unwrap();
    let elapsed = started.elapsed();
    assert_eq!(got.len(), octets);
    assert!(
        got.iter()
            .enumerate()
            .all(|(at, octet)| *octet == (at % 251) as u8)
    );
    drop(stream);
    sender.await.unwrap();
    elapsed
}

#[tokio::test(start_paused = true)]
async fn a_round_trip_takes_both_delays_and_nothing_more() {
    let pair = pair(Conditions::delay(ms(40)), Conditions::delay(ms(60)), 1);
    let server = pair.far.udp_bind("10.0.0.2:7").await.unwrap();
    tokio::spawn(echo(server));
    let socket = pair.near.udp_bind("10.0.0.1:0").await.unwrap();
    socket.connect("10.0.0.2:7").await.unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        socket.send(b"ping").await.unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 4);
        assert_eq!(started.elapsed(), ms(100));
    }
    let _listener = pair.far.tcp_listen("10.0.0.2:80").await.unwrap();
    let started = Instant::now();
    pair.near.tcp_connect("10.0.0.2:80").await.unwrap();
    assert_eq!(started.elapsed(), ms(100));

    // Changed while it runs; what is still on the longer line keeps its place.
    tokio::time::sleep(ms(200)).await;
    pair.shape.set(&Conditions::delay(ms(5)));
    let started = Instant::now();
    socket.send(b"ping").await.unwrap();
    socket.recv(&mut [0; 8]).await.unwrap();
    assert_eq!(started.elapsed(), ms(10));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_within_two_in_a_hundred() {
    const OCTETS: usize = 4 << 20;
    const BITS: u64 = 5_000_000;
    let away = Conditions {
        rate: Rate::bits_per_second(BITS),
        ..Conditions::delay(ms(10))
    };
    let pair = pair(Conditions::delay(ms(10)), away, 2);
    let elapsed = move_octets(&pair, OCTETS).await.as_secs_f64();
    // 1448 octets of text in each packet of 1500: 20 of IP, 20 of TCP, 12 of timestamps.
    let wire = OCTETS as f64 * 1500.0 / 1448.0 * 8.0 / BITS as f64;
    let excess = elapsed / wire - 1.0;
    assert!((0.0..0.02).contains(&excess), "{elapsed} s beside {wire} s");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_doubled_changed_and_overtaken_arrives_whole_all_the_same() {
    let mut bad = Conditions::delay(ms(20)).loss(Chance::percent(3));
    bad.delay.jitter = ms(5);
    bad.duplicate.chance = Chance::percent(2);
    bad.corrupt.chance = Chance::percent(2);
    bad.reorder.chance = Chance::percent(5);
    bad.reorder.by = ms(7);
    let pair = pair(bad.clone(), bad, 3);
    move_octets(&pair, 2 << 20).await;
    let (toward, away) = pair.shape.stats();
    assert!(away.lost > 10 && away.corrupted > 10, "{away:?}");
    assert!(away.reordered > 10 && away.duplicated > 10, "{away:?}");
    assert!(toward.lost > 0, "{toward:?}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_has_the_same_luck() {
    let run = async |seed| {
        let bad = Conditions::delay(ms(20)).loss(Chance::percent(3));
        let pair = pair(bad.clone(), bad, seed);
        let elapsed = move_octets(&pair, 256 << 10).await;
        (elapsed, pair.shape.stats())
    };
    let first = run(4).await;
    assert_eq!(run(4).await, first);
    assert_ne!(run(5).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_cut_line_heals_and_the_conversation_goes_on() {
    let pair = pair(Conditions::delay(ms(10)), Conditions::delay(ms(10)), 6);
    let listener = pair.far.tcp_listen("10.0.0.2:80").await.unwrap();
    let mut stream = pair.near.tcp_connect("10.0.0.2:80").await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    pair.shape.away(|line| line.partition = Partition::Cut);
    stream.write_all(b"held up").await.unwrap();
    let mut buffer = [0; 7];
    let waited = tokio::time::timeout(ms(5_000), far.read_exact(&mut buffer)).await;
    assert!(waited.is_err());
    pair.shape
        .away(|line| line.partition = Partition::default());
    far.read_exact(&mut buffer).await.unwrap();
    assert_eq!(&buffer, b"held up");
    assert!(pair.shape.stats().1.cut_off > 0);
}

#[tokio::test(start_paused = true)]
async fn a_line_with_a_smaller_mtu_says_so_and_tcp_finds_it() {
    let away = Conditions {
        mtu: Mtu::Answered(1000),
        ..Conditions::delay(ms(10))
    };
    let pair = pair(Conditions::delay(ms(10)), away, 7);
    move_octets(&pair, 100_000).await;
    let stats = pair.shape.stats().1;
    assert!(stats.too_long > 0, "{stats:?}");
    assert_eq!(pair.near.stats().icmp_errors_received, stats.too_long);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_cut_passes_a_line_with_a_smaller_mtu_in_pieces() {
    let narrow = Conditions {
        mtu: Mtu::Answered(1000),
        ..Conditions::delay(ms(10))
    };
    let pair = pair(narrow.clone(), narrow, 9);
    let server = pair.far.udp_bind("10.0.0.2:7").await.unwrap();
    tokio::spawn(echo(server));
    let socket = pair.near.udp_bind("10.0.0.1:0").await.unwrap();
    socket.connect("10.0.0.2:7").await.unwrap();
    let said: Vec<u8> = (0..1400).map(|at| at as u8).collect();
    socket.send(&said).await.unwrap();
    let mut heard = [0; 1500];
    let echoed = tokio::time::timeout(ms(1000), socket.recv(&mut heard)).await;
    assert_eq!(&heard[..echoed.unwrap().unwrap()], said);
    let (toward, away) = pair.shape.stats();
    assert_eq!((toward.too_long, away.too_long), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_the_way_when_the_far_end_goes_still_arrives() {
    let pair = pair(Conditions::delay(ms(500)), Conditions::default(), 8);
    let socket = pair.near.udp_bind("10.0.0.1:9").await.unwrap();
    let far = pair.far.udp_bind("10.0.0.2:9").await.unwrap();
    far.send_to(b"last words", "10.0.0.1:9").await.unwrap();
    // Let the line take it before its sender is gone.
    tokio::time::sleep(ms(1)).await;
    pair.far.shutdown();
    let mut buffer = [0; 16];
    let (len, _) = socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..len], b"last words");
    assert!(socket.recv_from(&mut buffer).await.is_err());
}
