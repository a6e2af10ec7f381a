//! What an interface needs before packets flow: MTU, queue length, addresses, routes, up.
//!
//! Speaks rtnetlink (RFC 3549) itself, in a few blocking calls, so that a process without a
//! runtime and without tools can use it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use switchboard_wire::ethernet::MacAddr;

use crate::netlink::{
    CHANGE, CREATE, IFLA_ADDRESS, IFLA_MTU, IFLA_NET_NS_FD, Message, Netlink, RTM_NEWLINK,
};

/// How an interface is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkConfig {
    /// Octets of its largest packet; `None` leaves it.
    pub mtu: Option<u32>,
    /// Packets that may wait in it (`txqueuelen`); `None` leaves it. A queue that is shorter
    /// than a TCP window in packets drops inside the machine.
    pub queue_len: Option<u32>,
    /// Addresses with prefix lengths. Usable at once: duplicate address detection is off.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Routes through it.
    pub routes: Vec<Route>,
}

/// A route through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to, with prefix length 0 for the default route.
    pub destination: (IpAddr, u8),
    /// By which neighbour; it need not be in the interface's own network.
    pub gateway: Option<IpAddr>,
}

/// Which step of setting an interface up failed, and why.
#[derive(Debug)]
pub struct LinkError {
    /// What was tried.
    pub tried: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.tried, self.source)
    }
}

impl std::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Brings the interface `name` of this network namespace up, as `config` says.
///
/// # Errors
///
/// [`LinkError`] names the first step that failed; the others may be done.
pub fn configure(name: &str, config: &LinkConfig) -> Result<(), LinkError> {
    let failed = |tried: String| move |source: io::Error| LinkError { tried, source };
    let socket = Netlink::open().map_err(failed("open a netlink socket".into()))?;
    let index = rustix::net::netdevice::name_to_index(&socket.0, name)
        .map_err(|errno| failed(format!("find the interface {name}"))(errno.into()))?;
    let messages = messages(index, config).collect();
    match socket.ask_all(messages) {
        Ok(None) => Ok(()),
        Ok(Some((refused, source))) => Err(failed(step(name, config, refused))(source)),
        Err(source) => Err(failed(format!("set up the interface {name}"))(source)),
    }
}

/// Whether this network namespace has an interface `name`.
#[must_use]
pub fn exists(name: &str) -> bool {
    Netlink::open()
        .is_ok_and(|socket| rustix::net::netdevice::name_to_index(&socket.0, name).is_ok())
}

/// Gives the interface `name` of this network namespace the station address `station`.
///
/// # Errors
///
/// [`LinkError`]: there is no such interface, or the kernel does not take the address.
pub fn set_station(name: &str, station: MacAddr) -> Result<(), LinkError> {
    change(name, format!("give {name} the address {station}"), |link| {
        link.attribute(IFLA_ADDRESS, &station.0)
    })
}

/// Moves the interface `name` out of this network namespace into `namespace`, where it is down
/// and has no addresses.
///
/// A TUN descriptor keeps the namespace alive in which it was opened. One whose interface was
/// moved does not keep the interface's own: it ends with the last program in it, and the
/// descriptor says so.
///
/// # Errors
///
/// [`LinkError`]: there is no such interface, `namespace` has one of that name already, or the
/// caller may not administer both.
pub fn move_to(name: &str, namespace: BorrowedFd<'_>) -> Result<(), LinkError> {
    let number = namespace.as_raw_fd().to_ne_bytes();
    change(name, format!("move the interface {name}"), |link| {
        link.attribute(IFLA_NET_NS_FD, &number)
    })
}

/// One change of the interface `name`.
fn change(
    name: &str,
    tried: String,
    with: impl FnOnce(Message) -> Message,
) -> Result<(), LinkError> {
    let changed = || -> io::Result<()> {
        let socket = Netlink::open()?;
        let index = rustix::net::netdevice::name_to_index(&socket.0, name)?;
        match socket.ask_all(vec![with(link(index, 0))])? {
            Some((_, refused)) => Err(refused),
            None => Ok(()),
        }
    };
    changed().map_err(|source| LinkError { tried, source })
}

