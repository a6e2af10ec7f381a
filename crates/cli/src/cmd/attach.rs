//! `switchboard attach PID|NETNS-PATH`.

use std::net::IpAddr;
use std::path::Path;

use switchboard_gateway::{Forward, GatewayConfig, HostAddress, HostLoopback, Prefix};

use crate::attach::{self, Calls, Plan, Rules, Served, Subnet, Target};
use crate::flags::attach::AttachFlags;
use crate::flags::dns;
use crate::flags::ports::PortMap;
use crate::run::{HostRoutes, Network, NetworkError, host};
use crate::{DONE, FAILED, machine, say};

/// Serves it; the exit code.
pub(crate) fn main(flags: &AttachFlags) -> u8 {
    if flags.quiet {
        say::be_quiet();
    }
    let (plan, network) = match plan(flags) {
        Ok(plan) => plan,
        Err(error) => return failed(error),
    };
    let standing = || {
        let at = |number| network.host_v4(number);
        say::notice(format_args!(
            "{} in {} is {}, the way out {}; names at {} (its own /etc/resolv.conf decides whether \
             it asks there)",
            plan.ifname,
            flags.target,
            at(host::PROGRAM_V4),
            at(host::GATEWAY),
            at(host::DNS),
        ));
        Ok(())
    };
    match attach::run(&plan, Calls::default(), standing) {
        Ok(()) => DONE,
        Err(error) => failed(error),
    }
}

fn failed(why: impl std::fmt::Display) -> u8 {
    say::error(why);
    FAILED
}

fn plan(flags: &AttachFlags) -> Result<(Plan, Network), NetworkError> {
    let network = HostRoutes::read().choose(flags.net)?;
    let target = match flags.target.parse() {
        Ok(pid) => Target::process(pid, flags.userns.clone()),
        Err(_) => Target::path(Path::new(&flags.target), flags.userns.clone()),
    };
    let gateway = gateway(flags, &network);
    let subnet = Subnet {
        network,
        mtu: flags.mtu,
        ipv6: machine::has_ipv6(),
        outside_v6: machine::has_way_v6(),
        gateway: &gateway,
    };
    let link = Some(subnet.link());
    let mut served = Served {
        mtu: flags.mtu,
        ethernet: subnet.ethernet(false),
        rules: Rules::all(subnet.ipv6),
        gateway,
        forwards: Vec::new(),
        api_socket: None,
    };
    let published = flags.publish.iter().flat_map(PortMap::each);
    let forwards = published.filter_map(|publish| {
        Some(Forward {
            protocol: publish.protocol,
            listen: publish.listen,
            target: served.inside(publish.listen.ip(), publish.port)?,
        })
    });
    served.forwards = forwards.collect();
    let plan = Plan {
        target,
        ifname: flags.ifname.clone(),
        station: None,
        link,
        served,
        stays: false,
    };
    Ok((plan, network))
}

fn gateway(flags: &AttachFlags, network: &Network) -> GatewayConfig {
    let at = |v4, v6| HostAddress::new(network.host_v4(v4), network.host_v6(v6));
    let (dns_servers, dns_routes) = dns::servers(&flags.dns);
    GatewayConfig {
        program: at(host::PROGRAM_V4, host::PROGRAM_V6),
        gateway: at(host::GATEWAY, host::GATEWAY.into()),
        dns: at(host::DNS, host::DNS.into()),
        builtin: at(host::BUILTIN, host::BUILTIN.into()),
        silent: at(host::SILENT, host::SILENT.into()),
        networks: vec![
            Prefix::new(IpAddr::V4(network.v4.0), network.v4.1),
            Prefix::new(IpAddr::V6(network.v6), 64),
        ],
        host_loopback: match flags.host_loopback {
            true => HostLoopback::AtGateway,
            false => HostLoopback::Closed,
        },
        dns_servers,
        dns_routes,
        ..GatewayConfig::default()
    }
}
