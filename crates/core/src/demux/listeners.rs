//! Who listens where.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::addresses::unspecified;
use super::backlog::Backlog;
use super::hash::{SecretHash, SecretMap};
use crate::config::TcpOptions;
use crate::slab::{Key, Slab};

/// A port that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where; the address may be unspecified.
    pub(crate) local: SocketAddr,
    /// What its connections start with.
    pub(crate) options: TcpOptions,
    /// Who waits.
    pub(crate) backlog: Backlog,
    /// `Event::Acceptable` is queued.
    pub(crate) is_announced: bool,
}

impl Listener {
    /// Whether it takes IPv4 although it is bound to the IPv6 wildcard (RFC 3493 section 5.3).
    fn is_dual_stack(&self) -> bool {
        self.local.is_ipv6() && self.local.ip().is_unspecified() && !self.options.only_v6
    }
}

/// All listeners of a stack.
#[derive(Debug)]
pub(crate) struct Listeners {
    slab: Slab<Listener>,
    /// Several share a place with `SO_REUSEPORT`.
    places: SecretMap<SocketAddr, Vec<Key>>,
}

impl Listeners {
    pub(crate) fn new(secret: SecretHash) -> Self {
        Self {
            slab: Slab::default(),
            places: SecretMap::with_hasher(secret),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Listener> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Listener> {
        self.slab.get_mut(key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Listener)> {
        self.slab.iter()
    }

    /// Who answers a call to `local`: whoever listens on that very address, else, if it is
    /// ours, on all of ours. Of several that share the place, the hash of the call chooses
    /// (`SO_REUSEPORT`).
    pub(crate) fn find(&self, local: SocketAddr, hash: u64, is_ours: bool) -> Option<Key> {
        let wildcard = SocketAddr::new(unspecified(local.is_ipv6()), local.port());
        let everywhere = || self.places.get(&wildcard).filter(|_| is_ours);
        let place = self.places.get(&local).or_else(everywhere)?;
        let count = u64::try_from(place.len()).ok().filter(|count| *count > 0)?;
        place.get(usize::try_from(hash % count).ok()?).copied()
    }

    /// Whether a listener at `local` with `options` would disturb another. As on Linux, a
    /// wildcard and an address of the same port disturb each other; sharing takes
    /// `SO_REUSEPORT` on both sides.
    pub(crate) fn conflicts(&self, local: SocketAddr, options: &TcpOptions) -> bool {
        let dual = local.is_ipv6() && local.ip().is_unspecified() && !options.only_v6;
        // Listening is rare and listeners are few: a walk is fine here.
        self.slab.iter().any(|(_, other)| {
            let overlaps = other.local.port() == local.port()
                && overlap(
                    (local.ip(), dual),
                    (other.local.ip(), other.is_dual_stack()),
                );
            overlaps && !(options.reuse_port && other.options.reuse_port)
        })
    }

    /// Enters a listener; the caller has asked about conflicts.
    pub(crate) fn insert(&mut self, listener: Listener) -> Key {
        let local = listener.local;
        let dual = listener.is_dual_stack();
        let key = self.slab.insert(listener);
        self.places.entry(local).or_default().push(key);
        if dual {
            let ipv4 = SocketAddr::new(unspecified(false), local.port());
            self.places.entry(ipv4).or_default().push(key);
        }
        key
    }

    /// Takes a listener out.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Listener> {
        let listener = self.slab.remove(key)?;
        let ipv4 = SocketAddr::new(unspecified(false), listener.local.port());
        for place in [listener.local, ipv4] {
            if let Some(keys) = self.places.get_mut(&place) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        Some(listener)
    }
}

/// Whether two bound addresses (each with: takes the other family too) have one in common.
pub(crate) fn overlap(one: (IpAddr, bool), other: (IpAddr, bool)) -> bool {
    let takes =
        |(address, dual): (IpAddr, bool), ipv6: bool| address.is_ipv6() == ipv6 || (dual && !ipv6);
    [false, true].into_iter().any(|ipv6| {
        takes(one, ipv6)
            && takes(other, ipv6)
            && (one.0.is_unspecified() || other.0.is_unspecified() || one.0 == other.0)
    })
}
