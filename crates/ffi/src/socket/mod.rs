//! A socket: what a descriptor of ours names, and what all kinds of them have in common.
//!
//! `tcp` and `udp` say what each call means, `send` and `receive` move octets, `options` is
//! `getsockopt` and `setsockopt`, `names` is `getsockname` and `getpeername`.

mod control;
mod fast_open;
mod names;
mod options;
mod receive;
mod send;
mod tcp;
mod tcp_info;
mod udp;

use std::ffi::{c_int, c_short};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_core::{Instant, ListenerId, Readiness, TcpId, TcpOptions, UdpId, UdpOptions};

use crate::address::Domain;
use crate::errno::Errno;
use crate::network::{Host, Network, SocketKey, State};
use crate::watchers::Watchers;

pub(crate) use options::Value;
pub(crate) use receive::Received;
pub(crate) use send::Sending;

/// A descriptor's side of a socket. Dropping it closes the socket.
pub(crate) struct SocketHandle {
    pub(crate) network: Arc<Network>,
    pub(crate) key: SocketKey,
}

/// The network's side of it.
pub(crate) struct Socket {
    /// Which host of the network it is on.
    pub(crate) host: usize,
    pub(crate) domain: Domain,
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
    /// Who wants to know of its news.
    pub(crate) watchers: Watchers,
}

/// What protocol it speaks, and how far it is.
pub(crate) enum Kind {
    Tcp(Tcp),
    Udp(Option<UdpId>),
}

/// A stream socket.
pub(crate) enum Tcp {
    /// Neither listening nor connected; perhaps bound.
    Idle {
        local: Option<SocketAddr>,
    },
    Listening {
        id: ListenerId,
        local: SocketAddr,
    },
    /// Connected as far as the application knows: the SYN leaves with the first octets that it
    /// sends (`TCP_FASTOPEN_CONNECT`).
    PutOff {
        local: Option<SocketAddr>,
        remote: SocketAddr,
    },
    /// Connecting, connected, or lost.
    Connection {
        id: TcpId,
        /// `connect` has said that it stands (or `accept` made it).
        is_told: bool,
        /// What it was bound to before it connected.
        bound: Option<SocketAddr>,
    },
}

/// What `setsockopt` and `fcntl` set, as far as the stack does not keep it.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) is_nonblocking: bool,
    pub(crate) tcp: TcpOptions,
    pub(crate) udp: UdpOptions,
    pub(crate) receive_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    /// `SO_LINGER`, where it is on.
    pub(crate) linger: Option<Duration>,
    pub(crate) keep_alive: bool,
    /// `TCP_FASTOPEN_CONNECT`.
    pub(crate) fast_open_connect: bool,
    pub(crate) keep_alive_times: switchboard_core::config::KeepAlive,
    /// What `SO_SNDBUF` and `SO_RCVBUF` show.
    pub(crate) send_buffer: usize,
    pub(crate) receive_buffer: usize,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    /// An error that a failed `connect` left for `SO_ERROR`.
    pub(crate) error: Option<Errno>,
}

impl Socket {
    /// What `poll` says of it.
    pub(crate) fn poll_events(&self, host: &Host) -> c_short {
        match &self.kind {
            // Linux: a stream socket that was never connected hangs up.
            Kind::Tcp(Tcp::Idle { .. }) => {
                let error = if self.settings.error.is_some() {
                    libc::POLLERR
                } else {
                    0
                };
                libc::POLLOUT | libc::POLLWRNORM | libc::POLLHUP | error
            }
            Kind::Tcp(Tcp::Listening { id, .. }) => {
                poll_bits(host.stack.listener_readiness(*id).unwrap_or_default())
            }
            Kind::Tcp(Tcp::Connection { id, .. }) => {
                poll_bits(host.stack.tcp_readiness(*id).unwrap_or_default())
            }
            Kind::Tcp(Tcp::PutOff { .. }) | Kind::Udp(None) => libc::POLLOUT | libc::POLLWRNORM,
            Kind::Udp(Some(id)) => poll_bits(host.stack.udp_readiness(*id).unwrap_or_default()),
        }
    }

    /// The end of a wait that began now.
    pub(crate) fn receive_deadline(&self, now: Instant) -> Option<Instant> {
        self.settings.receive_timeout.map(|timeout| now + timeout)
    }

    /// The end of a wait that began now.
    pub(crate) fn send_deadline(&self, now: Instant) -> Option<Instant> {
        self.settings.send_timeout.map(|timeout| now + timeout)
    }
}

