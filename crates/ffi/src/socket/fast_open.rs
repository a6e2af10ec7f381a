//! TCP Fast Open as a client: `MSG_FASTOPEN` and `TCP_FASTOPEN_CONNECT` (RFC 7413 appendix A, and
//! as Linux has them).

use std::ffi::c_int;
use std::net::SocketAddr;

use bytes::Bytes;
use switchboard_core::Instant;

use super::tcp::Flow;
use super::{Kind, Sending, Socket, SocketHandle, Tcp};
use crate::errno::Errno;
use crate::network::{Host, SocketKey};

/// More cannot go with a SYN.
const SEGMENT_MAX: usize = u16::MAX as usize;

/// What a send has done before it sends as usual.
pub(super) enum WithSyn {
    /// It had no connection to open.
    NothingToOpen,
    /// So many octets left with the SYN, and no more can yet.
    Left(usize),
    /// The same, and the connection stands.
    Connected(usize),
}

impl SocketHandle {
    /// The part of sending that opens a connection: for `sendto` with `MSG_FASTOPEN`, and for the
    /// first octets after a `connect` that was put off.
    ///
    /// Non-blocking, `EINPROGRESS` says that the SYN took nothing along.
    pub(super) fn send_with_syn(&self, sending: &Sending<'_>) -> Result<WithSyn, Errno> {
        let is_once = sending.flags & libc::MSG_DONTWAIT != 0;
        let opened = self.with(|socket, host, now| {
            let is_once = is_once || socket.settings.is_nonblocking;
            let Some((local, remote)) = socket.opens(host, sending, is_once)? else {
                return Ok(None);
            };
            let taken = socket.fast_open(self.key, host, now, local, remote, &sending.source)?;
            // Whoever waits for something to read may wait for the connection now.
            socket.watchers.tell();
            Ok(Some((taken, is_once)))
        })?;
        match opened {
            None => Ok(WithSyn::NothingToOpen),
            Some((0, true)) => Err(Errno::EINPROGRESS),
            Some((taken, true)) => Ok(WithSyn::Left(taken)),
            Some((taken, false)) => match self.wait_until_connected() {
                // The time is over, and the SYN is under way with what it took.
                Err(Errno::EINPROGRESS) if taken > 0 => Ok(WithSyn::Left(taken)),
                Err(errno) => Err(errno),
                Ok(()) => Ok(WithSyn::Connected(taken)),
            },
        }
    }
}

impl Socket {
    /// From where to where such a call opens a connection, if it does.
    fn opens(
        &mut self,
        host: &Host,
        sending: &Sending<'_>,
        is_once: bool,
    ) -> Result<Option<(Option<SocketAddr>, SocketAddr)>, Errno> {
        let is_asked = sending.flags & libc::MSG_FASTOPEN != 0;
        match &self.kind {
            Kind::Tcp(Tcp::PutOff { local, remote }) => Ok(Some((*local, *remote))),
            _ if !is_asked => Ok(None),
            Kind::Tcp(Tcp::Idle { local }) => {
                let remote = sending.to.ok_or(Errno::EINVAL)?;
                Ok(Some((*local, self.domain.check(remote)?)))
            }
            Kind::Tcp(Tcp::Connection { .. }) => match self.flow(host) {
                Flow::Connecting if is_once => Err(Errno::EALREADY),
                // Linux waits, and then sends.
                Flow::Connecting => Ok(None),
                // And where nobody has asked yet, as on Linux, it stands.
                Flow::Open(_) if !self.is_told() => Ok(None),
                Flow::Open(_) | Flow::None => Err(Errno::EISCONN),
            },
            Kind::Tcp(Tcp::Listening { .. }) => Err(Errno::EISCONN),
            Kind::Udp(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Whether the application was told that its connection stands; it is now.
    fn is_told(&mut self) -> bool {
        match &mut self.kind {
            Kind::Tcp(Tcp::Connection { is_told, .. }) => std::mem::replace(is_told, true),
            _ => true,
        }
    }

    /// Opens a connection whose SYN takes the front of `source` along, or asks for a cookie.
    /// Returns how many octets it took.
    fn fast_open(
        &mut self,
        key: SocketKey,
        host: &mut Host,
        now: Instant,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        source: &crate::user::Source<'_>,
    ) -> Result<usize, Errno> {
        let mut data = Bytes::new();
        if host.stack.may_fast_open(now, local, remote) {
            data = source.first(SEGMENT_MAX);
        }
        let all = data.len();
        let options = &self.settings.tcp;
        let opened = host
            .stack
            .call_tcp_fast_open(now, local, remote, options, &mut data);
        let id = opened.inspect_err(|_| self.kind = Kind::Tcp(Tcp::Idle { local }))?;
        host.own_tcp(id, key);
        self.kind = Kind::Tcp(Tcp::Connection {
            id,
            is_told: false,
            bound: local,
        });
        Ok(all - data.len())
    }

    /// Whether `connect` leaves the SYN to the first send: it was asked to (`TCP_FASTOPEN_CONNECT`)
    /// and the server's cookie is at hand.
    pub(super) fn puts_off(&self, host: &Host, now: Instant, remote: SocketAddr) -> bool {
        let Kind::Tcp(Tcp::Idle { local }) = &self.kind else {
            return false;
        };
        self.settings.fast_open_connect && host.stack.may_fast_open(now, *local, remote)
    }

    /// `TCP_FASTOPEN_CONNECT`: before there is a connection.
    pub(super) fn set_fast_open_connect(&mut self, value: c_int) -> Result<(), Errno> {
        if !matches!(self.kind, Kind::Tcp(Tcp::Idle { .. })) || !(0..=1).contains(&value) {
            return Err(Errno::EINVAL);
        }
        self.settings.fast_open_connect = value == 1;
        Ok(())
    }
}
