//! bind, listen, accept, connect, shutdown of stream sockets, and of datagram sockets where they
//! are alike.

use std::ffi::c_int;
use std::net::SocketAddr;

use bytes::Bytes;
use switchboard_core::{
    ConnectError, Instant, Lost, Readiness, Shutdown, State as TcpState, TcpId,
};

use switchboard_core::config::Linger;

use super::{Kind, Settings, Socket, SocketHandle, Tcp};
use crate::errno::Errno;
use crate::network::{Host, State};
use crate::watchers::Watchers;

/// The ports that `bind` picks from (RFC 6335 section 6).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// How a socket is for who wants to send or receive on it.
pub(super) enum Flow {
    /// Stands, or is lost: ask the stack.
    Open(TcpId),
    /// The handshake is under way.
    Connecting,
    /// Neither.
    None,
}

impl Socket {
    pub(super) fn flow(&self, host: &Host) -> Flow {
        match &self.kind {
            Kind::Tcp(Tcp::Connection { id, .. }) => {
                let ready = host.stack.tcp_readiness(*id).unwrap_or_default();
                if ready.contains(Readiness::CONNECTED) {
                    Flow::Open(*id)
                } else {
                    Flow::Connecting
                }
            }
            Kind::Tcp(Tcp::PutOff { .. }) => Flow::Connecting,
            _ => Flow::None,
        }
    }

    /// The error that waits, once (`SO_ERROR`).
    pub(super) fn take_error(&mut self, host: &mut Host) -> Option<Errno> {
        let left = self.settings.error.take();
        let stack = &mut host.stack;
        let fresh = match &self.kind {
            Kind::Tcp(Tcp::Connection { id, .. }) => {
                stack.take_tcp_error(*id).ok().flatten().map(Errno::from)
            }
            Kind::Udp(Some(id)) => stack
                .take_udp_error(*id)
                .ok()
                .flatten()
                .map(|error| error.why.into()),
            _ => None,
        };
        left.or(fresh)
    }

    /// A connection that never stood is forgotten: the socket may connect again.
    fn forget_attempt(&mut self, host: &mut Host, now: Instant) {
        if let Kind::Tcp(Tcp::Connection { id, bound, .. }) = self.kind {
            host.disown_tcp(id);
            // It has ended, so that closing it cannot fail.
            let _ = host.stack.call_tcp_close(now, id);
            self.kind = Kind::Tcp(Tcp::Idle { local: bound });
        }
    }
}

/// bind(2) and listen(2).
impl SocketHandle {
    pub(crate) fn bind(&self, local: SocketAddr) -> Result<(), Errno> {
        self.network.with(|state, _| {
            let (socket, host) = state.socket(self.key)?;
            let local = socket.domain.check(local)?;
            match socket.kind {
                Kind::Udp(None) => {
                    let id = host.stack.call_udp_bind(local, &socket.settings.udp)?;
                    host.own_udp(id, self.key);
                    socket.kind = Kind::Udp(Some(id));
                    return Ok(());
                }
                Kind::Tcp(Tcp::Idle { local: None }) => {}
                Kind::Tcp(_) | Kind::Udp(Some(_)) => return Err(Errno::EINVAL),
            }
            let ip = local.ip();
            let config = host.stack.config();
            let is_ours = config.addresses.iter().any(|ours| ours.address == ip);
            if !(ip.is_unspecified() || ip.is_loopback() || is_ours || config.any_address) {
                return Err(Errno::EADDRNOTAVAIL);
            }
            let local = match local.port() {
                0 => self.free_port(state, local)?,
                _ if self.is_taken(state, local)? => return Err(Errno::EADDRINUSE),
                _ => local,
            };
            let (socket, _) = state.socket(self.key)?;
            socket.kind = Kind::Tcp(Tcp::Idle { local: Some(local) });
            Ok(())
        })
    }

    fn free_port(&self, state: &mut State, local: SocketAddr) -> Result<SocketAddr, Errno> {
        // Anything but always the same: which is free differs from socket to socket.
        let len = usize::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
        let start = self.key.wrapping_mul(2_654_435_761) % len;
        for port in EPHEMERAL.skip(start).chain(EPHEMERAL.take(start)) {
            let local = SocketAddr::new(local.ip(), port);
            if !self.is_taken(state, local)? {
                return Ok(local);
            }
        }
        Err(Errno::EADDRINUSE)
    }

