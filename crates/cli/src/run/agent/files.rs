//! What programs read before they ask a directory: resolv.conf, hosts and nsswitch.conf of our
//! own, and no way around them through a daemon of the host.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::machine;
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
        // As large as the files turn out to be, and only then: a list of blocked names in
        // /etc/hosts has megabytes.
        c"mode=0755,size=32m",
    )
    .during(Step::Files, "mount resolver files")?;
    let warnings = bind_all(Path::new(workbench), plan);
    // What is bound stays; the place itself is seen again.
    unmount(workbench, UnmountFlags::DETACH).during(Step::Files, "unmount the workbench")?;
    warnings
}

fn bind_all(workbench: &Path, plan: &Plan) -> Result<Vec<String>, SetupError> {
    let mut warnings = Vec::new();
    let host = |path| text_of(path);
    let ours = [
        (
            "/etc/resolv.conf",
            resolv_conf(&host("/etc/resolv.conf"), plan),
        ),
        ("/etc/hosts", hosts(&host("/etc/hosts"), &own_names(plan))),
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

/// What a file says; letters that are no UTF-8 stand in comments only.
fn text_of(path: &str) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
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

/// Addresses of this run with the machine's name: natively a module of the C library knows it
/// (nss-myhostname), which `nsswitch.conf` names no more.
fn own_names(plan: &Plan) -> Vec<(IpAddr, String)> {
    let uname = rustix::system::uname();
    let Ok(name) = uname.nodename().to_str() else {
        return Vec::new();
    };
    let mut names = vec![(
        plan.network.host_v4(host::PROGRAM_V4).into(),
        name.to_owned(),
    )];
    if machine::has_ipv6() {
        names.push((
            plan.network.host_v6(host::PROGRAM_V6).into(),
            name.to_owned(),
        ));
    }
    names
}

/// The host's table. Localhost has to be in it, since our directory is not asked for it; and the
/// machine's own name, if the table does not have it already.
fn hosts(host: &str, own: &[(IpAddr, String)]) -> String {
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
    let is_named = |name: &str| {
        let words = host
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        words
            .flat_map(|line| line.split_ascii_whitespace().skip(1))
            .any(|word| word == name)
    };
    for (address, name) in own {
        if !name.is_empty() && name != "localhost" && !is_named(name) {
            text += &format!("{address} {name}\n");
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
        assert_eq!(hosts("", &[]), "127.0.0.1 localhost\n::1 localhost\n");
        let whole = "127.0.0.1 localhost box\n::1 ip6-localhost localhost\n";
        assert_eq!(hosts(whole, &[]), whole);
    }

    #[test]
    fn the_machines_own_name_is_in_the_table_once() {
        let own = |name: &str| [("10.0.2.100".parse().unwrap(), name.to_owned())];
        let table = "127.0.0.1 localhost # box\n::1 localhost";
        assert_eq!(
            hosts(table, &own("box")),
            "127.0.0.1 localhost # box\n::1 localhost\n10.0.2.100 box\n"
        );
        let named = "127.0.0.1 localhost\n::1 localhost\n127.0.1.1\tbox.corp box\n";
        assert_eq!(hosts(named, &own("box")), named);
        assert_eq!(hosts(named, &own("localhost")), named);
        assert_eq!(hosts(named, &own("")), named);
    }
}
