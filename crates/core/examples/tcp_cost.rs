//! What one TCP segment costs: `tcp_cost [MEBIBYTES] [MTU] [tso]`.
//!
//! Two stacks joined by a loop: one sends, the other reads and acknowledges. Meant for an
//! instruction counter:
//! `valgrind --tool=callgrind --toggle-collect='tcp_cost::transfer*' target/release/examples/tcp_cost 16`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard_core::{
    Checksum, Cidr, Config, Entropy, Instant, Offloads, RxPacket, Stack, TcpId, TcpOptions,
    Transmit,
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| {
        let text = arguments.next();
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let (mebibytes, mtu) = (number(256), number(1500));
    let tso = arguments.next().is_some();
    let mut pair = Pair::new(mtu, tso);
    let (client, server) = pair.connect();
    let begun = std::time::Instant::now();
    let segments = transfer(&mut pair, client, server, mebibytes);
    let took = begun.elapsed();
    let rate = mebibytes as f64 * 8.0 * 1.048_576 / 1_000.0 / took.as_secs_f64();
    println!(
        "{mebibytes} MiB in {segments} packets: {:.0} ns each, {rate:.2} Gbit/s",
        took.as_nanos() as f64 / segments as f64
    );
}

struct Pair {
    now: Instant,
    a: Stack,
    b: Stack,
}

fn stack(last: u8, mtu: usize, tso: bool) -> Stack {
    let config = Config {
        addresses: vec![Cidr {
            address: [10, 0, 0, last].into(),
            prefix_len: 24,
        }],
        mtu,
        offloads: Offloads {
            checksum: true,
            tso4: tso,
            tso6: tso,
            uso: false,
        },
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
    let mut rx = RxPacket::new(packet.freeze(), now);
    rx.checksum = Checksum::Partial;
    rx.segment_size = transmit.segment_size;
    rx
}

impl Pair {
    fn new(mtu: usize, tso: bool) -> Self {
        Self {
            now: Instant::from_millis(1),
            a: stack(1, mtu, tso),
            b: stack(2, mtu, tso),
        }
    }

    fn connect(&mut self) -> (TcpId, TcpId) {
        let options = TcpOptions::default();
        let to = SocketAddr::from(([10, 0, 0, 2], 80));
        let listener = self.b.call_tcp_listen(to, 1, &options).expect("listens");
        let client = self.a.call_tcp_connect(self.now, None, to, &options);
        self.pass(usize::MAX);
        let server = self.b.call_tcp_accept(self.now, listener);
        let server = server.expect("listens").expect("stands");
        (client.expect("connects"), server.id)
    }

    /// Carries packets until there are none, at most `most` from `a`; returns how many.
    fn pass(&mut self, most: usize) -> usize {
        let mut count = 0;
        loop {
            let mut moved = false;
            while count < most
                && let Some(transmit) = self.a.poll_transmit(self.now)
            {
                count += 1;
                moved = true;
                self.b
                    .handle_packet(self.now, received(&transmit, self.now));
            }
            while let Some(transmit) = self.b.poll_transmit(self.now) {
                moved = true;
                self.a
                    .handle_packet(self.now, received(&transmit, self.now));
            }
            if !moved || count >= most {
                return count;
            }
        }
    }
}

/// Sends `mebibytes` from `client` to `server`; returns packets that carried them.
#[inline(never)]
fn transfer(pair: &mut Pair, client: TcpId, server: TcpId, mebibytes: usize) -> usize {
    let chunk = Bytes::from(vec![7; 256 * 1024]);
    let total = mebibytes << 20;
    let (mut sent, mut got, mut packets) = (0, 0, 0);
    while got < total {
        while sent < total {
            let mut data = chunk.slice(..chunk.len().min(total - sent));
            match pair.a.call_tcp_send(pair.now, client, &mut data) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        packets += pair.pass(32);
        while let Ok(data) = pair.b.call_tcp_receive(pair.now, server, usize::MAX) {
            got += data.len();
        }
        while pair.a.poll_event().is_some() || pair.b.poll_event().is_some() {}
        pair.now += Duration::from_micros(50);
        for stack in [&mut pair.a, &mut pair.b] {
            if stack.poll_timeout().is_some_and(|at| at <= pair.now) {
                stack.handle_timeout(pair.now);
            }
        }
    }
    packets
}
