//! Received octets, in order, as slices of the slots that they arrived in.
//!
//! Memory is charged by what a chunk pins, not by its length. A payload under a quarter of its
//! slot is copied, and copies share a buffer that fits; so nothing costs more than four times
//! its length, and a trickle of tiny segments costs what its octets need.

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use crate::tcp::segment::Text;

/// A payload is kept where it is if it fills at least one part in this many of its slot.
const SLOT_PARTS: usize = 4;

/// A slot of at most this many octets is kept for whatever it holds, if nothing else waits: the
/// memory of a copy would cost as much.
const SLOT_SMALL: usize = 256;

/// A buffer of copies that has this many octets is full.
const TAIL_FULL: usize = 16 * 1024;

/// What keeping a chunk costs beside what it pins.
const CHUNK_OVERHEAD: usize = size_of::<Chunk>();

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// Octets of memory that it pins.
    charge: usize,
}

/// A queue of chunks.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    chunks: VecDeque<Chunk>,
    /// Copies of short payloads: the end of the queue.
    tail: BytesMut,
    len: usize,
    /// Memory pinned by `chunks`.
    charged: usize,
}

impl ReceiveBuffer {
    /// Octets in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets of memory that it pins.
    pub(crate) fn charged(&self) -> usize {
        self.charged + self.tail.capacity()
    }

    /// Appends `text`. Where `tight`, memory is short: what pins more than it holds is copied.
    pub(crate) fn push(&mut self, text: Text, tight: bool) {
        let Text { bytes, slot_size } = text;
        let len = bytes.len();
        if bytes.is_empty() {
            return;
        }
        let loose = slot_size.max(bytes.len());
        let part = if tight { 1 } else { SLOT_PARTS };
        let is_alone = self.is_empty() && loose <= SLOT_SMALL && !tight;
        if !is_alone && bytes.len().saturating_mul(part) < loose {
            if self.tail.len() + bytes.len() > TAIL_FULL {
                self.freeze_tail();
            }
            self.tail.extend_from_slice(&bytes);
        } else {
            self.freeze_tail();
            self.push_back(bytes, loose);
        }
        self.len += len;
    }

    fn push_back(&mut self, bytes: Bytes, pinned: usize) {
        let charge = pinned + CHUNK_OVERHEAD;
        self.charged += charge;
        self.chunks.push_back(Chunk { bytes, charge });
    }

    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = core::mem::take(&mut self.tail);
            let pinned = tail.capacity();
            self.push_back(tail.freeze(), pinned);
        }
    }

    /// Takes everything out of `later`, which comes behind what is here.
    pub(crate) fn append(&mut self, later: &mut Self) {
        if later.is_empty() {
            return;
        }
        if self.is_empty() {
            core::mem::swap(self, later);
            return;
        }
        self.freeze_tail();
        later.freeze_tail();
        // The shorter list moves, so that many small merges stay cheap.
        if self.chunks.len() < later.chunks.len() {
            while let Some(chunk) = self.chunks.pop_back() {
                later.chunks.push_front(chunk);
            }
            core::mem::swap(&mut self.chunks, &mut later.chunks);
        } else {
            self.chunks.append(&mut later.chunks);
        }
        self.len += later.len;
        self.charged += later.charged;
        *later = Self::default();
    }

    /// The next chunk, at most `max` octets of it.
    pub(crate) fn pop(&mut self, max: usize) -> Bytes {
        if self.chunks.is_empty() {
            self.freeze_tail();
        }
        let Some(front) = self.chunks.front_mut() else {
            return Bytes::new();
        };
        let taken = front.bytes.split_to(max.min(front.bytes.len()));
        self.len -= taken.len();
        self.drop_empty_front();
        taken
    }

    /// Copies the next octets into `buffer` and forgets them. Returns how many.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..)
            && !rest.is_empty()
        {
            if self.chunks.is_empty() {
                self.freeze_tail();
            }
            let Some(front) = self.chunks.front_mut() else {
                break;
            };
            let count = rest.len().min(front.bytes.len());
            front.bytes.copy_to_slice(&mut rest[..count]);
            done += count;
            self.len -= count;
            self.drop_empty_front();
        }
        done
    }

    /// Copies the next octets into `buffer`. Returns how many.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        let slices = self.chunks.iter().map(|chunk| chunk.bytes.as_ref());
        for slice in slices.chain(core::iter::once(self.tail.as_ref())) {
            let Some(rest) = buffer.get_mut(done..) else {
                break;
            };
            let count = rest.len().min(slice.len());
            if let (Some(to), Some(from)) = (rest.get_mut(..count), slice.get(..count)) {
                to.copy_from_slice(from);
            }
            done += count;
        }
        done
    }

    fn drop_empty_front(&mut self) {
        if let Some(front) = self.chunks.front()
            && front.bytes.is_empty()
        {
            self.charged -= front.charge;
            self.chunks.pop_front();
        }
    }

    /// Forgets what lies beyond the first `len` octets.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.freeze_tail();
        while self.len > len
            && let Some(back) = self.chunks.back_mut()
        {
            let surplus = self.len - len;
            if back.bytes.len() > surplus {
                back.bytes.truncate(back.bytes.len() - surplus);
                self.len = len;
            } else {
                self.len -= back.bytes.len();
                self.charged -= back.charge;
                self.chunks.pop_back();
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives back the memory of an empty buffer.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.clear();
        }
    }

    pub(crate) fn can_shrink(&self) -> bool {
        self.is_empty() && self.chunks.capacity() > 0
    }
}
