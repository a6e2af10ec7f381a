//! What the tests of the command share.

#![allow(
    dead_code,
    reason = "each test binary uses its own part of what they share"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The command under test.
pub(crate) fn switchboard() -> Command {
    Command::new(env!("CARGO_BIN_EXE_switchboard"))
}

/// `switchboard run FLAGS -- sh -c SCRIPT`.
pub(crate) fn run_sh(flags: &[&str], script: &str) -> Output {
    let mut command = switchboard();
    command
        .arg("run")
        .args(flags)
        .args(["--", "sh", "-c", script]);
    command.output().expect("the command starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether `run` can work here at all. Says so loudly where it cannot.
pub(crate) fn can_run() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let output = switchboard().args(["run", "--", "true"]).output();
        let output = output.expect("the command starts");
        if !output.status.success() {
            // Past the capture of the test's output: a skip is to be seen.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!(
                    "skipped: needs what this says: {}\n",
                    stderr(&output).trim()
                ),
            );
        }
        output.status.success()
    })
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The uid of tests as an ordinary user.
pub(crate) const NOBODY: &str = "65534";

/// A copy of the command that every user may execute.
pub(crate) fn public_copy() -> PathBuf {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("switchboard-test-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the copy");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&folder, open.clone()).expect("an open folder");
        let copy = folder.join("switchboard");
        std::fs::copy(env!("CARGO_BIN_EXE_switchboard"), &copy).expect("a copy");
        std::fs::set_permissions(&copy, open).expect("an executable copy");
        copy
    })
    .clone()
}

/// `script` as uid 65534, in a mount namespace of its own whose `/dev/net/tun` has mode `mode`
/// (none at all: no node). `$SWITCHBOARD` is the command.
pub(crate) fn as_nobody(mode: Option<&str>, script: &str) -> Output {
    let node = match mode {
        Some(mode) => format!("mknod -m {mode} /dev/net/tun c 10 200 &&"),
        None => String::new(),
    };
    let outer = format!(
        "mkdir -p /dev/net && mount -t tmpfs none /dev/net && {node} \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups sh -c \"$SCRIPT\""
    );
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &outer])
        .env("SCRIPT", script)
        .env("SWITCHBOARD", public_copy())
        .env_remove("XDG_RUNTIME_DIR")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .expect("unshare of util-linux")
}

/// Whether tests as another user can be made.
pub(crate) fn can_be_nobody() -> bool {
    if !is_root() || !Path::new("/usr/bin/setpriv").exists() {
        // Past the capture of the test's output: a skip is to be seen.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("skipped: needs root and setpriv, to become uid {NOBODY}\n"),
        );
        return false;
    }
    can_run()
}
