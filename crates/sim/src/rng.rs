//! Repeatable luck: the same seed draws the same numbers on every machine.

use std::time::Duration;

/// What a whole run of the simulator follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// A seed for a part of the world, independent of what other parts draw.
    #[must_use]
    pub const fn of_part(self, part: u64) -> Self {
        Self(mix(self.0 ^ mix(part.wrapping_add(GOLDEN))))
    }

    /// 256 bits for a stack's own entropy.
    #[must_use]
    pub fn expand(self) -> [u8; 32] {
        let mut rng = Rng::new(self);
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes());
        }
        bytes
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// 2^64 divided by the golden ratio: steps that visit all of 2^64 evenly.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A bijection of 64 bits in which every input bit reaches every output bit.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of one seed.
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self {
            state: mix(seed.0.wrapping_add(GOLDEN)),
        }
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product is even enough: the bias is below bound / 2^64.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// An index into a list of `len` things.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// A time from zero to `longest`.
    pub fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_nanos(self.between(0, longest.as_nanos() as u64))
    }

    /// Whether something of this chance happens. Always draws, so that a changed chance does
    /// not shift the luck of what is drawn after it.
    pub fn happens(&mut self, chance: Chance) -> bool {
        self.below(u64::from(MILLION)) < u64::from(chance.0)
    }
}

const MILLION: u32 = 1_000_000;

/// How likely something is, in millionths: whole numbers, the same on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(MILLION);

    /// `n` in a hundred; more than 100 is always.
    #[must_use]
    pub const fn percent(n: u32) -> Self {
        Self::per_million(n.saturating_mul(MILLION / 100))
    }

    /// `n` in a million; more is always.
    #[must_use]
    pub const fn per_million(n: u32) -> Self {
        Self(if n > MILLION { MILLION } else { n })
    }

    /// A part of one: `0.01` is one in a hundred. Below zero, and what is no number, is never;
    /// above one is always.
    #[must_use]
    pub fn of_one(part: f64) -> Self {
        // A float outside the range saturates, and NaN becomes zero.
        Self::per_million((part * f64::from(MILLION)).round() as u32)
    }

    /// Whether it cannot happen.
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for Chance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}
