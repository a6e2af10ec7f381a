//! Fragments put together again (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! Strangers fill this, so: what all fragments of a family pin is bounded, and the oldest
//! packet makes room; a packet lives for a bounded time; overlapping fragments kill their
//! packet, in both families (RFC 5722, and as Linux does for IPv4); and the end of a packet
//! cannot move.

use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use switchboard_wire::ip::{Fragment, IpPacket, IpProtocol};
use switchboard_wire::ipv4::Ipv4Header;
use switchboard_wire::packet::IP_PACKET_MAX;
use switchboard_wire::{Checksum, Instant, RxPacket};

use crate::demux::ageing::Ageing;
use crate::demux::hash::{SecretHash, SecretMap};
use crate::drop_reason::DropReason;
use crate::slab::{Key, Slab};
use crate::udp::queue::keep;

/// Fragments that one packet may consist of. 65,535 octets over a link of 576 make 119.
const FRAGMENTS_MAX: usize = 256;
/// What a packet being put together costs beside its fragments' octets.
const ENTRY_COST: usize = 256;
/// What one fragment costs beside its octets.
const FRAGMENT_COST: usize = size_of::<Part>();
/// Octets of a transport header that the first fragment must hold: ports, and for TCP the
/// flags (RFC 1858 section 3, RFC 3128).
const FIRST_MIN: usize = 8;
const FIRST_MIN_TCP: usize = 20;

/// Names the packet that fragments belong to (RFC 791 section 3.2, RFC 8200 section 4.5).
/// IPv6 does not use the protocol: it is zero there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: u8,
}

#[derive(Debug)]
struct Part {
    offset: usize,
    bytes: Bytes,
}

/// A packet being put together.
#[derive(Debug)]
struct Partial {
    name: Name,
    /// By offset, without overlaps.
    parts: Vec<Part>,
    /// Octets of the parts.
    have: usize,
    /// Where the last fragment said that the packet ends.
    end: Option<usize>,
    /// The first fragment, header and all: what an error about the packet quotes, and the
    /// header of the whole.
    first: Option<First>,
    /// Octets of memory that it pins.
    charged: usize,
    /// Overlapping fragments came: everything of this packet is dropped until it expires.
    is_dead: bool,
}

#[derive(Debug)]
struct First {
    packet: Bytes,
    header_len: usize,
    protocol: IpProtocol,
}

/// What a fragment did.
#[derive(Debug)]
pub(crate) enum Reassembled {
    /// It waits for others.
    Waits,
    /// It was the last one missing.
    Whole(RxPacket),
    /// It was no good.
    Dropped(DropReason),
}

/// A packet whose rest did not come in time.
#[derive(Debug)]
pub(crate) struct TimedOut {
    /// Its first fragment, if that one came: then the sender is told.
    pub(crate) first: Option<Bytes>,
}

/// All packets of one family that are being put together.
#[derive(Debug)]
pub(crate) struct Reassembly {
    slab: Slab<Partial>,
    names: SecretMap<Name, Key>,
    ageing: Ageing,
    charged: usize,
    max: usize,
    age: Duration,
    /// Packets that made room for others since this was last asked.
    evicted: u64,
}

impl Reassembly {
    /// For fragments that pin at most `max` octets and wait at most `age`.
    pub(crate) fn new(max: usize, age: Duration, secret: SecretHash) -> Self {
        Self {
            slab: Slab::default(),
            names: SecretMap::with_hasher(secret),
            ageing: Ageing::default(),
            charged: 0,
            max,
            age,
            evicted: 0,
        }
    }

    /// Octets of memory that all fragments pin.
    #[cfg(test)]
    pub(crate) fn charged(&self) -> usize {
        self.charged
    }

