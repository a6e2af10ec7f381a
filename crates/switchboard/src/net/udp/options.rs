//! Options, and what is known of a socket.

use std::io;

use switchboard_core::UdpOptions;

use super::{UdpSocket, returned};
use crate::errors::SocketError;
use crate::net::tcp::{only_device, to_hops, to_octet};

/// What is known of it.
impl UdpSocket {
    /// Takes the pending error, once (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = self
            .shard()
            .call(|shard, _, _| shard.stack.take_udp_error(self.id));
        match error {
            Ok(error) => Ok(error.map(returned)),
            Err(_) => Err(SocketError::NoSuchSocket.into()),
        }
    }
}

/// Options.
impl UdpSocket {
    /// Every option of the socket.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<UdpOptions> {
        let options = self.shard().ask(|shard| shard.stack.udp_options(self.id));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Sets every option of the socket.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &UdpOptions) -> io::Result<()> {
        self.change(|current| *current = *options)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut UdpOptions)) -> io::Result<()> {
        self.shard()
            .call(|shard, _, _| {
                let mut options = shard.stack.udp_options(self.id)?;
                change(&mut options);
                shard.stack.set_udp_options(self.id, &options)
            })
            .map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whether datagrams to a broadcast address may be sent.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(self.options()?.broadcast)
    }

    /// Lets datagrams to a broadcast address be sent.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.broadcast = on)
    }

    /// IPv4 TTL or IPv6 hop limit, in hops.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        let of_stack = self.shard().ask(|shard| shard.stack.config().hop_limit);
        Ok(self.options()?.hop_limit.unwrap_or(of_stack).into())
    }

    /// Sets the IPv4 TTL or IPv6 hop limit, 1 to 255 hops.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another number; the socket is gone.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hops = to_hops(ttl)?;
        self.change(|options| options.hop_limit = Some(hops))
    }

    /// DSCP and ECN of IPv4 packets.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.options()?.traffic_class.into())
    }

    /// Sets DSCP and ECN of IPv4 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        let class = to_octet(tos)?;
        self.change(|options| options.traffic_class = class)
    }

    /// DSCP and ECN of IPv6 packets.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Sets DSCP and ECN of IPv6 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.set_tos_v4(class)
    }

    /// The old name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    #[deprecated(note = "use `tos_v4`")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The old name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number above 255; the socket is gone.
    #[deprecated(note = "use `set_tos_v4`")]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The name of the device that it is bound to: always `None`, a network has one.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Binds to a device by its name (`SO_BINDTODEVICE`). A network has one, without a name:
    /// `None` changes nothing.
    ///
    /// # Errors
    ///
    /// `NotFound` for any name.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        only_device(interface)
    }

    /// Most octets that unread datagrams may pin (`SO_RCVBUF`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        Ok(self.options()?.receive_buffer)
    }

    /// Sets [`recv_buffer_size`](Self::recv_buffer_size). Unlike Linux we do not double it;
    /// at least 512.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.change(|options| options.receive_buffer = size)
    }

    /// Most octets that unsent datagrams may pin (`SO_SNDBUF`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        Ok(self.options()?.send_buffer)
    }

    /// Sets [`send_buffer_size`](Self::send_buffer_size). Unlike Linux we do not double it;
    /// at least 512.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.change(|options| options.send_buffer = size)
    }
}