/// One message a step, in the order of [`step`].
///
/// The queue's length is set while the interface is down: of one that is up the kernel stops
/// the queue first, and waits for every processor (`synchronize_net`).
fn messages(index: u32, config: &LinkConfig) -> impl Iterator<Item = Message> {
    let addresses = config.addresses.iter();
    let routes = config.routes.iter();
    [set_link(index, config), bring_up(index)]
        .into_iter()
        .chain(addresses.map(move |(address, len)| add_address(index, *address, *len)))
        .chain(routes.map(move |route| add_route(index, route)))
}

/// What the message at `at` of [`messages`] tried.
fn step(name: &str, config: &LinkConfig, at: usize) -> String {
    let Some(at) = at.checked_sub(2) else {
        return format!("set up the interface {name}");
    };
    if let Some((address, len)) = config.addresses.get(at) {
        return format!("give {name} the address {address}/{len}");
    }
    let route = config.routes.get(at - config.addresses.len());
    match route.map(|route| route.destination) {
        Some((to, len)) => format!("route {to}/{len} through {name}"),
        None => format!("set up the interface {name}"),
    }
}

const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const IFLA_TXQLEN: u16 = 13;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTNH_F_ONLINK: u32 = 4;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_BOOT: u8 = 3;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;

fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => libc::AF_INET as u8,
        IpAddr::V6(_) => libc::AF_INET6 as u8,
    }
}

/// `ifinfomsg`: family, padding, type; index; flags; which flags change.
fn link(index: u32, flags: u32) -> Message {
    Message::new(RTM_NEWLINK, CHANGE)
        .put(&[0; 4])
        .put(&index.to_ne_bytes())
        .put(&flags.to_ne_bytes())
        .put(&flags.to_ne_bytes())
}

fn bring_up(index: u32) -> Message {
    link(index, libc::IFF_UP as u32)
}

fn set_link(index: u32, config: &LinkConfig) -> Message {
    let mut message = link(index, 0);
    if let Some(mtu) = config.mtu {
        message = message.attribute(IFLA_MTU, &mtu.to_ne_bytes());
    }
    if let Some(queue_len) = config.queue_len {
        message = message.attribute(IFLA_TXQLEN, &queue_len.to_ne_bytes());
    }
    message
}

fn add_address(index: u32, address: IpAddr, prefix_len: u8) -> Message {
    // `ifaddrmsg`: family, prefix length, flags, scope; index.
    let message = Message::new(RTM_NEWADDR, CREATE)
        .put(&[family(address), prefix_len, 0, RT_SCOPE_UNIVERSE])
        .put(&index.to_ne_bytes())
        .address(IFA_LOCAL, address)
        .address(IFA_ADDRESS, address);
    if address.is_ipv6() {
        message.attribute(IFA_FLAGS, &IFA_F_NODAD.to_ne_bytes())
    } else {
        message
    }
}

fn add_route(index: u32, route: &Route) -> Message {
    let (to, prefix_len) = route.destination;
    let (scope, flags) = match route.gateway {
        Some(_) => (RT_SCOPE_UNIVERSE, RTNH_F_ONLINK),
        None if to.is_ipv4() => (RT_SCOPE_LINK, 0),
        None => (RT_SCOPE_UNIVERSE, 0),
    };
    // `rtmsg`: family, prefix lengths of destination and source, TOS; table, protocol, scope,
    // type; flags.
    let mut message = Message::new(RTM_NEWROUTE, CREATE)
        .put(&[family(to), prefix_len, 0, 0])
        .put(&[RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST])
        .put(&flags.to_ne_bytes())
        .attribute(RTA_OIF, &index.to_ne_bytes());
    if prefix_len > 0 {
        message = message.address(RTA_DST, to);
    }
    if let Some(gateway) = route.gateway {
        message = message.address(RTA_GATEWAY, gateway);
    }
    message
}
