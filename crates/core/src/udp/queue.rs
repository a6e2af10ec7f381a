//! Datagrams that wait: for the application, or for the device.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::socket::UdpMeta;

/// What a datagram in a queue costs beside its octets: the entry itself.
pub(crate) const ENTRY_COST: usize = size_of::<Datagram>();

/// A slot is kept for a payload of at least this part of it; a smaller one is copied to
/// memory that fits, or a few short datagrams would pin megabytes.
const SLOT_SHARE: usize = 4;

/// A datagram without its headers.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    /// What it carries.
    pub(crate) payload: Bytes,
    /// Where from, where to, how.
    pub(crate) meta: UdpMeta,
    /// Octets of memory that it keeps allocated.
    pub(crate) charge: usize,
}

impl Datagram {
    /// A datagram out of a slot of `slot_size` octets, copied out of it if it is much smaller.
    pub(crate) fn received(payload: Bytes, slot_size: usize, meta: UdpMeta) -> Self {
        let (payload, pinned) = keep(payload, slot_size);
        Self {
            payload,
            meta,
            charge: pinned + ENTRY_COST,
        }
    }

    /// A datagram of the application's, whose memory is not ours to judge.
    pub(crate) fn queued(payload: Bytes, meta: UdpMeta) -> Self {
        let charge = payload.len() + ENTRY_COST;
        Self {
            payload,
            meta,
            charge,
        }
    }
}

/// `payload` as it is worth keeping, and what it then pins.
pub(crate) fn keep(payload: Bytes, slot_size: usize) -> (Bytes, usize) {
    if payload.len() < slot_size / SLOT_SHARE {
        let len = payload.len();
        return (Bytes::copy_from_slice(&payload), len);
    }
    let pinned = slot_size.max(payload.len());
    (payload, pinned)
}

/// A queue bounded by the memory that it pins. An idle one holds none.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    datagrams: VecDeque<Datagram>,
    charged: usize,
}

/// A queue pins what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Buffers that may be kept for queues that come to need one.
const SPARE_MAX: usize = 64;
/// Datagrams that a kept buffer has room for: what a burst needed is not kept.
const SPARE_ROOM: usize = 16;

/// Buffers of queues that ran empty, for those that fill next: most queues have a datagram for
/// a moment, and then none for long. All sockets of a stack share these.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    buffers: Vec<VecDeque<Datagram>>,
}

impl Spare {
    fn take(&mut self) -> VecDeque<Datagram> {
        self.buffers.pop().unwrap_or_default()
    }

    fn put(&mut self, buffer: VecDeque<Datagram>) {
        if self.buffers.len() < SPARE_MAX && buffer.capacity() <= SPARE_ROOM {
            self.buffers.push(buffer);
        }
    }
}

impl Queue {
    /// Appends a datagram unless the queue pins `max` octets already. As sockets do
    /// elsewhere, one that fits only in part is taken: a buffer that is smaller than a
    /// datagram must not refuse it for ever.
    pub(crate) fn push(
        &mut self,
        datagram: Datagram,
        max: usize,
        spare: &mut Spare,
    ) -> Result<usize, Full> {
        if self.charged >= max {
            return Err(Full);
        }
        if self.datagrams.capacity() == 0 {
            self.datagrams = spare.take();
        }
        let charge = datagram.charge;
        self.charged += charge;
        self.datagrams.push_back(datagram);
        Ok(charge)
    }

    /// Takes the oldest out.
    pub(crate) fn pop(&mut self, spare: &mut Spare) -> Option<Datagram> {
        let datagram = self.datagrams.pop_front()?;
        self.charged = self.charged.saturating_sub(datagram.charge);
        if self.datagrams.is_empty() {
            spare.put(core::mem::take(&mut self.datagrams));
        }
        Some(datagram)
    }

    /// Takes the first segment out of the oldest, or all of it where that is no more. What is
    /// left of it goes on being charged whole: its memory is shared.
    pub(crate) fn pop_segment(&mut self, spare: &mut Spare) -> Option<Datagram> {
        let front = self.datagrams.front_mut()?;
        let segment_size = front.meta.segment_size.map(|size| usize::from(size.get()));
        match segment_size {
            Some(size) if size < front.payload.len() => Some(Datagram {
                payload: front.payload.split_to(size),
                meta: UdpMeta {
                    segment_size: None,
                    ..front.meta
                },
                charge: 0,
            }),
            _ => {
                let mut last = self.pop(spare)?;
                last.meta.segment_size = None;
                Some(last)
            }
        }
    }

    /// The oldest.
    pub(crate) fn front(&self) -> Option<&Datagram> {
        self.datagrams.front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Octets of memory that it pins.
    pub(crate) fn charged(&self) -> usize {
        self.charged
    }
}
