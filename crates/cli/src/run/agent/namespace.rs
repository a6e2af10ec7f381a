//! The three namespaces of a run.

use std::fs;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::run::message::{During as _, SetupError, Step};

/// A user namespace of our own, which needs no right: in it the agent may make the others.
/// Its maps are written by the relay, from outside.
pub(super) fn enter_user() -> Result<(), SetupError> {
    unshare(UnshareFlags::NEWUSER).during(Step::UserNamespace, "make a user namespace")
}

/// A network namespace: no interface but its own loopback.
pub(super) fn enter_network() -> Result<(), SetupError> {
    unshare(UnshareFlags::NEWNET).during(Step::NetworkNamespace, "make a network namespace")?;
    // These belong to the network namespace. Where `/proc/sys` is read-only (a container's) the
    // kernel's defaults stay: ports below 1024 then need a right that the program has not.
    let gid = rustix::process::getegid().as_raw();
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    let groups = if fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").is_ok() {
        return Ok(());
    } else {
        // Not every group exists here: the caller's own does.
        format!("{gid} {gid}")
    };
    let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", groups);
    Ok(())
}

/// A mount namespace: what is mounted outside later still appears in it, nothing that is
/// mounted in it appears outside.
pub(super) fn enter_mount() -> Result<(), SetupError> {
    use rustix::mount::MountPropagationFlags as Propagation;

    unshare(UnshareFlags::NEWNS).during(Step::MountNamespace, "make a mount namespace")?;
    let flags = Propagation::DOWNSTREAM | Propagation::REC;
    rustix::mount::mount_change("/", flags)
        .during(Step::MountNamespace, "keep mounts inside the run")
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: the agent has one thread, and none of these flags unshares the descriptor table
    // or the memory; nothing that Rust relies on changes.
    unsafe { unshare_unsafe(flags) }
}
