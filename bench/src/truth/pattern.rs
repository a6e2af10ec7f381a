//! Octets that can be foretold: whoever receives them checks each.

use std::io::{self, Read, Write};

/// A stream of pseudo-random octets (xorshift64, Marsaglia 2003).
pub(crate) struct Pattern {
    state: u64,
    /// Octets made and not used yet.
    block: [u8; 8],
    used: usize,
}

impl Default for Pattern {
    fn default() -> Self {
        Self {
            state: 0x9e37_79b9_7f4a_7c15,
            block: [0; 8],
            used: 8,
        }
    }
}

impl Pattern {
    pub(crate) fn fill(&mut self, octets: &mut [u8]) {
        for octet in octets {
            if self.used == 8 {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.block = self.state.to_le_bytes();
                self.used = 0;
            }
            *octet = self.block[self.used];
            self.used += 1;
        }
    }

    /// Writes the next `len` octets.
    pub(crate) fn write_all(&mut self, to: &mut impl Write, len: usize) -> io::Result<()> {
        let mut chunk = vec![0; 65_536];
        let mut left = len;
        while left > 0 {
            let part = &mut chunk[..left.min(65_536)];
            self.fill(part);
            to.write_all(part)?;
            left -= part.len();
        }
        Ok(())
    }

    /// Reads `len` octets; whether all are what they should be.
    pub(crate) fn read_all(&mut self, from: &mut impl Read, len: usize) -> io::Result<bool> {
        let (mut chunk, mut wanted) = (vec![0; 65_536], vec![0; 65_536]);
        let mut left = len;
        while left > 0 {
            match from.read(&mut chunk[..left.min(65_536)])? {
                0 => return Ok(false),
                len => {
                    self.fill(&mut wanted[..len]);
                    if chunk[..len] != wanted[..len] {
                        return Ok(false);
                    }
                    left -= len;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_octet_and_a_missing_one_are_found() {
        let mut octets = Vec::new();
        Pattern::default()
            .write_all(&mut octets, 100_000)
            .expect("writes");
        let check = |octets: &[u8]| Pattern::default().read_all(&mut &octets[..], 100_000);
        assert!(check(&octets).expect("reads"));
        assert!(!check(&octets[..99_999]).expect("reads"));
        octets[77_777] ^= 1;
        assert!(!check(&octets).expect("reads"));
    }
}
