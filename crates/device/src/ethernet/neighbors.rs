//! Where stations are, and packets to those of whom nobody knows yet.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use switchboard_wire::Transmit;
use switchboard_wire::ethernet::MacAddr;

/// Addresses of stations at most: on a link of one guest there are a handful.
const NEIGHBORS_MAX: usize = 1_024;

/// Packets that may wait for an answer, all stations together.
const HELD_MAX: usize = 32;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    To(MacAddr),
    Unknown,
}

/// The neighbour cache. Entries do not age: a station that moves says so by what it sends.
#[derive(Debug, Default)]
pub(super) struct Neighbors {
    /// Keyed with a secret of the process: stations choose their addresses.
    stations: HashMap<IpAddr, MacAddr>,
    held: VecDeque<(IpAddr, Transmit)>,
    /// The last one asked for, and the last one heard: mostly the same again.
    last_route: Cell<Option<(IpAddr, MacAddr)>>,
    last_heard: Option<(IpAddr, MacAddr)>,
}

impl Neighbors {
    /// `station` has `address`. Returns what was held for it; `Err`: there is no place.
    pub(super) fn learn(&mut self, address: IpAddr, station: MacAddr) -> Result<Vec<Transmit>, ()> {
        if self.last_heard == Some((address, station)) {
            return Ok(Vec::new());
        }
        if self.stations.len() >= NEIGHBORS_MAX && !self.stations.contains_key(&address) {
            return Err(());
        }
        self.stations.insert(address, station);
        self.last_heard = Some((address, station));
        self.last_route.set(None);
        let mut released = Vec::new();
        self.held.retain_mut(|(waits_for, transmit)| {
            if *waits_for == address {
                released.push(std::mem::take(transmit));
            }
            *waits_for != address
        });
        Ok(released)
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
        self.held.push_back((address, transmit));
        is_full
    }
}
