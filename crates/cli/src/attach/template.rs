//! An interface of this machine that an inside looks like: its addresses and routes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use switchboard_device::tun::Route;
use switchboard_gateway::Prefix;

/// Flags of `linux/route.h`.
const RTF_UP: u32 = 0x0001;
const RTF_REJECT: u32 = 0x0200;
/// Flags of `linux/ipv6_route.h`: an address of this machine itself, or of several.
const RTF_LOCAL: u32 = 0x8000_0000;
const RTF_ANYCAST: u32 = 0x0010_0000;

/// The interface's part in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) interface: String,
    /// Usable beyond the link, with prefix lengths; the first is the main one.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    /// Those by a gateway last.
    pub(crate) routes: Vec<Route>,
    /// Whom its default route leads to, if to anybody.
    pub(crate) gateway: Option<IpAddr>,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostRoute {
    interface: String,
    route: Route,
    metric: u32,
}

impl Template {
    /// The interface `named`, or else the one that this machine's default route of the family
    /// leads to. `None`: there is none, or it has no address in the family.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub(crate) fn read(v6: bool, named: Option<&str>) -> io::Result<Option<Self>> {
        let path = if v6 {
            "/proc/net/ipv6_route"
        } else {
            "/proc/net/route"
        };
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let addresses = nix::ifaddrs::getifaddrs()?.filter_map(|entry| {
            let address = ip(entry.address.as_ref()?)?;
            let mask = ip(entry.netmask.as_ref()?)?;
            Some((entry.interface_name, address, prefix_len(mask)))
        });
        let addresses: Vec<_> = addresses.collect();
        Ok(choose(&routes(v6, &text), &addresses, v6, named))
    }
}

fn choose(
    routes: &[HostRoute],
    addresses: &[(String, IpAddr, u8)],
    v6: bool,
    named: Option<&str>,
) -> Option<Template> {
    let is_wanted = |name: &str| named.is_none_or(|named| named == name);
    let defaults = routes.iter().filter(|known| known.route.destination.1 == 0);
    let default = defaults
        .filter(|known| is_wanted(&known.interface))
        .min_by_key(|known| known.metric);
    let interface = named.or(default.map(|known| known.interface.as_str()))?;
    let is_beyond_link = |address: &IpAddr| match address {
        IpAddr::V4(v4) => !v4.is_loopback(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
    };
    let own = addresses.iter().filter(|(name, address, _)| {
        name == interface && address.is_ipv6() == v6 && is_beyond_link(address)
    });
    let addresses: Vec<_> = own.map(|(_, address, len)| (*address, *len)).collect();
    if addresses.is_empty() {
        return None;
    }
    // The kernel makes those to an address's own network itself.
    let is_own_network = |route: &Route| {
        let of = |(address, len): &(IpAddr, u8)| Prefix::new(*address, *len);
        route.gateway.is_none()
            && addresses
                .iter()
                .any(|own| own.1 == route.destination.1 && of(own).contains(route.destination.0))
    };
    let own = routes
        .iter()
        .filter(|known| known.interface == interface && !is_own_network(&known.route));
    let mut routes: Vec<Route> = own.map(|known| known.route).collect();
    routes.sort_by_key(|route| route.gateway.is_some());
    Some(Template {
        interface: interface.to_owned(),
        addresses,
        routes,
        gateway: default.and_then(|known| known.route.gateway),
    })
}

fn ip(address: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or(address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

fn prefix_len(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(v4) => v4.to_bits().leading_ones(),
        IpAddr::V6(v6) => v6.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(0)
}

fn routes(v6: bool, text: &str) -> Vec<HostRoute> {
    match v6 {
        false => text.lines().skip(1).filter_map(route_v4).collect(),
        true => text.lines().filter_map(route_v6).collect(),
    }
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask ...`, addresses in the host's order.
fn route_v4(line: &str) -> Option<HostRoute> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let address = |at| Some(Ipv4Addr::from(hex(at)?.to_ne_bytes()));
    let flags = hex(3)?;
    if flags & RTF_UP == 0 || flags & RTF_REJECT != 0 {
        return None;
    }
    let gateway = address(2)?;
    Some(HostRoute {
        interface: (*fields.first()?).to_owned(),
        route: Route {
            destination: (address(1)?.into(), u8::try_from(hex(7)?.count_ones()).ok()?),
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        },
        metric: fields.get(6)?.parse().ok()?,
    })
}

/// `destination len source len nexthop metric refcnt use flags device`.
fn route_v6(line: &str) -> Option<HostRoute> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let hex = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
    let address = |at: usize| {
        Some(Ipv6Addr::from(
            u128::from_str_radix(fields.get(at)?, 16).ok()?,
        ))
    };
    let flags = hex(8)?;
    let destination = address(0)?;
    let is_ours = flags & (RTF_LOCAL | RTF_ANYCAST) != 0;
    let stays_on_link = destination.is_unicast_link_local() || destination.is_multicast();
    let is_from_somewhere = hex(3)? != 0;
    if flags & RTF_UP == 0
        || flags & RTF_REJECT != 0
        || is_ours
        || stays_on_link
        || is_from_somewhere
    {
        return None;
    }
    let gateway = address(4)?;
    Some(HostRoute {
        interface: (*fields.get(9)?).to_owned(),
        route: Route {
            destination: (destination.into(), u8::try_from(hex(1)?).ok()?),
            gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        },
        metric: hex(5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const V6: &str = "\
        fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
        fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n\
        fd000000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    fn addresses() -> Vec<(String, IpAddr, u8)> {
        let entry =
            |name: &str, address: &str, len| (name.to_owned(), address.parse().unwrap(), len);
        vec![
            entry("lo", "127.0.0.1", 8),
            entry("eth0", "192.0.2.2", 24),
            entry("wlan0", "192.168.1.7", 24),
            entry("eth0", "fe80::2", 64),
            entry("eth0", "fd00::2", 64),
        ]
    }

    // The numbers of `/proc/net/route` are in the host's order.
    #[cfg(target_endian = "little")]
    #[test]
    fn the_best_default_routes_interface_is_taken() {
        let found = choose(&routes(false, V4), &addresses(), false, None).unwrap();
        assert_eq!(found.interface, "eth0");
        assert_eq!(found.addresses, [("192.0.2.2".parse().unwrap(), 24)]);
        assert_eq!(found.gateway, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(found.routes.len(), 1, "its own network needs no copy");
        let named = choose(&routes(false, V4), &addresses(), false, Some("wlan0")).unwrap();
        assert_eq!(named.gateway, Some("192.168.1.1".parse().unwrap()));
        assert_eq!(
            choose(&routes(false, V4), &addresses(), false, Some("lo")),
            None
        );
    }

    #[test]
    fn of_ipv6_what_leads_beyond_the_link_is_copied() {
        let found = choose(&routes(true, V6), &addresses(), true, None).unwrap();
        assert_eq!(found.addresses, [("fd00::2".parse().unwrap(), 64)]);
        assert_eq!(found.gateway, Some("fe80::1".parse().unwrap()));
        let to: Vec<String> = found
            .routes
            .iter()
            .map(|r| format!("{}/{}", r.destination.0, r.destination.1))
            .collect();
        assert_eq!(to, ["::/0"]);
    }
}
