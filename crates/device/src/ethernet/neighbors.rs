//! Where stations are, and packets to those of whom nobody knows yet.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use switchboard_wire::Transmit;
use switchboard_wire::ethernet::MacAddr;
use tokio::time::Instant;

/// Addresses of stations at most: on a link of one guest there are a handful. Beyond, the one
/// that was learned first makes room; it is asked for when it is needed again.
const NEIGHBORS_MAX: usize = 1_024;

/// Packets that may wait for an answer, all stations together.
const HELD_MAX: usize = 32;

/// How long one waits: whoever sent it has sent it again by then, or given up.
const HELD_AGE: Duration = Duration::from_secs(3);

/// A station is asked for at most so often (RFC 1122 section 2.3.2.1, RFC 4861 section 10).
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    To(MacAddr),
    Unknown,
}

/// A packet that waits for its station.
#[derive(Debug)]
struct Held {
    address: IpAddr,
    transmit: Transmit,
    since: Instant,
}

/// The neighbour cache. Entries do not age: a station that moves says so by what it sends.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    /// Keyed with a secret of the process: stations choose their addresses.
    stations: HashMap<IpAddr, MacAddr>,
    /// The same addresses, in the order in which they were learned.
    order: VecDeque<IpAddr>,
    held: VecDeque<Held>,
    /// Who was asked for within the last second.
    asked: VecDeque<(IpAddr, Instant)>,
    /// The last one asked for, and the last one heard: mostly the same again.
    last_route: Cell<Option<(IpAddr, MacAddr)>>,
    last_heard: Option<(IpAddr, MacAddr)>,
}

impl Neighbors {
    /// `station` has `address`. Returns what was held for it.
    pub(super) fn learn(&mut self, address: IpAddr, station: MacAddr) -> Vec<Transmit> {
        if self.last_heard == Some((address, station)) {
            return Vec::new();
        }
        if self.stations.insert(address, station).is_none() {
            self.order.push_back(address);
            if self.order.len() > NEIGHBORS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.stations.remove(&oldest);
            }
        }
        self.last_heard = Some((address, station));
        self.last_route.set(None);
        let now = Instant::now();
        let mut released = Vec::new();
        self.held.retain_mut(|held| {
            if held.address == address && now.duration_since(held.since) < HELD_AGE {
                released.push(std::mem::take(&mut held.transmit));
            }
            held.address != address
        });
        released
    }

    pub(super) fn knows(&self, address: IpAddr) -> bool {
        self.stations.contains_key(&address)
    }

    pub(super) fn route(&self, address: IpAddr) -> Route {
        if let Some((last, station)) = self.last_route.get()
            && last == address
        {
            return Route::To(station);
        }
        match self.stations.get(&address) {
            Some(station) => {
                self.last_route.set(Some((address, *station)));
                Route::To(*station)
            }
            None => Route::Unknown,
        }
    }

    /// Keeps a packet until `address` is known. Returns whether an older one had to go.
    pub(super) fn hold(&mut self, address: IpAddr, transmit: Transmit) -> bool {
        let is_full = self.held.len() >= HELD_MAX;
        if is_full {
            self.held.pop_front();
        }
        self.held.push_back(Held {
            address,
            transmit,
            since: Instant::now(),
        });
        is_full
    }

    /// Whether it is time to ask for `address`; it counts as asked for then.
    pub(super) fn may_ask(&mut self, address: IpAddr) -> bool {
        let now = Instant::now();
        while let Some((_, at)) = self.asked.front()
            && (now.duration_since(*at) >= ASK_EVERY || self.asked.len() > HELD_MAX)
        {
            self.asked.pop_front();
        }
        let may = self.asked.iter().all(|(known, _)| *known != address);
        if may {
            self.asked.push_back((address, now));
        }
        may
    }
}
