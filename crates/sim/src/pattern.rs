//! What simulated applications send: octets that follow from where they are in a stream, so
//! that a receiver can tell any octet in a wrong place without a copy of the stream.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::rng::{Rng, Seed};

/// One direction of a conversation: from whom, to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Direction {
    /// Who sends.
    pub source: SocketAddr,
    /// Who receives.
    pub destination: SocketAddr,
}

impl Direction {
    /// From `source` to `destination`.
    #[must_use]
    pub const fn new(source: SocketAddr, destination: SocketAddr) -> Self {
        Self {
            source,
            destination,
        }
    }

    /// The other direction of the same conversation.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.destination, self.source)
    }

    /// The octets of this direction.
    #[must_use]
    pub fn pattern(self) -> Pattern {
        let end = |address: SocketAddr| -> u64 {
            let ip = match address.ip() {
                std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
                std::net::IpAddr::V6(ip) => ip.to_bits() as u64,
            };
            ip.rotate_left(16) ^ u64::from(address.port())
        };
        Pattern(end(self.source).rotate_left(7) ^ end(self.destination).wrapping_mul(3))
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} > {}", self.source, self.destination)
    }
}

/// An endless stream of octets, any of which can be computed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(pub u64);

impl Pattern {
    /// `len` octets from `offset` on.
    #[must_use]
    pub fn octets(self, offset: u64, len: usize) -> Bytes {
        let mut octets = Vec::with_capacity(len + 8);
        let mut word = offset / 8;
        let skip = (offset % 8) as usize;
        while octets.len() < skip + len {
            octets.extend_from_slice(&self.word(word).to_le_bytes());
            word += 1;
        }
        Bytes::from(octets).slice(skip..skip + len)
    }

    /// Where `octets`, said to be at `offset`, first differ.
    #[must_use]
    pub fn first_difference(self, offset: u64, octets: &[u8]) -> Option<u64> {
        let expected = self.octets(offset, octets.len());
        (octets != expected)
            .then(|| octets.iter().zip(&expected).position(|(a, b)| a != b))
            .flatten()
            .map(|at| offset + at as u64)
    }

    fn word(self, index: u64) -> u64 {
        Rng::new(Seed(self.0).of_part(index)).next()
    }
}
