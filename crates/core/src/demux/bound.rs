//! Ports that are taken and not used yet: `bind` without `listen` or `connect`.

use core::net::SocketAddr;

use super::listeners::overlap;
use crate::config::TcpOptions;
use crate::slab::{Key, Slab};

/// One of them.
#[derive(Debug)]
struct Bound {
    local: SocketAddr,
    options: TcpOptions,
}

/// All of them: few, and never asked about for a packet, so walks are fine here.
#[derive(Debug, Default)]
pub(crate) struct BoundPorts {
    slab: Slab<Bound>,
}

impl BoundPorts {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn insert(&mut self, local: SocketAddr, options: &TcpOptions) -> Key {
        self.slab.insert(Bound {
            local,
            options: *options,
        })
    }

    pub(crate) fn remove(&mut self, key: Key) -> bool {
        self.slab.remove(key).is_some()
    }

    pub(crate) fn local(&self, key: Key) -> Option<SocketAddr> {
        self.slab.get(key).map(|bound| bound.local)
    }

    /// Whether somebody has `port`, whatever the address: it is none to pick.
    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.slab.len() > 0
            && self
                .slab
                .iter()
                .any(|(_, bound)| bound.local.port() == port)
    }

    /// Whether one of them keeps `local` from being taken with `options`. As on Linux, two
    /// share what neither listens on if both say `SO_REUSEADDR`, or both `SO_REUSEPORT`.
    pub(crate) fn conflicts(&self, local: SocketAddr, options: &TcpOptions) -> bool {
        self.slab.iter().any(|(_, bound)| {
            let other = &bound.options;
            let shares = (options.reuse_address && other.reuse_address)
                || (options.reuse_port && other.reuse_port);
            bound.local.port() == local.port()
                && !shares
                && overlap(
                    (local.ip(), is_dual_stack(local, options)),
                    (bound.local.ip(), is_dual_stack(bound.local, other)),
                )
        })
    }
}

/// Whether a socket takes IPv4 although it is bound to the IPv6 wildcard (RFC 3493 section 5.3).
fn is_dual_stack(local: SocketAddr, options: &TcpOptions) -> bool {
    local.is_ipv6() && local.ip().is_unspecified() && !options.only_v6
}
