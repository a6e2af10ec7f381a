//! Where a flow may go: an address as the program sees it becomes one of the outside, or is
//! closed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use switchboard::{Refusal, Unreachable};

use crate::config::{GatewayConfig, HostLoopback};
use crate::observer::{Refused, Transport};

/// Where a flow goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// There, as the host sees it.
    Outside(SocketAddr),
    /// Nowhere, and nobody says a word.
    Silent,
    /// Nowhere, and this is why.
    Refused(Refused),
}

/// Where a flow to `to` goes.
pub(crate) fn destination(
    config: &GatewayConfig,
    transport: Transport,
    to: SocketAddr,
) -> Destination {
    let ip = to.ip();
    if let Some(alias) = config.aliases.iter().find(|alias| alias.inside == ip) {
        return Destination::Outside(SocketAddr::new(alias.outside, to.port()));
    }
    if config.silent.is(ip) {
        return Destination::Silent;
    }
    if config.gateway.is(ip) && config.host_loopback != HostLoopback::Elsewhere {
        if config.host_loopback == HostLoopback::Closed {
            return Destination::Refused(Refused::HostLoopbackClosed);
        }
        return Destination::Outside(SocketAddr::new(loopback_of(ip), to.port()));
    }
    if config.dns.is(ip) || config.builtin.is(ip) {
        return Destination::Refused(Refused::NobodyThere);
    }
    match scope(ip) {
        Scope::Loopback if config.host_loopback == HostLoopback::Shared => {
            Destination::Outside(SocketAddr::new(ip.to_canonical(), to.port()))
        }
        Scope::Loopback => Destination::Refused(Refused::HostLoopbackClosed),
        Scope::Closed => Destination::Refused(Refused::ClosedAddress),
        // RFC 1122 section 3.2.2: no ICMP error about what was sent to many. A stream to many
        // is what the C library calls an unreachable network.
        Scope::Many if transport == Transport::Tcp => {
            Destination::Refused(Refused::NetworkUnreachable { by: None })
        }
        Scope::Many => Destination::Silent,
        Scope::One if config.networks.iter().any(|net| net.contains(ip)) => {
            if is_broadcast(config, ip) && transport != Transport::Tcp {
                return Destination::Silent;
            }
            let by = config.gateway.of_family(ip);
            Destination::Refused(Refused::HostUnreachable { by })
        }
        Scope::One => Destination::Outside(to),
    }
}

/// The inside address that a datagram from `from` outside seems to come from.
pub(crate) fn seen_inside(config: &GatewayConfig, from: SocketAddr) -> SocketAddr {
    let ip = from.ip();
    if let Some(inside) = alias_of(config, ip) {
        return SocketAddr::new(inside, from.port());
    }
    match config.gateway.of_family(ip) {
        Some(gateway)
            if config.host_loopback == HostLoopback::AtGateway && ip == loopback_of(ip) =>
        {
            SocketAddr::new(gateway, from.port())
        }
        _ => from,
    }
}

/// The address that an inward flow's caller has inside: its own, unless that would mean
/// somebody else there.
pub(crate) fn caller_inside(config: &GatewayConfig, caller: SocketAddr) -> SocketAddr {
    let ip = caller.ip().to_canonical();
    if let Some(inside) = alias_of(config, ip) {
        return SocketAddr::new(inside, caller.port());
    }
    let local = config.networks.iter().any(|net| net.contains(ip));
    let means_the_same = match scope(ip) {
        Scope::One => !local,
        Scope::Loopback => config.host_loopback == HostLoopback::Shared,
        Scope::Many | Scope::Closed => false,
    };
    if means_the_same {
        return SocketAddr::new(ip, caller.port());
    }
    let gateway = config.gateway.of_family(ip).unwrap_or(ip);
    SocketAddr::new(gateway, caller.port())
}

/// The address inside that means `outside`.
fn alias_of(config: &GatewayConfig, outside: IpAddr) -> Option<IpAddr> {
    let alias = config.aliases.iter().find(|alias| alias.outside == outside);
    alias.map(|alias| alias.inside)
}

/// How the stack shall turn a flow away.
pub(crate) fn refusal(why: &Refused) -> Refusal {
    let offender = why.by();
    let unreachable = |why| Refusal::Unreachable { why, offender };
    match why {
        Refused::Policy { how, .. } => *how,
        Refused::NobodyThere => Refusal::Reset,
        Refused::TimedOut => Refusal::Silent,
        _ => unreachable(unreachable_of(why)),
    }
}

