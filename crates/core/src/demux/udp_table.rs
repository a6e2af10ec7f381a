//! Which datagram socket.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::addresses::unspecified;
use super::four_tuple::four_tuple;
use super::hash::{SecretHash, SecretMap};
use crate::slab::Key;
use crate::tcp::FourTuple;

/// From endpoints to datagram sockets. A datagram goes to the first of: the socket connected
/// to exactly these two endpoints; one bound to the destination; the accepted flow of the
/// source; one bound to the port on all addresses.
///
/// Never iterated: its order depends on the secret.
#[derive(Debug)]
pub(crate) struct UdpTable {
    connected: SecretMap<FourTuple, Key>,
    /// Several share a place with `SO_REUSEADDR`; the last one to come gets the datagrams.
    bound: SecretMap<SocketAddr, Vec<Key>>,
    /// Accepted flows, and flows that wait, by the source of their datagrams.
    sources: SecretMap<SocketAddr, Source>,
}

/// Who takes the datagrams of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The socket of an accepted flow.
    Socket(Key),
    /// A flow that waits for a verdict.
    Flow(Key),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// To this socket.
    Socket(Key),
    /// To this pending flow.
    Flow(Key),
}

impl UdpTable {
    pub(crate) fn new(secret: &SecretHash) -> Self {
        Self {
            connected: SecretMap::with_hasher(secret.clone()),
            bound: SecretMap::with_hasher(secret.clone()),
            sources: SecretMap::with_hasher(secret.clone()),
        }
    }

    /// Who takes a datagram from `remote` to `local`. `hears` says of a bound socket whether it
    /// takes what comes from there. `is_ours`: our own addresses belong to
    /// our own sockets only, every other one to flows.
    pub(crate) fn find(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        is_ours: bool,
        hears: impl Fn(Key) -> bool,
    ) -> Option<Found> {
        if !self.connected.is_empty()
            && let Some(key) = self.connected.get(&FourTuple { local, remote })
        {
            return Some(Found::Socket(*key));
        }
        if let Some(key) = self.bound_to(local, &hears) {
            return Some(Found::Socket(key));
        }
        if !is_ours {
            return self.find_source(remote);
        }
        let wildcard = SocketAddr::new(unspecified(local.is_ipv6()), local.port());
        self.bound_to(wildcard, &hears).map(Found::Socket)
    }

    /// The flow of a source, whatever its destinations.
    pub(crate) fn find_source(&self, remote: SocketAddr) -> Option<Found> {
        match self.sources.get(&remote)? {
            Source::Socket(key) => Some(Found::Socket(*key)),
            Source::Flow(key) => Some(Found::Flow(*key)),
        }
    }

    /// All sockets that a datagram to a group or to everybody goes to: those at its port that
    /// `hears` says yes of.
    pub(crate) fn find_all(&self, local: SocketAddr, hears: impl Fn(Key) -> bool) -> Vec<Key> {
        let wildcard = SocketAddr::new(unspecified(local.is_ipv6()), local.port());
        let mut all = Vec::new();
        for place in [local, wildcard] {
            let bound = self.bound.get(&place).into_iter().flatten().copied();
            all.extend(bound.filter(|key| hears(*key)));
        }
        all
    }

    fn bound_to(&self, local: SocketAddr, hears: &impl Fn(Key) -> bool) -> Option<Key> {
        let keys = self.bound.get(&local)?;
        keys.iter().rev().copied().find(|key| hears(*key))
    }

    /// Sockets bound to any of these, all of which must allow sharing for one more to come.
    pub(crate) fn holders(&self, places: &[SocketAddr]) -> impl Iterator<Item = Key> {
        places
            .iter()
            .filter_map(|place| self.bound.get(place))
            .flatten()
            .copied()
    }

    pub(crate) fn bind(&mut self, place: SocketAddr, key: Key) {
        self.bound.entry(place).or_default().push(key);
    }

    pub(crate) fn unbind(&mut self, place: SocketAddr, key: Key) {
        if let Some(keys) = self.bound.get_mut(&place) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.bound.remove(&place);
            }
        }
    }

    /// Two endpoints belong to `key` alone from now on.
    pub(crate) fn connect(&mut self, local: SocketAddr, remote: SocketAddr, key: Key) {
        self.connected.insert(four_tuple(local, remote), key);
    }

    pub(crate) fn disconnect(&mut self, local: SocketAddr, remote: SocketAddr, key: Key) {
        let tuple = four_tuple(local, remote);
        if self.connected.get(&tuple) == Some(&key) {
            self.connected.remove(&tuple);
        }
    }

    pub(crate) fn source(&self, remote: SocketAddr) -> Option<Source> {
        self.sources.get(&remote).copied()
    }

    pub(crate) fn set_source(&mut self, remote: SocketAddr, holder: Source) {
        self.sources.insert(remote, holder);
    }

    /// `holder` lets go of a source, if it has it.
    pub(crate) fn clear_source(&mut self, remote: SocketAddr, holder: Source) {
        if self.source(remote) == Some(holder) {
            self.sources.remove(&remote);
        }
    }
}

/// The places that a socket bound to `local` takes: a dual-stack wildcard takes two.
pub(crate) fn places(local: SocketAddr, only_v6: bool) -> ([SocketAddr; 2], usize) {
    let ipv4 = SocketAddr::new(unspecified(false), local.port());
    let dual = local.is_ipv6() && local.ip().is_unspecified() && !only_v6;
    ([local, ipv4], 1 + usize::from(dual))
}
