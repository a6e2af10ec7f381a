//! `TcpSocket`: options first, then connect or listen.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_core::config::KeepAlive;
use switchboard_core::{ListenError, TcpOptions};

use super::listener::TcpListener;
use super::options::{to_duration, to_linger};
use super::stream::{TcpStream, connect_on};
use crate::errors::SocketError;
use crate::network::Net;

/// Linux's measures, where keep-alive is asked for without any (`tcp_keepalive_time` and others).
const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: Duration::from_secs(7200),
    interval: Duration::from_secs(75),
    count: 9,
};

/// [`tokio::net::TcpSocket`] over a [`Net`].
///
/// It claims its port when it connects or listens, not when it is bound.
pub struct TcpSocket {
    net: Net,
    is_v4: bool,
    settings: Mutex<Settings>,
}

#[derive(Clone, Copy)]
struct Settings {
    options: TcpOptions,
    local: Option<SocketAddr>,
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpSocket")
            .field("local", &self.settings().local)
            .finish_non_exhaustive()
    }
}

/// Reads or sets one option.
macro_rules! option {
    ($(#[$get_doc:meta])* $get:ident, $(#[$set_doc:meta])* $set:ident: $field:ident) => {
        $(#[$get_doc])*
        ///
        /// # Errors
        ///
        /// None; tokio's signature.
        pub fn $get(&self) -> io::Result<bool> {
            Ok(self.settings().options.$field)
        }

        $(#[$set_doc])*
        ///
        /// # Errors
        ///
        /// None; tokio's signature.
        pub fn $set(&self, yes: bool) -> io::Result<()> {
            self.settings().options.$field = yes;
            Ok(())
        }
    };
}

impl TcpSocket {
    /// A socket for IPv4 on the ambient network.
    ///
    /// # Errors
    ///
    /// There is no ambient network.
    pub fn new_v4() -> io::Result<Self> {
        Ok(Self::new_v4_on(&Net::try_current()?))
    }

    /// A socket for IPv6 on the ambient network.
    ///
    /// # Errors
    ///
    /// There is no ambient network.
    pub fn new_v6() -> io::Result<Self> {
        Ok(Self::new_v6_on(&Net::try_current()?))
    }

    /// A socket for IPv4 on `net`.
    #[must_use]
    pub fn new_v4_on(net: &Net) -> Self {
        Self::new(net, true)
    }

    /// A socket for IPv6 on `net`.
    #[must_use]
    pub fn new_v6_on(net: &Net) -> Self {
        Self::new(net, false)
    }

    fn new(net: &Net, is_v4: bool) -> Self {
        let mut options = net.tcp_options();
        // As a kernel's socket: off until it is asked for.
        options.reuse_address = false;
        let settings = Settings {
            options,
            local: None,
        };
        Self {
            net: net.clone(),
            is_v4,
            settings: Mutex::new(settings),
        }
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every option, some of which tokio has no name for.
    #[must_use]
    pub fn options(&self) -> TcpOptions {
        self.settings().options
    }

    /// Sets every option.
    pub fn set_options(&self, options: &TcpOptions) {
        self.settings().options = *options;
    }

    /// Whether keep-alive probes are sent.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn keepalive(&self) -> io::Result<bool> {
        Ok(self.settings().options.keep_alive.is_some())
    }

    /// Sends keep-alive probes, by Linux's measures: after 2 h, every 75 s, 9 times.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.settings().options.keep_alive = keepalive.then_some(KEEP_ALIVE);
        Ok(())
    }

    option!(
        /// Whether a port in TIME-WAIT may be taken (`SO_REUSEADDR`).
        reuseaddr,
        /// Takes a port although it is in TIME-WAIT (`SO_REUSEADDR`).
        set_reuseaddr: reuse_address
    );
    option!(
        /// Whether several sockets may listen on the port (`SO_REUSEPORT`).
        reuseport,
        /// Lets several sockets listen on the port (`SO_REUSEPORT`).
        set_reuseport: reuse_port
    );
    option!(
        /// Whether small segments leave at once (`TCP_NODELAY`).
        nodelay,
        /// Sends small segments at once (`TCP_NODELAY`).
        set_nodelay: nodelay
    );

    /// Most octets that unsent and unacknowledged data may pin.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn send_buffer_size(&self) -> io::Result<u32> {
        Ok(to_u32(self.settings().options.send_buffer))
    }

    /// Sets the most octets that unsent and unacknowledged data may pin. Unlike Linux we do not
    /// double it.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_send_buffer_size(&self, size: u32) -> io::Result<()> {
        self.settings().options.send_buffer = size as usize;
        Ok(())
    }

    /// Most octets that unread data may pin.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn recv_buffer_size(&self) -> io::Result<u32> {
        Ok(to_u32(self.settings().options.receive_buffer))
    }

    /// Sets the most octets that unread data may pin; the window follows from it.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_recv_buffer_size(&self, size: u32) -> io::Result<()> {
        self.settings().options.receive_buffer = size as usize;
        Ok(())
    }

    /// See [`TcpStream::linger`].
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        Ok(to_duration(self.settings().options.linger))
    }

    /// See [`TcpStream::set_linger`].
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_linger(&self, duration: Option<Duration>) -> io::Result<()> {
        self.settings().options.linger = to_linger(duration);
        Ok(())
    }

    /// See [`TcpStream::set_zero_linger`].
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// The octet that held the type of service, now DSCP and ECN, of IPv4 packets.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.settings().options.traffic_class.into())
    }

    /// Sets DSCP and ECN of IPv4 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        let class = u8::try_from(tos).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        self.settings().options.traffic_class = class;
        Ok(())
    }

    /// DSCP and ECN of IPv6 packets.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Sets DSCP and ECN of IPv6 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.set_tos_v4(class)
    }

    /// Where it is bound; unspecified and port 0 before.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let unspecified = if self.is_v4 {
            IpAddr::from(Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::from(Ipv6Addr::UNSPECIFIED)
        };
        let local = self.settings().local;
        Ok(local.unwrap_or_else(|| (unspecified, 0).into()))
    }

    /// Always `None`: nothing has happened yet.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Says where to connect from or listen on. A port that is taken shows when the socket
    /// connects or listens.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for the other family or a second call, `AddrNotAvailable`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        let mut settings = self.settings();
        if addr.is_ipv4() != self.is_v4 || settings.local.is_some() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let is_ours = addr.ip().is_unspecified()
            || self.net.home().ask(|shard| {
                let config = shard.stack.config();
                config.any_address
                    || (addr.ip().is_loopback() && !config.foreign_loopback)
                    || config.addresses.iter().any(|own| own.address == addr.ip())
            });
        if !is_ours {
            return Err(SocketError::Listen {
                local: addr,
                why: ListenError::AddressNotAvailable,
            }
            .into());
        }
        settings.local = Some(addr);
        Ok(())
    }

    /// Connects to `addr`.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`].
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        let Settings { options, local } = *self.settings();
        connect_on(&self.net, local, addr, &options).await
    }

    /// Listens with room for `backlog` connections that nobody has accepted yet.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let Settings { options, .. } = *self.settings();
        let local = self.local_addr()?;
        TcpListener::listen(&self.net, local, backlog as usize, &options)
    }
}

fn to_u32(octets: usize) -> u32 {
    u32::try_from(octets).unwrap_or(u32::MAX)
}
