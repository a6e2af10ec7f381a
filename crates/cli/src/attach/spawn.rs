//! A command in namespaces of its own, which waits until its network stands.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::execvp;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::run::{Caller, SetupError, Step, user_map};

/// All that pasta gives its command: nothing outside is seen or changed but files.
const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWPID;

/// A command that waits in its namespaces.
#[derive(Debug)]
pub(crate) struct Spawned {
    pid: i32,
    /// An octet lets it go on: first its maps, then its network stand.
    go: File,
    /// Says why it could not be executed; closed by a successful exec.
    report: File,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The exit code to pass on.
    Code(u8),
    /// `execve(2)` refused.
    NotStarted(Errno),
}

impl Spawned {
    /// Makes the namespaces, with the caller as uid 0 (real root keeps every id). To be called
    /// while the process has one thread.
    ///
    /// # Errors
    ///
    /// What the machine refused.
    pub(crate) fn begin(program: &CStr, argv: &[CString]) -> Result<Self, SetupError> {
        let failed =
            |error: io::Error| SetupError::new(Step::UserNamespace, "make namespaces", error);
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()));
        let ((wait, go), (report, refusal)) = (pipe()?, pipe()?);
        let caller = Caller::read();
        let flags = libc::c_long::from(NAMESPACES | libc::SIGCHLD);
        // SAFETY: as fork(2): no memory is shared, no stack is given, and this process has one
        // thread, so no lock is held by another one that the child would wait for.
        let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
        match i32::try_from(pid) {
            Ok(0) => {
                drop((go, report));
                inside(program, argv, wait, refusal)
            }
            Ok(pid) if pid > 0 => {
                let mut spawned = Self {
                    pid,
                    go: File::from(go),
                    report: File::from(report),
                };
                let number = pid.unsigned_abs();
                user_map::write(number, &caller, !caller.uid.is_root())?;
                spawned.go_on().map_err(failed)?;
                Ok(spawned)
            }
            _ => Err(failed(io::Error::last_os_error())),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Lets it take the next step.
    pub(crate) fn go_on(&mut self) -> io::Result<()> {
        self.go.write_all(b"1")
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> io::Result<Ended> {
        let mut errno = [0; 4];
        if self.report.read(&mut errno)? == errno.len() {
            return Ok(Ended::NotStarted(Errno::from_raw(i32::from_ne_bytes(
                errno,
            ))));
        }
        let pid = Pid::from_raw(self.pid);
        let status = rustix::io::retry_on_intr(|| waitpid(pid, WaitOptions::empty()))?;
        let status = status.map(|(_, status)| status);
        let code = status.and_then(|status| {
            let killed = status.terminating_signal().map(|signal| 128 + signal);
            status.exit_status().or(killed)
        });
        let code = code.and_then(|code| u8::try_from(code & 0xff).ok());
        Ok(Ended::Code(code.unwrap_or(crate::FAILED)))
    }
}

/// The child: the first process of its namespaces.
fn inside(program: &CStr, argv: &[CString], wait: OwnedFd, refusal: OwnedFd) -> ! {
    let (mut wait, mut refusal) = (File::from(wait), File::from(refusal));
    let Err(errno) = become_program(program, argv, &mut wait);
    let _ = refusal.write_all(&(errno as i32).to_ne_bytes());
    // SAFETY: ends this process at once; nothing of its parent's may run at exit here.
    unsafe { libc::_exit(127) }
}

fn become_program(program: &CStr, argv: &[CString], wait: &mut File) -> Result<Infallible, Errno> {
    use rustix::process::{Signal as ProcessSignal, set_parent_process_death_signal};

    let mut await_word = || match wait.read(&mut [0]) {
        Ok(1) => Ok(()),
        _ => Err(Errno::EPIPE),
    };
    await_word()?;
    let _ = set_parent_process_death_signal(Some(ProcessSignal::KILL));
    await_word()?;
    // A `/proc` of its own processes; where the machine does not allow it, it keeps the one
    // that is there.
    let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    let _ = mount_change("/", private);
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let _ = mount("proc", "/proc", "proc", flags, None);
    for (name, value) in [
        ("ping_group_range", "0 2147483647"),
        ("ip_unprivileged_port_start", "0"),
    ] {
        let path = format!("/proc/sys/net/ipv4/{name}");
        if std::fs::write(&path, value).is_err() && name == "ping_group_range" {
            let _ = std::fs::write(&path, "0 0");
        }
    }
    // The standard library ignores SIGPIPE for us; programs expect to be told.
    // SAFETY: the default action replaces no handler of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    execvp(program, argv)
}
