//! What a run was.

use std::fmt;
use std::time::Duration;

use switchboard_core::SocketEntry;

/// A run in figures.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What it followed from.
    pub seed: u64,
    /// How old the world was.
    pub elapsed: Duration,
    /// How many hosts it had.
    pub hosts: usize,
    /// Packets that links were given.
    pub packets: u64,
    /// Two runs have the same only if every packet, moment and fate is the same.
    pub digest: u64,
    /// How long it took on this machine: the one figure that a second run does not share.
    pub real: Duration,
}

impl Report {
    /// How much faster than real time it was.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.real.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {:.3} s of {} hosts in {:.3} s, {:.0} times real time; {} packets, digest {:016x}",
            self.seed,
            self.elapsed.as_secs_f64(),
            self.hosts,
            self.real.as_secs_f64(),
            self.speed(),
            self.packets,
            self.digest
        )
    }
}

/// A socket in a few words.
pub(super) fn socket(entry: &SocketEntry) -> String {
    let mut text = entry.to_string();
    if let Some(remote) = entry.remote {
        text.push_str(&format!(" > {remote}"));
    }
    if let Some(state) = entry.state {
        text.push_str(&format!(" {state:?}"));
    }
    text
}
