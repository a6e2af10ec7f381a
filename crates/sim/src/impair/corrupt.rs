//! Packets that arrive changed.

use bytes::Bytes;

use crate::rng::{Chance, Rng};

/// Flips one bit of some packets.
///
/// One and no more: a 16-bit sum finds every single bit (RFC 1071), while worse damage passes
/// it once in 65,536, and a simulator that runs that often would report the checksum's
/// weakness as ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Corrupt {
    /// How likely a packet is changed.
    pub chance: Chance,
}

impl Corrupt {
    /// Which bit of the next packet, `len` octets long, is flipped.
    pub fn strikes(&self, len: usize, rng: &mut Rng) -> Option<usize> {
        let bit = rng.index(len.saturating_mul(8));
        (rng.happens(self.chance) && len > 0).then_some(bit)
    }
}

/// `packet` with one bit flipped, counted from the first bit on the wire and modulo its
/// length.
#[must_use]
pub fn flip_bit(packet: &Bytes, bit: usize) -> Bytes {
    let mut octets = packet.to_vec();
    let index = (bit / 8) % octets.len().max(1);
    if let Some(octet) = octets.get_mut(index) {
        *octet ^= 0x80 >> (bit % 8);
    }
    octets.into()
}
