//! What can be typed for the stand-ins for pasta and passt: those programs' own options.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use switchboard_wire::ethernet::MacAddr;

use super::attach::{parse_ifname, parse_station};

/// The first word and the date are what callers look for: the options are those of that time.
const VERSION: &str = concat!(
    "2025_09_19 (Switchboard ",
    env!("CARGO_PKG_VERSION"),
    ", with that time's options)"
);

/// Options of pasta and passt, long and short. Those that are refused say so.
#[derive(Args, Debug)]
#[command(version = VERSION, disable_version_flag = true, infer_long_args = true)]
pub(crate) struct PastaFlags {
    /// Tell of each conversation
    #[arg(short, long)]
    pub(crate) debug: bool,

    /// Refused: --pcap records packets
    #[arg(long)]
    pub(crate) trace: bool,

    /// Keep all but errors away from stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Stay in the foreground; a command of pasta's always has it there
    #[arg(short, long)]
    pub(crate) foreground: bool,

    /// Messages to stderr, as ever, until it is in the background
    #[arg(short = 'e', long)]
    pub(crate) stderr: bool,

    /// Messages to this file instead
    #[arg(short, long, value_name = "PATH")]
    pub(crate) log_file: Option<PathBuf>,

    /// The log ends at this size, in octets
    #[arg(long, value_name = "SIZE", default_value_t = 1 << 20)]
    pub(crate) log_size: u64,

    /// Who it runs as: the caller, anybody else is refused
    #[arg(long, value_name = "UID|UID:GID")]
    pub(crate) runas: Option<String>,

    /// Record packets of the link to this file, as pcapng
    #[arg(short, long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// Write the process id to this file when all is ready
    #[arg(short = 'P', long, value_name = "FILE")]
    pub(crate) pid: Option<PathBuf>,

    /// Largest packet of the link, in octets; 0 leaves it 1500
    #[arg(short, long, value_name = "MTU", default_value_t = 65_520)]
    pub(crate) mtu: u32,

    /// The inside's address; default this machine's, once for IPv4 and once for IPv6
    #[arg(short, long, value_name = "ADDR[/PREFIX]")]
    pub(crate) address: Vec<String>,

    /// Its IPv4 netmask, dotted or in bits
    #[arg(short, long, value_name = "MASK", value_parser = parse_mask)]
    pub(crate) netmask: Option<u8>,

    /// Our station on the link
    #[arg(short = 'M', long, value_name = "ADDR", value_parser = parse_station)]
    pub(crate) mac_addr: Option<MacAddr>,

    /// The inside's way out; default this machine's
    #[arg(short, long, value_name = "ADDR")]
    pub(crate) gateway: Vec<IpAddr>,

    /// This machine's interface whose addresses and routes are copied; default that of its way out
    #[arg(short, long, value_name = "NAME", value_parser = parse_ifname)]
    pub(crate) interface: Option<String>,

    /// Refused: this machine's routes choose the address
    #[arg(short, long, value_name = "ADDR")]
    pub(crate) outbound: Vec<String>,

    /// Refused: this machine's routes choose the interface
    #[arg(long, value_name = "NAME")]
    pub(crate) outbound_if4: Option<String>,

    /// Refused: this machine's routes choose the interface
    #[arg(long, value_name = "NAME")]
    pub(crate) outbound_if6: Option<String>,

    /// Servers asked for names by --dns-forward, and told by DHCP; "none" tells of none
    #[arg(short = 'D', long, value_name = "ADDR")]
    pub(crate) dns: Vec<String>,

    /// Answer names at this address, once for each family
    #[arg(long, value_name = "ADDR")]
    pub(crate) dns_forward: Vec<IpAddr>,

    /// Search domains by DHCP: "none", all else is refused
    #[arg(short = 'S', long, value_name = "LIST")]
    pub(crate) search: Vec<String>,

    /// Tell name servers by DHCP and router advertisements; passt does
    #[arg(long, overrides_with = "no_dhcp_dns")]
    pub(crate) dhcp_dns: bool,

    /// Do not; pasta does not
    #[arg(long, overrides_with = "dhcp_dns")]
    pub(crate) no_dhcp_dns: bool,

    /// Refused: no search domains are told
    #[arg(long)]
    pub(crate) dhcp_search: bool,

    /// No search domains are told, as ever
    #[arg(long)]
    pub(crate) no_dhcp_search: bool,

    /// No TCP
    #[arg(long)]
    pub(crate) no_tcp: bool,

    /// No UDP
    #[arg(long)]
    pub(crate) no_udp: bool,

    /// No ping
    #[arg(long)]
    pub(crate) no_icmp: bool,

    /// No DHCP server
    #[arg(long)]
    pub(crate) no_dhcp: bool,

    /// No answers of neighbour discovery
    #[arg(long)]
    pub(crate) no_ndp: bool,

    /// No DHCPv6 server, as ever
    #[arg(long)]
    pub(crate) no_dhcpv6: bool,

