//! Runs the body of a test in namespaces of its own, in another process: this very test
//! program, started anew.

use std::ffi::CStr;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long a test may take inside before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Set in the process inside: the name of its test.
const INSIDE: &str = "SWITCHBOARD_TEST_INSIDE";

/// As whom the body runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Whoever runs the tests.
    Caller,
    /// User and group 65534, without any right, with a node of mode 0666 in a mount namespace
    /// of the test (only root can make that; others run as they are).
    Nobody,
    /// Likewise, with no device node at all: whoever needs one fails.
    NobodyWithoutNode,
}

/// Runs `body` as `user`, root in a new user namespace with a new network namespace.
/// Says so and passes where the machine does not allow it.
pub(crate) fn inside(test: &str, user: User, body: impl FnOnce()) {
    if is_inside(test) {
        return body();
    }
    let Some(mut child) = spawn_inside(test, user) else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{test} failed inside");
}

/// Whether this is the process inside.
pub(crate) fn is_inside(test: &str) -> bool {
    std::env::var(INSIDE).is_ok_and(|name| name == test)
}

/// Starts this program anew in namespaces, to run `test` only.
pub(crate) fn spawn_inside(test: &str, user: User) -> Option<Child> {
    if user != User::NobodyWithoutNode && !Path::new("/dev/net/tun").exists() {
        // Past the capture of the test's output: a skip is to be seen.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: {test} needs /dev/net/tun\n"),
        );
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, test);
    // SAFETY: between fork and exec only system calls are made, and small allocations, which
    // glibc and musl allow in the child.
    unsafe { command.pre_exec(move || enter(user)) };
    match command.spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            // Past the capture of the test's output: a skip is to be seen.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("skipped: {test} needs user and network namespaces: {error}\n"),
            );
            None
        }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Leaves for new namespaces; runs in the child, before exec.
fn enter(user: User) -> io::Result<()> {
    // SAFETY: system calls on constants and on values of ours, in a process of one thread.
    unsafe {
        if user != User::Caller && libc::geteuid() == 0 {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            mount(c"none", c"/", None, libc::MS_REC | libc::MS_PRIVATE)?;
            let mounted = mount(c"tmpfs", c"/dev/net", Some(c"tmpfs"), 0);
            if user == User::Nobody {
                mounted?;
                let tun = libc::makedev(10, 200);
                check(libc::mknod(c"/dev/net/tun".as_ptr(), libc::S_IFCHR, tun))?;
                check(libc::chmod(c"/dev/net/tun".as_ptr(), 0o666))?;
            }
            check(libc::setgroups(0, std::ptr::null()))?;
            check(libc::setresgid(65_534, 65_534, 65_534))?;
            check(libc::setresuid(65_534, 65_534, 65_534))?;
            // Else `/proc/self` still belongs to root.
            check(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))?;
        }
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        check(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET))?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
    }
}

/// # Safety
///
/// Only in the child.
unsafe fn mount(
    from: &CStr,
    to: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: all pointers are to C strings that live through the call, or null.
    check(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind, flags, std::ptr::null()) })
}

/// Runs `test` on a runtime of one thread, for at most 10 s.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), test)
            .await
            .expect("took over 10 s");
    });
}

/// Sets the size of the datagrams that the kernel makes of one write (`UDP_SEGMENT`).
pub(crate) fn set_segment_size(socket: &UdpSocket, size: libc::c_int) {
    // SAFETY: the option is an `int`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            std::ptr::from_ref(&size).cast(),
            size_of_val(&size) as _,
        )
    };
    assert_eq!(result, 0);
}
