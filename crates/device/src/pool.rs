//! Slots that packets are read into, reused when the last slice of them is gone.
//!
//! A slot is one allocation. A packet is read into its free end and split off as [`Bytes`], so
//! nothing is copied and nothing is allocated per packet; small packets share a slot. The pool
//! keeps a handle of each slot that it has handed packets of out, and takes the slot back when
//! that handle is the only one left.
//!
//! What a packet pins is its whole slot: that is the `slot_size` which receivers are charged.

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Sleep;

/// Octets of a large slot that small packets may use up before a packet of full size no longer
/// fits, and the slot is retired: some 60 acknowledgements. Not more, because receivers are
/// charged the whole slot for a packet of full size.
const SHARED: usize = 4 * 1024;

/// Packets up to this size get a slot that fits one of them. A payload is then most of its
/// slot, and receivers keep it without a copy.
const ONE_PACKET_MAX: usize = 4 * 1024;

/// Slots that are looked at, oldest first, before another one is allocated.
const PROBES: usize = 4;

/// Slots that [`Pool::trim`] leaves alone.
const KEPT_MIN: usize = 4;

/// Octets that the slots of one pool may hold while they wait for their slices to drop; beyond
/// that a slot is let go when its last slice is, and the next one is allocated.
const KEPT_OCTETS_MAX: usize = 16 * 1024 * 1024;

/// How often an idle device looks whether its pool keeps more than it needs.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// A packet in its slot.
pub(crate) struct Slice {
    /// The octets.
    pub(crate) bytes: Bytes,
    /// Octets of memory that stay allocated while any slice of `bytes` lives.
    pub(crate) slot_size: usize,
}

/// The slots of one device.
pub(crate) struct Pool {
    /// Where the next packet goes; its length is 0, its capacity is what is left of the slot.
    current: BytesMut,
    /// Octets of the slot that `current` is the end of.
    current_size: usize,
    /// Slots whose packets may still be held by somebody, oldest first.
    retired: VecDeque<BytesMut>,
    slot_size: usize,
    kept_max: usize,
    /// Slots begun since the last trim.
    begun: usize,
}

impl Pool {
    /// For packets of up to `packet_max` octets. Nothing is allocated yet.
    pub(crate) fn new(packet_max: usize) -> Self {
        let slot_size = if packet_max <= ONE_PACKET_MAX {
            packet_max.next_multiple_of(64)
        } else {
            packet_max + SHARED
        };
        Self {
            current: BytesMut::new(),
            current_size: 0,
            retired: VecDeque::new(),
            slot_size,
            kept_max: (KEPT_OCTETS_MAX / slot_size).clamp(KEPT_MIN, 1_024),
            begun: 0,
        }
    }

    /// An empty buffer with room for `octets`: fill its spare capacity, then [`Pool::split`].
    pub(crate) fn room(&mut self, octets: usize) -> &mut BytesMut {
        // Where every packet of this slot has been dropped already, its beginning is free
        // again: an exchange of questions and answers stays in one slot, which stays in cache.
        if self.current.capacity() < octets && !self.current.try_reclaim(octets) {
            self.next_slot(octets);
        }
        &mut self.current
    }

    /// Splits off what has been written to the buffer that `room` gave.
    pub(crate) fn split(&mut self) -> Slice {
        Slice {
            bytes: self.current.split().freeze(),
            slot_size: self.current_size,
        }
    }

    /// Reads once from `fd` into a slot: up to `max` octets.
    #[cfg(all(target_os = "linux", feature = "tun"))]
    pub(crate) fn read(
        &mut self,
        fd: impl std::os::fd::AsFd,
        max: usize,
    ) -> Result<Slice, rustix::io::Errno> {
        let buffer = self.room(max);
        let room = &mut buffer.spare_capacity_mut()[..max];
        let len = rustix::io::read(fd, room)?.0.len();
        // SAFETY: `read` has initialised the first `len` octets of the spare capacity, which the
        // buffer's length begins at: it is empty.
        unsafe { buffer.set_len(len) };
        Ok(self.split())
    }

    /// Joins `parts` in a slot: the one copy of a packet that changes hands in memory.
    pub(crate) fn join<'a>(&mut self, len: usize, parts: impl Iterator<Item = &'a [u8]>) -> Slice {
        let buffer = self.room(len);
        for part in parts {
            buffer.extend_from_slice(part);
        }
        self.split()
    }

    /// Gives memory back that was not needed since the last call: half of the slots that
    /// nobody holds, as long as the pool was idle enough to do without them.
    pub(crate) fn trim(&mut self) {
        if std::mem::take(&mut self.begun) < self.retired.len() {
            let size = self.slot_size;
            let retired = self.retired.iter_mut();
            let free: usize = retired
                .map(|slot| usize::from(slot.try_reclaim(size)))
                .sum();
            let mut excess = free.div_ceil(2);
            let mut kept = self.retired.len();
            self.retired.retain(|slot| {
                let drop = excess > 0 && kept > KEPT_MIN && slot.capacity() >= size;
                if drop {
                    excess -= 1;
                    kept -= 1;
                }
                !drop
            });
        }
    }

    /// Whether [`Pool::trim`] may find something to give back.
    pub(crate) fn has_excess(&self) -> bool {
        self.retired.len() > KEPT_MIN
    }

    fn next_slot(&mut self, octets: usize) {
        self.begun += 1;
        if self.current_size == self.slot_size {
            if self.retired.len() >= self.kept_max {
                self.retired.pop_front();
            }
            self.retired.push_back(std::mem::take(&mut self.current));
        }
        if octets > self.slot_size {
            self.current = BytesMut::with_capacity(octets);
            self.current_size = octets;
            return;
        }
        self.current_size = self.slot_size;
        self.current = self
            .reusable()
            .unwrap_or_else(|| BytesMut::with_capacity(self.slot_size));
    }

    /// A retired slot that nobody holds any more.
    fn reusable(&mut self) -> Option<BytesMut> {
        for _ in 0..PROBES.min(self.retired.len()) {
            let mut slot = self.retired.pop_front()?;
            if slot.try_reclaim(self.slot_size) {
                return Some(slot);
            }
            self.retired.push_back(slot);
        }
        None
    }
}

/// Gives the slots of an idle device back that it does not need.
#[derive(Default)]
pub(crate) struct Trim {
    /// Runs while the device is idle and its pool may have something to give back.
    next: Option<Pin<Box<Sleep>>>,
}

impl Trim {
    /// To be called while nothing arrives: once a second some are given back, until few are left.
    pub(crate) fn poll(&mut self, pool: &mut Pool, cx: &mut Context<'_>) {
        while pool.has_excess() {
            let next = self
                .next
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(TRIM_EVERY)));
            if next.as_mut().poll(cx).is_pending() {
                return;
            }
            pool.trim();
            self.next = None;
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