    /// When `expire` has something to do.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.ageing.earliest()
    }

    /// How many packets made room for others since the last call.
    pub(crate) fn take_evicted(&mut self) -> u64 {
        core::mem::take(&mut self.evicted)
    }

    /// Takes a fragment. `packet` is `rx` read; `fragment` is its place.
    pub(crate) fn on_fragment(
        &mut self,
        now: Instant,
        rx: &RxPacket,
        packet: &IpPacket<'_>,
        fragment: Fragment,
    ) -> Reassembled {
        let body_len = packet.body_len();
        if let Some(reason) = fault(packet, fragment) {
            return Reassembled::Dropped(reason);
        }
        let name = Name {
            source: packet.source,
            destination: packet.destination,
            identification: fragment.identification,
            protocol: if packet.is_ipv6() {
                0
            } else {
                packet.protocol.0
            },
        };
        let key = self.entry(now, name);
        let Some(partial) = self.slab.get_mut(key) else {
            return Reassembled::Dropped(DropReason::ReassemblyFull);
        };
        let bytes = rx.bytes.slice(..packet.total_len().min(rx.bytes.len()));
        let (bytes, pinned) = keep(bytes, rx.slot_size);
        let start = packet.header_len.min(bytes.len());
        let part = Part {
            offset: usize::from(fragment.offset),
            bytes: bytes.slice(start..(start + body_len).min(bytes.len())),
        };
        let before = partial.charged;
        match partial.insert(part, fragment.more, pinned) {
            Ok(true) => {}
            // The very same fragment again: the network copied it (RFC 8200 section 4.5).
            Ok(false) => return Reassembled::Waits,
            Err(reason) => {
                partial.kill();
                self.charged = self.charged + partial.charged - before;
                return Reassembled::Dropped(reason);
            }
        }
        if fragment.offset == 0 {
            partial.first = Some(First {
                packet: bytes,
                header_len: packet.header_len,
                protocol: packet.protocol,
            });
        }
        let whole = partial.is_whole().then(|| partial.join(rx));
        self.charged = self.charged + partial.charged - before;
        match whole {
            Some(whole) => {
                self.remove(key);
                whole.map_or(
                    Reassembled::Dropped(DropReason::FragmentInconsistent),
                    Reassembled::Whole,
                )
            }
            None => {
                self.make_room(key);
                Reassembled::Waits
            }
        }
    }

    /// The next packet whose time is over, taken out.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<TimedOut> {
        loop {
            let key = self.ageing.pop_due(now)?;
            if let Some(partial) = self.remove(key)
                && !partial.is_dead
            {
                let first = partial.first.map(|first| first.packet);
                return Some(TimedOut { first });
            }
        }
    }

    /// The packet of that name, a new one if need be.
    fn entry(&mut self, now: Instant, name: Name) -> Key {
        if let Some(key) = self.names.get(&name) {
            return *key;
        }
        let expires = now + self.age;
        let key = self.slab.insert(Partial {
            name,
            parts: Vec::new(),
            have: 0,
            end: None,
            first: None,
            charged: ENTRY_COST,
            is_dead: false,
        });
        self.charged += ENTRY_COST;
        self.names.insert(name, key);
        self.ageing.push(expires, key);
        key
    }

    /// Drops the oldest packets until what is left fits; `newest` goes last.
    fn make_room(&mut self, newest: Key) {
        while self.charged > self.max {
            let oldest = self.ageing.pop_oldest().unwrap_or(newest);
            if self.remove(oldest).is_some() {
                self.evicted += 1;
            }
            if oldest == newest {
                return;
            }
        }
    }

    fn remove(&mut self, key: Key) -> Option<Partial> {
        let partial = self.slab.remove(key)?;
        self.names.remove(&partial.name);
        self.charged = self.charged.saturating_sub(partial.charged);
        let slab = &self.slab;
        self.ageing.tidy(slab.len(), |key| slab.get(key).is_some());
        Some(partial)
    }
}

