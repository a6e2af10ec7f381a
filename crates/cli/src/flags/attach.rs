//! What can be typed for namespaces that exist already: `attach`, and the stand-in for
//! slirp4netns with that program's own options.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use switchboard_wire::ethernet::MacAddr;

use super::ports::{PortMap, parse_ports};
use super::{DnsFlag, dns, parse_net};

/// Flags of `attach`.
#[derive(Args, Debug)]
#[command(override_usage = "switchboard attach [FLAGS] PID|NETNS-PATH")]
#[command(
    after_help = "Stays until the last program in that namespace has ended, or until Ctrl-C. \
Exit code: 0; 1 when Switchboard could not; 2 for a wrong command line."
)]
pub(crate) struct AttachFlags {
    /// A process in the network namespace, or the namespace's file
    #[arg(value_name = "PID|NETNS-PATH")]
    pub(crate) target: String,

    /// The user namespace to enter first; default the process's own, for a file none
    #[arg(long, value_name = "PATH")]
    pub(crate) userns: Option<PathBuf>,

    /// The interface's name inside; one that is there already is taken over
    #[arg(long, value_name = "NAME", default_value = "tap0", value_parser = parse_ifname)]
    pub(crate) ifname: String,

    /// Make ports of this machine ports inside: 80, 8080:80, 8000-8010, 0.0.0.0:8080:80,
    /// 5353:53/udp; 127.0.0.1 unless an address is given
    #[arg(
        short = 'p',
        long = "publish",
        value_name = "[ADDR:]PORTS[:PORTS][/udp]"
    )]
    #[arg(value_parser = parse_ports)]
    pub(crate) publish: Vec<PortMap>,

    /// Let the gateway's address (10.0.2.2) stand for this machine's 127.0.0.1 and ::1
    #[arg(long)]
    pub(crate) host_loopback: bool,

    /// Ask these directories (DNS) instead of those of this machine's resolver configuration;
    /// corp=10.0.0.2: for names that end in corp only
    #[arg(long, value_name = "[SUFFIX=]ADDR[:PORT]", value_delimiter = ',')]
    #[arg(value_parser = dns::parse)]
    pub(crate) dns: Vec<DnsFlag>,

    /// The network inside; default 10.0.2.0/24, or another where this machine uses that
    #[arg(long, value_name = "CIDR", value_parser = parse_net)]
    pub(crate) net: Option<(Ipv4Addr, u8)>,

    /// Largest packet of the link, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 65_520)]
    #[arg(value_parser = clap::value_parser!(u32).range(1280..=65_521))]
    pub(crate) mtu: u32,

    /// Keep all but errors away from stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Options of slirp4netns, in its order and with its spelling: callers look for each in the help.
#[derive(Args, Debug)]
#[command(override_usage = "slirp4netns [OPTION]... PID|PATH [TAPNAME]")]
#[command(version = concat!(env!("CARGO_PKG_VERSION"), " (Switchboard, with the options and the \
API of slirp4netns 1.2)"))]
#[command(disable_version_flag = true, infer_long_args = true)]
#[command(about = "Switchboard as slirp4netns: a user-space network for a network namespace.")]
pub(crate) struct SlirpFlags {
    /// Give the interface its address, routes and MTU, and bring it and lo up
    #[arg(short, long)]
    pub(crate) configure: bool,

    /// End when this descriptor hangs up
    #[arg(short, long, value_name = "FD", value_parser = clap::value_parser!(i32).range(3..))]
    pub(crate) exit_fd: Option<i32>,

    /// Write "1" to this descriptor when the network stands
    #[arg(short, long, value_name = "FD", value_parser = clap::value_parser!(i32).range(3..))]
    pub(crate) ready_fd: Option<i32>,

    /// Largest packet of the link, in octets
    #[arg(short, long, value_name = "MTU", default_value_t = 1500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1280..=65_521))]
    pub(crate) mtu: u32,

    /// IPv6 too: fd00::/64, with router advertisements
    #[arg(short = '6', long)]
    pub(crate) enable_ipv6: bool,

    /// Take add_hostfwd, list_hostfwd and remove_hostfwd at this UNIX socket
    #[arg(short, long, value_name = "PATH")]
    pub(crate) api_socket: Option<PathBuf>,

