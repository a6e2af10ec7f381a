//! Why a run is no good, and how to see it again.

use std::fmt;
use std::time::Duration;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A host's software returned an error.
    Software,
    /// A host's software panicked.
    Panic,
    /// The time limit came before all clients had ended.
    TimeLimit,
    /// The time limit came before all clients had ended, and no packet was sent in the last
    /// quarter of the time: they wait for something that does not come.
    Stuck,
    /// Two runs of one seed were not the same.
    NotRepeatable,
    /// A host's software moved tokio's clock (`pause`, `resume`, `advance`).
    ClockMoved,
    /// The host system failed: a runtime or a capture could not be made.
    System,
}

/// A run that went wrong: what, on which host, when; the seed, and the last packets as a ladder.
///
/// Its `Debug` is the whole report, so that `unwrap` and `?` in a test show it, and writes the
/// last packets as a capture to where it says.
pub struct Failure {
    pub(super) kind: FailureKind,
    pub(super) host: Option<String>,
    pub(super) report: switchboard_sim::Failure,
}

impl Failure {
    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The host that it is about.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The seed that does it again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.report.seed.0
    }

    /// When, since the world began.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.report
            .at
            .saturating_since(switchboard_core::Instant::ZERO)
    }

    /// What happened, without the rest of the report.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.report.what
    }

    /// The last packets, one a line, with crashes and partitions between them.
    #[must_use]
    pub fn ladder(&self) -> &str {
        &self.report.ladder
    }

    /// The last packets as a pcapng file.
    #[must_use]
    pub fn capture(&self) -> &[u8] {
        &self.report.capture
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.report.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.report, f)
    }
}

impl std::error::Error for Failure {}
