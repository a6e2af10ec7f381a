//! The inside's addresses as pasta chooses them: this machine's own, unless others are given.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use switchboard_device::ethernet::EthernetConfig;
use switchboard_device::tun::{LinkConfig, Route};
use switchboard_gateway::{Alias, DnsServers, GatewayConfig, HostAddress, HostLoopback, Prefix};
use switchboard_wire::dhcp::DhcpLease;
use switchboard_wire::ndp::RouterAdvertisement;

use super::{Mode, Why};
use crate::attach::template::Template;
use crate::attach::{LEASE_SECONDS, QUEUE_PACKETS, Rules, Served, own_addresses, station_of};
use crate::flags::pasta::PastaFlags;

/// Names of the inside's interface where this machine has none to copy.
const IFNAME: &str = "tap0";

/// The inside's network where this machine has none to copy: what slirp4netns users know.
const LONELY: (Ipv4Addr, u8, Ipv4Addr) =
    (Ipv4Addr::new(10, 0, 2, 100), 24, Ipv4Addr::new(10, 0, 2, 2));

/// Who we are where the way out has no gateway: RFC 7600's dummy address, and a link-local one.
const NOBODY_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const NOBODY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The MTU of an Ethernet that nobody set.
const MTU_UNSET: u32 = 1500;

/// What the inside has of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Family {
    /// The first is the main one.
    addresses: Vec<(IpAddr, u8)>,
    routes: Vec<Route>,
    gateway: Option<IpAddr>,
}

/// The inside's network.
#[derive(Debug)]
pub(super) struct Inside {
    interface: Option<String>,
    v4: Option<Family>,
    v6: Option<Family>,
    gateway: GatewayConfig,
    /// Told by DHCP and router advertisements.
    told_dns: Vec<IpAddr>,
}

impl Inside {
    /// Chooses it.
    ///
    /// # Errors
    ///
    /// The options contradict each other, or this machine.
    pub(super) fn choose(flags: &PastaFlags, mode: Mode) -> Result<Self, Why> {
        let named = flags.interface.as_deref();
        let template = |v6: bool, wanted: bool| match wanted {
            true => Template::read(v6, named),
            false => Ok(None),
        };
        let v4 = template(false, !flags.ipv6_only)?;
        let v6 = template(true, !flags.ipv4_only)?;
        if let (Some(name), None, None) = (named, &v4, &v6) {
            return Err(format!("interface {name} has no address that could be copied").into());
        }
        let given = Given::read(flags)?;
        let interface = v4
            .as_ref()
            .or(v6.as_ref())
            .map(|known| known.interface.clone());
        let v6 = family(flags, &given, v6.as_ref(), true);
        let mut v4 = family(flags, &given, v4.as_ref(), false);
        if v4.is_none() && v6.is_none() {
            if flags.ipv6_only {
                return Err("this machine has no IPv6 to copy: give --address".into());
            }
            v4 = Some(lonely());
        }
        let v4 = v4.filter(|_| !flags.ipv6_only);
        let v6 = v6.filter(|_| !flags.ipv4_only);
        let mut inside = Self {
            gateway: gateway(flags, v4.as_ref(), v6.as_ref())?,
            interface,
            v4,
            v6,
            told_dns: Vec::new(),
        };
        inside.name_servers(flags, mode)?;
        Ok(inside)
    }

    /// Whom the inside asks for names, and what it is told of them.
    fn name_servers(&mut self, flags: &PastaFlags, mode: Mode) -> Result<(), Why> {
        let servers = Servers::read(flags)?;
        for at in &flags.dns_forward {
            match at {
                IpAddr::V4(v4) => self.gateway.dns.v4 = Some(*v4),
                IpAddr::V6(v6) => self.gateway.dns.v6 = Some(*v6),
            }
        }
        match &servers {
            Servers::Given(given) => {
                let at = |ip: &IpAddr| SocketAddr::new(*ip, 53);
                self.gateway.dns_servers = DnsServers::These(given.iter().map(at).collect());
            }
            Servers::None if !flags.dns_forward.is_empty() => {
                return Err("--dns none leaves --dns-forward nobody to ask".into());
            }
            Servers::None | Servers::Hosts(_) => {}
        }
        let tells = flags.dhcp_dns || (mode == Mode::Passt && !flags.no_dhcp_dns);
        if !tells {
            return Ok(());
        }
        let own: Vec<IpAddr> = self.gateway.dns.addresses().collect();
        self.told_dns = match servers {
            Servers::None => Vec::new(),
            _ if !own.is_empty() => own,
            Servers::Given(given) => given,
            // The inside has a loopback of its own: there our own directory answers.
            Servers::Hosts(hosts) if hosts.iter().any(IpAddr::is_loopback) => {
                self.gateway.dns = self.gateway.gateway;
                self.gateway.dns.addresses().collect()
            }
            Servers::Hosts(hosts) => hosts,
        };
        Ok(())
    }