impl Partial {
    /// Puts a part in its place. `Ok(false)`: it is there already.
    fn insert(&mut self, part: Part, more: bool, pinned: usize) -> Result<bool, DropReason> {
        if self.is_dead {
            return Err(DropReason::FragmentOverlap);
        }
        let (start, end) = (part.offset, part.offset + part.bytes.len());
        let place = self.parts.partition_point(|other| other.offset < start);
        if let Some(next) = self.parts.get(place)
            && next.offset == start
            && next.bytes.len() == part.bytes.len()
        {
            return Ok(false);
        }
        let before = place.checked_sub(1).and_then(|place| self.parts.get(place));
        let overlaps = before.is_some_and(|before| before.offset + before.bytes.len() > start)
            || self.parts.get(place).is_some_and(|next| next.offset < end);
        if overlaps {
            return Err(DropReason::FragmentOverlap);
        }
        let furthest = self
            .parts
            .last()
            .map_or(0, |last| last.offset + last.bytes.len());
        match (self.end, more) {
            // The last fragment came before: nothing lies beyond it, and it is not moved.
            (Some(known), true) if end > known => return Err(DropReason::FragmentInconsistent),
            (Some(known), false) if end != known => return Err(DropReason::FragmentInconsistent),
            (None, false) if end < furthest => return Err(DropReason::FragmentInconsistent),
            (_, false) => self.end = Some(end),
            (_, true) => {}
        }
        if self.parts.len() >= FRAGMENTS_MAX {
            return Err(DropReason::ReassemblyFull);
        }
        self.have += part.bytes.len();
        self.charged += pinned + FRAGMENT_COST;
        self.parts.insert(place, part);
        Ok(true)
    }

    /// Lets go of everything but the name (RFC 8200 section 4.5: abandoned, and what came is
    /// discarded; what still comes must not start it anew).
    fn kill(&mut self) {
        self.is_dead = true;
        self.parts = Vec::new();
        self.first = None;
        self.charged = ENTRY_COST;
    }

    /// Without overlaps, as many octets as the end says are all of them.
    fn is_whole(&self) -> bool {
        self.end == Some(self.have) && self.first.is_some()
    }

    /// The whole packet, in memory of its own, behind the first fragment's header.
    fn join(&self, last: &RxPacket) -> Option<RxPacket> {
        let first = self.first.as_ref()?;
        let packet = IpPacket::parse(&first.packet).ok()?;
        let is_ipv6 = packet.is_ipv6();
        let header = first.packet.get(..first.header_len)?;
        // The fragment header, and for us everything before it has had its say: the whole
        // gets a header without extensions.
        let mut whole = BytesMut::with_capacity(first.header_len.max(40) + self.have);
        if is_ipv6 {
            let len = u16::try_from(self.have).ok()?;
            let [l0, l1] = len.to_be_bytes();
            let &[v0, v1, v2, v3, _, _, _, hop_limit, ref addresses @ ..] = header.get(..40)?
            else {
                return None;
            };
            whole.extend_from_slice(&[v0, v1, v2, v3, l0, l1, first.protocol.0, hop_limit]);
            whole.extend_from_slice(addresses);
        } else {
            let mut header = Ipv4Header::parse(&first.packet).ok()?;
            let len = header.header_len() + self.have;
            if len > IP_PACKET_MAX {
                return None;
            }
            header.total_len = u16::try_from(len).ok()?;
            header.more_fragments = false;
            let mut octets = Vec::with_capacity(60);
            header.emit(&mut octets);
            whole.extend_from_slice(&octets);
        }
        for part in &self.parts {
            whole.extend_from_slice(&part.bytes);
        }
        let bytes = whole.freeze();
        Some(RxPacket {
            slot_size: bytes.len(),
            bytes,
            arrived: last.arrived,
            checksum: Checksum::Unknown,
            segment_size: None,
        })
    }
}

/// What is wrong with a fragment by itself.
fn fault(packet: &IpPacket<'_>, fragment: Fragment) -> Option<DropReason> {
    let len = packet.body_len();
    let needs = if packet.protocol == IpProtocol::TCP {
        FIRST_MIN_TCP
    } else {
        FIRST_MIN
    };
    if fragment.offset == 0 && len < needs {
        return Some(DropReason::TinyFragment);
    }
    // A fragment at offset 8 of TCP can only mean to change flags (RFC 3128 section 4).
    if fragment.offset == 8 && packet.protocol == IpProtocol::TCP {
        return Some(DropReason::TinyFragment);
    }
    // All but the last are multiples of 8 octets (RFC 791 section 3.2).
    if len == 0 || (fragment.more && !len.is_multiple_of(8)) {
        return Some(DropReason::FragmentInconsistent);
    }
    let longest = IP_PACKET_MAX
        - if packet.is_ipv6() {
            0
        } else {
            packet.header_len
        };
    (usize::from(fragment.offset) + len > longest).then_some(DropReason::FragmentInconsistent)
}

#[cfg(test)]
mod tests;
