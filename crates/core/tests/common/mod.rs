//! Two stacks joined back to back in memory: no delay, no loss, a clock that jumps.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this module"
)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard_core::{
    Checksum, Cidr, Config, Entropy, Event, Instant, Offloads, Readiness, RxPacket, Stack, TcpId,
    TcpOptions, Transmit,
};

pub const A4: &str = "10.0.0.1";
pub const B4: &str = "10.0.0.2";
pub const A6: &str = "fd00::1";
pub const B6: &str = "fd00::2";

/// Turns of the wire before a run counts as endless.
const TURNS_MAX: usize = 5_000_000;

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

pub fn cidr(address: &str, prefix_len: u8) -> Cidr {
    Cidr {
        address: ip(address),
        prefix_len,
    }
}

/// The same as one piece, as a device would hand it over.
pub fn bytes_of(transmit: &Transmit) -> Bytes {
    let mut bytes = BytesMut::with_capacity(transmit.len());
    bytes.extend_from_slice(&transmit.head);
    for slice in &transmit.payload {
        bytes.extend_from_slice(slice);
    }
    bytes.freeze()
}

pub fn received(transmit: &Transmit, now: Instant) -> RxPacket {
    RxPacket {
        segment_size: transmit.segment_size,
        checksum: match transmit.checksum {
            Some(_) => Checksum::Partial,
            None => Checksum::Unknown,
        },
        ..RxPacket::new(bytes_of(transmit), now)
    }
}

/// Host `a`, with addresses A4 and A6, or `b`, with B4 and B6.
pub fn config(v4: &str, v6: &str) -> Config {
    Config {
        addresses: vec![cidr(v4, 24), cidr(v6, 64)],
        ..Config::default()
    }
}

pub fn offloads() -> Offloads {
    Offloads {
        checksum: true,
        tso4: true,
        tso6: true,
        uso: true,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

/// What a packet on the wire may meet: `true` lets it pass.
pub type Filter = Box<dyn FnMut(Side, &Bytes) -> bool>;

pub struct Pair {
    pub now: Instant,
    pub a: Stack,
    pub b: Stack,
    pub events_a: Vec<Event>,
    pub events_b: Vec<Event>,
    /// Packets that crossed, either way.
    pub packets: u64,
    /// Asked of each packet by who sent it.
    pub filter: Option<Filter>,
}

impl Pair {
    pub fn new(a: Config, b: Config) -> Self {
        Self {
            now: Instant::ZERO,
            a: Stack::new(a, Entropy::from_seed([1; 32])),
            b: Stack::new(b, Entropy::from_seed([2; 32])),
            events_a: vec![],
            events_b: vec![],
            packets: 0,
            filter: None,
        }
    }

    pub fn plain() -> Self {
        Self::new(config(A4, A6), config(B4, B6))
    }

    /// `b` is a gateway: it takes flows to every address.
    pub fn with_gateway() -> Self {
        let gateway = Config {
            any_address: true,
            echo_to_application: true,
            ..config(B4, B6)
        };
        Self::new(config(A4, A6), gateway)
    }

    fn passes(&mut self, from: Side, bytes: &Bytes) -> bool {
        self.packets += 1;
        match &mut self.filter {
            Some(filter) => filter(from, bytes),
            None => true,
        }
    }

    /// One packet each way, if there is one. Whether anything moved.
    fn turn(&mut self) -> bool {
        let mut moved = false;
        if let Some(transmit) = self.a.poll_transmit(self.now) {
            moved = true;
            let rx = received(&transmit, self.now);
            if self.passes(Side::A, &rx.bytes) {
                self.b.handle_packet(self.now, rx);
            }
        }
        if let Some(transmit) = self.b.poll_transmit(self.now) {
            moved = true;
            let rx = received(&transmit, self.now);
            if self.passes(Side::B, &rx.bytes) {
                self.a.handle_packet(self.now, rx);
            }
        }
        while let Some(event) = self.a.poll_event() {
            self.events_a.push(event);
        }
        while let Some(event) = self.b.poll_event() {
            self.events_b.push(event);
        }
        moved
    }

    /// Lets packets cross until none is left.
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            if !self.turn() {
                return;
            }
        }
        panic!("the wire never falls silent");
    }

    /// Settles, then lets time pass until `until`, stopping at each deadline.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..TURNS_MAX {
            self.settle();
            let next = self.next_deadline().filter(|next| *next <= until);
            let Some(next) = next else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.a.handle_timeout(self.now);
            self.b.handle_timeout(self.now);
        }
        panic!("time stands still");
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        [self.a.poll_timeout(), self.b.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Readiness that `a` was told of for `id` since the last call.
    pub fn told_a(&mut self, id: TcpId) -> Readiness {
        told(&mut self.events_a, id)
    }

    pub fn told_b(&mut self, id: TcpId) -> Readiness {
        told(&mut self.events_b, id)
    }

    /// A connection from `a` to a listener of `b`: both ends of it.
    pub fn connected(&mut self, to: SocketAddr) -> (TcpId, TcpId) {
        let options = TcpOptions::default();
        let listener = self.b.call_tcp_listen(to, 128, &options).expect("listens");
        let a = self
            .a
            .call_tcp_connect(self.now, None, to, &options)
            .expect("connects");
        self.settle();
        let accepted = self.b.call_tcp_accept(self.now, listener);
        let accepted = accepted.expect("listener").expect("one waits");
        self.b
            .call_tcp_unlisten(self.now, listener)
            .expect("listener");
        self.settle();
        (a, accepted.id)
    }

    /// Sends `data` from `a`'s `from` and reads it at `b`'s `to`; what was read.
    pub fn transfer(&mut self, from: TcpId, to: TcpId, data: &[u8]) -> Vec<u8> {
        let mut left = Bytes::copy_from_slice(data);
        let mut read = Vec::new();
        let limit = self.now + Duration::from_secs(600);
        while read.len() < data.len() {
            if !left.is_empty() {
                let _ = self.a.call_tcp_send(self.now, from, &mut left);
            }
            self.settle();
            let before = read.len();
            while let Ok(chunk) = self.b.call_tcp_receive(self.now, to, usize::MAX) {
                assert!(!chunk.is_empty(), "the stream ended early");
                read.extend_from_slice(&chunk);
            }
            self.settle();
            if read.len() == before {
                assert!(
                    self.now < limit,
                    "stalled at {} of {}",
                    read.len(),
                    data.len()
                );
                let next = self.next_deadline().unwrap_or(limit);
                self.pass(
                    next.saturating_since(self.now)
                        .max(Duration::from_millis(1)),
                );
            }
        }
        read
    }
}

fn told(events: &mut Vec<Event>, id: TcpId) -> Readiness {
    let mut all = Readiness::NONE;
    events.retain(|event| match event {
        Event::Tcp(other, news) if *other == id => {
            all |= *news;
            false
        }
        _ => true,
    });
    all
}

/// `len` octets that tell a wrong place from the right one.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).expect("an octet"))
        .collect()
}
