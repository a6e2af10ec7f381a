//! The stand-in for slirp4netns: called by that name, with its options.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use switchboard_gateway::{GatewayConfig, HostAddress, HostLoopback, Prefix};

use crate::attach::descriptors::{ExitFd, NoDescriptor, ReadyFd};
use crate::attach::{self, Calls, Plan, Rules, Served, Subnet, Target};
use crate::flags::attach::{NetnsType, SlirpFlags, TargetType};
use crate::run::{Network, host};
use crate::{DONE, FAILED, say};

/// Its IPv6 network.
const NETWORK_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0);

/// Serves it; the exit code.
pub(crate) fn main(flags: &SlirpFlags) -> u8 {
    // Before anything is opened: the numbers are the caller's.
    let calls = match calls(flags) {
        Ok(calls) => calls,
        Err(error) => return failed(error),
    };
    match plan(flags) {
        Ok(plan) => match attach::run(&plan, calls, || Ok(())) {
            Ok(()) => DONE,
            Err(error) => failed(error),
        },
        Err(why) => failed(why),
    }
}

fn failed(why: impl std::fmt::Display) -> u8 {
    say::error(format_args!("slirp4netns: {why}"));
    FAILED
}

fn calls(flags: &SlirpFlags) -> Result<Calls, NoDescriptor> {
    let exit = flags.exit_fd.filter(|fd| Some(*fd) != flags.ready_fd);
    Ok(Calls {
        ready: flags.ready_fd.map(ReadyFd::take).transpose()?,
        exit: exit.map(ExitFd::take).transpose()?,
        ..Calls::default()
    })
}

fn plan(flags: &SlirpFlags) -> Result<Plan, String> {
    refuse(flags)?;
    let user = flags.userns_path.clone();
    let target = match flags.netns_type {
        NetnsType::Path => Target::path(Path::new(&flags.target), user),
        NetnsType::Pid => {
            let pid = flags.target.parse();
            let pid = pid.map_err(|_| format!("{} is no process id", flags.target))?;
            Target::process(pid, user)
        }
    };
    let network = Network {
        v4: flags.cidr,
        v6: NETWORK_V6,
    };
    let gateway = gateway(flags, &network);
    let subnet = Subnet {
        network,
        mtu: flags.mtu,
        ipv6: flags.enable_ipv6,
        outside_v6: flags.enable_ipv6,
        gateway: &gateway,
    };
    Ok(Plan {
        target,
        ifname: flags.tapname.clone(),
        station: flags.macaddress,
        link: flags.configure.then(|| subnet.link()),
        served: Served {
            mtu: flags.mtu,
            ethernet: subnet.ethernet(!flags.configure),
            rules: Rules::all(flags.enable_ipv6),
            gateway,
            forwards: Vec::new(),
            api_socket: flags.api_socket.clone(),
        },
        stays: false,
    })
}

/// What we cannot do is said, not ignored.
fn refuse(flags: &SlirpFlags) -> Result<(), String> {
    if flags.target_type == TargetType::Bess {
        return Err("--target-type=bess is not supported".to_owned());
    }
    let outbound = [
        ("--outbound-addr", &flags.outbound_addr),
        ("--outbound-addr6", &flags.outbound_addr6),
    ];
    for (name, value) in outbound {
        if let Some(value) = value {
            return Err(format!(
                "{name}={value} is not supported: this machine's routes choose the address"
            ));
        }
    }
    if flags.exit_fd.is_some() && flags.exit_fd == flags.ready_fd {
        return Err("--exit-fd and --ready-fd are the same descriptor".to_owned());
    }
    Ok(())
}

/// slirp4netns's hosts: nobody but the gateway and the directory.
fn gateway(flags: &SlirpFlags, network: &Network) -> GatewayConfig {
    let at = |v4, v6| HostAddress {
        v4: Some(network.host_v4(v4)),
        v6: flags.enable_ipv6.then(|| network.host_v6(v6)),
    };
    let nobody = HostAddress::default();
    let mut networks = vec![Prefix::new(IpAddr::V4(network.v4.0), network.v4.1)];
    if flags.enable_ipv6 {
        networks.push(Prefix::new(IpAddr::V6(network.v6), 64));
    }
    GatewayConfig {
        program: at(host::PROGRAM_V4, host::PROGRAM_V6),
        gateway: at(host::GATEWAY, host::GATEWAY.into()),
        dns: match flags.disable_dns {
            true => nobody,
            false => at(host::DNS, host::DNS.into()),
        },
        builtin: nobody,
        silent: nobody,
        networks,
        host_loopback: match flags.disable_host_loopback {
            true => HostLoopback::Closed,
            false => HostLoopback::AtGateway,
        },
        ..GatewayConfig::default()
    }
}
