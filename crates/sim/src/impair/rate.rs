//! How fast a line takes packets, and how many may wait for it.

use std::collections::VecDeque;
use std::time::Duration;

use switchboard_wire::Instant;

/// Where waiting ends and dropping begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimit {
    /// Packets that may wait, the one being sent included.
    pub packets: usize,
    /// Octets that may wait, the packet being sent included. One packet always may.
    pub octets: usize,
}

impl Default for QueueLimit {
    /// A thousand packets, as `tc netem` has it, and no more than 16 MiB.
    fn default() -> Self {
        Self {
            packets: 1000,
            octets: 16 << 20,
        }
    }
}

/// A line's speed with the queue in front of it (drop-tail).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Bits each second, IP headers included; `None`: no time at all.
    pub bits_per_second: Option<u64>,
    /// How much may wait.
    pub limit: QueueLimit,
    /// When each packet that waits will have left, and its length.
    waiting: VecDeque<(Instant, usize)>,
    octets: usize,
}

impl Rate {
    /// A line of this speed with the default queue.
    #[must_use]
    pub fn bits_per_second(bits: u64) -> Self {
        Self {
            bits_per_second: Some(bits.max(1)),
            ..Self::default()
        }
    }

    /// When the last bit of a packet that comes now will have left; `None` where the queue is
    /// full.
    pub fn departure(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let Some(bits_per_second) = self.bits_per_second else {
            return Some(now);
        };
        while let Some(&(left, octets)) = self.waiting.front()
            && left <= now
        {
            self.waiting.pop_front();
            self.octets -= octets;
        }
        let is_full = self.waiting.len() >= self.limit.packets
            || self.octets + len > self.limit.octets && !self.waiting.is_empty();
        if is_full {
            return None;
        }
        let begins = self.waiting.back().map_or(now, |&(left, _)| left.max(now));
        let leaves = begins + serialisation(len, bits_per_second);
        self.waiting.push_back((leaves, len));
        self.octets += len;
        Some(leaves)
    }
}

/// How long `len` octets take on a line of that speed, rounded up.
fn serialisation(len: usize, bits_per_second: u64) -> Duration {
    let nanos = (len as u128 * 8 * 1_000_000_000).div_ceil(u128::from(bits_per_second.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
