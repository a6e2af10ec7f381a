//! Two endpoints, as the key of a conversation.

use core::hash::{BuildHasher, Hasher};
use core::net::{IpAddr, SocketAddr};

use super::hash::SecretHash;
pub(crate) use crate::tcp::FourTuple;

/// The conversation of `local` with `remote`, without scopes and flow labels, so that equal
/// endpoints are equal keys.
pub(crate) fn four_tuple(local: SocketAddr, remote: SocketAddr) -> FourTuple {
    FourTuple {
        local: plain(local),
        remote: plain(remote),
    }
}

/// `address` without scope and flow label.
pub(crate) fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// Hashes a conversation with one write of 12 or 36 octets: this happens for every packet.
pub(crate) fn hash_of(tuple: &FourTuple, secret: &SecretHash) -> u64 {
    let mut hasher = secret.build_hasher();
    let [l0, l1] = tuple.local.port().to_be_bytes();
    let [r0, r1] = tuple.remote.port().to_be_bytes();
    match (tuple.local.ip(), tuple.remote.ip()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            let ([a, b, c, d], [e, f, g, h]) = (local.octets(), remote.octets());
            hasher.write(&[a, b, c, d, e, f, g, h, l0, l1, r0, r1]);
        }
        (local, remote) => {
            hasher.write(&as_ipv6(local));
            hasher.write(&as_ipv6(remote));
            hasher.write(&[l0, l1, r0, r1]);
        }
    }
    hasher.finish()
}

/// The octets of an address, IPv4 mapped (RFC 4291 section 2.5.5.2).
pub(crate) fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
