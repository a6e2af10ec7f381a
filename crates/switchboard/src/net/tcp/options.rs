//! Options of a connection that stands, by tokio's names.

use std::io;
use std::time::Duration;

use switchboard_core::TcpOptions;
use switchboard_core::config::Linger;

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
