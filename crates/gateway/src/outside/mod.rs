//! The host's sockets: what the standard library does not offer of them.

pub(crate) mod chunk;
mod error_queue;
mod options;

pub(crate) use error_queue::{QueuedError, read_error_queue};
pub(crate) use options::{HOST_MTU, far_figures, far_half, mtu_discovery, want_errors};

use std::io;
use std::net::{IpAddr, SocketAddr};

use switchboard::Unreachable;

use crate::observer::Refused;

/// What a failed call on a host socket says of the outside. `by` is who said so, where the
/// error queue knows it.
pub(crate) fn refused(error: &io::Error, by: Option<IpAddr>) -> Refused {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Refused::NobodyThere,
        Some(libc::ENETUNREACH | libc::ENETDOWN) => Refused::NetworkUnreachable { by },
        Some(libc::EHOSTUNREACH | libc::EHOSTDOWN) => Refused::HostUnreachable { by },
        Some(libc::EACCES | libc::EPERM) => Refused::Prohibited { by },
        Some(libc::ENOPROTOOPT | libc::EPROTO | libc::EOPNOTSUPP) => {
            Refused::OtherUnreachable { by }
        }
        Some(libc::ETIMEDOUT) => Refused::TimedOut,
        // The peer answered the SYN with something else than a plain refusal.
        Some(libc::ECONNRESET | libc::ECONNABORTED | libc::EPIPE) => Refused::NobodyThere,
        // No address of that family to send from: the host has no such network.
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => Refused::NetworkUnreachable { by },
        Some(libc::EMFILE | libc::ENFILE) => Refused::LimitReached("open sockets"),
        _ => Refused::HostFailed(error.kind(), error.to_string()),
    }
}

/// What an ICMP error from outside says.
pub(crate) fn refused_by(why: Unreachable, by: Option<IpAddr>) -> Refused {
    match why {
        Unreachable::Network => Refused::NetworkUnreachable { by },
        Unreachable::Host => Refused::HostUnreachable { by },
        Unreachable::Port => Refused::NobodyThere,
        Unreachable::Prohibited => Refused::Prohibited { by },
        _ => Refused::OtherUnreachable { by },
    }
}

/// `address` as an endpoint of the family of `other`, for binding.
pub(crate) fn unspecified_of(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::from([0; 4]), 0),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::from([0u16; 8]), 0),
    }
}
