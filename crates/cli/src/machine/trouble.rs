//! From a refused step and the facts of the machine to one finding and the one fix that fits
//! where we are. Pure: the tables of its tests need no such machine.

use super::{Container, Facts, TunNode};
use crate::run::{SetupError, Step};

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `doctor`'s column: what is missing.
    pub(crate) what: &'static str,
    /// What was found, beside it.
    pub(crate) finding: String,
    /// The finding as `run` starts its line.
    pub(crate) short: String,
    /// What to do, in as many lines as one would type.
    pub(crate) fix: Vec<String>,
}

impl Trouble {
    /// The one line of `run`.
    pub(crate) fn line(&self) -> String {
        if self.fix.is_empty() {
            return self.short.clone();
        }
        let mut fix = String::new();
        for line in &self.fix {
            // An indented line goes on with the command before it.
            if !fix.is_empty() {
                fix += if line.starts_with(' ') { " " } else { " && " };
            }
            fix += &line.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        }
        format!("{}: {fix}", self.short)
    }

    /// What `error` means on a machine with these `facts`.
    pub(crate) fn of(error: &SetupError, facts: &Facts) -> Self {
        match error.step {
            Step::UserNamespace | Step::UserMap => user_namespace(error, facts),
            Step::NetworkNamespace | Step::MountNamespace | Step::Link
                if error.errno == libc::EPERM && facts.apparmor_restricts =>
            {
                // Ubuntu lets anybody make the namespace, and takes every right in it away.
                apparmor()
            }
            Step::NetworkNamespace => network_namespace(error, facts),
            Step::MountNamespace | Step::Files => mounts(error, facts),
            Step::TunOpen | Step::TunAttach => tun(error, facts),
            Step::Veth => veth(error, facts),
            Step::Link => other("network namespace", error),
            Step::Localhost => Self {
                what: "localhost",
                finding: error.to_string(),
                short: error.to_string(),
                fix: Vec::new(),
            },
            Step::Join => other("namespaces", error),
            Step::Process => other("processes", error),
        }
    }
}

fn trouble(what: &'static str, finding: &str, short: &str, fix: &[&str]) -> Trouble {
    Trouble {
        what,
        finding: finding.to_owned(),
        short: short.to_owned(),
        fix: fix.iter().map(|line| (*line).to_owned()).collect(),
    }
}

fn other(what: &'static str, error: &SetupError) -> Trouble {
    Trouble {
        what,
        finding: error.to_string(),
        short: format!("cannot {error}"),
        fix: Vec::new(),
    }
}

fn apparmor() -> Trouble {
    trouble(
        "user namespace",
        "Ubuntu's AppArmor grants it to listed programs",
        "no user namespace: Ubuntu's AppArmor grants it to listed programs",
        &[
            "switchboard doctor --apparmor-profile |",
            "  sudo tee /etc/apparmor.d/switchboard",
            "sudo systemctl reload apparmor",
        ],
    )
}

fn user_namespace(error: &SetupError, facts: &Facts) -> Trouble {
    let what = "user namespace";
    let eperm = error.errno == libc::EPERM || error.errno == libc::EACCES;
    if eperm && facts.userns_clone == Some(0) {
        return trouble(
            what,
            "kernel.unprivileged_userns_clone is 0",
            "no user namespace, kernel.unprivileged_userns_clone is 0",
            &["sudo sysctl -w kernel.unprivileged_userns_clone=1"],
        );
    }
    if facts.max_user_namespaces == Some(0) {
        return trouble(
            what,
            "user.max_user_namespaces is 0",
            "no user namespace, user.max_user_namespaces is 0",
            &["sudo sysctl -w user.max_user_namespaces=15000"],
        );
    }
    if error.errno == libc::ENOSPC || error.errno == libc::EUSERS {
        return trouble(
            what,
            "user.max_user_namespaces is reached",
            "no user namespace, user.max_user_namespaces is reached",
            &["sudo sysctl -w user.max_user_namespaces=100000"],
        );
    }
    if error.errno == libc::EINVAL || error.errno == libc::ENOSYS {
        return trouble(
            what,
            "this kernel is built without CONFIG_USER_NS",
            "no user namespace, this kernel is built without CONFIG_USER_NS",
            &["take a kernel that has CONFIG_USER_NS=y"],
        );
    }
    if eperm && facts.apparmor_restricts {
        return apparmor();
    }
    if eperm && facts.chroot {
        return trouble(
            what,
            "not to be had inside a chroot",
            "no user namespace inside a chroot",
            &["start it outside the chroot, or enter it with pivot_root"],
        );
    }
    if eperm && facts.seccomp_filter {
        let finding = match facts.container {
            Some(_) => "the container's seccomp filter forbids it",
            None => "a seccomp filter around this process forbids it",
        };
        return Trouble {
            what,
            finding: finding.to_owned(),
            short: format!("no user namespace, {finding}"),
            fix: unconfined(facts),
        };
    }
    other(what, error)
}

