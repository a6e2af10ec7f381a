//! What the caller of `run` had, so that CMD gets exactly that and nothing more.

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::CapabilitySet;

/// Rights and signal mask of the process that was started.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Signals that it had blocked.
    pub(super) mask: SigSet,
    /// `CapEff`.
    pub(crate) effective: CapabilitySet,
    /// `CapBnd`: what an exec may gain at most.
    pub(super) bounding: CapabilitySet,
    /// `CapInh`.
    pub(super) inheritable: CapabilitySet,
    /// `CapAmb`.
    pub(super) ambient: CapabilitySet,
}

impl Caller {
    /// Reads it all from this process, before anything is changed.
    pub(crate) fn read() -> Self {
        let mut mask = SigSet::empty();
        // Fails for a wrong `how` only.
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            uid: geteuid(),
            gid: getegid(),
            mask,
            effective: capabilities(&status, "CapEff:"),
            bounding: capabilities(&status, "CapBnd:"),
            inheritable: capabilities(&status, "CapInh:"),
            ambient: capabilities(&status, "CapAmb:"),
        }
    }

    /// Whether it may write any user and group map that it likes.
    pub(super) fn may_map_anybody(&self) -> bool {
        let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
        self.uid.is_root() && self.effective.contains(needed)
    }
}

/// The set behind `label` in the text of `/proc/PID/status`.
fn capabilities(status: &str, label: &str) -> CapabilitySet {
    let line = status.lines().find_map(|line| line.strip_prefix(label));
    let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    CapabilitySet::from_bits_retain(bits.unwrap_or(0))
}
