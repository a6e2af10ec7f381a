//! Which raw sockets.

use alloc::vec::Vec;

use switchboard_wire::ip::IpProtocol;

use crate::demux::hash::{SecretHash, SecretMap};
use crate::slab::Key;

/// From protocols to raw sockets, in the order in which they were opened.
#[derive(Debug)]
pub(crate) struct RawTable {
    sockets: SecretMap<(bool, IpProtocol), Vec<Key>>,
}

impl RawTable {
    pub(crate) fn new(secret: SecretHash) -> Self {
        Self {
            sockets: SecretMap::with_hasher(secret),
        }
    }

    /// Whether there is none: the common case, which costs nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Those of a protocol of a family.
    pub(crate) fn find(&self, ipv6: bool, protocol: IpProtocol) -> &[Key] {
        let keys = self.sockets.get(&(ipv6, protocol));
        keys.map_or(&[], Vec::as_slice)
    }

    pub(crate) fn insert(&mut self, ipv6: bool, protocol: IpProtocol, key: Key) {
        self.sockets.entry((ipv6, protocol)).or_default().push(key);
    }

    pub(crate) fn remove(&mut self, ipv6: bool, protocol: IpProtocol, key: Key) {
        if let Some(keys) = self.sockets.get_mut(&(ipv6, protocol)) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.sockets.remove(&(ipv6, protocol));
            }
        }
    }
}
