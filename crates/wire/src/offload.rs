//! Checksums left to a device, and super-segments: made plain where no device does it.
//!
//! A door without offloads (a plain device, a capture, a link that impairs) calls [`cut`] on
//! what the stack transmits and [`cut_received`] on what a neighbour handed over. Each packet
//! that comes out is one that a wire could carry, every checksum finished.

use alloc::vec::Vec;
use core::num::NonZeroU16;

use bytes::Bytes;

use crate::checksum::{self, Sum};
use crate::ip::{IpPacket, IpProtocol};
use crate::ipv6;
use crate::packet::{Checksum, HEAD_MAX, Head, PartialChecksum, Payload, RxPacket, Transmit};
use crate::tcp::{self, Flags};
use crate::udp;

/// Puts the transport checksum into a packet whose head is complete but for it, or, if
/// `deferred`, leaves it to the device.
///
/// `pseudo` is the pseudo header's sum; `Sum::new()` for ICMP over IPv4.
pub fn seal(transmit: &mut Transmit, field: PartialChecksum, pseudo: Sum, deferred: bool) {
    write(
        &mut transmit.head,
        checksum_at(field),
        pseudo.folded().to_be_bytes(),
    );
    transmit.checksum = Some(field);
    if !deferred {
        finish(transmit);
    }
}

/// Finishes a transmit's checksum. Not for super-segments: [`cut`] those.
pub fn finish(transmit: &mut Transmit) {
    let Some(field) = transmit.checksum.take() else {
        return;
    };
    let start = usize::from(field.start);
    let mut sum = Sum::new();
    sum.add(transmit.head.get(start..).unwrap_or_default());
    for slice in &transmit.payload {
        sum.add(slice);
    }
    let value = final_value(sum, field);
    write(&mut transmit.head, checksum_at(field), value);
}

/// Whether `transmit` can leave by a door without offloads as it is.
#[must_use]
pub const fn is_plain(transmit: &Transmit) -> bool {
    transmit.checksum.is_none() && transmit.segment_size.is_none()
}

/// The plain packets that `transmit` stands for, in order. Payloads are shared, not copied.
#[must_use]
pub fn cut(transmit: &Transmit) -> Cut<'_> {
    let plan = transmit
        .segment_size
        .zip(transmit.checksum)
        .map(|(segment_size, field)| {
            let old_len = (transmit.len() - usize::from(field.start).min(transmit.len())) as u16;
            let in_field = read_u16(&transmit.head, checksum_at(field));
            Plan {
                segment_size,
                field,
                payload_len: transmit.payload_len(),
                // The field sums the whole's length too; one's complement takes it out.
                pseudo: Sum::from_folded(in_field).plus_u16(!old_len),
            }
        });
    Cut {
        transmit,
        plan,
        next: Some(0),
        slice: 0,
        slice_at: 0,
    }
}

/// The plain packets that `packet` stands for, in order.
///
/// A packet that is plain already is shared, not copied. What no checksum can be found for (a
/// malformed packet, or a transport other than TCP and UDP) stays as it is. The pieces of a
/// super-segment get new checksums, whatever the super-segment's own was.
#[must_use]
pub fn cut_received(packet: &RxPacket) -> CutReceived<'_> {
    CutReceived {
        packet,
        work: Work::of(packet),
        next: Some(0),
    }
}

/// `packet` as it goes on to another device: a super-segment stays one, and a checksum that
/// nobody has finished stays so. `None` where its headers do not fit into a transmit's head;
/// such a packet goes on as what [`cut_received`] makes of it.
///
/// A super-segment's checksum is written anew as a partial one, whatever it was: whoever cuts
/// it makes new ones.
#[must_use]
pub fn relay(packet: &RxPacket) -> Option<Transmit> {
    let (head_len, field, pseudo) = match Work::of(packet) {
        Work::Nothing => return Some(Transmit::from_packet(&packet.bytes)),
        Work::Finish { field, pseudo } => {
            let checksum_end = checksum_at(field) + 2;
            (
                packet.bytes.len().min(HEAD_MAX).max(checksum_end),
                field,
                pseudo,
            )
        }
        Work::Cut { plan, head_len } => {
            let transport_len = packet.bytes.len() - usize::from(plan.field.start);
            let pseudo = plan.pseudo.plus_u16(transport_len as u16);
            (head_len, plan.field, pseudo)
        }
    };
    if head_len > HEAD_MAX {
        return None;
    }
    let mut transmit = Transmit::default();
    transmit
        .head
        .extend(packet.bytes.iter().take(head_len).copied());
    if packet.bytes.len() > head_len {
        transmit.payload.push(packet.bytes.slice(head_len..));
    }
    write(
        &mut transmit.head,
        checksum_at(field),
        pseudo.folded().to_be_bytes(),
    );
    transmit.checksum = Some(field);
    transmit.segment_size = packet.segment_size;
    Some(transmit)
}

