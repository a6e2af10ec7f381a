//! Options of a connection that stands, by tokio's names.

use std::io::{self, ErrorKind};
use std::time::Duration;

use switchboard_core::TcpOptions;
use switchboard_core::config::{CongestionControl, KeepAlive, Linger};

use super::stream::TcpStream;
use crate::errors::SocketError;

/// Options.
impl TcpStream {
    /// Every option of the connection.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<TcpOptions> {
        let options = self.call(|shard, _| shard.stack.tcp_options(self.id()));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Sets every option of the connection.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &TcpOptions) -> io::Result<()> {
        self.change(|current| *current = *options)
    }

    /// Reads the options, changes them and sets them, in one.
    fn change(&self, change: impl FnOnce(&mut TcpOptions)) -> io::Result<()> {
        self.call(|shard, now| {
            let mut options = shard.stack.tcp_options(self.id())?;
            change(&mut options);
            shard.stack.set_tcp_options(now, self.id(), &options)
        })
        .map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whether small segments leave at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn nodelay(&self) -> io::Result<bool> {
        Ok(self.options()?.nodelay)
    }

    /// Sends small segments at once, without Nagle's algorithm (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.change(|options| options.nodelay = nodelay)
    }

    /// Whether acknowledgements are sent at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn quickack(&self) -> io::Result<bool> {
        Ok(self.options()?.quick_ack)
    }

    /// Acknowledges at once instead of waiting for company (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        self.change(|options| options.quick_ack = quickack)
    }

    /// Zero if closing resets (`SO_LINGER`); `None` if it sends what is queued.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(to_duration(self.options()?.linger))
    }

    /// Zero: closing resets (`SO_LINGER`). Any other time means `None`: what is queued is sent in
    /// the background, and closing never waits.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.change(|options| options.linger = to_linger(duration))
    }

    /// Closing resets: [`set_linger`](Self::set_linger) with zero.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// IPv4 TTL or IPv6 hop limit, in hops.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        let of_stack = self.call(|shard, _| shard.stack.config().hop_limit);
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
}

/// Options that tokio leaves to socket2, by socket2's names.
impl TcpStream {
    /// Whether keep-alive probes are sent (`SO_KEEPALIVE`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.options()?.keep_alive.is_some())
    }

    /// Sends keep-alive probes, by Linux's measures where none were
    /// [given](Self::set_tcp_keepalive): after 2 h, every 75 s, 9 times.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.change(|options| {
            let measures = options.keep_alive.unwrap_or(KEEP_ALIVE);
            options.keep_alive = keepalive.then_some(measures);
        })
    }

    /// Sends keep-alive probes by these measures (`TCP_KEEPIDLE`, `TCP_KEEPINTVL`,
    /// `TCP_KEEPCNT`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_tcp_keepalive(&self, measures: &KeepAlive) -> io::Result<()> {
        self.change(|options| options.keep_alive = Some(*measures))
    }

    /// How long sent octets may stay unacknowledged before the connection is lost
    /// (`TCP_USER_TIMEOUT`); `None`: Linux's measure, about 15 minutes of resends.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tcp_user_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.options()?.user_timeout)
    }

    /// Sets [`tcp_user_timeout`](Self::tcp_user_timeout).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_tcp_user_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.change(|options| options.user_timeout = timeout)
    }

    /// Most octets that unsent and unacknowledged data may pin (`SO_SNDBUF`).
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

    /// Most octets that unread data may pin (`SO_RCVBUF`); the window follows from it.
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

    /// DSCP of IPv4 packets, in the octet that was the type of service; the two low bits (ECN)
    /// are the transport's. Both families share it.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.options()?.traffic_class.into())
    }

    /// Sets DSCP of IPv4 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tos_v4(&self, class: u32) -> io::Result<()> {
        let class = to_class(class)?;
        self.change(|options| options.traffic_class = class)
    }

    /// DSCP of IPv6 packets, as [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Sets DSCP of IPv6 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.set_tos_v4(class)
    }

    /// How the sending rate is found (`TCP_CONGESTION`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn congestion(&self) -> io::Result<CongestionControl> {
        Ok(self.options()?.congestion)
    }

    /// Finds the sending rate by the algorithm of this name, as `TCP_CONGESTION` has them:
    /// `cubic`, `reno`. What is known of the path is kept.
    ///
    /// # Errors
    ///
    /// `NotFound`: no such algorithm; the socket is gone.
    pub fn set_congestion(&self, name: &str) -> io::Result<()> {
        let algorithm = congestion_named(name)?;
        self.change(|options| options.congestion = algorithm)
    }
}

/// Linux's measures, where keep-alive is asked for without any (`tcp_keepalive_time` and others).
pub(super) const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: Duration::from_secs(7200),
    interval: Duration::from_secs(75),
    count: 9,
};

/// An algorithm by Linux's name of it.
pub(super) fn congestion_named(name: &str) -> io::Result<CongestionControl> {
    match name {
        "cubic" => Ok(CongestionControl::Cubic),
        "reno" => Ok(CongestionControl::Reno),
        _ => Err(io::Error::new(
            ErrorKind::NotFound,
            format!("no congestion control {name:?}: cubic, reno"),
        )),
    }
}

/// A network's device has no name to be bound to.
pub(crate) fn only_device(interface: Option<&[u8]>) -> io::Result<()> {
    match interface {
        None => Ok(()),
        Some(_) => Err(io::Error::new(
            ErrorKind::NotFound,
            "a network has one device, without a name",
        )),
    }
}

/// DSCP of TCP: the ECN bits are not the application's (RFC 3168 section 6.1).
pub(super) fn to_class(class: u32) -> io::Result<u8> {
    Ok(to_octet(class)? & !0b11)
}

/// A traffic class.
pub(crate) fn to_octet(class: u32) -> io::Result<u8> {
    u8::try_from(class).map_err(|_| {
        io::Error::new(
            ErrorKind::InvalidInput,
            "a traffic class is one octet: 0 to 255",
        )
    })
}

pub(super) fn to_u32(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}

/// tokio's measure of lingering.
pub(super) fn to_duration(linger: Linger) -> Option<Duration> {
    match linger {
        Linger::Background => None,
        Linger::Reset => Some(Duration::ZERO),
    }
}

/// Ours.
pub(super) fn to_linger(duration: Option<Duration>) -> Linger {
    match duration {
        Some(Duration::ZERO) => Linger::Reset,
        _ => Linger::Background,
    }
}

/// A hop limit that a packet can carry and live.
pub(crate) fn to_hops(ttl: u32) -> io::Result<u8> {
    match u8::try_from(ttl) {
        Ok(hops) if hops > 0 => Ok(hops),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a TTL is 1 to 255 hops",
        )),
    }
}