/// What lifts the confinement that a container engine puts on by itself.
fn unconfined(facts: &Facts) -> Vec<String> {
    let lines: &[&str] = match facts.container {
        Some(Container::Docker) => &[
            "start the container with",
            "  --security-opt seccomp=unconfined",
            "  --security-opt apparmor=unconfined",
        ],
        Some(Container::Podman) => &["start the container with  --security-opt seccomp=unconfined"],
        Some(Container::Kubernetes) => &[
            "give the container",
            "  securityContext.seccompProfile.type: Unconfined",
        ],
        Some(Container::Lxc) => &["set  security.nesting=true  for the container"],
        Some(Container::Other) => &[
            "let the container's seccomp profile allow",
            "  unshare and mount",
        ],
        None => &["start it outside that sandbox"],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

fn network_namespace(error: &SetupError, facts: &Facts) -> Trouble {
    let what = "network namespace";
    match error.errno {
        libc::ENOSPC | libc::EUSERS if facts.max_net_namespaces == Some(0) => trouble(
            what,
            "user.max_net_namespaces is 0",
            "no network namespace, user.max_net_namespaces is 0",
            &["sudo sysctl -w user.max_net_namespaces=15000"],
        ),
        libc::ENOSPC | libc::EUSERS => trouble(
            what,
            "user.max_net_namespaces is reached",
            "no network namespace, user.max_net_namespaces is reached",
            &["sudo sysctl -w user.max_net_namespaces=100000"],
        ),
        libc::EINVAL => trouble(
            what,
            "this kernel is built without CONFIG_NET_NS",
            "no network namespace, this kernel is built without CONFIG_NET_NS",
            &["take a kernel that has CONFIG_NET_NS=y"],
        ),
        libc::EPERM if facts.seccomp_filter => {
            let mut trouble = trouble(
                what,
                "a seccomp filter forbids it",
                "no network namespace, a seccomp filter forbids it",
                &[],
            );
            trouble.fix = unconfined(facts);
            trouble
        }
        _ => other(what, error),
    }
}

fn mounts(error: &SetupError, facts: &Facts) -> Trouble {
    let what = "mount namespace";
    let refused = error.errno == libc::EPERM || error.errno == libc::EACCES;
    if refused && facts.container.is_some() {
        let mut trouble = trouble(
            what,
            "the container's AppArmor or seccomp forbids it",
            "no mounts, the container's AppArmor or seccomp profile forbids them",
            &[],
        );
        trouble.fix = unconfined(facts);
        return trouble;
    }
    other(what, error)
}

fn tun(error: &SetupError, facts: &Facts) -> Trouble {
    let what = "TUN";
    let by_container = facts.container.is_some();
    let into_container: &[&str] = match facts.container {
        Some(Container::Kubernetes) => &["give the container the device  /dev/net/tun"],
        Some(Container::Lxc) => &["add the device  /dev/net/tun  to the container"],
        _ => &["start the container with  --device /dev/net/tun"],
    };
    match (error.step, error.errno) {
        (Step::TunOpen, libc::ENOENT | libc::ENOTDIR) => trouble(
            what,
            "/dev/net/tun: no such file",
            "no /dev/net/tun",
            if by_container {
                into_container
            } else {
                &["sudo modprobe tun"]
            },
        ),
        (Step::TunOpen, libc::ENODEV | libc::ENXIO) => trouble(
            what,
            "/dev/net/tun: the kernel has no TUN driver",
            "no TUN driver behind /dev/net/tun",
            &["sudo modprobe tun"],
        ),
        // A device cgroup says EPERM, file permissions say EACCES.
        (Step::TunOpen, libc::EPERM) => trouble(
            what,
            "/dev/net/tun: not permitted to this container",
            "/dev/net/tun is not permitted here",
            if by_container {
                into_container
            } else {
                &["allow the device 10:200 in its cgroup"]
            },
        ),
        (Step::TunOpen, libc::EACCES) => {
            let mode = match facts.tun {
                TunNode::Present { mode } => format!("mode {mode:04o}"),
                TunNode::Missing | TunNode::NoDevice => "no access".to_owned(),
            };
            Trouble {
                what,
                finding: format!("/dev/net/tun: {mode} leaves uid {} out", facts.uid),
                short: format!("/dev/net/tun is closed to uid {} ({mode})", facts.uid),
                fix: vec!["sudo chmod 0666 /dev/net/tun".to_owned()],
            }
        }
        (Step::TunOpen | Step::TunAttach, _) if facts.tun == TunNode::NoDevice => trouble(
            what,
            "/dev/net/tun: not a device",
            "/dev/net/tun is not a device",
            &["sudo rm /dev/net/tun; sudo mknod -m 0666 /dev/net/tun c 10 200"],
        ),
        _ => other(what, error),
    }
}

fn veth(error: &SetupError, facts: &Facts) -> Trouble {
    let what = "veth pair";
    match error.errno {
        libc::EOPNOTSUPP => trouble(
            what,
            "the kernel has no veth driver",
            "no veth pair, the kernel has no veth driver",
            &["sudo modprobe veth"],
        ),
        libc::EAFNOSUPPORT => trouble(
            what,
            "the kernel has no packet sockets",
            "no veth pair, the kernel has no packet sockets",
            &["sudo modprobe af_packet"],
        ),
        libc::EPERM if facts.seccomp_filter => {
            let mut trouble = trouble(
                what,
                "a seccomp filter forbids it",
                "no veth pair, a seccomp filter forbids it",
                &[],
            );
            trouble.fix = unconfined(facts);
            trouble
        }
        _ => other(what, error),
    }
}

#[cfg(test)]
mod tests;
