//! Buffers that host sockets are read into: handed on as `Bytes` without a copy, and back in
//! the pool once the last slice of them is gone.

use std::io;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;

use crate::registry::lock;

/// Sizes of buffers, in octets: an interactive flow pins little, a bulk flow reads a lot.
const SIZES: [usize; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];

/// Buffers of each size that the pool keeps for later, at most: 10.6 MiB altogether.
const KEPT: [usize; 4] = [64, 64, 64, 20];

/// Buffers of one size that nobody uses.
type Free = Mutex<Vec<Box<[u8]>>>;

/// Buffers, shared by all flows of a gateway.
#[derive(Clone, Default)]
pub(crate) struct ChunkPool {
    free: Arc<[Free; SIZES.len()]>,
}

/// A buffer that goes back to its pool when dropped.
struct Pooled {
    octets: Box<[u8]>,
    size: usize,
    pool: Weak<[Free; SIZES.len()]>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(free) = self.pool.upgrade() else {
            return;
        };
        if let (Some(free), Some(kept)) = (free.get(self.size), KEPT.get(self.size)) {
            let mut free = lock(free);
            if free.len() < *kept {
                free.push(std::mem::take(&mut self.octets));
            }
        }
    }
}

impl ChunkPool {
    fn take(&self, size: usize) -> Pooled {
        let free = self.free.get(size).and_then(|free| lock(free).pop());
        let len = SIZES.get(size).copied().unwrap_or(0);
        Pooled {
            octets: free.unwrap_or_else(|| vec![0; len].into_boxed_slice()),
            size,
            pool: Arc::downgrade(&self.free),
        }
    }

    /// Has `read` fill a buffer of 64 KiB, the longest datagram; what it says was read is
    /// copied to where it fits, so that a small datagram pins little.
    pub(crate) fn datagram<T>(
        &self,
        read: impl FnOnce(&mut [u8]) -> io::Result<(usize, T)>,
    ) -> io::Result<(Bytes, T)> {
        let mut buffer = self.take(2);
        let (len, what) = read(&mut buffer.octets)?;
        let octets = if len >= buffer.octets.len() / 4 {
            Bytes::from_owner(buffer).slice(..len)
        } else {
            Bytes::copy_from_slice(buffer.octets.get(..len).unwrap_or_default())
        };
        Ok((octets, what))
    }
}

/// Picks the size of the next read of one stream by what the last ones brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Appetite {
    size: usize,
    /// Octets that leave in one go: a large read is a multiple of them, or every read would
    /// end in a small packet of its own.
    unit: usize,
}

/// Octets of text that one packet carries at most, super-segments included, with room for
/// every header and option.
const TEXT_MAX: usize = 65_400;

impl Default for Appetite {
    fn default() -> Self {
        Self { size: 0, unit: 1 }
    }
}

impl Appetite {
    /// Whether reads have become so large that [`set_segment`](Self::set_segment) matters.
    pub(crate) fn wants_segment(&self) -> bool {
        self.size > 1 && self.unit == 1
    }

    /// What is read leaves in segments of this many octets.
    pub(crate) fn set_segment(&mut self, mss: usize) {
        let mss = mss.max(1);
        self.unit = (TEXT_MAX / mss * mss).max(mss);
    }

    /// How much of `room` to ask for.
    fn portion(&self, room: usize) -> usize {
        if room < self.unit {
            return room;
        }
        room - room % self.unit
    }

    /// Reads once, into a buffer of the size that fits this stream; at most `max` octets.
    /// Empty: the end of the stream.
    pub(crate) fn read(
        &mut self,
        pool: &ChunkPool,
        max: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        let mut buffer = pool.take(self.size);
        let whole = buffer.octets.len();
        let room = self.portion(max.min(whole));
        let len = read(buffer.octets.get_mut(..room).unwrap_or_default())?;
        if len == room {
            self.size = (self.size + 1).min(SIZES.len() - 1);
        } else if len < whole / 8 {
            self.size = self.size.saturating_sub(1);
        }
        if len < whole / 4 {
            // What pins a buffer is charged by the buffer: hand on what fits instead.
            let octets = buffer.octets.get(..len).unwrap_or_default();
            return Ok(Bytes::copy_from_slice(octets));
        }
        Ok(Bytes::from_owner(buffer).slice(..len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_fills_its_buffers_gets_larger_ones_and_gives_them_back() {
        let pool = ChunkPool::default();
        let mut appetite = Appetite::default();
        let mut lengths = Vec::new();
        for _ in 0..5 {
            let chunk = appetite
                .read(&pool, usize::MAX, |room| Ok(room.len()))
                .unwrap();
            lengths.push(chunk.len());
        }
        assert_eq!(lengths, [4 << 10, 16 << 10, 64 << 10, 256 << 10, 256 << 10]);
        assert_eq!(
            lock(&pool.free[3]).len(),
            1,
            "the same buffer was used twice"
        );
        let small = appetite.read(&pool, usize::MAX, |_| Ok(10)).unwrap();
        assert_eq!(small.len(), 10);
        assert_eq!(lock(&pool.free[3]).len(), 1, "ten octets pin no buffer");
    }

    #[test]
    fn large_reads_are_whole_segments() {
        let pool = ChunkPool::default();
        let lengths = |mss| {
            let mut appetite = Appetite::default();
            appetite.set_segment(mss);
            let read = |room: &mut [u8]| Ok(room.len());
            let mut next = || appetite.read(&pool, usize::MAX, read).unwrap().len();
            [next(), next(), next(), next()]
        };
        let super_segment = 45 * 1_448;
        assert_eq!(
            lengths(1_448),
            [4 << 10, 16 << 10, super_segment, 4 * super_segment]
        );
        assert_eq!(lengths(65_468), [4 << 10, 16 << 10, 65_468, 4 * 65_468]);
    }

    #[test]
    fn datagrams_pin_what_they_need() {
        let pool = ChunkPool::default();
        let (small, ()) = pool.datagram(|_| Ok((100, ()))).unwrap();
        assert_eq!((small.len(), lock(&pool.free[2]).len()), (100, 1));
        let (large, ()) = pool.datagram(|_| Ok((60_000, ()))).unwrap();
        assert_eq!((large.len(), lock(&pool.free[2]).len()), (60_000, 0));
    }
}
