//! The device seam: what a device receives, and what the stack transmits.
//!
//! Packets cross it without copies. A received packet owns a slice of the slot that the
//! device read into; a transmit is a small head written inline plus slices of the send queue.
//! Both may be super-segments: up to 64 KiB of one flow with a segment size beside it.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use arrayvec::ArrayVec;
use bytes::Bytes;
use smallvec::SmallVec;

use crate::time::Instant;

/// Octets of headers that a transmit carries inline.
///
/// IPv6 (40) and the longest TCP header (60) leave 28 for extension headers.
pub const HEAD_MAX: usize = 128;

/// Slices that a transmit's payload may consist of.
///
/// Bounded so that a device can write a transmit with one call; the sender picks fewer octets
/// where a range would need more slices.
pub const PAYLOAD_SLICES_MAX: usize = 8;

/// Slices that a transmit holds inline. A segment lies in one chunk of the send queue or across
/// the border of two; only super-segments of many small chunks need more, and pay for it with an
/// allocation. Inline slices make every transmit longer, and transmits are moved.
const PAYLOAD_SLICES_INLINE: usize = 2;

/// The longest IP packet, super-segments included (RFC 791, RFC 8200).
pub const IP_PACKET_MAX: usize = 65_535;

/// What is known of a received packet's transport checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing: the receiver verifies it.
    #[default]
    Unknown,
    /// Whoever handed the packet over has verified it.
    Verified,
    /// Only the pseudo header is summed, the sender left the rest to offloads that no wire
    /// ever needed. Counts as valid inward; is finished before the packet leaves by a door
    /// without offloads.
    Partial,
}

/// A packet as a device received it: one IP packet, or a super-segment of one flow.
#[derive(Clone, Debug)]
pub struct RxPacket {
    /// The IP packet, from the first octet of its IP header on.
    pub bytes: Bytes,
    /// When the device handed it over, not when somebody came to look at it.
    pub arrived: Instant,
    /// What is known of the transport checksum.
    pub checksum: Checksum,
    /// For a super-segment (GRO, or a neighbour's TSO): octets of payload in each of the
    /// segments that it stands for.
    pub segment_size: Option<NonZeroU16>,
    /// Octets of memory that stay allocated while any slice of `bytes` lives.
    pub slot_size: usize,
}

impl RxPacket {
    /// A plain packet of which nothing is known: what most devices hand over.
    #[must_use]
    pub fn new(bytes: Bytes, arrived: Instant) -> Self {
        let slot_size = bytes.len();
        Self {
            bytes,
            arrived,
            checksum: Checksum::Unknown,
            segment_size: None,
            slot_size,
        }
    }
}

/// The headers of a transmit, written inline.
pub type Head = ArrayVec<u8, HEAD_MAX>;

/// The payload of a transmit: slices of the send queue, in order, at most
/// [`PAYLOAD_SLICES_MAX`].
pub type Payload = SmallVec<[Bytes; PAYLOAD_SLICES_INLINE]>;

/// Where a device without a finished checksum has to write it.
///
/// The field holds the sum of the pseudo header already, as virtio-net and Linux
/// (`CHECKSUM_PARTIAL`) have it: sum from `start` to the end, write the complement at
/// `start + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// First octet of the transport header, from the start of the packet.
    pub start: u16,
    /// Where in the transport header the checksum field is.
    pub offset: u16,
}

/// A packet that the stack wants sent.
///
/// The whole packet is `head` followed by the slices of `payload`.
#[derive(Clone, Debug, Default)]
pub struct Transmit {
    /// IP and transport headers.
    pub head: Head,
    /// What follows them.
    pub payload: Payload,
    /// `None`: every checksum is finished. `Some`: the device finishes it.
    pub checksum: Option<PartialChecksum>,
    /// For a super-segment: octets of payload in each segment that the device, or
    /// `offload::cut`, makes of it. Only with `checksum`.
    pub segment_size: Option<NonZeroU16>,
}

impl Transmit {
    /// A plain packet, every sum finished, that was somebody else's before: sharing its octets
    /// but for the first, which every device may expect in the head.
    #[must_use]
    pub fn from_packet(packet: &Bytes) -> Self {
        let head_len = packet.len().min(HEAD_MAX);
        let mut transmit = Self::default();
        transmit.head.extend(packet.iter().take(head_len).copied());
        if packet.len() > head_len {
            transmit.payload.push(packet.slice(head_len..));
        }
        transmit
    }

    /// Octets of the whole packet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.payload_len()
    }

    /// Octets behind the head.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.payload.iter().map(Bytes::len).sum()
    }

    /// The whole packet in one piece: a copy, for those who need it so.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&self.head);
        for slice in &self.payload {
            bytes.extend_from_slice(slice);
        }
        bytes.into()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
