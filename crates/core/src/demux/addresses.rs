//! Which addresses are ours, and what an address is at all.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Cidr;

/// What a packet's destination means to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// One of our own addresses.
    Ours,
    /// 255.255.255.255, or the last address of one of our networks (RFC 919, RFC 922).
    Broadcast,
    /// A group (RFC 1112, RFC 4291 section 2.7).
    Multicast,
    /// Somebody else's.
    Foreign,
}

/// Our own addresses. A handful: a list is faster than a table. They are asked several times for
/// each packet, so each family has a list of its own, of plain numbers.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    own: Vec<Cidr>,
    v4: Vec<OwnV4>,
    v6: Vec<u128>,
    has_loopback: bool,
}

/// One of our own IPv4 addresses.
#[derive(Clone, Copy, Debug)]
struct OwnV4 {
    address: u32,
    /// The last address of its network, if that is a broadcast: a network of one or two
    /// addresses has none (RFC 3021).
    broadcast: Option<u32>,
}

impl OwnV4 {
    fn new(address: Ipv4Addr, prefix_len: u8) -> Self {
        let hosts = u32::MAX.checked_shr(prefix_len.into()).unwrap_or(0);
        Self {
            address: address.to_bits(),
            broadcast: (prefix_len < 31).then_some(address.to_bits() | hosts),
        }
    }
}

impl Addresses {
    /// These, and with `has_loopback` the loopback addresses, which every host has (RFC 1122
    /// section 3.2.1.3) that does not share its neighbour's.
    pub(crate) fn new(own: &[Cidr], has_loopback: bool) -> Self {
        let mut addresses = Self {
            own: own.to_vec(),
            v4: Vec::new(),
            v6: Vec::new(),
            has_loopback,
        };
        for cidr in own {
            match cidr.address {
                IpAddr::V4(v4) => addresses.v4.push(OwnV4::new(v4, cidr.prefix_len)),
                IpAddr::V6(v6) => addresses.v6.push(v6.to_bits()),
            }
        }
        addresses
    }

    /// Whether packets to `address` come in here. Loopback addresses only do so from within.
    pub(crate) fn is_ours(&self, address: IpAddr) -> bool {
        let is_own = match address {
            IpAddr::V4(v4) => self.v4.iter().any(|own| own.address == v4.to_bits()),
            IpAddr::V6(v6) => self.v6.contains(&v6.to_bits()),
        };
        is_own || self.is_own_loopback(address)
    }

    /// Whether `address` is a loopback address, and ours: never seen on a link.
    pub(crate) fn is_own_loopback(&self, address: IpAddr) -> bool {
        self.has_loopback && address.is_loopback()
    }

    /// What a packet to `address` is to us.
    pub(crate) fn classify(&self, address: IpAddr) -> Destination {
        if self.is_ours(address) {
            return Destination::Ours;
        }
        match address {
            _ if address.is_multicast() => Destination::Multicast,
            IpAddr::V4(address) if self.is_broadcast(address) => Destination::Broadcast,
            _ => Destination::Foreign,
        }
    }

    fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        let address = Some(address.to_bits());
        address == Some(u32::MAX) || self.v4.iter().any(|own| own.broadcast == address)
    }

    /// Whether a datagram that claims to be from `source` can be answered: no group, no
    /// broadcast, nobody at all (RFC 1122 section 3.2.1.3, RFC 4291 section 2.7).
    pub(crate) fn is_unicast(&self, source: IpAddr) -> bool {
        if source.is_unspecified() || source.is_multicast() {
            return false;
        }
        match source {
            // 0.0.0.0/8 and 240.0.0.0/4 (RFC 6890); broadcast is in the latter.
            IpAddr::V4(v4) => {
                v4.octets()
                    .first()
                    .is_none_or(|first| (1..240).contains(first))
                    && (!self.is_broadcast(v4) || self.is_ours(source))
            }
            IpAddr::V6(_) => true,
        }
    }

    /// The address to speak to `remote` from: loopback for ourselves, else of our addresses
    /// of the same scope the one that shares the longest prefix (RFC 6724 section 5, rules 1,
    /// 2 and 8).
    pub(crate) fn source_for(&self, remote: IpAddr) -> Option<IpAddr> {
        if self.is_ours(remote) {
            return Some(remote);
        }
        self.own
            .iter()
            .map(|cidr| cidr.address)
            .filter(|own| own.is_ipv4() == remote.is_ipv4())
            .max_by_key(|own| {
                let same_scope = scope(*own) == scope(remote);
                (same_scope, common_prefix(*own, remote))
            })
    }

    /// The stack's first address of a family: who signs an ICMP error where nobody else does.
    pub(crate) fn first(&self, ipv6: bool) -> Option<IpAddr> {
        let mut addresses = self.own.iter().map(|cidr| cidr.address);
        addresses.find(|own| own.is_ipv6() == ipv6)
    }

    /// Our addresses with the networks they are in.
    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Cidr> {
        self.own.iter()
    }
}

/// How far an address reaches: link-local or global. Unique local addresses are global in
/// scope (RFC 4193 section 3.3), groups say it (RFC 4291 section 2.7).
fn scope(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => u8::from(!v4.is_link_local()),
        IpAddr::V6(v6) if v6.is_multicast() => {
            u8::from(v6.segments().first().is_some_and(|first| first & 0xf > 2))
        }
        IpAddr::V6(v6) => u8::from(!v6.is_unicast_link_local()),
    }
}

/// Leading bits that two addresses of one family share.
fn common_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

/// The address that stands for "any of ours".
pub(crate) fn unspecified(ipv6: bool) -> IpAddr {
    if ipv6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }
}
