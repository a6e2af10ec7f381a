//! Which addresses a run uses, so that none of the host's own networks becomes unreachable.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The ranges tried, in order. The first is what users of slirp4netns know.
const RANGES_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(10, 0, 2, 0),
    Ipv4Addr::new(10, 0, 98, 0),
    Ipv4Addr::new(172, 30, 98, 0),
    Ipv4Addr::new(192, 168, 198, 0),
    // RFC 6598: shared address space, rarely seen on a host's own links.
    Ipv4Addr::new(100, 64, 98, 0),
];

/// Unique local prefixes (RFC 4193) tried, in order.
const RANGES_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd5b, 2, 0, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0xfd5b, 98, 0, 0, 0, 0, 0, 0),
];

/// RTF_REJECT of `linux/route.h`: a route that says no.
const RTF_REJECT: u32 = 0x0200;
/// RTF_UP of `linux/route.h`.
const RTF_UP: u32 = 0x0001;

/// The inside network of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// Its IPv4 network address and prefix length.
    pub(crate) v4: (Ipv4Addr, u8),
    /// Its IPv6 /64.
    pub(crate) v6: Ipv6Addr,
}

impl Network {
    /// The IPv4 address of host `number`.
    pub(crate) fn host_v4(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.v4.0) | u32::from(number))
    }

    /// The IPv6 address of host `number`.
    pub(crate) fn host_v6(&self, number: u16) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.v6) | u128::from(number))
    }
}

/// A route of the host: destination and prefix length. Default routes have length 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: IpAddr,
    pub(crate) len: u8,
}

impl Route {
    /// Whether it covers an address of the network `other`/`len`, or the other way round.
    fn overlaps(&self, other: IpAddr, len: u8) -> bool {
        let (a, b, width) = match (self.destination, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(u32::from(a)), u128::from(u32::from(b)), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
            _ => return false,
        };
        let common = u32::from(self.len.min(len));
        common == 0 || (a ^ b) >> (width - common) == 0
    }
}

/// Why there is no network to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NetworkError {
    /// The host has routes into every range that is tried.
    AllTaken,
    /// The host has a route into the range that was asked for.
    Taken(Ipv4Addr, u8),
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllTaken => f.write_str(
                "every range for the program's network is in use on this machine: choose a free \
                 one with --net CIDR",
            ),
            Self::Taken(address, len) => write!(
                f,
                "--net {address}/{len}: this machine has a route into that range; choose another"
            ),
        }
    }
}

/// What of the host's routing decides about the inside network.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostRoutes {
    routes: Vec<Route>,
}

impl HostRoutes {
    /// Reads the host's main tables.
    pub(crate) fn read() -> Self {
        let v4 = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let v6 = std::fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        Self::parse(&v4, &v6)
    }

    /// From the texts of `/proc/net/route` and `/proc/net/ipv6_route`.
    fn parse(v4: &str, v6: &str) -> Self {
        let v4 = v4.lines().skip(1).filter_map(route_v4);
        let v6 = v6.lines().filter_map(route_v6);
        Self {
            routes: v4.chain(v6).collect(),
        }
    }

    fn is_free(&self, address: IpAddr, len: u8) -> bool {
        !self
            .routes
            .iter()
            .any(|route| route.len > 0 && route.overlaps(address, len))
    }

    /// The network of a run; `wanted` is `--net`.
    ///
    /// # Errors
    ///
    /// The range that was asked for, or every range, is in use.
    pub(crate) fn choose(&self, wanted: Option<(Ipv4Addr, u8)>) -> Result<Network, NetworkError> {
        let v4 = match wanted {
            Some((address, len)) if self.is_free(address.into(), len) => (address, len),
            Some((address, len)) => return Err(NetworkError::Taken(address, len)),
            None => {
                let free = RANGES_V4
                    .into_iter()
                    .find(|net| self.is_free((*net).into(), 24));
                (free.ok_or(NetworkError::AllTaken)?, 24)
            }
        };
        let mut free = RANGES_V6
            .into_iter()
            .filter(|net| self.is_free((*net).into(), 64));
        let v6 = free.next().ok_or(NetworkError::AllTaken)?;
        Ok(Network { v4, v6 })
    }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, numbers in the host's order.
fn route_v4(line: &str) -> Option<Route> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let destination = u32::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
    let mask = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    let counts = flags & RTF_UP != 0 && flags & RTF_REJECT == 0;
    counts.then(|| Route {
        destination: IpAddr::V4(Ipv4Addr::from(destination.to_ne_bytes())),
        len: u8::try_from(mask.count_ones()).unwrap_or(32),
    })
}

/// `destination len source len nexthop metric refcnt use flags device`.
fn route_v6(line: &str) -> Option<Route> {
    let mut fields = line.split_ascii_whitespace();
    let destination = u128::from_str_radix(fields.next()?, 16).ok()?;
    let len = u8::from_str_radix(fields.next()?, 16).ok()?;
    let flags = u32::from_str_radix(fields.nth(6)?, 16).ok()?;
    let device = fields.next()?;
    let counts = flags & RTF_UP != 0 && flags & RTF_REJECT == 0 && device != "lo";
    counts.then(|| Route {
        destination: IpAddr::V6(Ipv6Addr::from(destination)),
        len,
    })
}

#[cfg(test)]
mod tests;
