//! Staying awake for a moment, where that pays.
//!
//! To wake a processor that idles takes longer than all that the relay does for a small packet,
//! and a program that asks one question after the other waits for it twice in each. So while
//! small packets follow each other closely the relay does not sleep between them: it looks for
//! the next one, lets others run who want the processor, and looks again, for [`AWAKE`] after the
//! last packet at most. Bulk transfers, lone packets and machines with one processor are left
//! alone: there it would take a processor from the program or its server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use switchboard_device::tee::{Direction, PacketSink, PacketView};
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// How long it looks for the next packet: some wake-ups' worth.
const AWAKE: Duration = Duration::from_micros(250);

/// Packets in a row that follow each other closely, before it stays awake for the next.
const CLOSE: u32 = 16;

/// How many of those one pause takes back, so that looking in vain stays rare.
const PAUSE: u32 = 8;

/// Octets of a packet that belongs to a bulk transfer.
const BULK: usize = 4096;

/// Knows how closely packets follow each other, and keeps a runtime awake.
#[derive(Default)]
pub(super) struct Wakeful {
    packets: AtomicU64,
    /// Packets after which it has been awake, or need not.
    seen: AtomicU64,
    /// Packets that followed each other closely, [`CLOSE`] at most.
    close: AtomicU32,
    /// Calls the task that looks.
    look: Notify,
}

/// Sees packets pass.
pub(super) struct Pulse {
    wakeful: Arc<Wakeful>,
    last: switchboard_wire::Instant,
}

impl PacketSink for Pulse {
    fn packet(
        &mut self,
        at: switchboard_wire::Instant,
        _direction: Direction,
        packet: PacketView<'_>,
    ) {
        let gap = at.saturating_since(std::mem::replace(&mut self.last, at));
        self.wakeful.on_packet(gap, packet.len());
    }
}

impl Wakeful {
    /// `None` where there is but one processor.
    pub(super) fn new() -> Option<Arc<Self>> {
        let processors = std::thread::available_parallelism();
        let several = processors.is_ok_and(|count| count.get() > 1);
        several.then(Arc::default)
    }

    /// For the device's tee.
    pub(super) fn pulse(self: &Arc<Self>) -> Pulse {
        Pulse {
            wakeful: self.clone(),
            last: switchboard_wire::Instant::default(),
        }
    }

    fn on_packet(&self, gap: Duration, octets: usize) {
        // The relay's one thread writes these; nobody else does.
        self.packets.fetch_add(1, Ordering::Relaxed);
        let close = self.close.load(Ordering::Relaxed);
        let close = match () {
            () if octets > BULK => 0,
            () if gap > AWAKE => close.saturating_sub(PAUSE),
            () => CLOSE.min(close + 1),
        };
        self.close.store(close, Ordering::Relaxed);
    }

    fn is_close(&self) -> bool {
        self.close.load(Ordering::Relaxed) >= CLOSE
    }

    /// Has a runtime that is about to sleep look for the next packet first.
    pub(super) fn keep(self: &Arc<Self>, runtime: &mut Builder) {
        let wakeful = self.clone();
        // A task that is woken here keeps the thread from sleeping.
        runtime.on_thread_park(move || {
            let packets = wakeful.packets.load(Ordering::Relaxed);
            let news = wakeful.seen.swap(packets, Ordering::Relaxed) != packets;
            if news && wakeful.is_close() {
                wakeful.look.notify_one();
            }
        });
    }

    /// Looks for packets whenever the runtime would sleep too early.
    pub(super) async fn run(self: Arc<Self>) {
        loop {
            self.look.notified().await;
            let mut packets = self.packets.load(Ordering::Relaxed);
            let mut looked = Instant::now();
            let mut until = looked + AWAKE;
            while self.is_close() && looked < until {
                // Whoever wants this processor gets it; then the runtime asks epoll.
                rustix::thread::sched_yield();
                tokio::task::yield_now().await;
                let now = Instant::now();
                let passed = self.packets.load(Ordering::Relaxed);
                if passed != packets {
                    packets = passed;
                    until = now + AWAKE;
                } else if now - looked >= AWAKE {
                    // Somebody wanted it for long: it is theirs.
                    self.close.store(0, Ordering::Relaxed);
                }
                looked = now;
            }
            // Once for each packet: from here on the runtime may sleep.
            self.seen.store(packets, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Duration = Duration::from_micros(80);
    const FAR: Duration = Duration::from_millis(2);

    /// One that has seen as many small packets, close together, as it takes.
    fn close() -> Wakeful {
        let wakeful = Wakeful::default();
        for count in 0..CLOSE {
            assert!(!wakeful.is_close(), "after {count}");
            wakeful.on_packet(NEAR, 53);
        }
        assert!(wakeful.is_close());
        wakeful
    }

    #[test]
    fn questions_and_answers_keep_it_awake_and_a_pause_takes_that_back() {
        let wakeful = close();
        wakeful.on_packet(FAR, 53);
        assert!(!wakeful.is_close());
        for _ in 0..PAUSE {
            wakeful.on_packet(NEAR, 53);
        }
        assert!(wakeful.is_close());
    }

    #[test]
    fn lone_packets_and_bulk_never_keep_it_awake() {
        let wakeful = Wakeful::default();
        for _ in 0..1_000 {
            wakeful.on_packet(FAR, 53);
            wakeful.on_packet(NEAR, 52);
            assert!(!wakeful.is_close());
        }
        let wakeful = close();
        for _ in 0..1_000 {
            wakeful.on_packet(NEAR, 65_000);
            assert!(!wakeful.is_close());
            wakeful.on_packet(NEAR, 52);
        }
    }

    #[test]
    fn it_sleeps_again_after_the_last_packet() {
        let wakeful = Arc::new(close());
        let mut builder = Builder::new_current_thread();
        wakeful.keep(&mut builder);
        let runtime = builder.enable_all().build().expect("a runtime");
        // Nanoseconds that this thread has had of a processor.
        let processor = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("read");
            let first = text.split_ascii_whitespace().next();
            Duration::from_nanos(first.and_then(|ns| ns.parse().ok()).expect("a number"))
        };
        runtime.block_on(async {
            tokio::spawn(wakeful.run());
            let before = processor();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let used = processor() - before;
            assert!(
                used >= Duration::from_micros(20),
                "it never looked: {used:?}"
            );
            assert!(used < Duration::from_millis(50), "it never slept: {used:?}");
        });
    }
}
