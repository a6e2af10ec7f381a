//! Whether the other threads of the process sleep, by what the kernel says of them.
//!
//! A thread that we or packetdrill wake is runnable from that moment on, before it has run: so
//! when all others sleep, nothing is under way.

use std::ffi::c_int;
use std::fs::File;
use std::time::{Duration, Instant};

use crate::kernel;

/// How long, in real time, a thread may take before we go on without it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between looks. Longer than a yield: packetdrill's script thread has a real-time priority, and
/// must let the other have the processor.
const PAUSE: Duration = Duration::from_micros(20);

pub(super) struct Threads {
    /// The thread that plays the script.
    script: c_int,
}

fn me() -> c_int {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::gettid() }
}

impl Threads {
    /// The calling thread plays the script.
    pub(super) fn new() -> Self {
        Self { script: me() }
    }

    /// Whether the calling thread plays the script.
    pub(super) fn is_mine(&self) -> bool {
        me() == self.script
    }

    /// Waits until all other threads sleep and `is_quiet`.
    pub(super) fn settle(&self, is_quiet: impl Fn() -> bool) {
        if !self.is_mine() {
            return;
        }
        let began = Instant::now();
        while !(is_quiet() && self.others_sleep() && is_quiet()) {
            if began.elapsed() > PATIENCE {
                eprintln!("switchboard: a thread does not come to rest; the run may not repeat");
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn others_sleep(&self) -> bool {
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
            return true;
        };
        tasks.flatten().all(|task| {
            let name = task.file_name();
            let tid = name.to_str().and_then(|name| name.parse::<c_int>().ok());
            if tid == Some(self.script) {
                return true;
            }
            // One that has just ended is at rest.
            let state = File::open(task.path().join("stat")).and_then(|stat| kernel::thread_state(&stat));
            state.map_or(true, |state| matches!(state, b'S' | b'Z' | b'X' | b't' | b'T'))
        })
    }
}