    /// The interface's name inside.
    pub(super) fn ifname(&self, flags: &PastaFlags) -> String {
        let given = flags.namespace.ns_ifname.clone();
        given
            .or(self.interface.clone())
            .unwrap_or_else(|| IFNAME.to_owned())
    }

    fn families(&self) -> impl Iterator<Item = &Family> {
        self.v4.iter().chain(&self.v6)
    }

    /// How the interface is to be, for `--config-net`.
    pub(super) fn link(&self, flags: &PastaFlags) -> LinkConfig {
        LinkConfig {
            mtu: (flags.mtu > 0).then_some(flags.mtu),
            queue_len: Some(QUEUE_PACKETS),
            addresses: self
                .families()
                .flat_map(|known| known.addresses.clone())
                .collect(),
            routes: self
                .families()
                .flat_map(|known| known.routes.clone())
                .collect(),
        }
    }

    /// What is served at our end.
    pub(super) fn served(&self, flags: &PastaFlags, mode: Mode) -> Served {
        Served {
            mtu: mtu(flags),
            ethernet: self.ethernet(flags, mode),
            rules: Rules {
                v4: self.v4.is_some(),
                v6: self.v6.is_some(),
                tcp: !flags.no_tcp,
                udp: !flags.no_udp,
                icmp: !flags.no_icmp,
            },
            gateway: self.gateway.clone(),
            forwards: Vec::new(),
            api_socket: None,
        }
    }

    /// Who we are on the link: everybody but the inside itself.
    fn ethernet(&self, flags: &PastaFlags, mode: Mode) -> EthernetConfig {
        let gateway = self.gateway.gateway;
        let derived = station_of(gateway.v4.unwrap_or(NOBODY_V4));
        let station = flags.mac_addr.unwrap_or(derived);
        let mut ethernet = EthernetConfig::new(station, own_addresses(&self.gateway));
        if let Some(v6) = gateway.v6.filter(Ipv6Addr::is_unicast_link_local) {
            ethernet.link_local = v6;
        }
        let addresses = self.families().flat_map(|known| &known.addresses);
        ethernet.stations = addresses.map(|(address, _)| *address).collect();
        ethernet.proxy = true;
        ethernet.neighbor_discovery = !flags.no_ndp;
        ethernet.lease = self.lease(flags).filter(|_| !flags.no_dhcp);
        let configured = mode == Mode::Pasta && flags.namespace.config_net;
        if !flags.no_ra && !flags.no_ndp && !configured {
            ethernet.advertisement = self.advertisement(station, mtu(flags));
        }
        ethernet
    }

    fn lease(&self, flags: &PastaFlags) -> Option<DhcpLease> {
        let &(IpAddr::V4(address), prefix_len) = self.v4.as_ref()?.addresses.first()? else {
            return None;
        };
        let gateway = self.gateway.gateway.v4.unwrap_or(NOBODY_V4);
        let v4 = |ip: &IpAddr| match ip {
            IpAddr::V4(v4) => Some(*v4),
            IpAddr::V6(_) => None,
        };
        Some(DhcpLease {
            address,
            prefix_len,
            server: gateway,
            router: Some(gateway),
            dns: self.told_dns.iter().filter_map(v4).collect(),
            mtu: u16::try_from(mtu(flags)).unwrap_or(u16::MAX),
            seconds: LEASE_SECONDS,
        })
    }

