//! Ephemeral ports that nobody off the path can guess (RFC 6056).

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use super::isn::{write_address, write_endpoint};

/// Counters of the double-hash algorithm (RFC 6056 section 3.3.4): connections to different
/// peers mostly use different ones, so a peer cannot count those to others.
const COUNTERS: usize = 64;

/// Where to begin looking for a free local port: RFC 6056 algorithm 4.
#[derive(Clone, Debug)]
pub(crate) struct PortHash {
    key: [u8; 16],
    counters: [u16; COUNTERS],
}

impl PortHash {
    /// `key` comes from the secret stream of `Entropy`.
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            counters: [0; COUNTERS],
        }
    }

    /// The place in a range of `range` ports to try first for a connection from `local` to
    /// `remote`. The caller goes on from there, round the range, until it finds a free one,
    /// and then says with [`Self::took`] how far it had to go.
    pub(crate) fn start(&self, local: IpAddr, remote: &SocketAddr, range: u16) -> u16 {
        let hash = self.hash(local, remote);
        let counter = self.counters.get(slot(hash)).copied().unwrap_or(0);
        let start = (hash & 0xffff_ffff) + u64::from(counter);
        (start % u64::from(range.max(1))) as u16
    }

    /// A port was taken `tries` places behind the start: the next search begins after it.
    pub(crate) fn took(&mut self, local: IpAddr, remote: &SocketAddr, tries: u16) {
        let hash = self.hash(local, remote);
        if let Some(counter) = self.counters.get_mut(slot(hash)) {
            *counter = counter.wrapping_add(tries).wrapping_add(1);
        }
    }

    fn hash(&self, local: IpAddr, remote: &SocketAddr) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        write_address(&mut hasher, local);
        write_endpoint(&mut hasher, remote);
        hasher.finish()
    }
}

/// Which counter: other bits of the hash than the offset uses.
fn slot(hash: u64) -> usize {
    (hash >> 32) as usize % COUNTERS
}
