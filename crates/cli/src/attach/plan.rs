//! Everything that is decided before the target is touched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use switchboard_device::ethernet::EthernetConfig;
use switchboard_device::tun::{LinkConfig, Route};
use switchboard_gateway::{Forward, GatewayConfig};
use switchboard_wire::dhcp::DhcpLease;
use switchboard_wire::ethernet::MacAddr;
use switchboard_wire::ndp::RouterAdvertisement;

use crate::run::{Network, host};

/// Packets that may wait in the interface on their way to us: as for a run's TUN, what all
/// programs of the namespace may have in flight.
const QUEUE_PACKETS: u32 = 4096;

/// How long a DHCP lease lasts, in seconds: a day. There is one client and one address.
const LEASE_SECONDS: u32 = 86_400;

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
    pub(crate) mtu: u32,
    pub(crate) network: Network,
    /// Whether the inside has IPv6.
    pub(crate) ipv6: bool,
    /// Whether a default route for IPv6 leads to us.
    pub(crate) outside_v6: bool,
    /// Whether we give the interface its addresses; else somebody inside does.
    pub(crate) configure: bool,
    /// The station address that the interface is to have.
    pub(crate) station: Option<MacAddr>,
    pub(crate) gateway: GatewayConfig,
    /// Ports of the host that are the inside's from the beginning.
    pub(crate) forwards: Vec<Forward>,
    /// Where forwards are asked for.
    pub(crate) api_socket: Option<PathBuf>,
}

impl Plan {
    /// How the interface is to be.
    pub(super) fn link(&self) -> LinkConfig {
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
    /// whoever asks what [`link`](Self::link) would have set.
    pub(super) fn ethernet(&self) -> EthernetConfig {
        let gateway = self.network.host_v4(host::GATEWAY);
        let [a, b, c, d] = gateway.octets();
        // Locally administered (IEEE 802c), and told from others by the gateway's address.
        let station = MacAddr([0x52, 0x55, a, b, c, d]);
        let config = &self.gateway;
        let hosts = [config.gateway, config.dns, config.builtin, config.silent];
        let own = hosts.into_iter().flat_map(|host| host.addresses());
        let mut ethernet = EthernetConfig::new(station, own.collect());
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
        if self.ipv6 && !self.configure {
            ethernet.advertisement = Some(RouterAdvertisement {
                station,
                prefix: Some(self.network.v6),
                mtu: self.mtu,
                dns: config.dns.v6.into_iter().collect(),
            });
        }
        ethernet
    }

    /// The inside endpoint that a forward of `listen` leads to.
    pub(crate) fn inside(&self, listen: IpAddr, port: u16) -> SocketAddr {
        let v4 = IpAddr::V4(self.network.host_v4(host::PROGRAM_V4));
        let inside = self.gateway.program.of_family(listen).unwrap_or(v4);
        SocketAddr::new(inside, port)
    }
}
