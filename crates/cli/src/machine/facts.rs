//! What can be read of this machine without trying anything.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Facts that tell one refusal from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// `6.8`: the kernel's first two numbers.
    pub(crate) kernel: String,
    /// `x86_64`.
    pub(crate) architecture: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) container: Option<Container>,
    /// `kernel.unprivileged_userns_clone`, which some distributions have.
    pub(crate) userns_clone: Option<u64>,
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// `user.max_net_namespaces`.
    pub(crate) max_net_namespaces: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1 (Ubuntu 23.10 and later).
    pub(crate) apparmor_restricts: bool,
    /// This process is under a seccomp filter that somebody else installed.
    pub(crate) seccomp_filter: bool,
    /// `/` is not the root of the file system of its mount namespace.
    pub(crate) chroot: bool,
    pub(crate) tun: TunNode,
    /// `net.ipv4.ping_group_range`.
    pub(crate) ping_group_range: Option<(u64, u64)>,
}

/// What this process runs in, if that can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Docker,
    Podman,
    Kubernetes,
    Lxc,
    Other,
}

impl Container {
    /// As a person calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Lxc => "LXC",
            Self::Other => "unknown",
        }
    }
}

/// The device node of TUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TunNode {
    /// There is none.
    #[default]
    Missing,
    /// Something else is there.
    NoDevice,
    /// It is there, with these permissions.
    Present { mode: u32 },
}

impl Facts {
    /// Reads them all.
    pub(crate) fn read() -> Self {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().into_owned();
        let numbers: Vec<&str> = release.splitn(3, '.').take(2).collect();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            kernel: numbers.join("."),
            architecture: uname.machine().to_string_lossy().into_owned(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            container: container(),
            userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            max_net_namespaces: sysctl("user/max_net_namespaces"),
            apparmor_restricts: sysctl("kernel/apparmor_restrict_unprivileged_userns") == Some(1),
            seccomp_filter: status
                .lines()
                .any(|line| line.split_ascii_whitespace().eq(["Seccomp:", "2"])),
            chroot: is_chroot(),
            tun: tun_node(Path::new("/dev/net/tun")),
            ping_group_range: ping_group_range(),
        }
    }
}

fn sysctl(name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
    text.trim().parse().ok()
}

fn ping_group_range() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").ok()?;
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The files and words that container engines leave for those who look.
fn container() -> Option<Container> {
    if Path::new("/run/.containerenv").exists() {
        return Some(Container::Podman);
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some(Container::Kubernetes);
    }
    if Path::new("/.dockerenv").exists() {
        return Some(Container::Docker);
    }
    let environment = fs::read("/proc/1/environ").unwrap_or_default();
    let word = std::env::var("container").ok().or_else(|| {
        let mut entries = environment.split(|octet| *octet == 0);
        let value = entries.find_map(|entry| entry.strip_prefix(b"container="))?;
        Some(String::from_utf8_lossy(value).into_owned())
    })?;
    Some(match word.as_str() {
        "podman" => Container::Podman,
        "docker" => Container::Docker,
        "lxc" | "lxc-libvirt" => Container::Lxc,
        _ => Container::Other,
    })
}

/// `user_namespaces(7)`: a process whose root is not that of its mount namespace may not make
/// one. The root of a mount namespace is a mount point, listed as `/`.
fn is_chroot() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !mounts.is_empty()
        && !mounts
            .lines()
            .any(|line| line.split_ascii_whitespace().nth(4) == Some("/"))
}

fn tun_node(path: &Path) -> TunNode {
    match fs::metadata(path) {
        Err(_) => TunNode::Missing,
        Ok(metadata) if metadata.file_type().is_char_device() => TunNode::Present {
            mode: metadata.mode() & 0o777,
        },
        Ok(_) => TunNode::NoDevice,
    }
}