    fn advertisement(
        &self,
        station: switchboard_wire::ethernet::MacAddr,
        mtu: u32,
    ) -> Option<RouterAdvertisement> {
        let &(IpAddr::V6(address), _) = self.v6.as_ref()?.addresses.first()? else {
            return None;
        };
        let v6 = |ip: &IpAddr| match ip {
            IpAddr::V6(v6) => Some(*v6),
            IpAddr::V4(_) => None,
        };
        Some(RouterAdvertisement {
            station,
            prefix: Some(Ipv6Addr::from_bits(
                address.to_bits() & !u128::from(u64::MAX),
            )),
            mtu,
            dns: self.told_dns.iter().filter_map(v6).collect(),
        })
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for family in self.families() {
            if let Some((address, len)) = family.addresses.first() {
                write!(f, "{between}{address}/{len}")?;
                between = ", ";
            }
            if let Some(gateway) = family.gateway {
                write!(f, " by {gateway}")?;
            }
        }
        Ok(())
    }
}

fn mtu(flags: &PastaFlags) -> u32 {
    match flags.mtu {
        0 => MTU_UNSET,
        mtu => mtu,
    }
}

/// `-a`, `-g` and `-n`, by family.
#[derive(Debug, Default)]
struct Given {
    addresses: Vec<(IpAddr, Option<u8>)>,
    gateways: Vec<IpAddr>,
}

impl Given {
    fn read(flags: &PastaFlags) -> Result<Self, Why> {
        let mut given = Self {
            addresses: Vec::new(),
            gateways: flags.gateway.clone(),
        };
        for text in &flags.address {
            let wrong = || format!("Invalid address: {text}");
            let (address, len) = match text.split_once('/') {
                None => (text.as_str(), None),
                Some((address, len)) => (address, Some(len.parse().map_err(|_| wrong())?)),
            };
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            if address.is_unspecified()
                || address.is_loopback()
                || len.is_some_and(|len| len > most)
            {
                return Err(wrong().into());
            }
            given.addresses.push((address, len));
        }
        for v6 in [false, true] {
            let addresses = given.addresses.iter().filter(|(ip, _)| ip.is_ipv6() == v6);
            let gateways = given.gateways.iter().filter(|ip| ip.is_ipv6() == v6);
            if addresses.count() > 1 || gateways.count() > 1 {
                return Err("one address and one gateway for each family".into());
            }
        }
        Ok(given)
    }
}

/// What the inside has of a family; nothing where neither options nor this machine have it.
fn family(
    flags: &PastaFlags,
    given: &Given,
    template: Option<&Template>,
    v6: bool,
) -> Option<Family> {
    let address = given.addresses.iter().find(|(ip, _)| ip.is_ipv6() == v6);
    let via = given.gateways.iter().find(|ip| ip.is_ipv6() == v6).copied();
    let copies = address.is_none();
    let addresses = match address {
        Some((address, len)) => {
            let len = len.unwrap_or_else(|| prefix_len(flags, *address, template));
            vec![(*address, len)]
        }
        None => {
            let mut addresses = template?.addresses.clone();
            if let (Some(mask), Some((IpAddr::V4(_), len))) = (flags.netmask, addresses.first_mut())
            {
                *len = mask;
            }
            if flags.namespace.no_copy_addrs {
                addresses.truncate(1);
            }
            addresses
        }
    };
    let gateway = via.or(template.and_then(|known| known.gateway));
    let any = match v6 {
        false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        true => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let default = Route {
        destination: (any, 0),
        gateway,
    };
    let routes = match template {
        Some(known) if copies && via.is_none() && !flags.namespace.no_copy_routes => {
            known.routes.clone()
        }
        _ => vec![default],
    };
    Some(Family {
        addresses,
        routes,
        gateway,
    })
}

/// The netmask that was given, or this machine's for that address, or the class's (RFC 791).
fn prefix_len(flags: &PastaFlags, address: IpAddr, template: Option<&Template>) -> u8 {
    let IpAddr::V4(v4) = address else {
        return 64;
    };
    let known = template.into_iter().flat_map(|known| &known.addresses);
    let known = known
        .filter(|(own, _)| *own == address)
        .map(|(_, len)| *len)
        .next();
    let class = match v4.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        192..224 => 24,
        _ => 32,
    };
    flags.netmask.or(known).unwrap_or(class)
}

