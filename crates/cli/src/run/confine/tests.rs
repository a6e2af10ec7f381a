use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::Confinement;

/// Set for the process that confines itself.
const CONFINED: &str = "SWITCHBOARD_TEST_CONFINED";

/// The test's other process: what it may not do fails, what it must do works.
fn try_everything() {
    let refused = |error: std::io::Error| error.raw_os_error() == Some(libc::EPERM);
    // Landlock, where there is one, says EACCES.
    let closed =
        |error: std::io::Error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES));
    let confinement = Confinement::prepare().expect("filters for this machine");
    confinement.apply().expect("a kernel that confines");
    assert!(
        Command::new("/bin/true").spawn().is_err_and(refused),
        "exec"
    );
    let path = "/tmp/switchboard-test-written";
    assert!(File::create(path).is_err_and(closed), "a file to write");
    assert!(
        fs::remove_file("/etc/hostname").is_err_and(closed),
        "unlink"
    );
    assert!(
        UnixStream::connect("/run/x").is_err_and(refused),
        "a UNIX socket"
    );
    let parent = rustix::process::getppid().expect("a parent");
    let signal = rustix::process::Signal::CONT;
    let killed = rustix::process::kill_process(parent, signal);
    assert!(killed.is_err_and(|errno| refused(errno.into())), "a signal");
    let parent = parent.as_raw_nonzero().get();
    // SAFETY: signal 0 is none; the call takes numbers only.
    let asked = unsafe { libc::syscall(libc::SYS_tgkill, parent, parent, 0) };
    assert!(
        asked == -1 && refused(std::io::Error::last_os_error()),
        "a thread's signal"
    );
    let nothing = std::ptr::null::<libc::rlimit64>();
    let limits = |pid: i32| {
        let which = libc::RLIMIT_NOFILE;
        // SAFETY: neither reads nor writes limits without a place for them.
        unsafe { libc::syscall(libc::SYS_prlimit64, pid, which, nothing, nothing) }
    };
    assert!(
        limits(parent) == -1 && refused(std::io::Error::last_os_error()),
        "another's limits"
    );
    assert_eq!(limits(0), 0, "its own limits");
    let capabilities = rustix::thread::capabilities(None).expect("capget");
    assert!(capabilities.permitted.is_empty() && capabilities.effective.is_empty());

    UdpSocket::bind("127.0.0.1:0").expect("a socket of the network");
    fs::read_to_string("/proc/self/status").expect("a file to read");
    let thread = std::thread::Builder::new().name("a thread".to_owned());
    thread
        .spawn(|| ())
        .expect("a thread")
        .join()
        .expect("its end");
}

#[test]
fn the_confined_relay_can_talk_and_nothing_else() {
    if std::env::var_os(CONFINED).is_some() {
        return try_everything();
    }
    // Confinement is for good and for all threads: not in the process of the other tests.
    let name = "run::confine::tests::the_confined_relay_can_talk_and_nothing_else";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads", "1"])
        .env(CONFINED, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}
