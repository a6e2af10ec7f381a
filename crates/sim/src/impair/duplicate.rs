//! Packets that arrive twice.

use crate::rng::{Chance, Rng};

/// Sends some packets twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duplicate {
    /// How likely a packet gets a twin.
    pub chance: Chance,
}

impl Duplicate {
    /// Whether the next packet gets a twin.
    pub fn strikes(&self, rng: &mut Rng) -> bool {
        rng.happens(self.chance)
    }
}
