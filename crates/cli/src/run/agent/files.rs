//! What programs read before they ask a directory: resolv.conf, hosts and nsswitch.conf of our
//! own, and no way around them through a daemon of the host.

use std::fs;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::run::host;
use crate::run::message::{During as _, SetupError, Step};
use crate::run::plan::Plan;

/// Where a file system of ours is mounted for a moment; nobody else is in this namespace yet.
const WORKBENCHES: [&str; 4] = ["/tmp", "/run", "/mnt", "/var/tmp"];

/// Sockets of daemons that would look names up in the host's network.
const DAEMONS: [&str; 4] = [
    "/run/nscd/socket",
    "/var/run/nscd/socket",
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/systemd/resolve/io.systemd.Resolve.Monitor",
];

/// Puts our files over the host's, for this namespace. Returns what could not be done.
pub(super) fn put_in_place(plan: &Plan) -> Result<Vec<String>, SetupError> {
    let workbench = WORKBENCHES
        .into_iter()
        .find(|path| Path::new(path).is_dir());
    let workbench = workbench
        .ok_or(io::ErrorKind::NotFound)
        .during(Step::Files, "find a place for resolver files")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(
        "switchboard",
        workbench,
        "tmpfs",
        flags,
        c"mode=0755,size=256k",
    )
    .during(Step::Files, "mount resolver files")?;
    let warnings = bind_all(Path::new(workbench), plan);
    // What is bound stays; the place itself is seen again.
    unmount(workbench, UnmountFlags::DETACH).during(Step::Files, "unmount the workbench")?;
    warnings
}

fn bind_all(workbench: &Path, plan: &Plan) -> Result<Vec<String>, SetupError> {
    let mut warnings = Vec::new();
    let host = |path| fs::read_to_string(path).unwrap_or_default();
    let ours = [
        (
            "/etc/resolv.conf",
            resolv_conf(&host("/etc/resolv.conf"), plan),
        ),
        ("/etc/hosts", hosts(&host("/etc/hosts"))),
        (
            "/etc/nsswitch.conf",
            nsswitch_conf(&host("/etc/nsswitch.conf")),
        ),
    ];
    for (target, text) in ours {
        match bind(workbench, target, &text) {
            Ok(()) => {}
            // A dangling link or no such file: the C library has its own default for the last
            // two, and only for the first one the program is left without a directory.
            Err(error) if error.errno == libc::ENOENT => {
                if target == "/etc/resolv.conf" {
                    warnings.push(format!(
                        "{target} is not there to be replaced: programs will find no names"
                    ));
                }
            }
            Err(error) => return Err(error),
        }
    }
    for socket in DAEMONS {
        if Path::new(socket).exists() {
            // Whoever connects is refused, and falls back to nsswitch.conf's `dns`.
            bind(workbench, socket, "")?;
        }
    }
    Ok(warnings)
}

/// Puts a file with `text` where `target` is.
fn bind(workbench: &Path, target: &str, text: &str) -> Result<(), SetupError> {
    let source = workbench.join(target.trim_start_matches('/').replace('/', "-"));
    fs::write(&source, text).during(Step::Files, "write resolver files")?;
    mount_bind(&source, target).during(Step::Files, target)
}

/// Our directory, and the host's own search list and options.
fn resolv_conf(host: &str, plan: &Plan) -> String {
    let kept = host.lines().filter(|line| {
        let word = line.split_ascii_whitespace().next();
        matches!(word, Some("search" | "domain" | "options"))
    });
    let mut text = format!("nameserver {}\n", plan.network.host_v4(host::DNS));
    kept.for_each(|line| text += &format!("{line}\n"));
    text
}

/// The host's table; localhost has to be in it, since our directory is not asked for it.
fn hosts(host: &str) -> String {
    let mut text = host.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let has = |address: &str| {
        host.lines().any(|line| {
            let mut words = line.split_ascii_whitespace();
            words.next() == Some(address) && words.any(|word| word == "localhost")
        })
    };
    for address in ["127.0.0.1", "::1"] {
        if !has(address) {
            text += &format!("{address} localhost\n");
        }
    }
    text
}

/// The host's, with names from files and the directory only.
fn nsswitch_conf(host: &str) -> String {
    let others = host.lines().filter(|line| {
        !line
            .trim_start()
            .strip_prefix("hosts")
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    });
    let mut text = String::new();
    others.for_each(|line| text += &format!("{line}\n"));
    text + "hosts: files dns\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_files_and_the_directory_only() {
        let host = "passwd: files systemd\nhosts:   files mdns4_minimal [NOTFOUND=return] dns\n";
        assert_eq!(
            nsswitch_conf(host),
            "passwd: files systemd\nhosts: files dns\n"
        );
    }

    #[test]
    fn localhost_is_always_in_the_table() {
        assert_eq!(hosts(""), "127.0.0.1 localhost\n::1 localhost\n");
        let whole = "127.0.0.1 localhost box\n::1 ip6-localhost localhost\n";
        assert_eq!(hosts(whole), whole);
    }
}
