//! Text that shows where in its stream it belongs.

use std::sync::LazyLock;

use bytes::Bytes;

/// After so many octets the pattern repeats. Divides 2^32, so sequence numbers may wrap.
const PERIOD: usize = 1 << 16;
/// Octets that can be had in one piece.
pub const LEN_MAX: usize = 1 << 20;
/// Octets that tell any place in the pattern from all others.
const TELLING: usize = 8;

static TABLE: LazyLock<Bytes> = LazyLock::new(|| {
    (0..PERIOD + LEN_MAX)
        .map(|at| (((at % PERIOD) as u32).wrapping_mul(0x9e37_79b1) ^ 0x5bd1_e995) >> 13)
        .map(|mixed| (mixed ^ (mixed >> 8)) as u8)
        .collect()
});

/// `len` octets from `at` on.
pub fn text(at: u32, len: usize) -> Bytes {
    let start = at as usize % PERIOD;
    TABLE.slice(start..start + len.min(LEN_MAX))
}

/// Whether `octets` are the pattern from `at` on.
pub fn is_text(at: u32, octets: &[u8]) -> bool {
    octets
        .chunks(LEN_MAX)
        .scan(at, |at, chunk| {
            let matches = *text(*at, chunk.len()) == *chunk;
            *at = at.wrapping_add(chunk.len() as u32);
            Some(matches)
        })
        .all(|matches| matches)
}

/// What an application has read of one connection, which has to be one piece of the pattern.
#[derive(Default)]
pub struct Reader {
    /// Read before it was clear where in the pattern that is.
    first: Vec<u8>,
    /// Where the next octet belongs.
    next: Option<u32>,
}

impl Reader {
    pub fn read(&mut self, octets: &[u8]) {
        if let Some(next) = &mut self.next {
            assert!(
                is_text(*next, octets),
                "octets out of order, or not as sent"
            );
            *next = next.wrapping_add(octets.len() as u32);
            return;
        }
        self.first.extend_from_slice(octets);
        if self.first.len() >= TELLING {
            let place = (0..PERIOD as u32).find(|at| is_text(*at, &self.first[..TELLING]));
            self.next = Some(place.expect("octets that nobody sent"));
            let first = std::mem::take(&mut self.first);
            self.read(&first);
        }
    }
}