/// How a super-segment is cut.
#[derive(Clone, Copy, Debug)]
struct Plan {
    segment_size: NonZeroU16,
    field: PartialChecksum,
    payload_len: usize,
    /// The pseudo header's sum, its length left out.
    pseudo: Sum,
}

/// One piece of a super-segment: which part of the payload.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    len: usize,
    is_last: bool,
}

impl Plan {
    fn piece(&self, at: usize) -> Piece {
        let left = self.payload_len.saturating_sub(at);
        let len = left.min(usize::from(self.segment_size.get()));
        Piece {
            at,
            len,
            is_last: len == left,
        }
    }

    /// Turns the whole's headers into the piece's, all but the transport checksum, which is
    /// zero afterwards. Returns the sum that the payload has to be added to.
    fn retouch(&self, head: &mut [u8], piece: Piece) -> Sum {
        let start = usize::from(self.field.start);
        let index = piece.at / usize::from(self.segment_size.get());
        retouch_ip(head, start, index as u16, piece.len);
        let transport_len = (head.len() - start.min(head.len()) + piece.len) as u16;
        if self.field.offset == udp::CHECKSUM_AT {
            write(head, start + 4, transport_len.to_be_bytes());
        } else {
            let seq = read_u32(head, start + 4).wrapping_add(piece.at as u32);
            write(head, start + 4, seq.to_be_bytes());
            retouch_flags(head, start + 12, piece);
        }
        write(head, checksum_at(self.field), [0, 0]);
        self.pseudo
            .plus_u16(transport_len)
            .plus(head.get(start..).unwrap_or_default())
    }
}

/// Lengths, and over IPv4 identification and checksum. Each piece of an IPv4 packet is a
/// packet of its own, so each has its own identification.
fn retouch_ip(head: &mut [u8], header_len: usize, index: u16, payload_len: usize) {
    let total_len = head.len() + payload_len;
    if head.first().is_some_and(|octet| octet >> 4 == 6) {
        let payload_len = total_len.saturating_sub(ipv6::header::HEADER_LEN) as u16;
        write(head, 4, payload_len.to_be_bytes());
        return;
    }
    let identification = read_u16(head, 4).wrapping_add(index);
    write(head, 2, (total_len as u16).to_be_bytes());
    write(head, 4, identification.to_be_bytes());
    write(head, 10, [0, 0]);
    let checksum = checksum::checksum(head.get(..header_len).unwrap_or_default());
    write(head, 10, checksum.to_be_bytes());
}

/// FIN and PSH belong to the last octet, CWR to the first segment (RFC 3168 section 6.1.2).
fn retouch_flags(head: &mut [u8], at: usize, piece: Piece) {
    let mut drop = Flags::NONE;
    if !piece.is_last {
        drop |= Flags::FIN | Flags::PSH;
    }
    if piece.at > 0 {
        drop |= Flags::CWR;
    }
    let flags = read_u16(head, at) & !drop.bits();
    write(head, at, flags.to_be_bytes());
}

/// The plain packets of a transmit: see [`cut`].
#[derive(Clone, Debug)]
pub struct Cut<'a> {
    transmit: &'a Transmit,
    plan: Option<Plan>,
    /// Where in the payload the next piece starts.
    next: Option<usize>,
    /// Which slice that is, and where in it.
    slice: usize,
    slice_at: usize,
}

impl Iterator for Cut<'_> {
    type Item = Transmit;

    fn next(&mut self) -> Option<Transmit> {
        let at = self.next.take()?;
        let Some(plan) = self.plan else {
            let mut whole = self.transmit.clone();
            whole.segment_size = None;
            finish(&mut whole);
            return Some(whole);
        };
        let piece = plan.piece(at);
        if !piece.is_last {
            self.next = Some(at + piece.len);
        }
        let mut head: Head = self.transmit.head.clone();
        let mut sum = plan.retouch(&mut head, piece);
        let payload = self.take_payload(piece.len, &mut sum);
        let value = final_value(sum, plan.field);
        write(&mut head, checksum_at(plan.field), value);
        Some(Transmit {
            head,
            payload,
            checksum: None,
            segment_size: None,
        })
    }
}

