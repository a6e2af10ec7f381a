//! Which way a packet goes, if any.

use alloc::vec::Vec;
use core::net::IpAddr;

use crate::config::Cidr;

/// Where packets for a destination go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// Out of the device. It is a point-to-point IP link: whoever is at the other end takes
    /// everything, so there is no neighbour to resolve.
    Link,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    network: Cidr,
    next_hop: NextHop,
}

/// Routes, longest prefix first.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: Vec<Route>,
    /// Of each family, the route that takes everything.
    defaults: [Option<NextHop>; 2],
}

impl RouteTable {
    /// A host with `addresses` on one link: the networks of its addresses, and everything
    /// else of each family that it has an address of. A gateway reaches both families.
    pub(crate) fn for_link<'a>(
        addresses: impl Iterator<Item = &'a Cidr> + Clone,
        any_address: bool,
    ) -> Self {
        let mut table = Self::default();
        for cidr in addresses.clone() {
            table.insert(*cidr, NextHop::Link);
        }
        for default in defaults() {
            let is_same = |cidr: &Cidr| cidr.address.is_ipv4() == default.address.is_ipv4();
            if any_address || addresses.clone().any(is_same) {
                table.insert(default, NextHop::Link);
            }
        }
        table
    }

    /// Adds a route.
    pub(crate) fn insert(&mut self, network: Cidr, next_hop: NextHop) {
        let family = usize::from(network.address.is_ipv6());
        if let Some(default) = self.defaults.get_mut(family)
            && network.prefix_len == 0
        {
            *default = Some(next_hop);
        }
        let place = self
            .routes
            .partition_point(|route| route.network.prefix_len >= network.prefix_len);
        self.routes.insert(place, Route { network, next_hop });
    }

    /// The way to `destination`: the longest prefix that it is in.
    pub(crate) fn find(&self, destination: IpAddr) -> Option<NextHop> {
        // All ways lead out of the one link: the last, which takes everything, says as much.
        if let Some(next_hop) = self.default_of(destination) {
            return Some(next_hop);
        }
        let mut routes = self.routes.iter();
        let route = routes.find(|route| contains(&route.network, destination))?;
        Some(route.next_hop)
    }

    /// The route of prefix length 0 in the family of `destination`, while every route has the
    /// same next hop.
    fn default_of(&self, destination: IpAddr) -> Option<NextHop> {
        let family = usize::from(destination.is_ipv6());
        self.defaults.get(family).copied().flatten()
    }
}

/// Everything, in each family.
fn defaults() -> [Cidr; 2] {
    let all = |address: IpAddr| Cidr {
        address,
        prefix_len: 0,
    };
    [all(IpAddr::from([0; 4])), all(IpAddr::from([0_u16; 8]))]
}

/// Whether `address` is in `network`.
pub(crate) fn contains(network: &Cidr, address: IpAddr) -> bool {
    let prefix = u32::from(network.prefix_len);
    match (network.address, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix.min(32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix.min(128)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