    /// Whether another socket of this host has `local`, and does not share it. The stack learns
    /// of a bound port only when it listens or connects: what is bound is known here.
    fn is_taken(&self, state: &mut State, local: SocketAddr) -> Result<bool, Errno> {
        let (mine, host) = state.socket(self.key)?;
        let (at, settings) = (mine.host, mine.settings.clone());
        // A connection or a record of TIME-WAIT keeps the port from whoever does not want to
        // share it.
        let lingers = !settings.reuse_address
            && host.stack.sockets().any(|entry| {
                let theirs = entry.local;
                matches!(entry.state, Some(state) if state != TcpState::Listen)
                    && overlap(theirs, local)
            });
        let taken = state.sockets.iter().any(|(key, other)| {
            key != self.key
                && other.host == at
                && other.bound().is_some_and(|theirs| overlap(theirs, local))
                && !shares(&settings, other)
        });
        Ok(lingers || taken)
    }

    pub(crate) fn listen(&self, backlog: c_int) -> Result<(), Errno> {
        self.network.with(|state, _| {
            let (socket, host) = state.socket(self.key)?;
            let local = match socket.kind {
                Kind::Tcp(Tcp::Idle { local }) => local,
                // Linux changes the backlog; ours stays as it was.
                Kind::Tcp(Tcp::Listening { .. }) => return Ok(()),
                Kind::Tcp(Tcp::Connection { .. } | Tcp::PutOff { .. }) => {
                    return Err(Errno::EINVAL);
                }
                Kind::Udp(_) => return Err(Errno::EOPNOTSUPP),
            };
            let local = local.unwrap_or(socket.domain.unspecified());
            // Linux: a negative number is a very large one, and there is room for one more.
            let backlog = usize::try_from(backlog).map_or(4096, |backlog| backlog.min(4096) + 1);
            let mut options = socket.settings.tcp;
            // Connections that linger on the port were asked about when it was bound.
            options.reuse_address = true;
            let id = host.stack.call_tcp_listen(local, backlog, &options)?;
            let local = host.stack.listener_local(id)?;
            host.own_listener(id, self.key);
            socket.kind = Kind::Tcp(Tcp::Listening { id, local });
            Ok(())
        })
    }

    /// accept(2): the connection's socket, and who calls.
    pub(crate) fn accept(&self, flags: c_int) -> Result<(Self, SocketAddr), Errno> {
        if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
            return Err(Errno::EINVAL);
        }
        self.with(|socket, _, _| match socket.kind {
            Kind::Udp(_) => Err(Errno::EOPNOTSUPP),
            Kind::Tcp(_) => Ok(()),
        })?;
        let accepted = self.wait(false, Socket::receive_deadline, |socket, host, now| {
            let Kind::Tcp(Tcp::Listening { id, .. }) = socket.kind else {
                return Err(Errno::EINVAL);
            };
            Ok(host.stack.call_tcp_accept(now, id)?)
        })?;
        self.network.with(|state, _| {
            let (listener, host) = state.socket(self.key)?;
            let id = accepted.id;
            let mut settings = listener.settings.clone();
            settings.is_nonblocking = flags & libc::SOCK_NONBLOCK != 0;
            settings.error = None;
            if let Ok(options) = host.stack.tcp_options(id) {
                settings.tcp = options;
            }
            let (at, domain) = (listener.host, listener.domain);
            let key = state.sockets.insert(Socket {
                host: at,
                domain,
                kind: Kind::Tcp(Tcp::Connection {
                    id,
                    is_told: true,
                    bound: None,
                }),
                settings,
                watchers: Watchers::default(),
            });
            if let Some(host) = state.hosts.get_mut(at) {
                host.own_tcp(id, key);
            }
            let network = std::sync::Arc::clone(&self.network);
            Ok((Self { network, key }, domain.show(accepted.remote)))
        })
    }
}

