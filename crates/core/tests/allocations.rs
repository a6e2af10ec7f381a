//! What the data path costs in memory: a bulk segment allocates nothing, an idle connection
//! little.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use bytes::Bytes;
use common::{A4, A6, B4, B6, Pair, at, config, offloads};
use switchboard_core::{Config, RxPacket, TcpId, TcpOptions};

/// Counts what this thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn count(live: i64, allocations: u64) {
    let _ = LIVE.try_with(|total| total.set(total.get() + live));
    let _ = ALLOCATIONS.try_with(|total| total.set(total.get() + allocations));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64, 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as i64), 0);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64, 1);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations while `work` runs.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The packet in a slot that can be shared, as a device's pool has them: memory that `bytes`
/// took over from a vector gets its counter of references with the first clone.
fn slot(rx: RxPacket) -> RxPacket {
    drop(rx.bytes.clone());
    rx
}

fn bulk(mtu: usize, offloaded: bool) -> Pair {
    let config = |v4, v6| Config {
        mtu,
        offloads: if offloaded {
            offloads()
        } else {
            Default::default()
        },
        ..config(v4, v6)
    };
    Pair::new(config(A4, A6), config(B4, B6))
}

/// Both stacks' part in a round of a bulk transfer, without the harness's copies: `a` sends,
/// `b` receives and acknowledges, the application of `b` reads. Returns segments that crossed
/// and what the stacks allocated for them.
fn round(pair: &mut Pair, client: TcpId, server: TcpId, chunk: &Bytes) -> (u64, u64) {
    let (mut segments, mut allocated) = (0, 0);
    let mut data = chunk.clone();
    allocated += allocations(|| {
        let _ = pair.a.call_tcp_send(pair.now, client, &mut data);
    });
    loop {
        let mut moved = false;
        let mut transmit = None;
        allocated += allocations(|| transmit = pair.a.poll_transmit(pair.now));
        if let Some(transmit) = transmit.take() {
            segments += 1;
            moved = true;
            let rx = slot(common::received(&transmit, pair.now));
            allocated += allocations(|| pair.b.handle_packet(pair.now, rx));
        }
        allocated += allocations(|| {
            while pair
                .b
                .call_tcp_receive(pair.now, server, usize::MAX)
                .is_ok()
            {}
        });
        allocated += allocations(|| transmit = pair.b.poll_transmit(pair.now));
        if let Some(transmit) = transmit.take() {
            moved = true;
            let rx = slot(common::received(&transmit, pair.now));
            allocated += allocations(|| pair.a.handle_packet(pair.now, rx));
        }
        allocated += allocations(|| {
            while pair.a.poll_event().is_some() {}
            while pair.b.poll_event().is_some() {}
        });
        if !moved {
            return (segments, allocated);
        }
    }
}

#[test]
fn a_bulk_segment_allocates_nothing() {
    for (mtu, offloaded) in [(1500, false), (65_520, true)] {
        let mut pair = bulk(mtu, offloaded);
        let (client, server) = pair.connected(at(B4, 80));
        let chunk = Bytes::from(vec![7; 1 << 20]);
        // Queues and windows grow to what the transfer needs.
        for _ in 0..50 {
            round(&mut pair, client, server, &chunk);
            pair.pass(Duration::from_millis(1));
        }
        let (mut segments, mut allocated) = (0, 0);
        for _ in 0..50 {
            let (more, cost) = round(&mut pair, client, server, &chunk);
            segments += more;
            allocated += cost;
            pair.pass(Duration::from_millis(1));
        }
        assert!(segments > 500, "{segments}");
        assert_eq!(allocated, 0, "for {segments} segments at MTU {mtu}");
    }
}

#[test]
fn an_idle_connection_is_small() {
    let mut pair = bulk(1500, false);
    let options = TcpOptions::default();
    let listener = pair
        .b
        .call_tcp_listen(at(B4, 80), 16, &options)
        .expect("listens");
    let connect = |pair: &mut Pair, count: u32| {
        for _ in 0..count {
            let id = pair
                .a
                .call_tcp_connect(pair.now, None, at(B4, 80), &options);
            id.expect("connects");
            pair.settle();
            let accepted = pair.b.call_tcp_accept(pair.now, listener);
            accepted.expect("listener").expect("stands");
            pair.events_a.clear();
            pair.events_b.clear();
        }
        pair.pass(Duration::from_millis(200));
    };
    connect(&mut pair, 1000);
    let before = LIVE.get();
    connect(&mut pair, 4000);
    // Two ends for each.
    let each = (LIVE.get() - before) / 8000;
    eprintln!("an idle connection takes {each} octets");
    assert!(each < 2048, "{each}");
}
