//! Making a TUN interface, and agreeing with the kernel on offloads.

use std::ffi::{c_int, c_uint, c_ulong};
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use switchboard_wire::ethernet;

use super::virtio;

/// Where the device node usually is.
pub const NODE: &str = "/dev/net/tun";

/// Reads may bring packets whose checksum is unfinished (`TUN_F_CSUM`), TCP super-segments
/// over IPv4 and IPv6 (`TUN_F_TSO4`, `TUN_F_TSO6`), and UDP ones (`TUN_F_USO4`, `TUN_F_USO6`,
/// Linux 6.2 and later).
const F_CSUM: c_uint = 0x01;
const F_TSO: c_uint = 0x02 | 0x04;
const F_USO: c_uint = 0x20 | 0x40;

/// From the best to nothing: the first set that the kernel grants is taken.
const STEPS: [c_uint; 3] = [F_CSUM | F_TSO | F_USO, F_CSUM | F_TSO, F_CSUM];

/// A TUN interface that was made just now.
#[derive(Debug)]
pub struct OpenTun {
    /// Reads and writes are packets. Non-blocking, closed on exec.
    pub fd: OwnedFd,
    /// The interface's name, as the kernel chose it where a pattern such as `tun%d` was given.
    pub name: String,
}

/// Why there is no TUN interface.
#[derive(Debug)]
pub enum OpenError {
    /// The device node cannot be opened: it is missing, or not for this user.
    Node {
        /// Which node.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The node is open but the interface was refused: mostly for want of `CAP_NET_ADMIN` in
    /// this network namespace.
    Attach {
        /// The interface's name.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node { path, source } => write!(f, "cannot open {}: {source}", path.display()),
            Self::Attach { name, source } => {
                write!(f, "cannot make the TUN interface {name}: {source}")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Node { source, .. } | Self::Attach { source, .. } => Some(source),
        }
    }
}

/// Makes the TUN interface `name` in the calling thread's network namespace, by the device
/// node at `node` (usually [`NODE`]): with the virtio-net header where the kernel has it,
/// plain where not.
///
/// # Errors
///
/// [`OpenError`]: the node, or the interface.
pub fn open(node: &Path, name: &str) -> Result<OpenTun, OpenError> {
    let tun = open_as(node, name, PLAIN | libc::IFF_VNET_HDR);
    match tun {
        Err(OpenError::Attach { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
            open_plain(node, name)
        }
        tun => tun,
    }
}

/// As [`open`], but without the virtio-net header and thus without offloads: each packet as it
/// would be on a wire.
///
/// # Errors
///
/// As for [`open`].
pub fn open_plain(node: &Path, name: &str) -> Result<OpenTun, OpenError> {
    open_as(node, name, PLAIN)
}

/// Makes the TAP interface `name`: as [`open`], but for Ethernet frames.
///
/// # Errors
///
/// As for [`open`].
pub fn open_tap(node: &Path, name: &str) -> Result<OpenTun, OpenError> {
    open_as(node, name, FRAMES | libc::IFF_VNET_HDR)
}

/// Ethernet frames, likewise.
const FRAMES: c_int = libc::IFF_TAP | libc::IFF_NO_PI;

/// Packets of IP without a word before them about their protocol.
const PLAIN: c_int = libc::IFF_TUN | libc::IFF_NO_PI;

fn open_as(node: &Path, name: &str, flags: c_int) -> Result<OpenTun, OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(node)
        .map_err(|source| OpenError::Node {
            path: node.to_owned(),
            source,
        })?;
    let fd = OwnedFd::from(file);
    match attach(&fd, name, flags) {
        Ok(name) => Ok(OpenTun { fd, name }),
        Err(source) => Err(OpenError::Attach {
            name: name.to_owned(),
            source,
        }),
    }
}

/// An `ifreq` for the interface `name`.
fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: `ifreq` is plain data of integers and unions of them; all zeros is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() || name.bytes().any(|octet| octet == 0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Ok(request)
}

fn attach(fd: &OwnedFd, name: &str, flags: c_int) -> io::Result<String> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    ioctl(fd, libc::TUNSETIFF as c_ulong, &mut request)?;
    let chosen = request.ifr_name.iter().take_while(|c| **c != 0);
    let chosen: Vec<u8> = chosen.map(|c| c.to_ne_bytes()[0]).collect();
    Ok(String::from_utf8_lossy(&chosen).into_owned())
}

/// What a descriptor and its kernel agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Octets of virtio-net header before each packet; 0: plain.
    pub(crate) header_len: usize,
    /// Octets of link header before each IP packet: none of a TUN, Ethernet's of a TAP.
    pub(crate) link_len: usize,
    /// The kernel takes and brings UDP super-datagrams too.
    pub(crate) uso: bool,
}

/// Asks a TUN descriptor for all offloads that we can use, less by less.
pub(crate) fn agree(fd: &OwnedFd) -> io::Result<Agreed> {
    let mut request = request("")?;
    ioctl(fd, libc::TUNGETIFF as c_ulong, &mut request)?;
    // SAFETY: TUNGETIFF has written the flags member; every bit pattern is a value of it.
    let flags = c_int::from(unsafe { request.ifr_ifru.ifru_flags });
    let link_len = match flags & libc::IFF_TAP {
        0 => 0,
        _ => ethernet::HEADER_LEN,
    };
    if flags & libc::IFF_VNET_HDR == 0 {
        return Ok(Agreed {
            header_len: 0,
            link_len,
            uso: false,
        });
    }
    let mut header_len = virtio::HEADER_LEN;
    let mut wanted = virtio::HEADER_LEN as c_int;
    if ioctl(fd, libc::TUNSETVNETHDRSZ as c_ulong, &mut wanted).is_err() {
        header_len = virtio::HEADER_LEN_SHORT;
    }
    let granted = STEPS.into_iter().find(|step| {
        // SAFETY: TUNSETOFFLOAD takes its flags by value and touches no memory of ours.
        unsafe {
            libc::ioctl(
                fd.as_raw_fd(),
                libc::TUNSETOFFLOAD as _,
                c_ulong::from(*step),
            ) == 0
        }
    });
    Ok(Agreed {
        header_len,
        link_len,
        // A kernel that brings USO takes it too; both came with Linux 6.2.
        uso: granted.is_some_and(|step| step & F_USO != 0),
    })
}

/// An ioctl that reads and writes one value of ours.
fn ioctl<T>(fd: &OwnedFd, number: c_ulong, value: &mut T) -> io::Result<()> {
    // SAFETY: `value` is valid for reads and writes for the whole call, and each caller pairs
    // the number with the type that the kernel has for it (`ifreq` or `int`).
    if unsafe { libc::ioctl(fd.as_raw_fd(), number as _, std::ptr::from_mut(value)) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Makes reads and writes of `fd` return at once.
pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(
        fd,
        flags | rustix::fs::OFlags::NONBLOCK,
    )?)
}