impl Socket {
    /// Where it is bound, as far as others have to know.
    fn bound(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(Tcp::Idle { local } | Tcp::PutOff { local, .. }) => *local,
            Kind::Tcp(Tcp::Listening { local, .. }) => Some(*local),
            Kind::Tcp(Tcp::Connection { bound, .. }) => *bound,
            Kind::Udp(_) => None,
        }
    }
}

/// Whether one packet could be for both.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip().to_canonical(), other.ip().to_canonical());
    one.port() == other.port() && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// Linux's rule: both allow it, and nobody listens; or both say `SO_REUSEPORT`.
fn shares(mine: &Settings, other: &Socket) -> bool {
    let theirs = &other.settings;
    let listens = matches!(other.kind, Kind::Tcp(Tcp::Listening { .. }));
    (mine.reuse_address && theirs.reuse_address && !listens)
        || (mine.reuse_port && theirs.reuse_port)
}

/// What `connect` has begun.
enum Begun {
    /// Nothing: the first send does (`TCP_FASTOPEN_CONNECT`).
    PutOff,
    /// An attempt that goes on by itself.
    GoesOn,
    /// An attempt that the call waits for.
    Waits,
}

/// connect(2) of a stream.
impl SocketHandle {
    pub(super) fn connect_tcp(&self, remote: SocketAddr) -> Result<(), Errno> {
        let begun = self.with(|socket, host, now| {
            let remote = socket.domain.check(remote)?;
            let puts_off = socket.puts_off(host, now, remote);
            match socket.kind {
                Kind::Tcp(Tcp::Idle { local }) if puts_off => {
                    socket.kind = Kind::Tcp(Tcp::PutOff { local, remote });
                    return Ok(Begun::PutOff);
                }
                Kind::Tcp(Tcp::Idle { local }) => {
                    let options = &socket.settings.tcp;
                    let id = if socket.settings.fast_open_connect {
                        let mut none = Bytes::new();
                        let stack = &mut host.stack;
                        stack.call_tcp_fast_open(now, local, remote, options, &mut none)?
                    } else {
                        host.stack.call_tcp_connect(now, local, remote, options)?
                    };
                    host.own_tcp(id, self.key);
                    let bound = local;
                    socket.kind = Kind::Tcp(Tcp::Connection {
                        id,
                        is_told: false,
                        bound,
                    });
                }
                Kind::Tcp(
                    Tcp::Listening { .. }
                    | Tcp::PutOff { .. }
                    | Tcp::Connection { is_told: true, .. },
                ) => return Err(Errno::EISCONN),
                Kind::Tcp(Tcp::Connection { .. }) => {
                    let is_under_way = matches!(socket.flow(host), super::tcp::Flow::Connecting);
                    if socket.settings.is_nonblocking && is_under_way {
                        return Err(Errno::EALREADY);
                    }
                    return Ok(Begun::Waits);
                }
                Kind::Udp(_) => return Err(Errno::EINVAL),
            }
            Ok(if socket.settings.is_nonblocking {
                Begun::GoesOn
            } else {
                Begun::Waits
            })
        })?;
        match begun {
            Begun::PutOff => Ok(()),
            Begun::GoesOn => Err(Errno::EINPROGRESS),
            Begun::Waits => self.wait_until_connected(),
        }
    }

    /// Until the attempt has come to an end.
    pub(super) fn wait_until_connected(&self) -> Result<(), Errno> {
        self.wait(false, Socket::send_deadline, |socket, host, now| {
            socket.connected(host, now)
        })
        .map_err(|errno| {
            if errno == Errno::EAGAIN {
                Errno::EINPROGRESS
            } else {
                errno
            }
        })
    }
}

