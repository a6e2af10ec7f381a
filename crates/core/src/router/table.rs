//! Routes: the longest prefix that an address is in.

use alloc::collections::BTreeMap;
use core::cmp::Reverse;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::PortId;
use crate::config::Cidr;

/// Routes by length and network: a look-up asks once for each length that there are routes of,
/// longest first, however many routes there are.
#[derive(Debug, Default)]
pub(super) struct Table {
    v4: BTreeMap<Reverse<u8>, BTreeMap<IpAddr, PortId>>,
    v6: BTreeMap<Reverse<u8>, BTreeMap<IpAddr, PortId>>,
}

impl Table {
    fn of_family(&mut self, ipv6: bool) -> &mut BTreeMap<Reverse<u8>, BTreeMap<IpAddr, PortId>> {
        if ipv6 { &mut self.v6 } else { &mut self.v4 }
    }

    pub(super) fn insert(&mut self, network: Cidr, port: PortId) {
        let prefix = mask(network.address, network.prefix_len);
        let lengths = self.of_family(network.address.is_ipv6());
        let routes = lengths.entry(Reverse(network.prefix_len)).or_default();
        routes.insert(prefix, port);
    }

    pub(super) fn remove(&mut self, network: Cidr) -> bool {
        let prefix = mask(network.address, network.prefix_len);
        let lengths = self.of_family(network.address.is_ipv6());
        let Some(routes) = lengths.get_mut(&Reverse(network.prefix_len)) else {
            return false;
        };
        let was_there = routes.remove(&prefix).is_some();
        if routes.is_empty() {
            lengths.remove(&Reverse(network.prefix_len));
        }
        was_there
    }

    /// Forgets all routes by `port`.
    pub(super) fn forget(&mut self, port: PortId) {
        for lengths in [&mut self.v4, &mut self.v6] {
            for routes in lengths.values_mut() {
                routes.retain(|_, by| *by != port);
            }
            lengths.retain(|_, routes| !routes.is_empty());
        }
    }

    pub(super) fn find(&self, address: IpAddr) -> Option<PortId> {
        let lengths = if address.is_ipv6() {
            &self.v6
        } else {
            &self.v4
        };
        lengths.iter().find_map(|(Reverse(len), routes)| {
            let port = routes.get(&mask(address, *len))?;
            Some(*port)
        })
    }
}

/// The first `len` bits of `address`.
fn mask(address: IpAddr, len: u8) -> IpAddr {
    let len = u32::from(len);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - len.min(32)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - len.min(128)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}
