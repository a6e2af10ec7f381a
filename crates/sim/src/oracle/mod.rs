//! What must be true of a run, whatever the network did.
//!
//! - [`stream`]: TCP's one promise. An octet that was acknowledged was delivered, once and in
//!   order, or the application was told of an error.
//! - [`datagram`]: UDP's. What arrives is what was sent, whole, and no more often than the
//!   network made copies.
//! - [`invariants`]: what must hold at every step, read from the packets themselves and from
//!   each stack's own figures.

pub mod datagram;
pub mod invariants;
pub mod stream;

use switchboard_wire::Instant;

pub use datagram::DatagramOracle;
pub use invariants::WireOracle;
pub use stream::StreamOracle;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was seen.
    pub at: Instant,
    /// Which promise, and how.
    pub what: String,
}

/// All oracles of a world.
#[derive(Debug, Default)]
pub struct Oracles {
    /// Byte streams.
    pub stream: StreamOracle,
    /// Datagrams.
    pub datagram: DatagramOracle,
    /// Packets.
    pub wire: WireOracle,
    violations: Vec<Violation>,
    progress: u64,
}

impl Oracles {
    /// Notes `what` if a check found something.
    pub fn note(&mut self, now: Instant, found: Result<(), String>) {
        if let Err(what) = found {
            self.violations.push(Violation { at: now, what });
        }
    }

    /// Notes that an application got something done.
    pub const fn note_progress(&mut self) {
        self.progress += 1;
    }

    /// Grows with everything that applications get done.
    #[must_use]
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// The first promise that was broken.
    #[must_use]
    pub fn first_violation(&self) -> Option<&Violation> {
        self.violations.first()
    }
}
