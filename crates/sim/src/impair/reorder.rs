//! Packets that overtake each other.

use std::time::Duration;

use crate::rng::{Chance, Rng};

/// Holds some packets back, so that later ones overtake them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reorder {
    /// How likely a packet is held back.
    pub chance: Chance,
    /// For how long at most: evenly spread from zero.
    pub by: Duration,
}

impl Reorder {
    /// How long the next packet is held back; `None` where it keeps its place.
    pub fn holds_back(&self, rng: &mut Rng) -> Option<Duration> {
        let by = rng.up_to(self.by);
        rng.happens(self.chance).then_some(by)
    }
}
