//! What both sides know of a flow, from its first octets.

use crate::truth::pattern::Pattern;

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The program closes, the server closes.
    Order,
    /// The program resets it.
    KilledInside,
    /// The server resets it when the program says so.
    KilledOutside,
}

/// Octets of the request.
pub(crate) const REQUEST: usize = 5;

/// The most octets either side sends: what a fresh socket takes in one write.
const MOST: u64 = 4_096;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) fate: Fate,
    pub(crate) out: usize,
    pub(crate) back: usize,
}

impl Flow {
    /// The flow of a number.
    pub(crate) fn of(number: u32) -> Self {
        // splitmix64 (Steele and others, 2014): neighbours have nothing in common.
        let mut mixed = u64::from(number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Self {
            fate: match mixed % 10 {
                0 => Fate::KilledInside,
                1 => Fate::KilledOutside,
                _ => Fate::Order,
            },
            out: (1 + (mixed >> 8) % MOST) as usize,
            back: (1 + (mixed >> 32) % MOST) as usize,
        }
    }

    /// `len` octets that both sides know.
    pub(crate) fn octets(len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        Pattern::default().fill(&mut octets);
        octets
    }
}
