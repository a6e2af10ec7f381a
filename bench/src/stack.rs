//! `bench stack`: two stacks joined back to back in memory, in one thread. Both ends and the
//! applications' copies are counted, checksums are on.

mod link;
#[cfg(feature = "smoltcp")]
mod smoltcp;

use std::net::SocketAddr;
use std::time::Instant as Moment;

use bytes::Bytes;
use switchboard_core::{Stack, TcpId, TcpOptions, UdpId, UdpMeta, UdpOptions};

use self::link::{Link, address};
use crate::table::{Better, Figures, Row as Shown, Table};

/// How to run it.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Rounds; each takes every figure once.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each figure.
    #[arg(long, default_value_t = 0.5)]
    seconds: f64,
    #[command(flatten)]
    output: crate::Output,
}

/// Octets of each buffer of a connection, ours and the peer's.
const BUFFER: usize = 256 * 1024;

type Measure = Box<dyn Fn(f64) -> f64>;

/// A row: its title, ours, the peer's.
struct Row {
    title: String,
    ours: Measure,
    peer: Option<Measure>,
}

pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    let rows = rows();
    let names = ["switchboard".to_owned(), "smoltcp".to_owned()];
    let names = if rows.iter().any(|row| row.peer.is_some()) {
        &names[..]
    } else {
        &names[..1]
    };
    let mut figures: Vec<Figures> = rows.iter().map(|_| Figures::new(names)).collect();
    for _ in 0..flags.rounds {
        for (row, figures) in rows.iter().zip(&mut figures) {
            eprint!("\r\x1b[K{}", row.title);
            figures.push(0, (row.ours)(flags.seconds));
            if let Some(peer) = &row.peer {
                figures.push(1, peer(flags.seconds));
            }
        }
    }
    eprint!("\r\x1b[K");
    let mut table = Table::new(names);
    for (row, figures) in rows.iter().zip(figures) {
        let better = match row.title.ends_with("ns per datagram") {
            true => Better::Less,
            false => Better::More,
        };
        let shown = Shown {
            key: row.title.clone(),
            title: row.title.clone(),
            better,
        };
        table.push(shown, figures);
    }
    println!("{}", table.render("switchboard"));
    match &flags.output.json {
        Some(path) => table.write_json(path, "switchboard"),
        None => Ok(()),
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for mtu in [1_500, 9_000, 65_535] {
        rows.push(Row {
            title: format!("bulk, MTU {mtu}, Gbit/s"),
            ours: Box::new(move |seconds| bulk(Link::new(mtu), seconds)),
            peer: peer::bulk(mtu),
        });
    }
    rows.push(Row {
        title: "bulk, MTU 1500, super-segments, Gbit/s".into(),
        ours: Box::new(|seconds| bulk(Link::with_offloads(1_500), seconds)),
        peer: None,
    });
    rows.push(Row {
        title: "request/response per s".into(),
        ours: Box::new(exchange),
        peer: peer::exchange(),
    });
    for sockets in [10, 1_000, 100_000] {
        rows.push(Row {
            title: format!("UDP, {sockets} sockets, ns per datagram"),
            ours: Box::new(move |seconds| datagrams(sockets, seconds)),
            peer: None,
        });
    }
    rows
}

#[cfg(not(feature = "smoltcp"))]
mod peer {
    pub(super) fn bulk(_mtu: usize) -> Option<super::Measure> {
        None
    }

    pub(super) fn exchange() -> Option<super::Measure> {
        None
    }
}
#[cfg(feature = "smoltcp")]
use self::smoltcp as peer;

