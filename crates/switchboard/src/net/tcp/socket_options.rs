//! Options of a socket that neither connects nor listens yet, by tokio's and socket2's names.

use std::io;
use std::time::Duration;

use switchboard_core::config::KeepAlive;

use super::options::{KEEP_ALIVE, congestion_named, to_class, to_duration, to_linger, to_u32};
use super::socket::TcpSocket;

/// Options by tokio's names.
impl TcpSocket {
    /// Whether a port in TIME-WAIT may be taken (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        Ok(self.options().reuse_address)
    }

    /// Takes a port although it is in TIME-WAIT, or bound by others that say so too
    /// (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_reuseaddr(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.reuse_address = on);
        Ok(())
    }

    /// Whether several sockets may listen on the port (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn reuseport(&self) -> io::Result<bool> {
        Ok(self.options().reuse_port)
    }

    /// Lets several sockets listen on the port (`SO_REUSEPORT`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_reuseport(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.reuse_port = on);
        Ok(())
    }

    /// Whether small segments leave at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.options().nodelay)
    }

    /// Sends small segments at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.nodelay = on);
        Ok(())
    }

    /// Whether keep-alive probes are sent (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.options().keep_alive.is_some())
    }

    /// Sends keep-alive probes, by Linux's measures where none were
    /// [given](Self::set_tcp_keepalive): after 2 h, every 75 s, 9 times.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.change(|options| {
            let measures = options.keep_alive.unwrap_or(KEEP_ALIVE);
            options.keep_alive = keepalive.then_some(measures);
        });
        Ok(())
    }

    /// Most octets that unsent and unacknowledged data may pin.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        Ok(to_u32(self.options().send_buffer))
    }

    /// Sets the most octets that unsent and unacknowledged data may pin. Unlike Linux we do not
    /// double it; at least 512.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.change(|options| options.send_buffer = size as usize);
        Ok(())
    }

    /// Most octets that unread data may pin.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        Ok(to_u32(self.options().receive_buffer))
    }

    /// Sets the most octets that unread data may pin. Unlike Linux we do not
    /// double it.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.change(|options| options.receive_buffer = size as usize);
        Ok(())
    }

    /// See [`TcpStream::linger`](crate::net::TcpStream::linger).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(to_duration(self.options().linger))
    }

    /// See [`TcpStream::set_linger`](crate::net::TcpStream::set_linger).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.change(|options| options.linger = to_linger(duration));
        Ok(())
    }

    /// See [`TcpStream::set_zero_linger`](crate::net::TcpStream::set_zero_linger).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// DSCP of IPv4 packets, in the octet that was the type of service; the two low bits (ECN)
    /// are the transport's. Both families share it.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.options().traffic_class.into())
    }

    /// Sets DSCP of IPv4 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number.
    pub fn set_tos_v4(&self, class: u32) -> io::Result<()> {
        let class = to_class(class)?;
        self.change(|options| options.traffic_class = class);
        Ok(())
    }

    /// DSCP of IPv6 packets, in the octet that was the type of service; the two low bits (ECN)
    /// are the transport's. Both families share it.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        Ok(self.options().traffic_class.into())
    }

    /// Sets DSCP of IPv6 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        let class = to_class(class)?;
        self.change(|options| options.traffic_class = class);
        Ok(())
    }

    /// The old name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    #[deprecated(note = "use `tos_v4`")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The old name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a number above 255.
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
        super::options::only_device(interface)
    }
}

/// Options by socket2's names.
impl TcpSocket {
    /// Keep-alive probes, with their measures; `None`: none are sent.
    #[must_use]
    pub fn tcp_keepalive(&self) -> Option<KeepAlive> {
        self.options().keep_alive
    }

    /// Sends keep-alive probes by these measures.
    pub fn set_tcp_keepalive(&self, measures: &KeepAlive) {
        self.change(|options| options.keep_alive = Some(*measures));
    }

    /// Finds the sending rate by the algorithm of this name, as `TCP_CONGESTION` has them:
    /// `cubic`, `reno`.
    ///
    /// # Errors
    ///
    /// `NotFound`: no such algorithm.
    pub fn set_congestion(&self, name: &str) -> io::Result<()> {
        let algorithm = congestion_named(name)?;
        self.change(|options| options.congestion = algorithm);
        Ok(())
    }
}
