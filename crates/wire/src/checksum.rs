//! The Internet checksum: RFC 1071, and its incremental update, RFC 1624.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ip::IpProtocol;
use crate::malformed::Malformed;

/// Octets that one turn of the summing loop takes.
const STRIDE: usize = 64;

/// A one's complement sum in the making, over any number of slices of any length.
///
/// Kept in the machine's byte order: the sum does not care (RFC 1071 section 2, B), only its
/// result is turned into the network's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Unfolded. Each slice adds less than 2^17, so no packet makes it overflow.
    total: u64,
    /// Whether an odd number of octets has been added: the next one is a low half.
    is_odd: bool,
}

impl Sum {
    /// Nothing summed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            total: 0,
            is_odd: false,
        }
    }

    /// A sum that was folded before, as a partial checksum field holds it.
    #[must_use]
    pub const fn from_folded(folded: u16) -> Self {
        Self {
            total: folded.to_be() as u64,
            is_odd: false,
        }
    }

    /// Adds octets; an odd end is continued by the next slice.
    pub fn add(&mut self, octets: &[u8]) {
        let folded = sum_native(octets);
        let aligned = if self.is_odd {
            folded.swap_bytes()
        } else {
            folded
        };
        self.total += u64::from(aligned);
        self.is_odd ^= octets.len() % 2 == 1;
    }

    /// Adds one 16-bit number. Only where an even number of octets has been added.
    pub const fn add_u16(&mut self, value: u16) {
        debug_assert!(!self.is_odd, "a number starts at an even octet");
        self.total += value.to_be() as u64;
    }

    /// As [`Sum::add`], returning the sum.
    #[must_use]
    pub fn plus(mut self, octets: &[u8]) -> Self {
        self.add(octets);
        self
    }

    /// As [`Sum::add_u16`], returning the sum.
    #[must_use]
    pub const fn plus_u16(mut self, value: u16) -> Self {
        self.add_u16(value);
        self
    }

    /// The sum itself: what a partial checksum field holds.
    #[must_use]
    pub const fn folded(self) -> u16 {
        u16::from_be(fold(self.total))
    }

    /// The checksum: the sum's complement.
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }

    /// Whether a sum that covered a checksum field too shows no error.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.folded() == 0xffff
    }
}

/// Folds the carries in (RFC 1071 section 4.1).
const fn fold(total: u64) -> u16 {
    let mut total = (total >> 32) + (total & 0xffff_ffff);
    total = (total >> 16) + (total & 0xffff);
    total = (total >> 16) + (total & 0xffff);
    total = (total >> 16) + (total & 0xffff);
    total as u16
}

/// The folded sum of a slice in the machine's byte order.
///
/// Sixteen independent lanes of 32-bit words summed in 64 bits: no carries to chase, and a
/// shape that compilers turn into vector code. A lane cannot overflow below 2^38 octets.
///
/// Headers are shorter than a stride and skip all that: they are most of the calls.
fn sum_native(octets: &[u8]) -> u16 {
    let (strides, rest) = octets.as_chunks::<STRIDE>();
    let mut total = if strides.is_empty() {
        0
    } else {
        sum_strides(strides)
    };
    let (words, tail) = rest.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    // RFC 1071 section 1: an odd last octet is padded with zero on the right.
    total += match *tail {
        [a] => u64::from(u16::from_ne_bytes([a, 0])),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c] => u64::from(u16::from_ne_bytes([a, b])) + u64::from(u16::from_ne_bytes([c, 0])),
        _ => 0,
    };
    fold(total)
}

fn sum_strides(strides: &[[u8; STRIDE]]) -> u64 {
    let mut lanes = [0u64; STRIDE / 4];
    for stride in strides {
        let (words, _) = stride.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    lanes.into_iter().sum()
}

/// The checksum of one slice.
#[must_use]
pub fn checksum(octets: &[u8]) -> u16 {
    Sum::new().plus(octets).checksum()
}

/// Whether `octets`, which hold their checksum, and the pseudo header agree.
#[must_use]
pub fn verifies(pseudo: Sum, octets: &[u8]) -> bool {
    pseudo.plus(octets).is_valid()
}

/// The pseudo header over IPv4 (RFC 9293 section 3.1, RFC 768).
///
/// `length` is that of the transport header and what follows, in octets.
#[must_use]
pub fn pseudo_v4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: IpProtocol,
    length: usize,
) -> Sum {
    let [s0, s1, s2, s3] = source.octets();
    let [d0, d1, d2, d3] = destination.octets();
    let (protocol, length) = (u16::from(protocol.0), length_words(length));
    let words = [[s0, s1], [s2, s3], [d0, d1], [d2, d3]].map(u16::from_be_bytes);
    let words = words.into_iter().chain([protocol]).chain(length);
    words.fold(Sum::new(), Sum::plus_u16)
}

/// The pseudo header over IPv6 (RFC 8200 section 8.1).
#[must_use]
pub fn pseudo_v6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    protocol: IpProtocol,
    length: usize,
) -> Sum {
    let [high, low] = length_words(length);
    Sum::new()
        .plus(&source.octets())
        .plus(&destination.octets())
        .plus_u16(u16::from(protocol.0))
        .plus_u16(high)
        .plus_u16(low)
}

/// The pseudo header of whichever family the addresses are; of no family if they differ.
#[must_use]
pub fn pseudo(source: IpAddr, destination: IpAddr, protocol: IpProtocol, length: usize) -> Sum {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            pseudo_v4(source, destination, protocol, length)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            pseudo_v6(source, destination, protocol, length)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            debug_assert!(false, "addresses of two families");
            Sum::new()
        }
    }
}

/// The pseudo header's length field in 32 bits; IPv4's upper half is zero anyway.
fn length_words(length: usize) -> [u16; 2] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    [(length >> 16) as u16, length as u16]
}

/// The checksum after one 16-bit field changed from `old` to `new` (RFC 1624, equation 3).
#[must_use]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    let mut sum = (!checksum) as u32 + (!old) as u32 + new as u32;
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    !(sum as u16)
}

/// As [`update`], for a field of 32 bits.
#[must_use]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    let high = update(checksum, (old >> 16) as u16, (new >> 16) as u16);
    update(high, old as u16, new as u16)
}

/// `Ok` if the sums agree, else `fault`.
pub(crate) fn require(pseudo: Sum, octets: &[u8], fault: Malformed) -> Result<(), Malformed> {
    if verifies(pseudo, octets) {
        Ok(())
    } else {
        Err(fault)
    }
}
