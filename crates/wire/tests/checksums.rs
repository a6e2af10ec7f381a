//! RFC 1071 and RFC 1624, against a sum made the slow way.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_wire::IpProtocol;
use switchboard_wire::checksum::{self, Sum};

/// One 16-bit word after another, carries added at once.
fn naive(octets: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in octets.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[test]
fn the_example_of_rfc_1071() {
    // Section 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
    let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::new().plus(&octets).folded(), 0xddf2);
    assert_eq!(checksum::checksum(&octets), !0xddf2);
}

#[test]
fn the_example_of_rfc_1624() {
    // Section 4: header checksum dd2f, a field changes from 5555 to 3285.
    assert_eq!(checksum::update(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn the_longest_packet_of_ones_does_not_overflow() {
    let octets = vec![0xff; 65_535];
    assert_eq!(checksum::checksum(&octets), naive(&octets));
    let mut sum = Sum::new();
    for _ in 0..1000 {
        sum.add(&octets[..65_534]);
    }
    assert_eq!(sum.folded(), 0xffff);
}

#[test]
fn pseudo_headers_are_those_of_the_rfcs() {
    let (a, b) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
    let spelled = [192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34];
    let sum = checksum::pseudo(a.into(), b.into(), IpProtocol::UDP, 0x1234);
    assert_eq!(sum.checksum(), naive(&spelled));

    let (a, b) = (
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9),
    );
    let mut spelled = Vec::new();
    spelled.extend_from_slice(&a.octets());
    spelled.extend_from_slice(&b.octets());
    spelled.extend_from_slice(&0x0001_0203u32.to_be_bytes());
    spelled.extend_from_slice(&[0, 0, 0, 6]);
    let sum = checksum::pseudo(a.into(), b.into(), IpProtocol::TCP, 0x0001_0203);
    assert_eq!(sum.checksum(), naive(&spelled));
}

proptest! {
    #[test]
    fn as_the_slow_sum(octets in vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(checksum::checksum(&octets), naive(&octets));
    }

    /// Slices of odd lengths in any number sum as the whole.
    #[test]
    fn in_any_slices(slices in vec(vec(any::<u8>(), 0..150), 0..10)) {
        let mut sum = Sum::new();
        for slice in &slices {
            sum.add(slice);
        }
        prop_assert_eq!(sum.checksum(), naive(&slices.concat()));
    }

    #[test]
    fn a_finished_checksum_verifies(mut octets in vec(any::<u8>(), 2..300)) {
        octets[0..2].fill(0);
        let sum = checksum::checksum(&octets);
        octets[0..2].copy_from_slice(&sum.to_be_bytes());
        prop_assert!(checksum::verifies(Sum::new(), &octets));
    }

    /// One flipped bit is always seen.
    #[test]
    fn a_flipped_bit_shows(mut octets in vec(any::<u8>(), 2..300), bit: prop::sample::Index) {
        octets[0..2].fill(0);
        let sum = checksum::checksum(&octets);
        octets[0..2].copy_from_slice(&sum.to_be_bytes());
        let bit = bit.index(octets.len() * 8);
        octets[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(!checksum::verifies(Sum::new(), &octets));
    }

    /// A partial sum can be taken up again from its folded form.
    #[test]
    fn folded_and_unfolded(first in vec(any::<u16>(), 0..20), rest in vec(any::<u8>(), 0..50)) {
        let first: Vec<u8> = first.iter().flat_map(|word| word.to_be_bytes()).collect();
        let folded = Sum::new().plus(&first).folded();
        let resumed = Sum::from_folded(folded).plus(&rest);
        prop_assert_eq!(resumed.checksum(), naive(&[first, rest].concat()));
    }

    /// RFC 1624: an update is the recomputation, but for the two forms of zero.
    #[test]
    fn updates(mut words in vec(any::<u16>(), 2..20), new: u16, at: prop::sample::Index) {
        let octets = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let before = naive(&octets(&words));
        let at = at.index(words.len());
        let old = std::mem::replace(&mut words[at], new);
        let after = checksum::update(before, old, new);
        prop_assert!(Sum::new().plus(&octets(&words)).plus_u16(after).is_valid());
        prop_assert_eq!(after % 0xffff, naive(&octets(&words)) % 0xffff);
    }

    #[test]
    fn updates_of_32_bits(words: [u32; 4], new: u32) {
        let octets = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let before = naive(&octets(&words));
        let changed = [words[0], new, words[2], words[3]];
        let after = checksum::update_u32(before, words[1], new);
        prop_assert!(Sum::new().plus(&octets(&changed)).plus_u16(after).is_valid());
    }
}
