//! What the agent inherited is CMD's: while the agent held it too, a pipe that CMD closes would
//! have no end, and nobody who reads CMD's output would see the end of it before the agent's.

use std::os::fd::{AsFd as _, AsRawFd, RawFd};

use rustix::fs::{Mode, OFlags};

/// Closes every descriptor but `kept`; standard input, output and error become `/dev/null`.
pub(crate) fn close_all_but(kept: &[&dyn AsRawFd]) {
    let nowhere = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    if let Ok(nowhere) = nowhere {
        let _ = nix::unistd::dup2_stdin(nowhere.as_fd());
        let _ = nix::unistd::dup2_stdout(nowhere.as_fd());
        let _ = nix::unistd::dup2_stderr(nowhere.as_fd());
    }
    let mut kept: Vec<RawFd> = kept.iter().map(|owner| owner.as_raw_fd()).collect();
    kept.sort_unstable();
    let mut from = libc::STDERR_FILENO + 1;
    for fd in kept {
        close_range(from, fd - 1);
        from = fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: the agent has one thread, and its only owners of descriptors are those that
    // `close_all_but` was told to keep: all others were inherited, and nothing here names them.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0);
    }
}