/// The ICMP error that says `why`.
pub(crate) fn unreachable_of(why: &Refused) -> Unreachable {
    match why {
        Refused::NobodyThere => Unreachable::Port,
        Refused::NetworkUnreachable { .. } => Unreachable::Network,
        Refused::Policy {
            how: Refusal::Reset,
            ..
        } => Unreachable::Port,
        Refused::Policy {
            how: Refusal::Unreachable { why, .. },
            ..
        } => *why,
        Refused::Policy {
            how: Refusal::Silent,
            ..
        }
        | Refused::Prohibited { .. }
        | Refused::HostLoopbackClosed
        | Refused::ClosedAddress => Unreachable::Prohibited,
        Refused::OtherUnreachable { .. } => Unreachable::Protocol,
        Refused::HostUnreachable { .. }
        | Refused::TimedOut
        | Refused::LimitReached(_)
        | Refused::HostFailed(..) => Unreachable::Host,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// One machine, somewhere.
    One,
    /// This machine.
    Loopback,
    /// Multicast or broadcast.
    Many,
    /// What never leaves a link, or never is a destination.
    Closed,
}

/// RFC 6890's special-purpose addresses, as far as they must not leave through us.
fn scope(ip: IpAddr) -> Scope {
    match ip {
        IpAddr::V4(v4) => scope_v4(v4),
        IpAddr::V6(v6) => scope_v6(v6),
    }
}

fn scope_v4(v4: Ipv4Addr) -> Scope {
    let first = v4.octets()[0];
    if v4.is_loopback() {
        Scope::Loopback
    } else if v4.is_multicast() || v4.is_broadcast() {
        Scope::Many
    } else if v4.is_link_local() || first == 0 || first >= 240 {
        Scope::Closed
    } else {
        Scope::One
    }
}

fn scope_v6(v6: Ipv6Addr) -> Scope {
    // An IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5) never is on the wire; the host
    // would undress it and reach its own loopback.
    if let Some(v4) = v6.to_ipv4_mapped() {
        return match scope_v4(v4) {
            Scope::Loopback => Scope::Loopback,
            _ => Scope::Closed,
        };
    }
    if v6.is_loopback() {
        Scope::Loopback
    } else if v6.is_multicast() {
        Scope::Many
    } else if v6.is_unicast_link_local() || v6.is_unspecified() {
        Scope::Closed
    } else {
        Scope::One
    }
}

fn loopback_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The directed broadcast address of an inside network (RFC 1812 section 4.2.3.1).
fn is_broadcast(config: &GatewayConfig, ip: IpAddr) -> bool {
    let IpAddr::V4(v4) = ip else {
        return false;
    };
    config.networks.iter().any(|net| {
        let host_bits = u32::MAX.checked_shr(u32::from(net.len)).unwrap_or(0);
        net.contains(ip) && u32::from(v4) & host_bits == host_bits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(config: &GatewayConfig, transport: Transport, to: &str) -> Destination {
        destination(config, transport, to.parse().unwrap())
    }

    fn outside(to: &str) -> Destination {
        Destination::Outside(to.parse().unwrap())
    }

    #[test]
    fn the_hosts_loopback_is_closed_unless_asked_for() {
        let mut config = GatewayConfig::default();
        let closed = Destination::Refused(Refused::HostLoopbackClosed);
        for to in [
            "10.0.2.2:80",
            "[fd5b:2::2]:80",
            "127.0.0.1:80",
            "[::1]:80",
            "127.9.9.9:1",
        ] {
            assert_eq!(go(&config, Transport::Tcp, to), closed, "{to}");
        }
        config.host_loopback = HostLoopback::AtGateway;
        assert_eq!(
            go(&config, Transport::Tcp, "10.0.2.2:80"),
            outside("127.0.0.1:80")
        );
        assert_eq!(
            go(&config, Transport::Udp, "[fd5b:2::2]:80"),
            outside("[::1]:80")
        );
        for to in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(go(&config, Transport::Tcp, to), closed, "{to}");
        }
        let seen = |from: &str| seen_inside(&config, from.parse().unwrap()).to_string();
        assert_eq!(seen("127.0.0.1:53"), "10.0.2.2:53");
        assert_eq!(seen("192.0.2.1:53"), "192.0.2.1:53");
    }

    #[test]
    fn a_shared_loopback_is_the_hosts_under_its_own_addresses() {
        let config = GatewayConfig {
            host_loopback: HostLoopback::Shared,
            ..GatewayConfig::default()
        };
        for to in ["127.0.0.1:80", "[::1]:80", "127.9.9.9:1"] {
            assert_eq!(go(&config, Transport::Tcp, to), outside(to));
            assert_eq!(seen_inside(&config, to.parse().unwrap()).to_string(), to);
            assert_eq!(caller_inside(&config, to.parse().unwrap()).to_string(), to);
        }
        assert_eq!(
            go(&config, Transport::Tcp, "10.0.2.2:80"),
            outside("127.0.0.1:80")
        );
    }

    #[test]
    fn an_alias_means_another_address_both_ways() {
        let alias = crate::config::Alias {
            inside: [169, 254, 1, 2].into(),
            outside: [192, 0, 2, 2].into(),
        };
        let config = GatewayConfig {
            aliases: vec![alias],
            ..GatewayConfig::default()
        };
        assert_eq!(
            go(&config, Transport::Tcp, "169.254.1.2:80"),
            outside("192.0.2.2:80")
        );
        for seen in [seen_inside, caller_inside] {
            let inside = seen(&config, "192.0.2.2:9".parse().unwrap());
            assert_eq!(inside.to_string(), "169.254.1.2:9");
        }
    }

    #[test]
    fn a_gateway_that_is_elsewhere_is_reached_there() {
        let config = GatewayConfig {
            host_loopback: HostLoopback::Elsewhere,
            networks: Vec::new(),
            ..GatewayConfig::default()
        };
        let to = "10.0.2.2:80";
        assert_eq!(go(&config, Transport::Tcp, to), outside(to));
        // It still lends its address.
        let seen = caller_inside(&config, "127.0.0.1:9".parse().unwrap());
        assert_eq!(seen.to_string(), "10.0.2.2:9");
    }

    #[test]
    fn what_is_no_unicast_of_the_outside_stays_closed() {
        let config = GatewayConfig::default();
        let closed = Destination::Refused(Refused::ClosedAddress);
        for to in [
            "169.254.169.254:80",
            "0.0.0.0:80",
            "[fe80::1]:80",
            "[::]:80",
            "250.0.0.1:1",
            "[::ffff:192.0.2.1]:80",
        ] {
            assert_eq!(go(&config, Transport::Tcp, to), closed, "{to}");
        }
        for to in [
            "224.0.0.251:5353",
            "255.255.255.255:67",
            "10.0.2.255:9",
            "[ff02::fb]:5353",
        ] {
            assert_eq!(go(&config, Transport::Udp, to), Destination::Silent, "{to}");
        }
        let by = Some(IpAddr::from([10, 0, 2, 2]));
        let nobody = Destination::Refused(Refused::HostUnreachable { by });
        assert_eq!(go(&config, Transport::Tcp, "10.0.2.77:80"), nobody);
        assert_eq!(
            go(&config, Transport::Tcp, "10.0.2.5:80"),
            Destination::Silent
        );
        let refused = Destination::Refused(Refused::NobodyThere);
        assert_eq!(go(&config, Transport::Tcp, "10.0.2.4:81"), refused);
        assert_eq!(
            go(&config, Transport::Tcp, "192.0.2.7:80"),
            outside("192.0.2.7:80")
        );
        assert_eq!(
            go(&config, Transport::Tcp, "[2001:db8::7]:80"),
            outside("[2001:db8::7]:80")
        );
    }

    #[test]
    fn callers_keep_their_address_unless_it_means_somebody_inside() {
        let config = GatewayConfig::default();
        let seen = |from: &str| caller_inside(&config, from.parse().unwrap()).to_string();
        assert_eq!(seen("192.0.2.57:51544"), "192.0.2.57:51544");
        assert_eq!(seen("127.0.0.1:51544"), "10.0.2.2:51544");
        assert_eq!(seen("[::ffff:127.0.0.1]:5"), "10.0.2.2:5");
        assert_eq!(seen("10.0.2.100:7"), "10.0.2.2:7");
        assert_eq!(seen("169.254.3.3:7"), "10.0.2.2:7");
        assert_eq!(seen("[::1]:7"), "[fd5b:2::2]:7");
    }
}
