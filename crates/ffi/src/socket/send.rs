//! write, writev, send, sendto, sendmsg.

use std::ffi::c_int;
use std::net::SocketAddr;

use switchboard_core::{Readiness, SendError, UdpMeta, UdpSendError};

use super::fast_open::WithSyn;
use super::tcp::Flow;
use super::{Kind, Socket, SocketHandle};
use crate::errno::Errno;
use crate::network::Host;
use crate::user::Source;

/// What is to be sent.
pub(crate) struct Sending<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) flags: c_int,
    /// Where to, if not where the socket is connected to.
    pub(crate) to: Option<SocketAddr>,
}

/// Flags that change nothing here: there is no signal, no route to bypass, no path to confirm.
const HARMLESS: c_int = libc::MSG_NOSIGNAL
    | libc::MSG_DONTROUTE
    | libc::MSG_CONFIRM
    | libc::MSG_EOR
    | libc::MSG_ZEROCOPY;
const KNOWN: c_int = HARMLESS | libc::MSG_DONTWAIT | libc::MSG_MORE | libc::MSG_FASTOPEN;

impl SocketHandle {
    pub(crate) fn send(&self, sending: &Sending<'_>) -> Result<usize, Errno> {
        // Urgent data is not sent as such (RFC 6093 advises against it).
        if sending.flags & !KNOWN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let is_udp = self.with(|socket, _, _| Ok(matches!(socket.kind, Kind::Udp(_))))?;
        if is_udp {
            // Datagrams are not put together of several calls, and open nothing.
            if sending.flags & (libc::MSG_MORE | libc::MSG_FASTOPEN) != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            self.send_datagram(sending)
        } else {
            self.send_stream(sending)
        }
    }

    fn send_stream(&self, sending: &Sending<'_>) -> Result<usize, Errno> {
        let is_once = sending.flags & libc::MSG_DONTWAIT != 0;
        let more = sending.flags & libc::MSG_MORE != 0;
        let all = sending.source.len();
        let mut sent = match self.send_with_syn(sending)? {
            WithSyn::Left(taken) => return Ok(taken),
            WithSyn::Connected(taken) if taken == all => return Ok(taken),
            WithSyn::Connected(taken) => taken,
            WithSyn::NothingToOpen => 0,
        };
        let result = self.wait(is_once, Socket::send_deadline, |socket, host, now| {
            let id = match socket.flow(host) {
                Flow::Open(id) => id,
                Flow::Connecting => return Ok(None),
                Flow::None => return Err(Errno::EPIPE),
            };
            if let Some(errno) = socket.settings.error.take() {
                return Err(errno);
            }
            while sent < all {
                let rest = sending.source.from(sent);
                // Between the parts of one call more follows too.
                let more = more || sent + rest.len() < all;
                let stack = &mut host.stack;
                match if more {
                    stack.call_tcp_send_more(now, id, rest)
                } else {
                    stack.call_tcp_send_slice(now, id, rest)
                } {
                    Ok(count) => sent += count,
                    Err(SendError::WouldBlock) if is_once || socket.settings.is_nonblocking => {
                        break;
                    }
                    Err(SendError::WouldBlock) => return Ok(None),
                    Err(error) => return Err(socket.send_error(host, error)),
                }
            }
            if sent == 0 && all > 0 {
                return Ok(None);
            }
            if all == 0 && !socket.may_send(host) {
                return Err(Errno::EPIPE);
            }
            Ok(Some(()))
        });
        match result {
            // What was taken counts; the error comes with the next call.
            Err(errno) if sent > 0 => {
                if !matches!(errno, Errno::EAGAIN | Errno::EPIPE) {
                    self.with(|socket, _, _| {
                        socket.settings.error = Some(errno);
                        Ok(())
                    })?;
                }
                Ok(sent)
            }
            Err(errno) => Err(errno),
            Ok(()) => Ok(sent),
        }
    }

    fn send_datagram(&self, sending: &Sending<'_>) -> Result<usize, Errno> {
        let is_once = sending.flags & libc::MSG_DONTWAIT != 0;
        let payload = sending.source.to_bytes();
        self.wait(is_once, Socket::send_deadline, |socket, host, now| {
            let to = sending.to.map(|to| socket.domain.check(to)).transpose()?;
            if to.is_some_and(|to| to.port() == 0) {
                return Err(Errno::EINVAL);
            }
            let id = socket.udp(self.key, host)?;
            let meta = to.map(|remote| UdpMeta {
                remote,
                local: socket.domain.unspecified(),
                hop_limit: None,
                traffic_class: None,
                dont_fragment: false,
                segment_size: None,
            });
            match host.stack.call_udp_send(now, id, payload.clone(), meta) {
                Ok(()) => Ok(Some(payload.len())),
                Err(UdpSendError::WouldBlock) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }
}

impl Socket {
    fn may_send(&self, host: &Host) -> bool {
        let Kind::Tcp(super::Tcp::Connection { id, .. }) = &self.kind else {
            return false;
        };
        let ready = host.stack.tcp_readiness(*id).unwrap_or_default();
        !ready.contains(Readiness::WRITE_CLOSED)
    }

    /// A lost connection is told once, then the pipe is broken.
    fn send_error(&mut self, host: &mut Host, error: SendError) -> Errno {
        match error {
            SendError::Lost(_) => self.take_error(host).unwrap_or(Errno::EPIPE),
            error => error.into(),
        }
    }
}
