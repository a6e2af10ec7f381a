//! What a gateway is told before it starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::limits::Limits;
use crate::mapping::Filtering;

/// A host of the inside network: its address in each family that the network has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostAddress {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
}

impl HostAddress {
    /// A host with an address in both families.
    #[must_use]
    pub const fn new(v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        Self {
            v4: Some(v4),
            v6: Some(v6),
        }
    }

    /// A host of an IPv4 network.
    #[must_use]
    pub const fn v4(v4: Ipv4Addr) -> Self {
        Self {
            v4: Some(v4),
            v6: None,
        }
    }

    /// Whether `address` is this host's.
    #[must_use]
    pub fn is(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.v4 == Some(v4),
            IpAddr::V6(v6) => self.v6 == Some(v6),
        }
    }

    /// Its addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let v4 = self.v4.map(IpAddr::V4);
        let v6 = self.v6.map(IpAddr::V6);
        v4.into_iter().chain(v6)
    }

    /// Its address in the family of `other`.
    #[must_use]
    pub fn of_family(&self, other: IpAddr) -> Option<IpAddr> {
        match other {
            IpAddr::V4(_) => self.v4.map(IpAddr::V4),
            IpAddr::V6(_) => self.v6.map(IpAddr::V6),
        }
    }
}

/// The network part of addresses, `10.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Any address of it; host bits are ignored.
    pub address: IpAddr,
    /// Bits of the network part: 0 to 32, or 0 to 128.
    pub len: u8,
}

impl Prefix {
    /// The network of `address` with `len` bits.
    #[must_use]
    pub const fn new(address: IpAddr, len: u8) -> Self {
        Self { address, len }
    }

    /// Whether `address` belongs to it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.len.min(32));
                let differs = u32::from(net) ^ u32::from(address);
                differs.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.len.min(128));
                let differs = u128::from(net) ^ u128::from(address);
                differs.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whom the directory at `.3` asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DnsServers {
    /// The servers of the host's `/etc/resolv.conf`, read again when it changes.
    #[default]
    Host,
    /// These, in this order.
    These(Vec<SocketAddr>),
}

/// Servers for the names under a suffix: split DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRoute {
    /// `corp`: that name and every name that ends in it, on whole labels. The longest suffix that
    /// a name has decides.
    pub suffix: String,
    /// Whom to ask, in this order.
    pub servers: Vec<SocketAddr>,
}

/// How the inside reaches services on the host's own loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostLoopback {
    /// Not at all.
    #[default]
    Closed,
    /// The gateway's addresses stand for 127.0.0.1 and ::1: the inside has a loopback of its own.
    AtGateway,
    /// So they do, and 127.0.0.0/8 and ::1 are the host's inside too: the inside has no loopback
    /// of its own ([`NetBuilder::foreign_loopback`](switchboard::NetBuilder::foreign_loopback)).
    Shared,
    /// Not at all, and the gateway's addresses are somebody's outside, as any other: we only
    /// lend them to callers that have none of their own inside.
    Elsewhere,
}

/// An address that means another one outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alias {
    /// As programs write it.
    pub inside: IpAddr,
    /// As the host has it, of the same family.
    pub outside: IpAddr,
}

/// A gateway's addresses and doors.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// The program's end of the link (`10.0.2.100`): where forwards go by default.
    pub program: HostAddress,
    /// The gateway itself (`10.0.2.2`).
    pub gateway: HostAddress,
    /// The directory (`10.0.2.3`).
    pub dns: HostAddress,
    /// The built-in web server (`10.0.2.4`).
    pub builtin: HostAddress,
    /// An address that never answers (`10.0.2.5`), for `silent.switchboard.internal`.
    pub silent: HostAddress,
    /// The inside network: nobody but the hosts above lives there.
    pub networks: Vec<Prefix>,
    /// Whether and how the host's loopback services are within reach.
    pub host_loopback: HostLoopback,
    /// Addresses that mean others outside, before anything else is looked at.
    pub aliases: Vec<Alias>,
    /// Whom the directory asks.
    pub dns_servers: DnsServers,
    /// Whom it asks about names under certain suffixes.
    pub dns_routes: Vec<DnsRoute>,
    /// A table as hosts(5) has it, whose names the directory answers itself; read again when it
    /// changes.
    pub hosts_file: Option<PathBuf>,
    /// Who may answer through a UDP mapping.
    pub udp_filtering: Filtering,
    /// Bounds of every table and queue.
    pub limits: Limits,
}

impl Default for GatewayConfig {
    /// The default network of `run`: 10.0.2.0/24 (what slirp4netns users know) and
    /// `fd5b:2::/64`, a unique local prefix (RFC 4193).
    fn default() -> Self {
        let v6 = |host| Ipv6Addr::new(0xfd5b, 2, 0, 0, 0, 0, 0, host);
        let host = |v4, v6_host| HostAddress::new(Ipv4Addr::new(10, 0, 2, v4), v6(v6_host));
        Self {
            program: host(100, 0x100),
            gateway: host(2, 2),
            dns: host(3, 3),
            builtin: host(4, 4),
            silent: host(5, 5),
            networks: vec![
                Prefix::new(IpAddr::V4(Ipv4Addr::new(10, 0, 2, 0)), 24),
                Prefix::new(IpAddr::V6(v6(0)), 64),
            ],
            host_loopback: HostLoopback::Closed,
            aliases: Vec::new(),
            dns_servers: DnsServers::Host,
            dns_routes: Vec::new(),
            hosts_file: None,
            udp_filtering: Filtering::default(),
            limits: Limits::default(),
        }
    }
}
