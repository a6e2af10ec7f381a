//! Everything that is decided before the target is touched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use switchboard_device::ethernet::EthernetConfig;
use switchboard_device::tun::{LinkConfig, Route};
use switchboard_gateway::{Forward, GatewayConfig};
use switchboard_wire::dhcp::DhcpLease;
use switchboard_wire::ethernet::MacAddr;
use switchboard_wire::ndp::RouterAdvertisement;

use super::rules::Rules;
use crate::run::{Network, host};

/// Packets that may wait in the interface on their way to us: as for a run's TUN, what all
/// programs of the namespace may have in flight.
pub(crate) const QUEUE_PACKETS: u32 = 4096;

/// How long a DHCP lease lasts, in seconds: a day. There is one client and one address.
pub(crate) const LEASE_SECONDS: u32 = 86_400;

/// Whose namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The network namespace's file.
    pub(super) network: PathBuf,
    /// The user namespace's file, if one is to be entered first.
    pub(super) user: Option<PathBuf>,
    /// The process that was named, if one was.
    pub(super) pid: Option<u32>,
}

impl Target {
    /// The namespaces of a process; `user` instead of its own user namespace.
    pub(crate) fn process(pid: u32, user: Option<PathBuf>) -> Self {
        let file = |name| PathBuf::from(format!("/proc/{pid}/ns/{name}"));
        Self {
            network: file("net"),
            user: user.or_else(|| Some(file("user"))),
            pid: Some(pid),
        }
    }

    /// The network namespace of a process, and no user namespace.
    pub(crate) fn network_of(pid: u32) -> Self {
        let network = PathBuf::from(format!("/proc/{pid}/ns/net"));
        Self::path_of(&network, None, pid)
    }

    /// A namespace's file, which is that of a process.
    pub(crate) fn path_of(network: &Path, user: Option<PathBuf>, pid: u32) -> Self {
        Self {
            pid: Some(pid),
            ..Self::path(network, user)
        }
    }

    /// A namespace's file.
    pub(crate) fn path(network: &Path, user: Option<PathBuf>) -> Self {
        Self {
            network: network.to_owned(),
            user,
            pid: None,
        }
    }
}

/// What is made of a namespace.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) target: Target,
    /// The interface's name inside.
    pub(crate) ifname: String,
    /// The station address that the interface is to have.
    pub(crate) station: Option<MacAddr>,
    /// What we set inside; `None`: somebody there does.
    pub(crate) link: Option<LinkConfig>,
    pub(crate) served: Served,
    /// Whether a process of ours stays inside, to make sockets there.
    pub(crate) stays: bool,
}

/// What is served at our end of a link, whoever is at the other.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) mtu: u32,
    /// Who we are on the link.
    pub(crate) ethernet: EthernetConfig,
    pub(crate) rules: Rules,
    pub(crate) gateway: GatewayConfig,
    /// Ports of the host that are the inside's from the beginning.
    pub(crate) forwards: Vec<Forward>,
    /// Where forwards are asked for.
    pub(crate) api_socket: Option<PathBuf>,
}

impl Served {
    /// The inside endpoint that a forward of `listen` leads to.
    pub(crate) fn inside(&self, listen: IpAddr, port: u16) -> Option<SocketAddr> {
        let program = self.gateway.program;
        let inside = program.of_family(listen).or(program.addresses().next())?;
        Some(SocketAddr::new(inside, port))
    }
}

/// A network with addresses of our choice: 10.0.2.0/24 and the like.
#[derive(Debug)]
pub(crate) struct Subnet<'a> {
    pub(crate) network: Network,
    pub(crate) mtu: u32,
    /// Whether the inside has IPv6.
    pub(crate) ipv6: bool,
    /// Whether a default route for IPv6 leads to us.
    pub(crate) outside_v6: bool,
    pub(crate) gateway: &'a GatewayConfig,
}

impl Subnet<'_> {
    /// How the interface is to be.
    pub(crate) fn link(&self) -> LinkConfig {
        let any_v4 = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let any_v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let v4 = IpAddr::V4(self.network.host_v4(host::PROGRAM_V4));
        let mut link = LinkConfig {
            mtu: Some(self.mtu),
            queue_len: Some(QUEUE_PACKETS),
            addresses: vec![(v4, self.network.v4.1)],
            routes: vec![Route {
                destination: (any_v4, 0),
                gateway: Some(IpAddr::V4(self.network.host_v4(host::GATEWAY))),
            }],
        };
        if self.ipv6 {
            let v6 = IpAddr::V6(self.network.host_v6(host::PROGRAM_V6));
            link.addresses.push((v6, 64));
            if self.outside_v6 {
                let gateway = self.network.host_v6(host::GATEWAY.into());
                link.routes.push(Route {
                    destination: (any_v6, 0),
                    gateway: Some(IpAddr::V6(gateway)),
                });
            }
        }
        link
    }

    /// Who we are on the link: a router that answers for the gateway's own addresses, and tells
    /// whoever asks what [`link`](Self::link) would have set. IPv6 addresses are `advertised`
    /// where nobody sets them.
    pub(crate) fn ethernet(&self, advertised: bool) -> EthernetConfig {
        let gateway = self.network.host_v4(host::GATEWAY);
        let station = station_of(gateway);
        let config = self.gateway;
        let mut ethernet = EthernetConfig::new(station, own_addresses(config));
        ethernet.stations = config.program.addresses().collect();
        ethernet.lease = Some(DhcpLease {
            address: self.network.host_v4(host::PROGRAM_V4),
            prefix_len: self.network.v4.1,
            server: gateway,
            router: Some(gateway),
            dns: config.dns.v4.into_iter().collect(),
            mtu: u16::try_from(self.mtu).unwrap_or(u16::MAX),
            seconds: LEASE_SECONDS,
        });
        if self.ipv6 && advertised {
            ethernet.advertisement = Some(RouterAdvertisement {
                station,
                prefix: Some(self.network.v6),
                mtu: self.mtu,
                dns: config.dns.v6.into_iter().collect(),
            });
        }
        ethernet
    }
}

/// Locally administered (IEEE 802c), and told from others by the gateway's address.
pub(crate) fn station_of(gateway: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = gateway.octets();
    MacAddr([0x52, 0x55, a, b, c, d])
}

/// The addresses that are ours on a link.
pub(crate) fn own_addresses(config: &GatewayConfig) -> Vec<IpAddr> {
    let hosts = [config.gateway, config.dns, config.builtin, config.silent];
    let own = hosts.into_iter().flat_map(|host| host.addresses());
    own.collect()
}
