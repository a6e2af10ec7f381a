//! The outside's addresses, from the ranges for documentation (RFC 5737, RFC 3849).
//!
//! ```text
//!   launchers           router                     server
//!   192.0.2.2      ---  192.0.2.1, 198.51.100.1 -- 198.51.100.10   (MTU 1500)
//!   2001:db8:1::2       203.0.113.1             -- 203.0.113.10    (MTU 1400)
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the launchers run.
pub(crate) const HOST4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);

pub(crate) const ROUTER4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const ROUTER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1);

pub(crate) const SERVER4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
pub(crate) const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 0x10);

/// The same server over the path of small packets.
pub(crate) const NARROW4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
pub(crate) const NARROW6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0x10);
pub(crate) const NARROW_MTU: u32 = 1400;

/// Of TCP and UDP.
pub(crate) const PORT: u16 = 7000;
pub(crate) const CLOSED_PORT: u16 = 7999;
/// What is published into the program's network.
pub(crate) const INBOUND_PORT: u16 = 7080;

/// Destinations that nobody has, by who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nowhere {
    /// The host has no route.
    NoRoute,
    /// The host forbids it.
    Prohibited,
    /// The router has no route.
    Unreachable,
    /// The router forbids it.
    Filtered,
    /// The router says nothing.
    BlackHole,
}

impl Nowhere {
    pub(crate) const ALL: [Self; 5] = [
        Self::NoRoute,
        Self::Prohibited,
        Self::Unreachable,
        Self::Filtered,
        Self::BlackHole,
    ];

    /// ip-route(8)'s type of the route.
    pub(crate) fn route(self) -> &'static str {
        match self {
            Self::NoRoute | Self::Unreachable => "unreachable",
            Self::Prohibited | Self::Filtered => "prohibit",
            Self::BlackHole => "blackhole",
        }
    }

    /// Whether the host itself has that route, not the router.
    pub(crate) fn is_at_host(self) -> bool {
        matches!(self, Self::NoRoute | Self::Prohibited)
    }

    fn number(self) -> u8 {
        match self {
            Self::NoRoute => 2,
            Self::Prohibited => 3,
            Self::Unreachable => 4,
            Self::Filtered => 5,
            Self::BlackHole => 6,
        }
    }

    /// Networks, IPv4 and IPv6.
    pub(crate) fn networks(self) -> [String; 2] {
        let number = self.number();
        [
            format!("203.0.113.{}/28", number * 16),
            format!("2001:db8:10{number}::/64"),
        ]
    }

    pub(crate) fn v4(self) -> SocketAddr {
        (Ipv4Addr::new(203, 0, 113, self.number() * 16 + 7), PORT).into()
    }

    pub(crate) fn v6(self) -> SocketAddr {
        let third = 0x100 + u16::from(self.number());
        let address = Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, 7);
        (address, PORT).into()
    }
}

/// The server, by both families.
pub(crate) fn server(v6: bool) -> SocketAddr {
    let address: IpAddr = if v6 { SERVER6.into() } else { SERVER4.into() };
    SocketAddr::new(address, PORT)
}

/// The server by the path of small packets.
pub(crate) fn narrow(v6: bool) -> SocketAddr {
    let address: IpAddr = if v6 { NARROW6.into() } else { NARROW4.into() };
    SocketAddr::new(address, PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_lies_in_its_network() {
        for nowhere in Nowhere::ALL {
            let [four, six] = nowhere.networks();
            let (IpAddr::V4(v4), IpAddr::V6(v6)) = (nowhere.v4().ip(), nowhere.v6().ip()) else {
                panic!("families");
            };
            let base: Ipv4Addr = four.trim_end_matches("/28").parse().expect("an address");
            assert_eq!(u32::from(v4) & !15, u32::from(base));
            let base: Ipv6Addr = six.trim_end_matches("/64").parse().expect("an address");
            assert_eq!(v6.segments()[..4], base.segments()[..4]);
        }
    }
}
