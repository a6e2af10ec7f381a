//! The send queue: a rope of reference-counted chunks.
//!
//! It holds everything from SND.UNA on: what was sent and not acknowledged, and what was not
//! sent yet. Nothing in it is ever moved. A segment is slices of it; a retransmission is
//! slices of it again.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use switchboard_wire::Payload;
use switchboard_wire::packet::PAYLOAD_SLICES_MAX;

/// Chunks shorter than this are copied to the tail instead of being kept: each slice of a
/// transmit costs, and a transmit has at most eight.
const COPY_BELOW: usize = 1024;

/// The tail's first size and its largest, in octets. It doubles while it fills. Small at first:
/// of ten thousand conversations each may have said a word.
const TAIL_FIRST: usize = 256;
/// The largest tail that stays when the queue is empty.
const TAIL_KEPT: usize = 1024;
const TAIL_LARGEST: usize = 64 * 1024;

/// A frozen piece of the stream.
#[derive(Debug)]
struct Chunk {
    /// Offset of its first octet, from the beginning of the stream.
    start: u64,
    bytes: Bytes,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

/// Octets that wait for transmission or for acknowledgement.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// In order and without gaps; the first may begin before `start`.
    chunks: VecDeque<Chunk>,
    /// What was copied and not transmitted yet: the end of the stream.
    tail: BytesMut,
    /// Offset of the first octet that is not acknowledged.
    start: u64,
    /// Offset behind the last octet.
    end: u64,
}

impl SendQueue {
    /// Octets in the queue.
    pub(crate) fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == self.start
    }

    /// Appends `data`, without a copy unless it is short.
    pub(crate) fn push(&mut self, data: Bytes) {
        if data.len() < COPY_BELOW {
            return self.push_slice(&data);
        }
        self.freeze_tail();
        // A vector that became `Bytes` gets its reference count with the first clone. Now, so
        // that transmitting allocates nothing.
        drop(data.clone());
        let start = self.end;
        self.end += data.len() as u64;
        self.chunks.push_back(Chunk { start, bytes: data });
    }

    /// Appends a copy of `data`. Consecutive short writes share a chunk until it is sent.
    pub(crate) fn push_slice(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.tail.capacity() == self.tail.len() {
                self.grow_tail(data.len());
            }
            let room = self.tail.capacity() - self.tail.len();
            let (now, later) = data.split_at(room.min(data.len()));
            self.tail.extend_from_slice(now);
            self.end += now.len() as u64;
            data = later;
        }
    }

    /// Makes room behind the tail: a new buffer, so that octets never move.
    fn grow_tail(&mut self, wanted: usize) {
        let last = self.tail.len();
        self.freeze_tail();
        let size = wanted.max(last * 2).clamp(TAIL_FIRST, TAIL_LARGEST);
        self.tail = BytesMut::with_capacity(size);
        // Splitting nothing off makes the buffer a counted one now, and the place for its
        // chunk is made now: freezing it while transmitting allocates nothing.
        drop(self.tail.split());
        self.chunks.reserve(1);
    }

    /// Turns what the tail holds into a chunk; what is left of its buffer stays the tail's.
    fn freeze_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let bytes = self.tail.split().freeze();
        let start = self.end - bytes.len() as u64;
        self.chunks.push_back(Chunk { start, bytes });
    }

    /// Slices of the `len` octets that begin `skip` octets after the first unacknowledged one,
    /// appended to `payload`. Returns how many octets they have: fewer where a slice more than
    /// `payload` can hold would be needed, or the queue ends.
    pub(crate) fn slices(&mut self, skip: usize, len: usize, payload: &mut Payload) -> usize {
        let from = self.start + skip as u64;
        let to = (from + len as u64).min(self.end);
        if from >= to {
            return 0;
        }
        if to > self.end - self.tail.len() as u64 {
            self.freeze_tail();
            self.chunks.reserve(1);
        }
        let mut at = from;
        let first = self.chunks.partition_point(|chunk| chunk.end() <= from);
        for chunk in self.chunks.range(first..) {
            if at >= to || payload.len() >= PAYLOAD_SLICES_MAX {
                break;
            }
            let begin = (at - chunk.start) as usize;
            let stop = (to.min(chunk.end()) - chunk.start) as usize;
            payload.push(chunk.bytes.slice(begin..stop));
            at = chunk.start + stop as u64;
        }
        (at - from) as usize
    }

    /// The same octets in one piece, copied: for a range of many tiny chunks.
    pub(crate) fn copy(&mut self, skip: usize, len: usize) -> Bytes {
        let mut copied = BytesMut::with_capacity(len);
        while copied.len() < len {
            let mut payload = Payload::new();
            let got = self.slices(skip + copied.len(), len - copied.len(), &mut payload);
            if got == 0 {
                break;
            }
            for slice in &payload {
                copied.extend_from_slice(slice);
            }
        }
        copied.freeze()
    }

    /// The first `octets` were acknowledged: chunks that are done with are let go.
    pub(crate) fn release(&mut self, octets: usize) {
        self.start = (self.start + octets as u64).min(self.end);
        while let Some(chunk) = self.chunks.front()
            && chunk.end() <= self.start
        {
            self.chunks.pop_front();
        }
        // A small tail stays for the next short write; `shrink` takes it once all is quiet.
        if self.is_empty() && self.tail.capacity() > TAIL_KEPT {
            self.tail = BytesMut::new();
        }
    }

    /// Gives back the memory of an empty queue.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.chunks = VecDeque::new();
            self.tail = BytesMut::new();
        }
    }

    /// Whether there is memory to give back.
    pub(crate) fn can_shrink(&self) -> bool {
        self.is_empty() && self.chunks.capacity() + self.tail.capacity() > 0
    }
}
