//! Socket addresses as C programs write them.

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use libc::{sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

use crate::errno::Errno;
use crate::user;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    V4,
    V6,
}

impl Domain {
    pub(crate) fn from_c(domain: c_int) -> Result<Self, Errno> {
        match domain {
            libc::AF_INET => Ok(Self::V4),
            libc::AF_INET6 => Ok(Self::V6),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    pub(crate) fn to_c(self) -> c_int {
        match self {
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
    }

    pub(crate) fn unspecified(self) -> SocketAddr {
        let ip: IpAddr = match self {
            Self::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Self::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, 0)
    }

    /// How a socket of this family shows `address`: IPv4 on an IPv6 socket is mapped (RFC 4291
    /// section 2.5.5.2).
    pub(crate) fn show(self, address: SocketAddr) -> SocketAddr {
        match (self, address.ip()) {
            (Self::V6, IpAddr::V4(ip)) => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
            }
            _ => address,
        }
    }

    /// `address` as the stack wants it, for a socket of this family: what is mapped is IPv4.
    pub(crate) fn check(self, address: SocketAddr) -> Result<SocketAddr, Errno> {
        if self == Self::V4 && address.is_ipv6() {
            return Err(Errno::EAFNOSUPPORT);
        }
        Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

/// An address that the caller wrote; `None` where it wrote `AF_UNSPEC`.
///
/// # Safety
///
/// `at` is null or readable for `len` octets.
pub(crate) unsafe fn read(
    at: *const sockaddr,
    len: socklen_t,
) -> Result<Option<SocketAddr>, Errno> {
    let len = len as usize;
    if len < size_of::<libc::sa_family_t>() || len > size_of::<sockaddr_storage>() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: long enough for the family, and the caller vouches.
    let family = unsafe { user::get(at.cast::<libc::sa_family_t>()) }?;
    match c_int::from(family) {
        libc::AF_UNSPEC => Ok(None),
        libc::AF_INET if len >= size_of::<sockaddr_in>() => {
            // SAFETY: long enough, any octets make one, and the caller vouches.
            let v4 = unsafe { user::get(at.cast::<sockaddr_in>()) }?;
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Ok(Some(
                SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into(),
            ))
        }
        libc::AF_INET6 if len >= size_of::<sockaddr_in6>() - size_of::<u32>() => {
            // Linux takes the form of RFC 2133 too, which has no scope.
            let v6: *const sockaddr_in6 = at.cast();
            // SAFETY: long enough without its last field, which is not read.
            let (ip, port) = unsafe {
                (
                    user::get(&raw const (*v6).sin6_addr.s6_addr)?,
                    user::get(&raw const (*v6).sin6_port)?,
                )
            };
            let ip = Ipv6Addr::from(ip);
            Ok(Some(SocketAddrV6::new(ip, u16::from_be(port), 0, 0).into()))
        }
        libc::AF_INET | libc::AF_INET6 => Err(Errno::EINVAL),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// Writes `address` as `accept` and `getsockname` do: cut to the caller's room, its true length in
/// `len`. A null `at` wants no address.
///
/// # Safety
///
/// `len` is null or good for reading and writing, `at` null or writable for `*len` octets.
pub(crate) unsafe fn write(
    address: SocketAddr,
    at: *mut sockaddr,
    len: *mut socklen_t,
) -> Result<(), Errno> {
    if at.is_null() {
        return Ok(());
    }
    // SAFETY: the caller vouches.
    let room = unsafe { user::get(len) }?;
    let room = usize::try_from(room as c_int).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both are plain data of integers; all zeros is a value of them.
    let (mut v4, mut v6): (sockaddr_in, sockaddr_in6) = unsafe { std::mem::zeroed() };
    let (from, whole): (*const u8, usize) = match address {
        SocketAddr::V4(address) => {
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = address.port().to_be();
            v4.sin_addr.s_addr = u32::from(*address.ip()).to_be();
            ((&raw const v4).cast(), size_of::<sockaddr_in>())
        }
        SocketAddr::V6(address) => {
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = address.port().to_be();
            v6.sin6_addr.s6_addr = address.ip().octets();
            ((&raw const v6).cast(), size_of::<sockaddr_in6>())
        }
    };
    // SAFETY: `from` names a local of `whole` octets; the caller vouches for `room` octets at `at`.
    unsafe {
        at.cast::<u8>()
            .copy_from_nonoverlapping(from, whole.min(room))
    };
    // SAFETY: the caller vouches.
    unsafe { user::put(len, whole as socklen_t) }
}
