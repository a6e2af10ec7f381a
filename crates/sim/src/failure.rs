//! A promise that was broken, with everything needed to see it happen again.

use std::fmt;
use std::path::PathBuf;

use switchboard_wire::Instant;

use crate::rng::Seed;
use crate::trace::Trace;

/// Lines of the ladder that a report shows: the last ones.
const LADDER_LINES_MAX: usize = 60;

/// A run that broke a promise.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What the run follows from.
    pub seed: Seed,
    /// When it was seen.
    pub at: Instant,
    /// Which promise, and how.
    pub what: String,
    /// The command that does it again; empty where nobody named one.
    pub repeat: String,
    /// How each application stood.
    pub status: String,
    /// The end of the ladder, as the first host saw it.
    pub ladder: String,
    /// The run as a capture.
    pub capture: Vec<u8>,
}

impl Failure {
    pub(crate) fn new(
        seed: Seed,
        at: Instant,
        what: String,
        repeat: String,
        status: String,
        trace: &Trace,
    ) -> Self {
        let ladder = trace.ladder();
        let skip = ladder.lines().count().saturating_sub(LADDER_LINES_MAX);
        let mut shown = String::new();
        if skip > 0 {
            shown.push_str(&format!("  ({skip} lines before these)\n"));
        }
        for line in ladder.lines().skip(skip) {
            shown.push_str(line);
            shown.push('\n');
        }
        let has_packets = !trace.entries().is_empty();
        Self {
            seed,
            at,
            what,
            repeat,
            status,
            ladder: shown,
            capture: if has_packets {
                trace.pcapng()
            } else {
                Vec::new()
            },
        }
    }

    /// Writes the capture into the folder for such things and returns its path.
    ///
    /// # Errors
    ///
    /// The file system's own.
    pub fn write_capture(&self) -> std::io::Result<PathBuf> {
        let folder = capture_folder();
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("sim-seed-{}.pcapng", self.seed));
        std::fs::write(&path, &self.capture)?;
        Ok(path)
    }

    /// The whole report; also writes the capture, and says where.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        if !self.capture.is_empty() {
            match self.write_capture() {
                Ok(path) => text.push_str(&format!("capture: {}\n", path.display())),
                Err(error) => text.push_str(&format!("capture not written: {error}\n")),
            }
        }
        text
    }
}

/// The folder `tmp` of the target folder that this program was built in, else the system's.
fn capture_folder() -> PathBuf {
    let built_here = || {
        let program = std::env::current_exe().ok()?;
        // target/debug/deps/x-0123 and target/release/examples/x: two above the folder.
        let target = program.ancestors().nth(3)?;
        target
            .join("CACHEDIR.TAG")
            .exists()
            .then(|| target.join("tmp"))
    };
    built_here().unwrap_or_else(std::env::temp_dir)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} at {}: {}", self.seed, self.at, self.what)?;
        if !self.repeat.is_empty() {
            writeln!(f, "again: {}", self.repeat)?;
        }
        write!(f, "{}{}", self.status, self.ladder)
    }
}

/// The report, so that `unwrap` in a test shows it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.report())
    }
}

impl std::error::Error for Failure {}
