//! Who we are on an Ethernet link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use switchboard_wire::dhcp::DhcpLease;
use switchboard_wire::ethernet::MacAddr;
use switchboard_wire::ndp::RouterAdvertisement;

/// The router of a link: its addresses, and what it tells stations.
#[derive(Clone, Debug)]
pub struct EthernetConfig {
    /// Our station.
    pub station: MacAddr,
    /// Addresses that are ours: ARP and neighbour discovery answer for them, always.
    pub own: Vec<IpAddr>,
    /// Our link-local address, which is ours too: routers speak from it (RFC 4861 section
    /// 6.1.2).
    pub link_local: Ipv6Addr,
    /// Addresses of stations on the link, known beforehand.
    pub stations: Vec<IpAddr>,
    /// Whether every other address is answered for as well (RFC 1027, RFC 4389), but for those
    /// of stations: what a gateway does whose stations think that all the world is on their link.
    pub proxy: bool,
    /// Whether neighbour discovery is answered at all.
    pub neighbor_discovery: bool,
    /// The one address that the DHCP server gives, to whoever asks first. `None`: no server.
    pub lease: Option<DhcpLease>,
    /// What is told to IPv6 stations that ask for a router. `None`: nothing.
    pub advertisement: Option<RouterAdvertisement>,
}

impl EthernetConfig {
    /// A router that answers for `own`, and gives nothing out.
    #[must_use]
    pub fn new(station: MacAddr, own: Vec<IpAddr>) -> Self {
        Self {
            station,
            own,
            link_local: link_local(station),
            stations: Vec::new(),
            proxy: false,
            neighbor_discovery: true,
            lease: None,
            advertisement: None,
        }
    }

    /// Whether a station that asks where `address` is gets us for an answer.
    pub(super) fn answers_for(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
            || address == IpAddr::V6(self.link_local)
            || self.proxy && !self.is_of_a_station(address) && !is_link_local(address)
    }

    /// Whether it is ours for sure, so that nobody else may take it.
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.own.contains(&address) || address == IpAddr::V6(self.link_local)
    }

    fn is_of_a_station(&self, address: IpAddr) -> bool {
        let leased = self.lease.as_ref().map(|lease| IpAddr::V4(lease.address));
        leased == Some(address) || self.stations.contains(&address)
    }

    /// The broadcast address of the leased network.
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            let host_bits = u32::MAX
                .checked_shr(u32::from(lease.prefix_len))
                .unwrap_or(0);
            lease.prefix_len < 31 && address.to_bits() == lease.address.to_bits() | host_bits
        })
    }
}

/// The link-local address that follows from a station's (RFC 4291 appendix A).
fn link_local(MacAddr([a, b, c, d, e, f]): MacAddr) -> Ipv6Addr {
    let low = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    Ipv6Addr::from_bits((0xfe80 << 112) | u128::from(u64::from_be_bytes(low)))
}

/// Never beyond the link, so never answered for by proxy.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
