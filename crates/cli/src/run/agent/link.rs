//! The program's interfaces: loopback, and a TUN or one end of a veth pair, whose other end is the
//! relay.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use switchboard_device::tun::{self, LinkConfig, LinkError, OpenError, Route};
use switchboard_device::veth;

use crate::machine;
use crate::run::host;
use crate::run::link::{LinkEnd, LinkKind};
use crate::run::message::{SetupError, Step};
use crate::run::plan::Plan;

/// The device's name, as pasta's and slirp4netns's users know it.
const NAME: &str = "tun0";

/// Makes the link that is wanted; otherwise a TUN, or a veth pair where there is none. Also what the
/// TUN was refused with, if the pair takes its place. If both are refused it is the TUN that is
/// spoken of: that one is to be had on every machine.
pub(super) fn open(wanted: Option<LinkKind>) -> Result<(LinkEnd, Option<SetupError>), SetupError> {
    match wanted {
        Some(LinkKind::Tun) => Ok((open_tun()?, None)),
        Some(LinkKind::Veth) => Ok((open_veth()?, None)),
        None => open_tun()
            .map(|link| (link, None))
            .or_else(|refused| match open_veth() {
                Ok(link) => Ok((link, Some(refused))),
                Err(_) => Err(refused),
            }),
    }
}

fn open_tun() -> Result<LinkEnd, SetupError> {
    let tun = tun::open(Path::new(tun::NODE), NAME).map_err(open_error)?;
    Ok(LinkEnd {
        kind: LinkKind::Tun,
        fds: vec![tun.fd],
    })
}

fn open_veth() -> Result<LinkEnd, SetupError> {
    let veth =
        veth::open(NAME).map_err(|error| SetupError::new(Step::Veth, error.tried, error.source))?;
    Ok(LinkEnd {
        kind: LinkKind::Veth,
        fds: veth.fds,
    })
}

/// Brings loopback and the link up.
pub(super) fn set_up(kind: LinkKind, plan: &Plan) -> Result<(), SetupError> {
    tun::configure("lo", &LinkConfig::default()).map_err(link_error)?;
    // No link-local address, no router solicitations: nobody on this link would answer.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{NAME}/addr_gen_mode"), "1");
    tun::configure(NAME, &config(kind, plan)).map_err(link_error)
}

/// One address of its own and routes, nothing that claims a neighbour: whatever is not the
/// program's own goes to the relay. On a veth pair it goes there by way of the gateway, the one
/// neighbour: of each that is not behind one the kernel would keep an entry, in a table that the
/// whole machine shares.
fn config(kind: LinkKind, plan: &Plan) -> LinkConfig {
    let is_veth = kind == LinkKind::Veth;
    let gateway_v4 = IpAddr::V4(plan.network.host_v4(host::GATEWAY));
    let gateway_v6 = IpAddr::V6(plan.network.host_v6(host::GATEWAY.into()));
    let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let any_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::V4(plan.network.host_v4(host::PROGRAM_V4));
    let mut config = LinkConfig {
        mtu: Some(plan.mtu),
        queue_len: Some(plan.queue_packets),
        addresses: vec![(v4, 32)],
        routes: vec![Route {
            destination: (any_v4, 0),
            gateway: is_veth.then_some(gateway_v4),
        }],
    };
    if machine::has_ipv6() {
        let v6 = IpAddr::V6(plan.network.host_v6(host::PROGRAM_V6));
        config.addresses.push((v6, 128));
        // Without a way outside there is no default route either: programs learn at once that
        // there is none, and our own names stay reachable.
        let destination = match plan.outside_v6 {
            true => (any_v6, 0),
            false => (IpAddr::V6(plan.network.v6), 64),
        };
        config.routes.push(Route {
            destination,
            gateway: is_veth.then_some(gateway_v6),
        });
    }
    config
}

fn open_error(error: OpenError) -> SetupError {
    match error {
        OpenError::Node { path, source } => {
            SetupError::new(Step::TunOpen, path.display().to_string(), source)
        }
        OpenError::Attach { name, source } => {
            SetupError::new(Step::TunAttach, format!("make the TUN {name}"), source)
        }
    }
}

fn link_error(error: LinkError) -> SetupError {
    SetupError::new(Step::Link, error.tried, error.source)
}
