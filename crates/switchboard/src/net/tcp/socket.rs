//! `TcpSocket`: options first, then connect or listen.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use switchboard_core::{BoundId, TcpOptions};

use super::listener::TcpListener;
use super::stream::{TcpStream, connect_bound};
use crate::errors::SocketError;
use crate::network::Net;

/// [`tokio::net::TcpSocket`] over a [`Net`].
///
/// It has its port from [`bind`](Self::bind) on, until it is dropped; a connection or a listener
/// takes the port over.
pub struct TcpSocket {
    net: Net,
    is_v4: bool,
    settings: Mutex<Settings>,
}

#[derive(Clone, Copy)]
struct Settings {
    options: TcpOptions,
    bound: Option<Bound>,
}

/// A port that is ours.
#[derive(Clone, Copy)]
struct Bound {
    id: BoundId,
    local: SocketAddr,
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.settings().bound.map(|bound| bound.local);
        f.debug_struct("TcpSocket")
            .field("local", &local)
            .finish_non_exhaustive()
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        if let Some(bound) = self.settings().bound.take() {
            self.net.shard(bound.id.shard()).call(|shard, _, _| {
                // A stale handle means that it is gone already.
                let _ = shard.stack.call_tcp_unbind(bound.id);
            });
        }
    }
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
            bound: None,
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

    /// Changes an option.
    pub(super) fn change(&self, change: impl FnOnce(&mut TcpOptions)) {
        let mut settings = self.settings();
        change(&mut settings.options);
        settings.options = settings.options.within_bounds();
    }

    /// Every option, some of which tokio has no name for.
    #[must_use]
    pub fn options(&self) -> TcpOptions {
        self.settings().options
    }

    /// Sets every option.
    pub fn set_options(&self, options: &TcpOptions) {
        self.settings().options = options.within_bounds();
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
        let bound = self.settings().bound;
        Ok(bound.map_or_else(|| (unspecified, 0).into(), |bound| bound.local))
    }

    /// Always `None`: nothing has happened yet.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }

    /// Takes the address and port to connect from or listen on; port 0 picks one.
    ///
    /// # Errors
    ///
    /// `AddrInUse`; `AddrNotAvailable`; `InvalidInput` for the other family or a second call; the
    /// network has ended.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        let mut settings = self.settings();
        if addr.is_ipv4() != self.is_v4 {
            return Err(other_family());
        }
        if settings.bound.is_some() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let options = settings.options;
        let bound = self.net.home().call(|shard, _, _| {
            shard.check()?;
            let stack = &mut shard.stack;
            let failed = |why| io::Error::from(SocketError::Listen { local: addr, why });
            let id = stack.call_tcp_bind(addr, &options).map_err(failed)?;
            let local = stack
                .bound_local(id)
                .map_err(|_| SocketError::NoSuchSocket)?;
            Ok::<_, io::Error>(Bound { id, local })
        })?;
        settings.bound = Some(bound);
        Ok(())
    }

    /// Connects to `addr`.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::connect`]; also `InvalidInput` for the other family.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        if addr.is_ipv4() != self.is_v4 {
            return Err(other_family());
        }
        let Settings { options, bound } = self.release();
        let local = bound.map(|bound| bound.local);
        let id = bound.map(|bound| bound.id);
        connect_bound(&self.net, id, local, addr, &options).await
    }

    /// Listens with room for `backlog` connections that nobody has accepted yet.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        let local = self.local_addr()?;
        let Settings { options, bound } = self.release();
        let id = bound.map(|bound| bound.id);
        TcpListener::listen(&self.net, id, local, backlog as usize, &options)
    }

    /// What it is set to; the port is the caller's from now on.
    fn release(&self) -> Settings {
        let mut settings = self.settings();
        let released = *settings;
        settings.bound = None;
        released
    }
}

/// Linux: EAFNOSUPPORT, which has no kind of its own, or EINVAL.
fn other_family() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidInput,
        "the socket is of the other address family",
    )
}
