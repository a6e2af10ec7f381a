//! Segments in protocol terms: what the machine reads and writes, free of IP and of bytes.

use core::net::SocketAddr;
use core::num::NonZeroU16;
use core::ops::BitOr;

use arrayvec::ArrayVec;
use bytes::Bytes;
use switchboard_wire::tcp::FastOpen;
use switchboard_wire::{Instant, Payload};

use super::seq::SeqNum;

/// Length of a TCP header without options, in octets.
pub(crate) const HEADER_LEN: usize = 20;

/// Both endpoints of a connection: RFC 9293's "socket pair", and the key of the demux table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FourTuple {
    /// Our endpoint.
    pub(crate) local: SocketAddr,
    /// The peer's.
    pub(crate) remote: SocketAddr,
}

/// Control bits of a segment, as the header has them (RFC 9293 section 3.1, RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const FIN: Self = Self(0x01);
    pub(crate) const SYN: Self = Self(0x02);
    pub(crate) const RST: Self = Self(0x04);
    pub(crate) const PSH: Self = Self(0x08);
    pub(crate) const ECE: Self = Self(0x40);
    pub(crate) const CWR: Self = Self(0x80);

    /// From the header's octet. ACK and URG are dropped: the first is [`Segment::ack`], the
    /// second is not supported (RFC 6093 advises against it; the octets stay in line).
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & 0b1100_1111)
    }

    /// For the header's octet, without ACK.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn syn(self) -> bool {
        self.has(Self::SYN)
    }

    pub(crate) const fn fin(self) -> bool {
        self.has(Self::FIN)
    }

    pub(crate) const fn rst(self) -> bool {
        self.has(Self::RST)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The timestamps option (RFC 7323 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamps {
    /// TSval: the sender's clock.
    pub(crate) value: u32,
    /// TSecr: what the sender last heard from us; means nothing without ACK.
    pub(crate) echo: u32,
}

/// One block of the SACK option (RFC 2018): octets from `left` up to, without, `right`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SackBlock {
    pub(crate) left: SeqNum,
    pub(crate) right: SeqNum,
}

/// As many SACK blocks as a header can hold (RFC 2018 section 3).
pub(crate) type SackBlocks = ArrayVec<SackBlock, 4>;

/// The options that we know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Maximum segment size; only on SYN segments.
    pub(crate) mss: Option<u16>,
    /// Shift of the windows that the sender will announce; only on SYN segments.
    pub(crate) window_scale: Option<u8>,
    /// The sender can read SACK; only on SYN segments.
    pub(crate) sack_permitted: bool,
    /// On SYN segments an offer, afterwards on all.
    pub(crate) timestamps: Option<Timestamps>,
    /// What arrived out of order; the first may be a DSACK (RFC 2883).
    pub(crate) sack: SackBlocks,
    /// Fast Open (RFC 7413); only on SYN segments.
    pub(crate) fast_open: Option<FastOpen>,
}

/// A segment that arrived, checksum verified, for this very connection.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// SEG.SEQ.
    pub(crate) seq: SeqNum,
    /// SEG.ACK, if the ACK bit is set.
    pub(crate) ack: Option<SeqNum>,
    /// SEG.WND as it is in the header, not scaled.
    pub(crate) window: u16,
    /// The other control bits.
    pub(crate) flags: Flags,
    /// Its options.
    pub(crate) options: Options,
    /// Octets of text (a super-segment has up to 64 KiB).
    pub(crate) text_len: u32,
    /// For a super-segment: text in each of the segments that it stands for.
    pub(crate) segment_size: Option<NonZeroU16>,
    /// When the device handed it over: what round trips and reordering are measured by.
    pub(crate) arrived: Instant,
    /// The IP header said "congestion experienced" (RFC 3168).
    #[expect(
        dead_code,
        reason = "the seam for ECN: ingress tells it, nobody asks yet"
    )]
    pub(crate) ce: bool,
}

impl Segment {
    /// SEG.LEN: octets of sequence space that it takes (RFC 9293 section 3.4).
    pub(crate) fn len(&self) -> u32 {
        self.text_len + u32::from(self.flags.syn()) + u32::from(self.flags.fin())
    }

    /// The sequence number after it.
    pub(crate) fn end(&self) -> SeqNum {
        self.seq + self.len()
    }

    /// Sequence number of the first octet of text: SYN comes before it.
    pub(crate) fn text_seq(&self) -> SeqNum {
        self.seq + u32::from(self.flags.syn())
    }
}

/// The text of a segment that arrived, and what keeping it costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// The octets: a slice of the slot that the device read into.
    pub(crate) bytes: Bytes,
    /// Octets of memory that stay allocated while any slice of `bytes` lives.
    pub(crate) slot_size: usize,
}

/// The header of a segment to send. Ports, checksum and data offset are the egress's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) seq: SeqNum,
    /// Sets the ACK bit where present.
    pub(crate) ack: Option<SeqNum>,
    /// As it goes into the header, scaled already.
    pub(crate) window: u16,
    pub(crate) flags: Flags,
    pub(crate) options: Options,
}

/// A segment without text that answers another one at once: RST, or an ACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) header: Header,
}

impl Reply {
    /// `<SEQ=seq><CTL=RST>`.
    pub(crate) fn reset(seq: SeqNum) -> Self {
        Self {
            header: Header {
                seq,
                flags: Flags::RST,
                ..Header::default()
            },
        }
    }

    /// `<SEQ=0><ACK=ack><CTL=RST,ACK>`.
    pub(crate) fn reset_ack(ack: SeqNum) -> Self {
        Self {
            header: Header {
                ack: Some(ack),
                flags: Flags::RST,
                ..Header::default()
            },
        }
    }
}

/// A segment to send. The caller keeps one and passes it again: nothing allocates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) header: Header,
    /// Slices of the send queue, in order.
    pub(crate) payload: Payload,
    /// Set where it is a super-segment: octets of payload in each segment to be made of it.
    pub(crate) segment_size: Option<NonZeroU16>,
    /// IPv4 TTL or IPv6 hop limit; `None`: the stack's.
    pub(crate) hop_limit: Option<u8>,
    /// DSCP and ECN octet.
    pub(crate) traffic_class: u8,
    /// It repeats octets (or SYN, or FIN) that were sent before: for the counters.
    pub(crate) retransmission: bool,
}
