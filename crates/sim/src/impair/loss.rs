//! Packets that do not arrive.

use std::collections::BTreeSet;

use crate::rng::{Chance, Rng};

/// Which packets a line loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with the same chance, whatever happened to the one before.
    Random(Chance),
    /// In bursts.
    Burst(Burst),
    /// Exactly these, counted from 0 over the packets that reach this line.
    Nth {
        /// The unlucky ones.
        unlucky: BTreeSet<u64>,
        /// How many have come so far.
        seen: u64,
    },
}

impl Loss {
    /// Loses exactly the packets of these numbers, counted from 0.
    pub fn nth(unlucky: impl IntoIterator<Item = u64>) -> Self {
        Self::Nth {
            unlucky: unlucky.into_iter().collect(),
            seen: 0,
        }
    }

    /// Whether the next packet is lost.
    pub fn strikes(&mut self, rng: &mut Rng) -> bool {
        match self {
            Self::None => false,
            Self::Random(chance) => rng.happens(*chance),
            Self::Burst(burst) => burst.strikes(rng),
            Self::Nth { unlucky, seen } => {
                *seen += 1;
                unlucky.contains(&(*seen - 1))
            }
        }
    }
}

/// Loss in bursts: a line that is well or ill and changes its mind by chance
/// (Gilbert and Elliott's model).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// Chance, at each packet, that a line that is well falls ill.
    pub falls_ill: Chance,
    /// Chance, at each packet, that an ill line gets well: its inverse is the mean length of
    /// a burst, in packets.
    pub gets_well: Chance,
    /// Chance that a packet is lost while the line is well.
    pub loss_well: Chance,
    /// Chance that a packet is lost while the line is ill.
    pub loss_ill: Chance,
    /// How the line is now.
    pub is_ill: bool,
}

impl Burst {
    /// A line that loses nothing while it is well and everything while it is ill.
    #[must_use]
    pub const fn new(falls_ill: Chance, gets_well: Chance) -> Self {
        Self {
            falls_ill,
            gets_well,
            loss_well: Chance::NEVER,
            loss_ill: Chance::ALWAYS,
            is_ill: false,
        }
    }

    fn strikes(&mut self, rng: &mut Rng) -> bool {
        let (turns, loss) = if self.is_ill {
            (self.gets_well, self.loss_ill)
        } else {
            (self.falls_ill, self.loss_well)
        };
        self.is_ill ^= rng.happens(turns);
        rng.happens(loss)
    }
}
