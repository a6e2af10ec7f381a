//! Into the background when ready: the process that was started waits for that, and ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::exit;

use nix::unistd::{ForkResult, fork};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

/// The end that says when it is time.
#[derive(Debug)]
pub(crate) struct Background {
    ready: File,
    nowhere: File,
}

impl Background {
    /// Returns in the process that will be in the background; the one that was started stays
    /// here, until [`enter`](Self::enter), or ends as that one does. To be called while the
    /// process has one thread.
    ///
    /// # Errors
    ///
    /// No process, no pipe.
    pub(crate) fn begin() -> io::Result<Self> {
        let nowhere = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        let (wait, ready) = pipe_with(PipeFlags::CLOEXEC)?;
        // SAFETY: this process has one thread, so no lock is held by another one that the child
        // would wait for.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(wait);
                rustix::process::setsid()?;
                let ready = File::from(ready);
                Ok(Self { ready, nowhere })
            }
            ForkResult::Parent { child } => {
                drop(ready);
                exit(i32::from(foreground(&mut File::from(wait), child.as_raw())));
            }
        }
    }

    /// Ready: the terminal is its owner's again.
    ///
    /// # Errors
    ///
    /// The standard streams cannot be let go of.
    pub(crate) fn enter(mut self) -> io::Result<()> {
        nix::unistd::dup2_stdin(self.nowhere.as_fd())?;
        nix::unistd::dup2_stdout(self.nowhere.as_fd())?;
        nix::unistd::dup2_stderr(self.nowhere.as_fd())?;
        // Whoever waited may have gone.
        let _ = self.ready.write_all(b"1");
        Ok(())
    }
}

/// Waits for the word, or for the end. The exit code.
fn foreground(wait: &mut File, child: i32) -> u8 {
    if matches!(wait.read(&mut [0]), Ok(1)) {
        return crate::DONE;
    }
    let status = Pid::from_raw(child)
        .and_then(|child| waitpid(Some(child), WaitOptions::empty()).ok().flatten());
    let code = status.and_then(|(_, status)| status.exit_status());
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(crate::FAILED)
}

/// A file for the process id, to be written when ready.
#[derive(Debug)]
pub(crate) struct PidFile(File);

impl PidFile {
    /// # Errors
    ///
    /// It cannot be made; the text says which.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write {}: {error}", path.display()),
            )
        })?;
        Ok(Self(file))
    }

    pub(crate) fn write(mut self) -> io::Result<()> {
        writeln!(self.0, "{}", std::process::id())
    }
}
