//! How often a stack allocates for one segment of a bulk transfer: `bulk_allocs [SEGMENTS]`.
//!
//! Two stacks joined in memory; only what happens inside their calls is counted, by the
//! allocator, after a warm-up in which queues and tables have grown to their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard_core::{
    Cidr, Config, Entropy, Instant, RxPacket, Stack, TcpId, TcpOptions, Transmit,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static COUNTS: AtomicBool = AtomicBool::new(false);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs a call of a stack with allocations counted.
fn counted<T>(call: impl FnOnce() -> T) -> T {
    COUNTS.store(true, Ordering::Relaxed);
    let result = call();
    COUNTS.store(false, Ordering::Relaxed);
    result
}

fn main() {
    let segments = std::env::args().nth(1);
    let segments: u64 = segments.map_or(20_000, |text| text.parse().expect("segments: a number"));
    let mut transfer = Transfer::open();
    transfer.run(segments);
    ALLOCATIONS.store(0, Ordering::Relaxed);
    let sent = transfer.run(segments);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed);
    let each = allocations as f64 / sent as f64;
    println!("{sent} bulk segments: {each:.4} allocations for each, both ends");
}

/// Packets after which the receiver reads, as a device hands them over.
const BATCH: u64 = 64;

struct Transfer {
    sender: Stack,
    receiver: Stack,
    from: TcpId,
    to: TcpId,
    chunk: Bytes,
    now: Instant,
}

impl Transfer {
    fn open() -> Self {
        let (mut sender, mut receiver) = (stack([10, 0, 0, 1]), stack([10, 0, 0, 2]));
        let server = SocketAddr::from(([10, 0, 0, 2], 80));
        // Whole segments only: the ends of chunks, sent alone, would be small enough to be
        // copied out of their slots.
        let options = TcpOptions {
            cork: true,
            ..TcpOptions::default()
        };
        let now = Instant::ZERO;
        let listener = receiver
            .call_tcp_listen(server, 8, &options)
            .expect("listens");
        let from = sender
            .call_tcp_connect(now, None, server, &options)
            .expect("connects");
        for _ in 0..3 {
            cross(&mut sender, &mut receiver, now, u64::MAX);
            cross(&mut receiver, &mut sender, now, u64::MAX);
        }
        let accepted = receiver.call_tcp_accept(now, listener).expect("listener");
        Self {
            sender,
            receiver,
            from,
            to: accepted.expect("stands").id,
            chunk: Bytes::from_static(&[7; 65_536]),
            now,
        }
    }

    /// Moves data until the sender has sent `segments`.
    fn run(&mut self, segments: u64) -> u64 {
        let mut sent = 0;
        while sent < segments {
            self.now += Duration::from_micros(100);
            let now = self.now;
            loop {
                let mut data = self.chunk.clone();
                let taken = counted(|| self.sender.call_tcp_send(now, self.from, &mut data));
                // Less than the whole, or `WouldBlock`: its queue is full.
                if taken.is_ok_and(|taken| taken == self.chunk.len()) {
                    continue;
                }
                break;
            }
            loop {
                let packets = cross(&mut self.sender, &mut self.receiver, now, BATCH);
                sent += packets;
                while let Ok(text) =
                    counted(|| self.receiver.call_tcp_receive(now, self.to, usize::MAX))
                {
                    assert!(!text.is_empty(), "no end of the stream");
                }
                cross(&mut self.receiver, &mut self.sender, now, u64::MAX);
                if packets < BATCH {
                    break;
                }
            }
            counted(|| {
                self.sender.handle_timeout(now);
                self.receiver.handle_timeout(now);
            });
        }
        sent
    }
}

fn stack(octets: [u8; 4]) -> Stack {
    let config = Config {
        addresses: vec![Cidr {
            address: octets.into(),
            prefix_len: 24,
        }],
        ..Config::default()
    };
    Stack::new(config, Entropy::from_seed([1; 32]))
}

/// Hands over what `from` has to send, at most `max` packets; returns how many.
fn cross(from: &mut Stack, to: &mut Stack, now: Instant, max: u64) -> u64 {
    let mut packets = 0;
    while packets < max
        && let Some(transmit) = counted(|| from.poll_transmit(now))
    {
        let packet = received(&transmit, now);
        drop(transmit);
        counted(|| to.handle_packet(now, packet));
        packets += 1;
    }
    while counted(|| from.poll_event()).is_some() {}
    while counted(|| to.poll_event()).is_some() {}
    packets
}

fn received(transmit: &Transmit, now: Instant) -> RxPacket {
    let mut bytes = BytesMut::with_capacity(transmit.len());
    bytes.extend_from_slice(&transmit.head);
    for slice in &transmit.payload {
        bytes.extend_from_slice(slice);
    }
    // What a real slot has had done to it already: the first clone of it allocates.
    let bytes = bytes.freeze();
    drop(bytes.clone());
    RxPacket::new(bytes, now)
}
