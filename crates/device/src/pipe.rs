//! Two devices joined back to back in memory.
//!
//! Works on any system and without any right. Packets of each direction wait in a bounded
//! queue; a full queue refuses (`WouldBlock`) and never drops. A super-segment crosses whole:
//! head and payload are joined once, checksum state and segment size go along.

use std::collections::VecDeque;
use std::io;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::{Checksum, Instant, RxPacket, Transmit};

use crate::pool::Pool;
use crate::{Device, Offloads};

/// How often an idle end looks whether its pool keeps more than it needs.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// Joins two devices: what one sends, the other receives.
///
/// - `mtu`: octets of the largest packet; super-segments of an offload may be longer.
/// - `offloads`: what both ends take off their stacks' hands. The far stack gets the
///   super-segments as they are.
/// - `capacity`: packets that may wait in each direction, at least 1.
#[must_use]
pub fn pair(mtu: usize, offloads: Offloads, capacity: usize) -> (Pipe, Pipe) {
    let there = Arc::new(Mutex::new(Lane::new(capacity)));
    let back = Arc::new(Mutex::new(Lane::new(capacity)));
    (
        Pipe::new(mtu, offloads, Arc::clone(&back), Arc::clone(&there)),
        Pipe::new(mtu, offloads, there, back),
    )
}

/// One end of a [`pair`]. Dropping it tells the other end that the link is gone.
pub struct Pipe {
    mtu: usize,
    offloads: Offloads,
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
    /// Slots for what this end sends.
    pool: Pool,
    next_trim: Instant,
}

/// One direction.
struct Lane {
    queue: VecDeque<Parcel>,
    capacity: usize,
    /// One of the two ends has been dropped.
    closed: bool,
    receiver: Option<Waker>,
    sender: Option<Waker>,
}

/// A packet on its way; it has not arrived yet, so nothing is known of when.
struct Parcel {
    slice: crate::pool::Slice,
    checksum: Checksum,
    segment_size: Option<NonZeroU16>,
}

impl Lane {
    fn new(capacity: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            capacity: capacity.max(1),
            closed: false,
            receiver: None,
            sender: None,
        }
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    // Nothing panics under this lock; a queue of packets is whole in any case.
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps `cx`'s waker in `slot`, without cloning one that is there already.
fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Pipe {
    fn new(
        mtu: usize,
        offloads: Offloads,
        incoming: Arc<Mutex<Lane>>,
        outgoing: Arc<Mutex<Lane>>,
    ) -> Self {
        let cuts = offloads.tso4 || offloads.tso6 || offloads.uso;
        let pool = Pool::new(if cuts { IP_PACKET_MAX } else { mtu });
        Self {
            mtu,
            offloads,
            incoming,
            outgoing,
            pool,
            next_trim: Instant::ZERO,
        }
    }

    /// Packets that wait to be received at this end.
    #[must_use]
    pub fn waiting(&self) -> usize {
        lock(&self.incoming).queue.len()
    }

    fn trim(&mut self, now: Instant) {
        if self.pool.has_excess() && now >= self.next_trim {
            self.pool.trim();
            self.next_trim = now + TRIM_EVERY;
        }
    }
}

impl Device for Pipe {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        let arrived = now();
        let mut lane = lock(&self.incoming);
        let count = lane.queue.len().min(max);
        if count == 0 {
            if lane.closed {
                return Poll::Ready(Ok(0));
            }
            register(&mut lane.receiver, cx);
            drop(lane);
            self.trim(arrived);
            return Poll::Pending;
        }
        batch.extend(lane.queue.drain(..count).map(|parcel| RxPacket {
            bytes: parcel.slice.bytes,
            arrived,
            checksum: parcel.checksum,
            segment_size: parcel.segment_size,
            slot_size: parcel.slice.slot_size,
        }));
        let sender = lane.sender.take();
        drop(lane);
        wake(sender);
        Poll::Ready(Ok(count))
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let len = transmit.len();
        let mut lane = lock(&self.outgoing);
        if lane.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if lane.queue.len() >= lane.capacity {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let parts = std::iter::once(transmit.head.as_slice())
            .chain(transmit.payload.iter().map(|slice| &**slice));
        let slice = self.pool.join(len, parts);
        lane.queue.push_back(Parcel {
            slice,
            checksum: match transmit.checksum {
                Some(_) => Checksum::Partial,
                None => Checksum::Unknown,
            },
            segment_size: transmit.segment_size,
        });
        let receiver = lane.receiver.take();
        drop(lane);
        wake(receiver);
        Ok(())
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut lane = lock(&self.outgoing);
        if lane.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if lane.queue.len() < lane.capacity {
            return Poll::Ready(Ok(()));
        }
        register(&mut lane.sender, cx);
        Poll::Pending
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for lane in [&self.incoming, &self.outgoing] {
            let mut lane = lock(lane);
            lane.closed = true;
            let wakers = [lane.receiver.take(), lane.sender.take()];
            drop(lane);
            wakers.into_iter().for_each(wake);
        }
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
