//! Identifications of packets that may be cut (RFC 791 section 3.2, RFC 6864, RFC 7739).

use core::hash::BuildHasher;
use core::net::IpAddr;

use switchboard_wire::IpProtocol;

use crate::demux::hash::SecretHash;

/// Counters that all destinations share: enough that a busy one says little of another.
const COUNTERS: usize = 256;

/// Hands out identifications that do not come again soon between the same two addresses, and
/// that nobody can foretell who does not see them: RFC 7739 section 5.2, a secret offset for
/// each pair and a counter.
///
/// Random ones will not do: of 30 datagrams at once two have the same 16 bits once in 150
/// times, and their fragments are then put together crosswise.
#[derive(Debug)]
pub(crate) struct Identifications {
    secret: SecretHash,
    counters: [u32; COUNTERS],
}

impl Identifications {
    /// Counting begins at `start`.
    pub(crate) const fn new(secret: SecretHash, start: u32) -> Self {
        Self {
            secret,
            counters: [start; COUNTERS],
        }
    }

    /// The next one from `source` to `destination`; IPv4 uses the lower half.
    pub(crate) fn next(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        protocol: IpProtocol,
    ) -> u32 {
        let hash = self.secret.hash_one((source, destination, protocol));
        let counter = self.counters.get_mut((hash >> 32) as usize % COUNTERS);
        let count = counter.map_or(0, |counter| {
            *counter = counter.wrapping_add(1);
            *counter
        });
        (hash as u32).wrapping_add(count)
    }
}

#[cfg(test)]
mod tests;
