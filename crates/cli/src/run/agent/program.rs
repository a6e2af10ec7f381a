//! Starting CMD: everything of ours is put back to what the caller had, then `execvp(3)`.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{ForkResult, Pid, execvp, fork, getpid, getppid};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::run::caller::Caller;
use crate::run::plan::Plan;

/// The highest capability that a bounding set may name; the kernel says where its own end.
const CAPABILITIES_MAX: u32 = 63;

/// Starts CMD as a child of this process.
///
/// # Errors
///
/// That of `fork(2)` or of `execve(2)`.
pub(super) fn start(plan: &Plan) -> io::Result<Pid> {
    // Closed by a successful exec, so the end of the pipe says that there was one.
    let (result, report) = pipe_with(PipeFlags::CLOEXEC)?;
    let agent = getpid();
    // SAFETY: the agent has one thread, so no lock is held by another one that the child
    // would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(report);
            let mut errno = [0; 4];
            match File::from(result).read(&mut errno)? {
                4 => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
                _ => Ok(child),
            }
        }
        ForkResult::Child => {
            let Err(errno) = become_program(plan, agent);
            let _ = File::from(report).write_all(&(errno as i32).to_ne_bytes());
            // SAFETY: ends this process at once; nothing of the agent's may run at exit here.
            unsafe { libc::_exit(127) }
        }
    }
}

/// In the child: the last steps, and the exec.
fn become_program(plan: &Plan, agent: Pid) -> Result<Infallible, Errno> {
    use rustix::process::{Signal as ProcessSignal, set_parent_process_death_signal};

    // If the relay dies, the agent kills CMD; if the agent dies, the kernel does.
    let _ = set_parent_process_death_signal(Some(ProcessSignal::KILL));
    if getppid() != agent {
        return Err(Errno::ESRCH);
    }
    restore_rights(&plan.caller, plan.map_root);
    // The standard library ignores SIGPIPE for us; programs expect to be told.
    // SAFETY: the default action replaces no handler of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&plan.caller.mask), None)?;
    let program: &CString = plan.argv.first().ok_or(Errno::ENOENT)?;
    execvp(program, &plan.argv)
}

/// A new user namespace hands out every capability. CMD must not gain one by it that it did not
/// have: root keeps its bounding set, and everybody else loses all of them by the exec.
fn restore_rights(caller: &Caller, map_root: bool) {
    if map_root {
        // Asked for: root inside, of nothing but this run.
        return;
    }
    for number in 0..=CAPABILITIES_MAX {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if !caller.bounding.contains(capability) {
            // EINVAL: beyond the last one that this kernel has.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    let sets = CapabilitySets {
        effective: caller.effective,
        permitted: caller.effective | caller.inheritable,
        inheritable: caller.inheritable,
    };
    let _ = rustix::thread::set_capabilities(None, sets);
    for capability in caller.ambient.iter() {
        let _ = rustix::thread::configure_capability_in_ambient_set(capability, true);
    }
}
