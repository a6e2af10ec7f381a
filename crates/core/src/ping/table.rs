//! Which ping socket.

use crate::demux::hash::{SecretHash, SecretMap};
use crate::slab::Key;

/// From identifiers to ping sockets. Each identifier of a family has one owner.
#[derive(Debug)]
pub(crate) struct PingTable {
    sockets: SecretMap<(bool, u16), Key>,
}

impl PingTable {
    pub(crate) fn new(secret: SecretHash) -> Self {
        Self {
            sockets: SecretMap::with_hasher(secret),
        }
    }

    pub(crate) fn find(&self, ipv6: bool, identifier: u16) -> Option<Key> {
        self.sockets.get(&(ipv6, identifier)).copied()
    }

    pub(crate) fn insert(&mut self, ipv6: bool, identifier: u16, key: Key) {
        self.sockets.insert((ipv6, identifier), key);
    }

    pub(crate) fn remove(&mut self, ipv6: bool, identifier: u16) {
        self.sockets.remove(&(ipv6, identifier));
    }
}
