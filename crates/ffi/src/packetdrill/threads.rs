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

fn me() -> c_int {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::gettid() }
}

/// Waits until all threads but the calling one sleep and `is_quiet`. packetdrill never lets two
/// threads at once do what leads here.
pub(super) fn settle(is_quiet: impl Fn() -> bool) {
    let began = Instant::now();
    while !(is_quiet() && others_sleep() && is_quiet()) {
        if began.elapsed() > PATIENCE {
            eprintln!("switchboard: a thread does not come to rest; the run may not repeat");
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn others_sleep() -> bool {
    let me = me();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
        return true;
    };
    tasks.flatten().all(|task| {
        let name = task.file_name();
        let tid = name.to_str().and_then(|name| name.parse::<c_int>().ok());
        if tid == Some(me) {
            return true;
        }
        // One that has just ended is at rest.
        let state =
            File::open(task.path().join("stat")).and_then(|stat| kernel::thread_state(&stat));
        state.map_or(true, |state| {
            matches!(state, b'S' | b'Z' | b'X' | b't' | b'T')
        })
    })
}