fn lonely() -> Family {
    let (address, len, gateway) = LONELY;
    Family {
        addresses: vec![(address.into(), len)],
        routes: vec![Route {
            destination: (Ipv4Addr::UNSPECIFIED.into(), 0),
            gateway: Some(gateway.into()),
        }],
        gateway: Some(gateway.into()),
    }
}

/// Whose addresses mean what.
fn gateway(
    flags: &PastaFlags,
    v4: Option<&Family>,
    v6: Option<&Family>,
) -> Result<GatewayConfig, Why> {
    let mut program = HostAddress::default();
    let mut gateway = HostAddress::default();
    for family in [v4, v6].into_iter().flatten() {
        match family.addresses.first() {
            Some((IpAddr::V4(v4), _)) => program.v4 = Some(*v4),
            Some((IpAddr::V6(v6), _)) => program.v6 = Some(*v6),
            None => {}
        }
        match family.gateway {
            Some(IpAddr::V4(v4)) => gateway.v4 = Some(v4),
            Some(IpAddr::V6(v6)) => gateway.v6 = Some(v6),
            None => {}
        }
    }
    gateway.v4 = gateway.v4.or(program.v4.map(|_| NOBODY_V4));
    gateway.v6 = gateway.v6.or(program.v6.map(|_| NOBODY_V6));
    let own = v4
        .into_iter()
        .chain(v6)
        .flat_map(|family| &family.addresses);
    let whole = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
    let loopback = Mapped::read("--map-host-loopback", &flags.map_host_loopback)?;
    let guest = Mapped::read("--map-guest-addr", &flags.map_guest_addr)?;
    let mut aliases = Vec::new();
    for address in loopback.addresses {
        let outside = match address {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        aliases.push(Alias {
            inside: address,
            outside,
        });
    }
    for inside in guest.addresses {
        let outside = program.of_family(inside);
        let outside =
            outside.ok_or_else(|| format!("--map-guest-addr {inside}: not its family"))?;
        aliases.push(Alias { inside, outside });
    }
    let by_gateway = !flags.no_map_gw && !loopback.none && flags.map_host_loopback.is_empty();
    let nobody = HostAddress::default();
    Ok(GatewayConfig {
        program,
        gateway,
        dns: nobody,
        builtin: nobody,
        silent: nobody,
        networks: own
            .map(|(address, _)| Prefix::new(*address, whole(address)))
            .collect(),
        host_loopback: match by_gateway {
            true => HostLoopback::AtGateway,
            false => HostLoopback::Elsewhere,
        },
        aliases,
        ..GatewayConfig::default()
    })
}

/// Addresses of a `--map-...`, or none.
struct Mapped {
    addresses: Vec<IpAddr>,
    none: bool,
}

impl Mapped {
    fn read(option: &str, texts: &[String]) -> Result<Self, Why> {
        let mut mapped = Self {
            addresses: Vec::new(),
            none: false,
        };
        for text in texts {
            match text.as_str() {
                "none" => mapped.none = true,
                text => {
                    let address = text.parse();
                    let address =
                        address.map_err(|_| format!("Invalid address to remap to host: {text}"))?;
                    mapped.addresses.push(address);
                }
            }
        }
        if mapped.none && !mapped.addresses.is_empty() {
            return Err(format!("{option}: an address and none at once").into());
        }
        Ok(mapped)
    }
}

/// `-D`.
enum Servers {
    /// Those of /etc/resolv.conf.
    Hosts(Vec<IpAddr>),
    Given(Vec<IpAddr>),
    None,
}

impl Servers {
    fn read(flags: &PastaFlags) -> Result<Self, Why> {
        let mut given = Vec::new();
        for text in &flags.dns {
            match text.as_str() {
                "" | "none" => return Ok(Self::None),
                text => given.push(
                    text.parse()
                        .map_err(|_| format!("Invalid DNS address {text}"))?,
                ),
            }
        }
        if given.is_empty() {
            return Ok(Self::Hosts(hosts_servers()));
        }
        Ok(Self::Given(given))
    }
}

/// The name servers of this machine's resolver.
fn hosts_servers() -> Vec<IpAddr> {
    let text: io::Result<String> = std::fs::read_to_string("/etc/resolv.conf");
    let text = text.unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    });
    servers.collect()
}
