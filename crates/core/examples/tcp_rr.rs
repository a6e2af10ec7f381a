//! What one request and its response cost: `tcp_rr [EXCHANGES]`.
//!
//! Two stacks joined by a loop, one octet there and one back on a connection that stands. Meant
//! for an instruction counter:
//! `valgrind --tool=callgrind --toggle-collect='tcp_rr::exchange*' target/release/examples/tcp_rr 10000`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use switchboard_core::{
    Cidr, Config, Entropy, Instant, RxPacket, Stack, TcpId, TcpOptions, Transmit,
};

fn main() {
    let exchanges = std::env::args().nth(1);
    let exchanges = exchanges.map_or(100_000, |text| text.parse().expect("a number"));
    let mut pair = Pair {
        now: Instant::from_millis(1),
        a: stack(1),
        b: stack(2),
        packets: 0,
    };
    let (client, server) = pair.connect();
    pair.packets = 0;
    let begun = std::time::Instant::now();
    exchange(&mut pair, client, server, exchanges);
    let took = begun.elapsed();
    println!(
        "{exchanges} exchanges in {} packets: {:.0} ns each",
        pair.packets,
        took.as_nanos() as f64 / exchanges as f64
    );
}

struct Pair {
    now: Instant,
    a: Stack,
    b: Stack,
    packets: usize,
}

fn stack(last: u8) -> Stack {
    let config = Config {
        addresses: vec![Cidr {
            address: [10, 0, 0, last].into(),
            prefix_len: 24,
        }],
        ..Config::default()
    };
    Stack::new(config, Entropy::from_seed([last; 32]))
}

/// The packet as a device hands it over.
fn received(transmit: &Transmit, now: Instant) -> RxPacket {
    let mut packet = BytesMut::with_capacity(transmit.len());
    packet.extend_from_slice(&transmit.head);
    for slice in &transmit.payload {
        packet.extend_from_slice(slice);
    }
    RxPacket::new(packet.freeze(), now)
}

impl Pair {
    fn connect(&mut self) -> (TcpId, TcpId) {
        let options = TcpOptions {
            nodelay: true,
            ..TcpOptions::default()
        };
        let to = SocketAddr::from(([10, 0, 0, 2], 80));
        let listener = self.b.call_tcp_listen(to, 1, &options).expect("listens");
        let client = self.a.call_tcp_connect(self.now, None, to, &options);
        self.settle();
        let server = self.b.call_tcp_accept(self.now, listener);
        let server = server.expect("listens").expect("stands");
        (client.expect("connects"), server.id)
    }

    /// Carries packets until there are none, and hears the news.
    fn settle(&mut self) {
        loop {
            let before = self.packets;
            while let Some(transmit) = self.a.poll_transmit(self.now) {
                self.packets += 1;
                self.b
                    .handle_packet(self.now, received(&transmit, self.now));
            }
            while let Some(transmit) = self.b.poll_transmit(self.now) {
                self.packets += 1;
                self.a
                    .handle_packet(self.now, received(&transmit, self.now));
            }
            while self.a.poll_event().is_some() || self.b.poll_event().is_some() {}
            if self.packets == before {
                return;
            }
        }
    }
}

/// The part to be measured: a request, its response.
#[inline(never)]
fn exchange(pair: &mut Pair, client: TcpId, server: TcpId, exchanges: u32) {
    for _ in 0..exchanges {
        pair.now += Duration::from_micros(10);
        let sent = pair.a.call_tcp_send_slice(pair.now, client, &[7]);
        assert_eq!(sent, Ok(1), "a request leaves");
        pair.settle();
        let got = pair.b.call_tcp_receive(pair.now, server, usize::MAX);
        assert!(got.is_ok_and(|got| got.len() == 1), "it arrives");
        let sent = pair.b.call_tcp_send_slice(pair.now, server, &[7]);
        assert_eq!(sent, Ok(1), "a response leaves");
        pair.settle();
        let got = pair.a.call_tcp_receive(pair.now, client, usize::MAX);
        assert!(got.is_ok_and(|got| got.len() == 1), "it arrives");
        for stack in [&mut pair.a, &mut pair.b] {
            if stack.poll_timeout().is_some_and(|at| at <= pair.now) {
                stack.handle_timeout(pair.now);
            }
        }
    }
}
