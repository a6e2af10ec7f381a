//! What an idle connection costs in memory: `tcp_idle [CONNECTIONS]`.
//!
//! Opens that many connections between two stacks in memory, lets them fall idle, and prints
//! the octets that are allocated for each end, counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use switchboard_core::{Cidr, Config, Entropy, Instant, RxPacket, Stack, TcpOptions, Transmit};

struct Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Connections of one client address.
const PORTS: u32 = 20_000;

fn main() {
    let count = std::env::args().nth(1);
    let count: u32 = count.map_or(10_000, |text| text.parse().expect("connections: a number"));
    let mut a = stack((1..=1 + count / PORTS).map(|last| [10, 0, 0, last as u8]));
    let mut b = stack([[10, 0, 1, 1]].into_iter());
    let options = TcpOptions::default();
    let server = std::net::SocketAddr::from(([10, 0, 1, 1], 80));
    let listener = b.call_tcp_listen(server, 128, &options).expect("listens");
    let mut now = Instant::ZERO;
    let before = LIVE.load(Ordering::Relaxed);
    for number in 0..count {
        let octets = [10, 0, 0, 1 + (number / PORTS) as u8];
        let local = std::net::SocketAddr::from((octets, 0));
        a.call_tcp_connect(now, Some(local), server, &options)
            .expect("connects");
        settle(&mut a, &mut b, now);
        let accepted = b.call_tcp_accept(now, listener).expect("listener");
        accepted.expect("stands");
        settle(&mut a, &mut b, now);
    }
    // Delayed acknowledgements and what else waits briefly.
    for _ in 0..50 {
        now += Duration::from_millis(20);
        a.handle_timeout(now);
        b.handle_timeout(now);
        settle(&mut a, &mut b, now);
    }
    let each = (LIVE.load(Ordering::Relaxed) - before) as f64 / f64::from(count) / 2.0;
    println!("{count} idle connections: {each:.0} octets for each end");
}

fn stack(addresses: impl Iterator<Item = [u8; 4]>) -> Stack {
    let addresses = addresses.map(|octets| Cidr {
        address: octets.into(),
        prefix_len: 16,
    });
    let config = Config {
        addresses: addresses.collect(),
        ..Config::default()
    };
    Stack::new(config, Entropy::from_seed([1; 32]))
}

fn settle(a: &mut Stack, b: &mut Stack, now: Instant) {
    loop {
        let (from_a, from_b) = (a.poll_transmit(now), b.poll_transmit(now));
        if from_a.is_none() && from_b.is_none() {
            break;
        }
        if let Some(transmit) = from_a {
            b.handle_packet(now, received(&transmit, now));
        }
        if let Some(transmit) = from_b {
            a.handle_packet(now, received(&transmit, now));
        }
    }
    while a.poll_event().is_some() {}
    while b.poll_event().is_some() {}
}

fn received(transmit: &Transmit, now: Instant) -> RxPacket {
    let mut bytes = BytesMut::with_capacity(transmit.len());
    bytes.extend_from_slice(&transmit.head);
    for slice in &transmit.payload {
        bytes.extend_from_slice(slice);
    }
    RxPacket::new(bytes.freeze(), now)
}