impl Cut<'_> {
    /// Shares the next `len` octets of the payload and adds them to `sum`.
    fn take_payload(&mut self, mut len: usize, sum: &mut Sum) -> Payload {
        let mut payload = Payload::new();
        while len > 0 {
            let Some(slice) = self.transmit.payload.get(self.slice) else {
                break;
            };
            let take = len.min(slice.len() - self.slice_at);
            if take > 0 {
                let part = slice.slice(self.slice_at..self.slice_at + take);
                sum.add(&part);
                // No more parts than the whole has slices.
                payload.push(part);
            }
            len -= take;
            self.slice_at += take;
            if self.slice_at == slice.len() {
                self.slice += 1;
                self.slice_at = 0;
            }
        }
        payload
    }
}

/// What a received packet needs.
#[derive(Clone, Copy, Debug)]
enum Work {
    Nothing,
    /// Its checksum finished.
    Finish {
        field: PartialChecksum,
        pseudo: Sum,
    },
    Cut {
        plan: Plan,
        head_len: usize,
    },
}

impl Work {
    fn of(packet: &RxPacket) -> Self {
        if packet.segment_size.is_none() && packet.checksum != Checksum::Partial {
            return Self::Nothing;
        }
        Self::find(packet).unwrap_or(Self::Nothing)
    }

    fn find(packet: &RxPacket) -> Option<Self> {
        let ip = IpPacket::parse(&packet.bytes).ok()?;
        if ip.fragment.is_some() {
            return None;
        }
        let (offset, transport_len) = match ip.protocol {
            IpProtocol::TCP => (tcp::CHECKSUM_AT, tcp::TcpHeader::parse(ip.body()).ok()?.1),
            IpProtocol::UDP => (
                udp::CHECKSUM_AT,
                ip.body().get(..udp::HEADER_LEN).map(<[u8]>::len)?,
            ),
            _ => return None,
        };
        let field = PartialChecksum {
            start: u16::try_from(ip.header_len).ok()?,
            offset,
        };
        let Some(segment_size) = packet.segment_size else {
            let pseudo = ip.pseudo_header();
            return Some(Self::Finish { field, pseudo });
        };
        let head_len = ip.header_len + transport_len;
        let pseudo = checksum::pseudo(ip.source, ip.destination, ip.protocol, 0);
        let plan = Plan {
            segment_size,
            field,
            payload_len: ip.total_len().saturating_sub(head_len),
            pseudo,
        };
        Some(Self::Cut { plan, head_len })
    }
}

/// The plain packets of a received one: see [`cut_received`].
#[derive(Clone, Debug)]
pub struct CutReceived<'a> {
    packet: &'a RxPacket,
    work: Work,
    next: Option<usize>,
}

impl Iterator for CutReceived<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let at = self.next.take()?;
        match self.work {
            Work::Nothing => Some(self.packet.bytes.clone()),
            Work::Finish { field, pseudo } => {
                let mut bytes = Vec::from(self.packet.bytes.as_ref());
                write(&mut bytes, checksum_at(field), [0, 0]);
                let transport = bytes.get(usize::from(field.start)..).unwrap_or_default();
                let value = final_value(pseudo.plus(transport), field);
                write(&mut bytes, checksum_at(field), value);
                Some(bytes.into())
            }
            Work::Cut { plan, head_len } => {
                let piece = plan.piece(at);
                if !piece.is_last {
                    self.next = Some(at + piece.len);
                }
                let (head, payload) = self.packet.bytes.split_at_checked(head_len)?;
                let payload = payload.get(at..at + piece.len)?;
                let mut bytes = Vec::with_capacity(head_len + piece.len);
                bytes.extend_from_slice(head);
                let sum = plan.retouch(&mut bytes, piece).plus(payload);
                let value = final_value(sum, plan.field);
                write(&mut bytes, checksum_at(plan.field), value);
                bytes.extend_from_slice(payload);
                Some(bytes.into())
            }
        }
    }
}

/// The checksum as it is sent. RFC 768: a UDP checksum that computes as zero is sent as all
/// ones, because zero says that there is none.
fn final_value(sum: Sum, field: PartialChecksum) -> [u8; 2] {
    let checksum = match sum.checksum() {
        0 if field.offset == udp::CHECKSUM_AT => 0xffff,
        checksum => checksum,
    };
    checksum.to_be_bytes()
}

/// Where in the packet the field is.
fn checksum_at(field: PartialChecksum) -> usize {
    usize::from(field.start) + usize::from(field.offset)
}

/// Overwrites octets of a header.
fn write<const LEN: usize>(octets: &mut [u8], at: usize, value: [u8; LEN]) {
    let place = octets.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
    debug_assert!(place.is_some(), "a header field beyond the head");
    if let Some(place) = place {
        *place = value;
    }
}

/// A field of a header.
fn read<const LEN: usize>(octets: &[u8], at: usize) -> [u8; LEN] {
    octets
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .copied()
        .unwrap_or([0; LEN])
}

fn read_u16(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(read(octets, at))
}

fn read_u32(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(read(octets, at))
}
