//! What the relay may still do once everything is set up: talk on sockets, and little else.
//!
//! The relay reads packets of programs and of strangers. Whoever found a fault in it should find
//! nothing worth having: no capability, no new program, no file to write, no UNIX socket of the
//! host to knock at. The agent, which sits in the namespaces and reads nothing of a stranger's,
//! stays unconfined.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _,
};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Where the relay may still read: the resolver's configuration, and what `/proc` says.
const READABLE: [&str; 4] = ["/etc", "/run", "/proc", "/sys"];

/// Calls that only use what is open already, or that only concern the process itself.
const HARMLESS: &[i64] = &[
    // Descriptors that are open.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_vmsplice,
    // Sockets; making one has its rule below.
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_wait4,
    libc::SYS_waitid,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_getrandom,
    // The process itself and its threads.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_capget,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getcpu,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Refused with another error by the second filter.
    libc::SYS_clone3,
];

/// The older names of the same, where the machine still has them.
#[cfg(target_arch = "x86_64")]
const HARMLESS_OLD: &[i64] = &[
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_pipe,
    libc::SYS_dup2,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const HARMLESS_OLD: &[i64] = &[];

/// Requests of `ioctl(2)` that concern an open descriptor only. Not among them is `TIOCSTI`,
/// which types into the terminal.
const IOCTLS: [u64; 7] = [
    libc::FIONBIO,
    libc::FIONREAD,
    libc::TIOCOUTQ,
    libc::TIOCGWINSZ,
    libc::TCGETS,
    libc::FIOCLEX,
    // SIOCOUTQNSD of `linux/sockios.h`.
    0x894b,
];

/// Which step of confining failed.
#[derive(Debug)]
pub(crate) struct ConfineError {
    what: &'static str,
    why: String,
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot confine the relay ({}): {}", self.what, self.why)
    }
}

impl std::error::Error for ConfineError {}

fn failed<E: fmt::Display>(what: &'static str) -> impl FnOnce(E) -> ConfineError {
    move |why| ConfineError {
        what,
        why: why.to_string(),
    }
}

/// What is to be given up, worked out before it is needed.
pub(crate) struct Confinement {
    /// Capabilities that stay, of those that the process has.
    kept: CapabilitySet,
    /// In the order in which they are installed.
    filters: [BpfProgram; 2],
}

impl Confinement {
    /// Builds the filters of system calls for this process. Changes nothing yet.
    ///
    /// # Errors
    ///
    /// No filters for this kind of machine.
    pub(crate) fn prepare() -> Result<Self, ConfineError> {
        let filters = filters().map_err(failed("seccomp"))?;
        Ok(Self {
            filters,
            kept: CapabilitySet::empty(),
        })
    }

    /// Lets the process keep `kept`, as far as it has them.
    pub(crate) fn keeping(self, kept: CapabilitySet) -> Self {
        Self { kept, ..self }
    }

    /// Gives up what the relay does not need any more: for all of its threads, for good.
    ///
    /// # Errors
    ///
    /// The kernel refuses a step. A kernel without Landlock, or without seccomp, is no error:
    /// the steps that it has are taken.
    pub(crate) fn apply(&self) -> Result<(), ConfineError> {
        rustix::thread::set_no_new_privs(true).map_err(failed("no_new_privs"))?;
        drop_capabilities(self.kept).map_err(failed("capabilities"))?;
        forbid_files().map_err(failed("Landlock"))?;
        for filter in &self.filters {
            match seccompiler::apply_filter_all_threads(filter) {
                Err(error) if is_missing(&error) => return Ok(()),
                applied => applied.map_err(failed("seccomp"))?,
            }
        }
        Ok(())
    }
}

fn drop_capabilities(kept: CapabilitySet) -> io::Result<()> {
    let kept = match kept.is_empty() {
        true => kept,
        false => kept & rustix::thread::capabilities(None)?.permitted,
    };
    let left = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    let _ = rustix::thread::clear_ambient_capability_set();
    Ok(rustix::thread::set_capabilities(None, left)?)
}

/// Landlock: nothing to write, and little to read. What is open stays open.
fn forbid_files() -> Result<(), landlock::RulesetError> {
    let abi = ABI::V5;
    let read = AccessFs::from_read(abi);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?;
    for path in READABLE {
        if let Ok(folder) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(folder, read & !AccessFs::Execute))?;
        }
    }
    rules.restrict_self()?;
    Ok(())
}

/// A kernel without `CONFIG_SECCOMP_FILTER`.
fn is_missing(error: &seccompiler::Error) -> bool {
    let errno = match error {
        seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => {
            error.raw_os_error()
        }
        _ => None,
    };
    matches!(errno, Some(libc::EINVAL | libc::ENOSYS))
}

/// Two filters: the second refuses `clone3` with "no such call", because no filter can see its
/// flags; the C library then falls back to `clone`, whose flags the first one sees.
fn filters() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let refuse = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let no_clone3 = build(clone3, SeccompAction::Allow, refuse(libc::ENOSYS))?;
    let allowed = build(rules()?, refuse(libc::EPERM), SeccompAction::Allow)?;
    Ok([no_clone3, allowed])
}

fn build(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let machine = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, otherwise, matching, machine)?.try_into()
}

/// What may be called, and with which arguments.
fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};

    let when = |argument, len, how, value| {
        let condition = SeccompCondition::new(argument, len, how, value)?;
        SeccompRule::new(vec![condition])
    };
    let calls = HARMLESS.iter().chain(HARMLESS_OLD);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls.map(|call| (*call, Vec::new())).collect();
    // Sockets of the network only: a UNIX socket is a door to a daemon of the host.
    let families = [libc::AF_INET, libc::AF_INET6];
    let family = |family: i32| when(0, Dword, Eq, u64::from(family.unsigned_abs()));
    let sockets = families.into_iter().map(family).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_socket, sockets);
    // Files to read only.
    let writing = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let writing = u64::from(writing.unsigned_abs());
    let read_only = when(2, Dword, MaskedEq(writing), 0)?;
    rules.insert(libc::SYS_openat, vec![read_only]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![when(1, Dword, MaskedEq(writing), 0)?]);
    // Threads, no processes.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let threads = when(0, Qword, MaskedEq(thread), thread)?;
    rules.insert(libc::SYS_clone, vec![threads]);
    // Signals to itself: a panic's abort names its thread.
    let itself = when(0, Dword, Eq, u64::from(std::process::id()))?;
    rules.insert(libc::SYS_tgkill, vec![itself]);
    // Limits of its own only: of another process's they could be set.
    rules.insert(libc::SYS_prlimit64, vec![when(0, Dword, Eq, 0)?]);
    // Names of threads and of memory.
    let names = [libc::PR_SET_NAME, libc::PR_SET_VMA];
    let name = |option: i32| when(0, Dword, Eq, u64::from(option.unsigned_abs()));
    let names = names.into_iter().map(name).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_prctl, names);
    let request = |request| when(1, Dword, Eq, request);
    let requests = IOCTLS.into_iter().map(request).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, requests);
    Ok(rules)
}

#[cfg(test)]
mod tests;
