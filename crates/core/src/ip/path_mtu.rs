//! What paths carry, as routers told us (RFC 1191, RFC 8201).

use core::net::IpAddr;
use core::time::Duration;

use alloc::collections::VecDeque;

use switchboard_wire::Instant;

use crate::demux::hash::{SecretHash, SecretMap};

/// Below this an IPv4 path MTU is not believed: Linux's `min_pmtu`, 512 octets of data and
/// both headers. A forged message must not cut a connection into one-octet segments.
pub(crate) const MTU_MIN_V4: usize = 552;
/// Every IPv6 link carries this much (RFC 8200 section 5); a smaller claim is ignored
/// (RFC 8201 section 4).
pub(crate) const MTU_MIN_V6: usize = 1280;

/// How long a path MTU is believed before larger packets are tried again: RFC 1191 section
/// 6.3 and RFC 8201 section 4 recommend ten minutes.
const AGE: Duration = Duration::from_secs(600);

/// MTUs of common links (RFC 1191 section 7.1), for routers that name none.
const PLATEAUS: [usize; 11] = [
    32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 552, 508, 296, 68,
];

#[derive(Clone, Copy, Debug)]
struct Entry {
    mtu: usize,
    expires: Instant,
}

/// Path MTUs that are smaller than the link's, for a bounded number of destinations.
#[derive(Debug)]
pub(crate) struct PathMtus {
    link_mtu: usize,
    entries: SecretMap<IpAddr, Entry>,
    /// By age; the oldest makes room.
    order: VecDeque<IpAddr>,
    max: usize,
}

impl PathMtus {
    /// For a link of `link_mtu`, remembering at most `max` destinations.
    pub(crate) fn new(link_mtu: usize, max: usize, secret: SecretHash) -> Self {
        Self {
            link_mtu,
            entries: SecretMap::with_hasher(secret),
            order: VecDeque::new(),
            max: max.max(1),
        }
    }

    /// Whether every path carries what the link does, as far as known: the common case.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Longest packet to `destination`, in octets.
    pub(crate) fn get(&self, destination: IpAddr, now: Instant) -> usize {
        if self.entries.is_empty() {
            return self.link_mtu;
        }
        match self.entries.get(&destination) {
            Some(entry) if entry.expires > now => entry.mtu,
            _ => self.link_mtu,
        }
    }

    /// A router says that the next link toward `destination` takes `claimed` octets; the
    /// packet that it dropped had `dropped`. The message was checked to quote a packet of
    /// ours. Returns the path MTU if it is news.
    pub(crate) fn reduce(
        &mut self,
        destination: IpAddr,
        claimed: usize,
        dropped: usize,
        now: Instant,
    ) -> Option<usize> {
        let mtu = believable(destination, claimed, dropped)?;
        let old = self.get(destination, now);
        // It never grows by a message (RFC 8201 section 4), and the same again is no news.
        if mtu >= old {
            return None;
        }
        let expires = now + AGE;
        if self
            .entries
            .insert(destination, Entry { mtu, expires })
            .is_none()
        {
            self.order.push_back(destination);
            if self.entries.len() > self.max
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
        }
        Some(mtu)
    }

    /// When `expire` has something to do. Entries are in the order of their first message; a
    /// later one prolongs an entry, which then is looked at too early and goes to the back.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        let oldest = self.order.front()?;
        self.entries.get(oldest).map(|entry| entry.expires)
    }

    /// Forgets what is too old: larger packets are tried again.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front().copied() {
            match self.entries.get(&oldest) {
                Some(entry) if entry.expires > now => return,
                _ => {
                    self.entries.remove(&oldest);
                    self.order.pop_front();
                }
            }
        }
    }
}

/// What to make of a claimed MTU; `None`: nothing.
fn believable(destination: IpAddr, claimed: usize, dropped: usize) -> Option<usize> {
    if destination.is_ipv6() {
        return (claimed >= MTU_MIN_V6).then_some(claimed);
    }
    let claimed = if claimed == 0 {
        // A router from before RFC 1191: the next plateau below what was dropped.
        *PLATEAUS.iter().find(|plateau| **plateau < dropped)?
    } else {
        claimed
    };
    Some(claimed.max(MTU_MIN_V4))
}

#[cfg(test)]
mod tests;