impl Socket {
    /// Whether the attempt has come to an end.
    fn connected(&mut self, host: &mut Host, now: Instant) -> Result<Option<()>, Errno> {
        let Kind::Tcp(Tcp::Connection { id, is_told, .. }) = &mut self.kind else {
            // Another thread learned of its failure.
            return Err(Errno::ECONNABORTED);
        };
        let ready = host.stack.tcp_readiness(*id)?;
        if !ready.contains(Readiness::CONNECTED) {
            return Ok(None);
        }
        match host.stack.take_tcp_error(*id)? {
            Some(lost @ (Lost::NeverConnected(_) | Lost::Aborted)) => {
                self.forget_attempt(host, now);
                Err(lost.into())
            }
            // It stood for a moment at least.
            Some(lost) => Err(lost.into()),
            None if ready.contains(Readiness::CLOSED) && !*is_told && is_failed(host, *id) => {
                // `SO_ERROR` told of it already.
                self.forget_attempt(host, now);
                Err(Errno::ECONNABORTED)
            }
            None => {
                *is_told = true;
                Ok(Some(()))
            }
        }
    }
}

/// Whether the connection never stood: a stream that did has an error or an end to read.
fn is_failed(host: &mut Host, id: TcpId) -> bool {
    let mut nothing = [0; 1];
    matches!(
        host.stack.call_tcp_peek(id, &mut nothing),
        Err(switchboard_core::ReceiveError::Lost(Lost::NeverConnected(
            ConnectError::Refused
                | ConnectError::TimedOut { .. }
                | ConnectError::Unreachable { .. }
        )))
    )
}

/// shutdown(2), and what closing waits for.
impl SocketHandle {
    pub(crate) fn shutdown(&self, how: c_int) -> Result<(), Errno> {
        let how = match how {
            libc::SHUT_RD => Shutdown::Read,
            libc::SHUT_WR => Shutdown::Write,
            libc::SHUT_RDWR => Shutdown::Both,
            _ => return Err(Errno::EINVAL),
        };
        self.with(|socket, host, now| {
            match socket.kind {
                Kind::Tcp(Tcp::Idle { .. }) => return Err(Errno::ENOTCONN),
                // As Linux: nothing has begun, and nothing will.
                Kind::Tcp(Tcp::PutOff { local, .. }) => {
                    socket.kind = Kind::Tcp(Tcp::Idle { local });
                }
                Kind::Tcp(Tcp::Listening { id, local }) => {
                    if how == Shutdown::Write {
                        return Ok(());
                    }
                    // Whoever waits in accept hears EINVAL, as on Linux.
                    host.disown_listener(id);
                    host.stack.call_tcp_unlisten(now, id)?;
                    socket.kind = Kind::Tcp(Tcp::Idle { local: Some(local) });
                }
                Kind::Tcp(Tcp::Connection { id, .. }) => {
                    let ready = host.stack.tcp_readiness(id)?;
                    if ready.contains(Readiness::CLOSED) {
                        return Err(Errno::ENOTCONN);
                    }
                    host.stack
                        .call_tcp_shutdown(now, id, how)
                        .map_err(|_| Errno::ENOTCONN)?;
                }
                Kind::Udp(id) => {
                    let id = id.ok_or(Errno::ENOTCONN)?;
                    host.stack.udp_remote(id)?.ok_or(Errno::ENOTCONN)?;
                }
            }
            socket.watchers.tell();
            Ok(())
        })
    }

    /// `SO_LINGER` with a time: closing waits until everything has been acknowledged, at most so
    /// long. Without one it does not wait; with zero it resets.
    pub(super) fn linger(&self) {
        let wanted = self.with(|socket, host, now| {
            let Kind::Tcp(Tcp::Connection { id, .. }) = socket.kind else {
                return Ok(None);
            };
            if socket.settings.tcp.linger == Linger::Reset || socket.settings.is_nonblocking {
                return Ok(None);
            }
            let Some(time) = socket.settings.linger else {
                return Ok(None);
            };
            // A connection that is gone has nothing to wait for: then the wait ends at once.
            let _ = host.stack.call_tcp_shutdown(now, id, Shutdown::Write);
            Ok(Some((id, now + time)))
        });
        let Ok(Some((id, deadline))) = wanted else {
            return;
        };
        // Until the deadline at most; what is left then goes out in the background.
        let _ = self.wait(
            false,
            |_, _| Some(deadline),
            |_, host, _| {
                let info = host.stack.tcp_info(id)?;
                let is_done = info.unsent == 0 && info.in_flight == 0;
                Ok((is_done || info.state == TcpState::Closed).then_some(()))
            },
        );
    }
}