/// A connection from `a` to `b`.
fn connect(link: &mut Link) -> (TcpId, TcpId) {
    let server = SocketAddr::new(address(1), 80);
    let options = TcpOptions {
        nodelay: true,
        // Both ends share one cache: a larger window would only measure memory.
        send_buffer: BUFFER,
        receive_buffer: BUFFER,
        ..TcpOptions::default()
    };
    let listener = link
        .b
        .call_tcp_listen(server, 8, &options)
        .expect("listens");
    let from = link
        .a
        .call_tcp_connect(link.now(), None, server, &options)
        .expect("connects");
    link.settle();
    let now = link.now();
    let to = link
        .b
        .call_tcp_accept(now, listener)
        .expect("listener")
        .expect("stands")
        .id;
    (from, to)
}

/// Gbit/s of octets that the application at `a` copied in and that at `b` copied out.
fn bulk(mut link: Link, seconds: f64) -> f64 {
    let (from, to) = connect(&mut link);
    let chunk = vec![7; 65_536];
    let mut buffer = vec![0; 65_536];
    let (mut received, start) = (0_u64, Moment::now());
    while start.elapsed().as_secs_f64() < seconds {
        let now = link.now();
        while link
            .a
            .call_tcp_send_slice(now, from, &chunk)
            .is_ok_and(|taken| taken == chunk.len())
        {}
        link.turn();
        let now = link.now();
        while let Ok(len) = link.b.call_tcp_receive_slice(now, to, &mut buffer) {
            received += len as u64;
        }
        link.turn();
    }
    received as f64 * 8.0 / 1e9 / start.elapsed().as_secs_f64()
}

/// Exchanges of one octet per second.
fn exchange(seconds: f64) -> f64 {
    let mut link = Link::new(1_500);
    let (client, server) = connect(&mut link);
    let (mut count, start) = (0_u64, Moment::now());
    let mut buffer = [0; 16];
    while start.elapsed().as_secs_f64() < seconds {
        for _ in 0..64 {
            let now = link.now();
            link.a.call_tcp_send_slice(now, client, b"q").expect("room");
            link.turn();
            link.b
                .call_tcp_receive_slice(now, server, &mut buffer)
                .expect("a question");
            link.b.call_tcp_send_slice(now, server, b"a").expect("room");
            link.turn();
            link.a
                .call_tcp_receive_slice(now, client, &mut buffer)
                .expect("an answer");
            count += 1;
        }
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Nanoseconds for a datagram there (the sender's and the receiver's work), with as many
/// sockets at the receiver.
fn datagrams(sockets: u32, seconds: f64) -> f64 {
    let mut link = Link::new(1_500);
    let options = UdpOptions::default();
    let endpoint = |number: u32| {
        SocketAddr::new(
            address(1 + (number / 50_000) as u8),
            10_000 + (number % 50_000) as u16,
        )
    };
    for number in 0..sockets {
        link.b
            .call_udp_bind(endpoint(number), &options)
            .expect("binds");
    }
    let sender = link
        .a
        .call_udp_bind(SocketAddr::new(address(0), 9), &options)
        .expect("binds");
    let payload = Bytes::from_static(&[7; 64]);
    let (mut count, mut received) = (0_u64, 0_u64);
    let start = Moment::now();
    while start.elapsed().as_secs_f64() < seconds {
        let now = link.now();
        for _ in 0..64 {
            // Jumps about, so that no socket stays in the cache for being the last one.
            let number = (count.wrapping_mul(2_654_435_761) % u64::from(sockets)) as u32;
            let meta = UdpMeta::to(endpoint(number));
            link.a
                .call_udp_send(now, sender, payload.clone(), Some(meta))
                .expect("sends");
            link.turn();
            received += drain(&mut link.b, &mut link.readable);
            count += 1;
        }
    }
    assert_eq!(received, count, "no datagram was lost");
    start.elapsed().as_secs_f64() * 1e9 / count as f64
}

fn drain(stack: &mut Stack, readable: &mut Vec<UdpId>) -> u64 {
    let mut count = 0;
    for id in readable.drain(..) {
        while stack.call_udp_receive(id).is_ok() {
            count += 1;
        }
    }
    count
}