fn poll_bits(ready: Readiness) -> c_short {
    let mut events = 0;
    for (readiness, bits) in [
        (Readiness::READABLE, libc::POLLIN | libc::POLLRDNORM),
        (
            Readiness::READ_CLOSED,
            libc::POLLIN | libc::POLLRDNORM | libc::POLLRDHUP,
        ),
        (Readiness::WRITABLE, libc::POLLOUT | libc::POLLWRNORM),
        (Readiness::ERROR, libc::POLLERR),
        (
            Readiness::READ_CLOSED | Readiness::WRITE_CLOSED,
            libc::POLLHUP,
        ),
    ] {
        if ready.contains(readiness) {
            events |= bits;
        }
    }
    events
}

/// socket(2).
impl SocketHandle {
    /// A socket on host number `host` of `network`.
    pub(crate) fn open(
        network: &Arc<Network>,
        host: usize,
        domain: c_int,
        kind: c_int,
        protocol: c_int,
    ) -> Result<Self, Errno> {
        let domain = Domain::from_c(domain)?;
        let flags = kind & (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        let kind = match (kind & !flags, protocol) {
            (libc::SOCK_STREAM, 0 | libc::IPPROTO_TCP) => Kind::Tcp(Tcp::Idle { local: None }),
            (libc::SOCK_DGRAM, 0 | libc::IPPROTO_UDP) => Kind::Udp(None),
            (libc::SOCK_STREAM | libc::SOCK_DGRAM, _) => return Err(Errno::EPROTONOSUPPORT),
            (libc::SOCK_RAW | libc::SOCK_SEQPACKET | libc::SOCK_RDM, _) => {
                return Err(Errno::ESOCKTNOSUPPORT);
            }
            _ => return Err(Errno::EINVAL),
        };
        network.with(|state, _| {
            let stack = &state.hosts.get(host).ok_or(Errno::EBADF)?.stack;
            let mut settings = Settings::new(&stack.config().tcp.defaults);
            settings.is_nonblocking = flags & libc::SOCK_NONBLOCK != 0;
            let key = state.sockets.insert(Socket {
                host,
                domain,
                kind,
                settings,
                watchers: Watchers::default(),
            });
            Ok(Self {
                network: Arc::clone(network),
                key,
            })
        })
    }

    /// Does something to the socket.
    pub(crate) fn with<T>(
        &self,
        act: impl FnOnce(&mut Socket, &mut Host, Instant) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        self.network.with(|state, now| {
            let (socket, host) = state.socket(self.key)?;
            act(socket, host, now)
        })
    }

    /// Tries until `attempt` has something; once, if the socket or the call is non-blocking.
    pub(crate) fn wait<T>(
        &self,
        is_once: bool,
        deadline: impl FnOnce(&Socket, Instant) -> Option<Instant>,
        mut attempt: impl FnMut(&mut Socket, &mut Host, Instant) -> Result<Option<T>, Errno>,
    ) -> Result<T, Errno> {
        let (deadline, is_once) = self.with(|socket, _, now| {
            Ok((
                deadline(socket, now),
                is_once || socket.settings.is_nonblocking,
            ))
        })?;
        self.network
            .wait_for(self.key, deadline, |state: &mut State, now| {
                let (socket, host) = state.socket(self.key)?;
                match attempt(socket, host, now)? {
                    None if is_once => Err(Errno::EAGAIN),
                    outcome => Ok(outcome),
                }
            })
    }

    pub(crate) fn poll_events(&self) -> c_short {
        let mut state = self.network.lock();
        let socket = state.socket(self.key);
        socket.map_or(libc::POLLNVAL, |(socket, host)| socket.poll_events(host))
    }
}

/// close(2), of the last descriptor.
impl Drop for SocketHandle {
    fn drop(&mut self) {
        self.linger();
        self.network.with(|state, now| {
            let Some(socket) = state.sockets.try_remove(self.key) else {
                return;
            };
            let Some(host) = state.hosts.get_mut(socket.host) else {
                return;
            };
            // Each is there until now, so that nothing here can fail.
            match socket.kind {
                Kind::Tcp(Tcp::Idle { .. } | Tcp::PutOff { .. }) | Kind::Udp(None) => {}
                Kind::Tcp(Tcp::Listening { id, .. }) => {
                    host.disown_listener(id);
                    let _ = host.stack.call_tcp_unlisten(now, id);
                }
                Kind::Tcp(Tcp::Connection { id, .. }) => {
                    host.disown_tcp(id);
                    let _ = host.stack.call_tcp_close(now, id);
                }
                Kind::Udp(Some(id)) => {
                    host.disown_udp(id);
                    let _ = host.stack.call_udp_close(id);
                }
            }
        });
        // The driver of a network that nobody needs any more ends.
        self.network.nudge();
    }
}