    /// No router advertisements
    #[arg(long)]
    pub(crate) no_ra: bool,

    /// The gateway's address is the gateway's, and not this machine's loopback
    #[arg(long)]
    pub(crate) no_map_gw: bool,

    /// An address that means this machine's loopback, or "none"; default the gateway's
    #[arg(long, value_name = "ADDR")]
    pub(crate) map_host_loopback: Vec<String>,

    /// An address that means this machine under the address that the inside copied, or "none"
    #[arg(long, value_name = "ADDR")]
    pub(crate) map_guest_addr: Vec<String>,

    /// No IPv6
    #[arg(short = '4', long, conflicts_with = "ipv6_only")]
    pub(crate) ipv4_only: bool,

    /// No IPv4
    #[arg(short = '6', long)]
    pub(crate) ipv6_only: bool,

    /// TCP ports of this machine that are the inside's: none, auto (what listens there; pasta), or
    /// [ADDR/]PORT[-PORT][:PORT[-PORT]],..., ~PORT[-PORT] for all but those
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) tcp_ports: Vec<String>,

    /// UDP ports, likewise
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) udp_ports: Vec<String>,

    #[command(flatten, next_help_heading = "pasta only")]
    pub(crate) namespace: NamespaceFlags,

    #[command(flatten, next_help_heading = "passt only")]
    pub(crate) guest: GuestFlags,

    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,

    /// pasta: a process in the namespace, or a command for a namespace of its own (default a shell)
    #[arg(value_name = "PID|COMMAND", trailing_var_arg = true)]
    pub(crate) words: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct NamespaceFlags {
    /// The interface's name inside; default this machine's interface's
    #[arg(short = 'I', long, value_name = "NAME", value_parser = parse_ifname)]
    pub(crate) ns_ifname: Option<String>,

    /// TCP ports of the inside's loopback that are this machine's: as for --tcp-ports
    #[arg(short = 'T', long, value_name = "SPEC")]
    pub(crate) tcp_ns: Vec<String>,

    /// UDP ports: none, all else is refused
    #[arg(short = 'U', long, value_name = "SPEC")]
    pub(crate) udp_ns: Vec<String>,

    /// The user namespace to enter first
    #[arg(long, value_name = "PATH")]
    pub(crate) userns: Option<PathBuf>,

    /// The network namespace: a file, or a name in /run/netns
    #[arg(long, value_name = "PATH|NAME")]
    pub(crate) netns: Option<PathBuf>,

    /// Enter no user namespace
    #[arg(long, conflicts_with = "userns")]
    pub(crate) netns_only: bool,

    /// Stay when the namespace's file is removed
    #[arg(long)]
    pub(crate) no_netns_quit: bool,

    /// Give the interface its addresses, routes and MTU, and bring it up
    #[arg(long)]
    pub(crate) config_net: bool,

    /// With --config-net: the default route alone
    #[arg(long)]
    pub(crate) no_copy_routes: bool,

    /// With --config-net: one address alone
    #[arg(long)]
    pub(crate) no_copy_addrs: bool,

    /// The interface's station inside
    #[arg(long, value_name = "ADDR", value_parser = parse_station)]
    pub(crate) ns_mac_addr: Option<MacAddr>,

    /// Callers from this machine's loopback reach the inside's loopback
    #[arg(long)]
    pub(crate) host_lo_to_ns_lo: bool,
}

#[derive(Args, Debug)]
pub(crate) struct GuestFlags {
    /// Where the guest connects; default /tmp/passt_N.socket
    #[arg(short, long, value_name = "PATH", conflicts_with = "fd")]
    pub(crate) socket: Option<PathBuf>,

    /// The guest's end of a socket that is connected already
    #[arg(short = 'F', long, value_name = "FD")]
    #[arg(value_parser = clap::value_parser!(i32).range(3..))]
    pub(crate) fd: Option<i32>,

    /// End with the first guest
    #[arg(short = '1', long)]
    pub(crate) one_off: bool,
}

/// `255.255.255.0` or `24`.
fn parse_mask(text: &str) -> Result<u8, String> {
    let usage = || "write a netmask, as 255.255.255.0 or 24".to_owned();
    if let Ok(bits) = text.parse::<u8>() {
        return (1..=32).contains(&bits).then_some(bits).ok_or_else(usage);
    }
    let mask: std::net::Ipv4Addr = text.parse().map_err(|_| usage())?;
    let mask = mask.to_bits();
    let bits = mask.leading_ones();
    if bits == 0 || mask.count_ones() != bits {
        return Err(usage());
    }
    u8::try_from(bits).map_err(|_| usage())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_bits_or_dotted() {
        assert_eq!(parse_mask("24"), Ok(24));
        assert_eq!(parse_mask("255.255.252.0"), Ok(22));
        for wrong in ["", "0", "33", "255.0.255.0", "0.0.0.0", "x"] {
            assert!(parse_mask(wrong).is_err(), "{wrong}");
        }
    }
}
