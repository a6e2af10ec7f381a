//! Flows to any address that wait for a verdict.

use alloc::collections::VecDeque;
use core::net::SocketAddr;

use switchboard_wire::Instant;

use super::ageing::Ageing;
use crate::slab::{Key, Slab};
use crate::tcp::{FourTuple, PendingSyn, SeqNum};
use crate::udp::queue::Datagram;

/// A flow that nobody has accepted or refused yet.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A SYN that was not answered.
    Tcp {
        /// Who calls whom.
        tuple: FourTuple,
        /// All of the SYN that an answer needs.
        syn: PendingSyn,
        /// What the SYN's IP header said, for the header that an ICMP error quotes.
        hop_limit: u8,
        /// The same, for whoever carries the flow on.
        traffic_class: u8,
        /// The hash of `tuple`.
        hash: u64,
        /// What our sequence numbers must start at or after: an earlier connection of the
        /// same four-tuple has just ended (RFC 9293 section 3.6.1).
        iss_min: Option<SeqNum>,
    },
    /// Datagrams of one source.
    Udp {
        /// Who sends.
        remote: SocketAddr,
        /// Where the first one went.
        local: SocketAddr,
        /// The first few of them.
        kept: VecDeque<Datagram>,
    },
}

/// All pending flows of a stack: bounded, and each expires.
#[derive(Debug, Default)]
pub(crate) struct PendingFlows {
    slab: Slab<Pending>,
    ageing: Ageing,
}

impl PendingFlows {
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Pending> {
        self.slab.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Pending> {
        self.slab.get_mut(key)
    }

    /// Enters a flow that expires at `expires`.
    pub(crate) fn insert(&mut self, pending: Pending, expires: Instant) -> Key {
        let key = self.slab.insert(pending);
        self.ageing.push(expires, key);
        key
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Pending> {
        let pending = self.slab.remove(key)?;
        let slab = &self.slab;
        self.ageing.tidy(slab.len(), |key| slab.get(key).is_some());
        Some(pending)
    }

    /// When to look for expired ones.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.ageing.earliest()
    }

    /// The name of one whose time has come, still in its place.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Key> {
        loop {
            let key = self.ageing.pop_due(now)?;
            if self.slab.get(key).is_some() {
                return Some(key);
            }
        }
    }
}

/// The bound that `limits` promises for each flow, kept datagrams aside.
const _: () = assert!(size_of::<Pending>() < 256);
