//! Groups (RFC 1112, RFC 4291 section 2.7).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::UdpSocket;
use crate::errors::SocketError;
use crate::net::tcp::to_octet;

/// Groups.
impl UdpSocket {
    /// Hears what is sent to group `multiaddr` and the socket's port, from now on. `interface`:
    /// an address of the network, or unspecified; there is one device.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: no group's address; `AddrInUse`: it is in the group already; `NotFound`:
    /// no such interface; `OutOfMemory`: the limit of groups is reached; the socket is gone.
    pub fn join_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.check_interface(interface)?;
        self.join(multiaddr.into())
    }

    /// As [`join_multicast_v4`](Self::join_multicast_v4); `interface` is 0 or 1.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        check_index(interface)?;
        self.join((*multiaddr).into())
    }

    /// Leaves the group again.
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable`: it is not in the group; `NotFound`: no such interface; the socket is
    /// gone.
    pub fn leave_multicast_v4(&self, multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.check_interface(interface)?;
        self.leave(multiaddr.into())
    }

    /// As [`leave_multicast_v4`](Self::leave_multicast_v4); `interface` is 0 or 1.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        check_index(interface)?;
        self.leave((*multiaddr).into())
    }

    /// Whether members on this host hear what it sends to groups.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        Ok(self.options()?.multicast_loop)
    }

    /// Lets members on this host hear what it sends to groups, of both families.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.multicast_loop = on)
    }

    /// As [`multicast_loop_v4`](Self::multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.multicast_loop_v4()
    }

    /// As [`set_multicast_loop_v4`](Self::set_multicast_loop_v4).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.set_multicast_loop_v4(on)
    }

    /// TTL or hop limit of what it sends to groups, in hops.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        Ok(self.options()?.multicast_hop_limit.into())
    }

    /// Sets the TTL or hop limit of what it sends to groups, 0 to 255 hops; 0 stays on this host.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        let hops = to_octet(ttl)?;
        self.change(|options| options.multicast_hop_limit = hops)
    }

    fn join(&self, group: IpAddr) -> io::Result<()> {
        self.shard().call(|shard, now, _| {
            shard.check()?;
            let joined = shard.stack.call_udp_join(now, self.id, group);
            joined.map_err(|why| SocketError::Group { group, why }.into())
        })
    }

    fn leave(&self, group: IpAddr) -> io::Result<()> {
        self.shard().call(|shard, now, _| {
            let left = shard.stack.call_udp_leave(now, self.id, group);
            left.map_err(|why| SocketError::Group { group, why }.into())
        })
    }

    /// An interface is named by its address.
    fn check_interface(&self, interface: Ipv4Addr) -> io::Result<()> {
        let addresses = self.net.addresses();
        let is_ours = addresses.iter().any(|own| own.address == interface);
        if interface.is_unspecified() || interface.is_loopback() || is_ours {
            return Ok(());
        }
        Err(no_interface())
    }
}

/// An interface is named by its number, and there is one.
fn check_index(interface: u32) -> io::Result<()> {
    if interface <= 1 {
        return Ok(());
    }
    Err(no_interface())
}

fn no_interface() -> io::Error {
    io::Error::new(
        ErrorKind::NotFound,
        "no such interface: a network has one device, and its own addresses name it",
    )
}
