//! May a packet be forwarded at all, and which way?

use core::net::{IpAddr, Ipv4Addr};

use switchboard_wire::ip::{Complaint, IpProtocol};
use switchboard_wire::ipv6::extensions::Answer;

use super::{Decision, Passing, Router};
use crate::config::Cidr;
use crate::drop_reason::DropReason;
use crate::error::Unreachable;
use crate::ip::icmp::Say;
use crate::ip::ingress::Refused;
use crate::ip::route::contains;

/// What an address means to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// One machine, somewhere.
    Global,
    /// One machine on one link.
    Link,
    /// Multicast or broadcast.
    Many,
    /// Nobody, or never seen on a link.
    Martian,
}

impl Router {
    /// All checks, in order.
    pub(super) fn decide(&self, passing: &Passing<'_>) -> Result<Decision, Refused> {
        let packet = &passing.packet;
        self.check_source(packet.source)?;
        if packet.source == packet.destination {
            return Err(DropReason::MartianSource.into());
        }
        check_source_route(passing)?;
        if self.own.contains_key(&packet.destination) {
            return Ok(Decision::Local);
        }
        self.check_destination(packet.destination)?;
        // Its source is one machine of one link: who is further on could not answer it.
        if scope(packet.source) == Scope::Link {
            return Err(DropReason::LinkScope.into());
        }
        check_hop_by_hop(passing)?;
        // RFC 1812 section 5.3.1, RFC 8200 section 3.
        if packet.hop_limit <= 1 {
            return Err(say(DropReason::HopLimit, Unreachable::TimeExceeded));
        }
        let Some(port) = self.table.find(packet.destination) else {
            return Err(say(DropReason::NoRoute, Unreachable::Network));
        };
        let hairpin = self.ports.get(&port).is_some_and(|config| config.hairpin);
        if port == passing.from && !hairpin {
            return Err(say(DropReason::NoRoute, Unreachable::Host));
        }
        Ok(Decision::Forward(port))
    }

    /// RFC 1812 section 5.3.7: nobody can have such an address, or we have it ourselves.
    fn check_source(&self, source: IpAddr) -> Result<(), DropReason> {
        match scope(source) {
            Scope::Martian | Scope::Many => Err(DropReason::MartianSource),
            _ if self.own.contains_key(&source) => Err(DropReason::MartianSource),
            Scope::Global | Scope::Link => Ok(()),
        }
    }

    /// RFC 1812 sections 5.3.4 and 5.3.5 with RFC 2644: groups and broadcasts are not forwarded.
    fn check_destination(&self, destination: IpAddr) -> Result<(), DropReason> {
        match scope(destination) {
            Scope::Martian => Err(DropReason::MartianDestination),
            Scope::Many => Err(DropReason::NotUnicast),
            Scope::Link => Err(DropReason::LinkScope),
            Scope::Global if self.is_directed_broadcast(destination) => Err(DropReason::NotUnicast),
            Scope::Global => Ok(()),
        }
    }

    /// Whether it means everybody on a network of ours. Only the network that it would go to is
    /// asked.
    fn is_directed_broadcast(&self, destination: IpAddr) -> bool {
        let (IpAddr::V4(v4), Some(port)) = (destination, self.table.find(destination)) else {
            return false;
        };
        let addresses = self.ports.get(&port).map(|config| &config.addresses);
        let mut addresses = addresses.into_iter().flatten();
        addresses.any(|cidr| contains(cidr, destination) && is_last(cidr, v4))
    }
}

fn say(reason: DropReason, why: Unreachable) -> Refused {
    Refused {
        reason,
        say: Some(Say::Unreachable(why)),
    }
}

fn check_source_route(passing: &Passing<'_>) -> Result<(), Refused> {
    match passing.packet.complaint {
        Some(Complaint::SourceRoute) => Err(DropReason::SourceRoute.into()),
        _ => Ok(()),
    }
}

/// Of an IPv6 packet's extension headers a router looks at the hop-by-hop options alone (RFC
/// 8200 section 4.3); what the others ask is the destination's business.
fn check_hop_by_hop(passing: &Passing<'_>) -> Result<(), Refused> {
    let Some(Complaint::Parameter {
        code,
        pointer,
        answer,
    }) = passing.packet.complaint
    else {
        return Ok(());
    };
    let bytes = &passing.rx.bytes;
    let is_first = bytes.get(6) == Some(&IpProtocol::HOP_BY_HOP.0);
    let len = bytes.get(41).map_or(0, |len| (usize::from(*len) + 1) * 8);
    let is_inside = usize::try_from(pointer).is_ok_and(|at| (40..40 + len).contains(&at));
    if !is_first || !is_inside {
        return Ok(());
    }
    Err(Refused {
        reason: DropReason::ExtensionHeader,
        say: (answer != Answer::Never).then_some(Say::Parameter { code, pointer }),
    })
}

/// RFC 6890's special-purpose addresses, as far as routers know them.
fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() || v4.is_multicast() => Scope::Many,
        IpAddr::V4(v4) if v4.is_link_local() => Scope::Link,
        IpAddr::V4(v4) => match v4.octets() {
            [0 | 127 | 240.., ..] => Scope::Martian,
            _ => Scope::Global,
        },
        IpAddr::V6(v6) if v6.is_multicast() => Scope::Many,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Scope::Link,
        IpAddr::V6(v6)
            if v6.is_unspecified() || v6.is_loopback() || v6.to_ipv4_mapped().is_some() =>
        {
            Scope::Martian
        }
        IpAddr::V6(_) => Scope::Global,
    }
}

/// The last address of a network; one of one or two addresses has no broadcast (RFC 3021).
fn is_last(cidr: &Cidr, address: Ipv4Addr) -> bool {
    let hosts = u32::MAX
        .checked_shr(u32::from(cidr.prefix_len))
        .unwrap_or(0);
    cidr.prefix_len < 31 && address.to_bits() & hosts == hosts
}
