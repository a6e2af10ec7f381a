//! The only door for randomness.

/// A source of random numbers, made from one seed that the caller chooses.
///
/// Two streams: `secret` feeds keys, initial sequence numbers and whatever an attacker must
/// not guess; `visible` feeds what the network sees anyway. Same seed, same numbers.
#[derive(Clone, Debug)]
pub struct Entropy {
    seed: [u8; 32],
}

impl Entropy {
    /// From 256 bits: of the operating system's best in production, of a test's seed in a test.
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed }
    }

    /// The seed that it was made from.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}
