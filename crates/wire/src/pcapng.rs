//! Packets as a capture file that every analyser opens: pcapng blocks, bytes out, no I/O.
//!
//! A file is [`section_header`], one [`interface`] for each link, then [`packet`]s. Packets
//! start with their IP header (link type "raw"), time has nanoseconds, and each packet may
//! carry a comment and a direction. Whoever owns the file writes the octets; a capture that
//! stops after any whole block is a whole file.

use alloc::vec::Vec;

/// Link type "raw IP": a packet starts with its IPv4 or IPv6 header (LINKTYPE_RAW).
pub const LINKTYPE_RAW: u16 = 101;

/// Octets of a comment or a name that are kept: options have a 16-bit length.
pub const TEXT_MAX: usize = 4096;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPT_END: u16 = 0;
const OPT_COMMENT: u16 = 1;
const SHB_USER_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TIMESTAMP_RESOLUTION: u16 = 9;
const EPB_FLAGS: u16 = 2;

/// Which way a packet went, as seen from the machine that recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    Inbound,
    /// It left.
    Outbound,
}

/// One packet of a capture.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Which interface it was seen on: 0 for the first that was described.
    pub interface: u32,
    /// When, in nanoseconds since 1970-01-01 (or since a simulated world began).
    pub at_ns: u64,
    /// The octets kept, from the IP header on.
    pub bytes: &'a [u8],
    /// Octets that the packet had on the wire; larger than `bytes` where it was snapped.
    pub original_len: usize,
    /// Which way it went, where known.
    pub direction: Option<Direction>,
    /// What a reader shall see beside it; empty for none.
    pub comment: &'a str,
}

impl<'a> Packet<'a> {
    /// A whole packet without comment or direction.
    #[must_use]
    pub const fn new(interface: u32, at_ns: u64, bytes: &'a [u8]) -> Self {
        Self {
            interface,
            at_ns,
            bytes,
            original_len: bytes.len(),
            direction: None,
            comment: "",
        }
    }
}

/// Starts a capture: must be the first block. `application` names who wrote it.
pub fn section_header(out: &mut Vec<u8>, application: &str) {
    block(out, SECTION_HEADER, |out| {
        put_u32(out, BYTE_ORDER_MAGIC);
        put_u16(out, 1); // version 1.0
        put_u16(out, 0);
        out.extend_from_slice(&u64::MAX.to_le_bytes()); // section length: not given
        option(out, SHB_USER_APPLICATION, text(application));
        option(out, OPT_END, &[]);
    });
}

/// Describes the next interface; packets name it by its position, from 0.
///
/// One is enough for most captures, and tcpdump refuses a file with a second one of this link
/// type (libpcap 1.10 compares the number with what it has translated the first one's to).
pub fn interface(out: &mut Vec<u8>, name: &str) {
    block(out, INTERFACE_DESCRIPTION, |out| {
        put_u16(out, LINKTYPE_RAW);
        put_u16(out, 0); // reserved
        put_u32(out, 0); // snap length: no limit
        option(out, IF_NAME, text(name));
        option(out, IF_TIMESTAMP_RESOLUTION, &[9]); // 10^-9 s
        option(out, OPT_END, &[]);
    });
}

/// Adds one packet.
pub fn packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    block(out, ENHANCED_PACKET, |out| {
        let (high, low) = ((packet.at_ns >> 32) as u32, packet.at_ns as u32);
        put_u32(out, packet.interface);
        put_u32(out, high);
        put_u32(out, low);
        put_u32(out, length(packet.bytes.len()));
        put_u32(out, length(packet.original_len));
        out.extend_from_slice(packet.bytes);
        pad(out, packet.bytes.len());
        let flags: Option<u32> = packet.direction.map(|direction| match direction {
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        });
        if !packet.comment.is_empty() {
            option(out, OPT_COMMENT, text(packet.comment));
        }
        if let Some(flags) = flags {
            option(out, EPB_FLAGS, &flags.to_le_bytes());
        }
        if flags.is_some() || !packet.comment.is_empty() {
            option(out, OPT_END, &[]);
        }
    });
}

/// Writes a block around `body`: type, length, body, and the length once more.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u32(out, kind);
    put_u32(out, 0);
    body(out);
    let total = length(out.len() - start + 4);
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&total.to_le_bytes());
    }
    put_u32(out, total);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    put_u16(out, code);
    put_u16(out, u16::try_from(value.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// The octets of `text`, cut at a character's border to what an option holds.
fn text(text: &str) -> &[u8] {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.as_bytes().get(..end).unwrap_or_default()
}

/// Fills up to the next 32-bit border after `len` octets.
fn pad(out: &mut Vec<u8>, len: usize) {
    out.resize(out.len() + len.wrapping_neg() % 4, 0);
}

/// A length as the format has it. Packets and options are far below 4 GiB.
fn length(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
#[path = "pcapng_tests.rs"]
mod tests;