    /// The network inside: .100 is the namespace, .2 the gateway, .3 the DNS server
    #[arg(long, value_name = "CIDR", default_value = "10.0.2.0/24", value_parser = parse_net)]
    pub(crate) cidr: (Ipv4Addr, u8),

    /// Keep 10.0.2.2 from standing for this machine's 127.0.0.1
    #[arg(long)]
    pub(crate) disable_host_loopback: bool,

    /// What PID|PATH is
    #[arg(long, value_name = "TYPE", default_value = "pid")]
    pub(crate) netns_type: NetnsType,

    /// The user namespace to enter first; default the process's own, for a path none
    #[arg(long, value_name = "PATH")]
    pub(crate) userns_path: Option<PathBuf>,

    /// Always on: no capability stays but, with --api-socket, that to bind ports below 1024; no
    /// files but those of the resolver where the kernel has Landlock
    #[arg(long)]
    pub(crate) enable_sandbox: bool,

    /// Always on: system calls are filtered
    #[arg(long)]
    pub(crate) enable_seccomp: bool,

    /// Not supported, refused: this machine's routes choose the address
    #[arg(long, value_name = "IPv4")]
    pub(crate) outbound_addr: Option<String>,

    /// Not supported, refused: this machine's routes choose the address
    #[arg(long, value_name = "IPv6")]
    pub(crate) outbound_addr6: Option<String>,

    /// No DNS server at 10.0.2.3
    #[arg(long)]
    pub(crate) disable_dns: bool,

    /// The interface's station address, with --configure
    #[arg(long, value_name = "MAC", value_parser = parse_station, requires = "configure")]
    pub(crate) macaddress: Option<MacAddr>,

    /// What is served: netns; bess is not supported and refused
    #[arg(long, value_name = "TYPE", default_value = "netns")]
    pub(crate) target_type: TargetType,

    /// Print the version
    #[arg(short, long, action = ArgAction::Version)]
    version: Option<bool>,

    /// A process in the network namespace, or the namespace's file
    #[arg(value_name = "PID|PATH")]
    pub(crate) target: String,

    /// The interface's name inside; one that is there already is taken over
    #[arg(value_name = "TAPNAME", default_value = "tap0", value_parser = parse_ifname)]
    pub(crate) tapname: String,
}

/// What slirp4netns's first word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetnsType {
    /// A file.
    Path,
    /// A process.
    Pid,
}

/// What slirp4netns may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetType {
    /// A network namespace.
    Netns,
    /// User Mode Linux.
    Bess,
}

/// Flags of `install-links`.
#[derive(Args, Debug)]
pub(crate) struct LinksFlags {
    /// Where: a directory that comes first in the caller's PATH
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// `IFNAMSIZ` of `linux/if.h`, without the end of the string.
const IFNAME_MAX: usize = 15;

/// An interface's name, as the kernel takes it.
pub(super) fn parse_ifname(text: &str) -> Result<String, String> {
    let odd = |c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c == '\0';
    if text.is_empty() || text.len() > IFNAME_MAX || text.contains(odd) {
        return Err(format!(
            "write an interface's name of at most {IFNAME_MAX} octets"
        ));
    }
    Ok(text.to_owned())
}

/// Six octets in hexadecimal; of one station, not of a group.
pub(super) fn parse_station(text: &str) -> Result<MacAddr, String> {
    let usage = || "write six octets, as 52:54:00:12:34:56".to_owned();
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()));
        *octet = u8::from_str_radix(part.ok_or_else(usage)?, 16).map_err(|_| usage())?;
    }
    let station = MacAddr(octets);
    if parts.next().is_some() || station.is_group() || octets == [0; 6] {
        return Err(usage());
    }
    Ok(station)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_six_octets_of_one_machine() {
        let station = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(parse_station("52:54:00:12:34:56"), Ok(station));
        assert_eq!(parse_station("52:54:0:12:34:56"), Ok(station));
        for wrong in [
            "",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "0:0:0:0:0:0",
            "52:54:00:12:34:+6x",
        ] {
            assert!(parse_station(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_is_one_that_the_kernel_takes() {
        assert!(parse_ifname("tap0").is_ok());
        for wrong in ["", "tap%d", "a/b", "a b", "sixteen-octets-x"] {
            assert!(parse_ifname(wrong).is_err(), "{wrong}");
        }
    }
}
