//! The only door for randomness.
//!
//! Numbers are SipHash-2-4 of a counter, keyed by the seed: a pseudo-random function, so that
//! no number tells anything of another to whoever does not know the seed. Two counters make
//! two streams that do not disturb each other.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

/// A source of random numbers, made from one seed that the caller chooses.
///
/// Two streams: `secret` feeds keys, initial sequence numbers and whatever an attacker must
/// not guess; `visible` feeds what the network sees anyway. Same seed, same numbers.
#[derive(Clone, Debug)]
pub struct Entropy {
    seed: [u8; 32],
    secret_count: u64,
    visible_count: u64,
}

/// Which stream a number is of: part of what is hashed, so that they never coincide.
#[derive(Clone, Copy)]
enum Stream {
    Secret = 0x5345_4352,
    Visible = 0x5649_5349,
}

impl Entropy {
    /// From 256 bits: of the operating system's best in production, of a test's seed in a test.
    #[must_use]
    pub const fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            seed,
            secret_count: 0,
            visible_count: 0,
        }
    }

    /// The seed that it was made from.
    #[must_use]
    pub const fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Numbers that nobody outside may guess.
    pub fn secret_u64(&mut self) -> u64 {
        self.secret_count += 1;
        self.number(Stream::Secret, self.secret_count)
    }

    /// A key for a keyed hash.
    pub(crate) fn secret_key(&mut self) -> [u8; 16] {
        let [low, high] = [self.secret_u64(), self.secret_u64()];
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    /// Numbers that show on the wire; they do not repeat what was shown, and foretell nothing.
    pub(crate) fn visible_u64(&mut self) -> u64 {
        self.visible_count += 1;
        self.number(Stream::Visible, self.visible_count)
    }

    /// The `count`th number of `stream`. One half of the seed is the key, the other is hashed
    /// with the counter, so all 256 bits count.
    fn number(&self, stream: Stream, count: u64) -> u64 {
        let (mut key, mut rest) = ([0; 16], [0; 16]);
        for (to, from) in key.iter_mut().chain(&mut rest).zip(&self.seed) {
            *to = *from;
        }
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write(&rest);
        hasher.write_u64(stream as u64);
        hasher.write_u64(count);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests;
