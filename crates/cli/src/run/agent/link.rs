//! The program's interfaces: loopback and the TUN, whose other end is the relay.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use switchboard_device::tun::{self, LinkConfig, LinkError, OpenError, OpenTun, Route};

use crate::machine;
use crate::run::host;
use crate::run::message::{SetupError, Step};
use crate::run::plan::Plan;

/// The device's name, as pasta's and slirp4netns's users know it.
const NAME: &str = "tun0";

/// Makes the TUN.
pub(super) fn open() -> Result<OpenTun, SetupError> {
    tun::open(Path::new(tun::NODE), NAME).map_err(open_error)
}

/// Brings loopback and the TUN up.
pub(super) fn set_up(name: &str, plan: &Plan) -> Result<(), SetupError> {
    tun::configure("lo", &LinkConfig::default()).map_err(link_error)?;
    // No link-local address, no router solicitations: nobody on this link would answer.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{name}/addr_gen_mode"), "1");
    tun::configure(name, &config(plan)).map_err(link_error)
}

/// One address of its own and routes, nothing that claims a neighbour: whatever is not the
/// program's own goes to the relay.
fn config(plan: &Plan) -> LinkConfig {
    let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let any_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let v4 = IpAddr::V4(plan.network.host_v4(host::PROGRAM_V4));
    let mut config = LinkConfig {
        mtu: Some(plan.mtu),
        queue_len: Some(plan.queue_packets),
        addresses: vec![(v4, 32)],
        routes: vec![Route {
            destination: (any_v4, 0),
            gateway: None,
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
            gateway: None,
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
