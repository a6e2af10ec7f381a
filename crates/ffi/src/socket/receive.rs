//! read, readv, recv, recvfrom, recvmsg.

use std::ffi::c_int;
use std::net::SocketAddr;

use bytes::Bytes;
use switchboard_core::{Instant, Readiness, ReceiveError, TcpId};

use super::tcp::Flow;
use super::{Kind, Socket, SocketHandle};
use crate::errno::Errno;
use crate::network::Host;
use crate::user::Sink;

/// What a call has received.
pub(crate) struct Received {
    /// What the call answers: octets put, or with `MSG_TRUNC` the datagram's true length.
    pub(crate) len: usize,
    /// Who sent the datagram.
    pub(crate) from: Option<SocketAddr>,
    /// `msg_flags`.
    pub(crate) flags: c_int,
}

const KNOWN: c_int = libc::MSG_DONTWAIT
    | libc::MSG_PEEK
    | libc::MSG_WAITALL
    | libc::MSG_TRUNC
    | libc::MSG_NOSIGNAL
    | libc::MSG_CMSG_CLOEXEC;

impl SocketHandle {
    pub(crate) fn receive(&self, sink: &mut Sink<'_>, flags: c_int) -> Result<Received, Errno> {
        // There is no urgent data apart from the stream, so that there is none to receive; and no
        // queue of errors.
        if flags & libc::MSG_OOB != 0 {
            return Err(Errno::EINVAL);
        }
        if flags & libc::MSG_ERRQUEUE != 0 {
            return Err(Errno::EAGAIN);
        }
        if flags & !KNOWN != 0 {
            return Err(Errno::EOPNOTSUPP);
        }
        let is_udp = self.with(|socket, _, _| Ok(matches!(socket.kind, Kind::Udp(_))))?;
        if is_udp {
            self.receive_datagram(sink, flags)
        } else {
            self.receive_stream(sink, flags)
        }
    }

    fn receive_stream(&self, sink: &mut Sink<'_>, flags: c_int) -> Result<Received, Errno> {
        let is_once = flags & libc::MSG_DONTWAIT != 0;
        let wants_all = flags & libc::MSG_WAITALL != 0;
        let is_peek = flags & libc::MSG_PEEK != 0;
        let discards = flags & libc::MSG_TRUNC != 0;
        let result = self.wait(is_once, Socket::receive_deadline, |socket, host, now| {
            let id = match socket.flow(host) {
                Flow::Open(id) => id,
                Flow::Connecting => return Ok(None),
                Flow::None => return Err(socket.take_error(host).unwrap_or(Errno::ENOTCONN)),
            };
            if let Some(errno) = socket.settings.error.take() {
                return Err(errno);
            }
            if sink.room() == 0 {
                return Ok(Some(()));
            }
            // A bad pointer must lose nothing: it is seen once there is something to put.
            let has_text = host.stack.tcp_info(id)?.unread > 0;
            if has_text && !discards {
                sink.check()?;
            }
            if is_peek {
                return peek(host, id, sink, wants_all);
            }
            match take(host, id, sink, discards, now) {
                Ok(()) => Ok(Some(())),
                Err(ReceiveError::WouldBlock) => {
                    let is_enough = sink.filled() > 0 && !wants_all;
                    Ok(is_enough.then_some(()))
                }
                // A loss is told once, then the stream is at its end.
                Err(ReceiveError::Lost(_)) if sink.filled() > 0 => Ok(Some(())),
                Err(ReceiveError::Lost(_)) => socket.take_error(host).map_or(Ok(Some(())), Err),
                Err(error) => Err(error.into()),
            }
        });
        match result {
            // The whole did not come in time: then what is there has to do.
            Err(Errno::EAGAIN) if is_peek && wants_all => {
                let flags = flags & !libc::MSG_WAITALL | libc::MSG_DONTWAIT;
                return self.receive_stream(sink, flags);
            }
            Err(_) if sink.filled() > 0 => {}
            result => result?,
        }
        Ok(Received {
            len: sink.filled(),
            from: None,
            flags: 0,
        })
    }

    fn receive_datagram(&self, sink: &mut Sink<'_>, flags: c_int) -> Result<Received, Errno> {
        let is_once = flags & libc::MSG_DONTWAIT != 0;
        let is_peek = flags & libc::MSG_PEEK != 0;
        let ((payload, meta), domain) =
            self.wait(is_once, Socket::receive_deadline, |socket, host, _| {
                if sink.room() > 0 {
                    sink.check()?;
                }
                let id = socket.udp(self.key, host)?;
                let taken = if is_peek {
                    host.stack.call_udp_peek(id)
                } else {
                    host.stack.call_udp_receive(id)
                };
                match taken {
                    Ok(datagram) => Ok(Some((datagram, socket.domain))),
                    Err(ReceiveError::WouldBlock) => socket.take_error(host).map_or(Ok(None), Err),
                    Err(error) => Err(error.into()),
                }
            })?;
        sink.put(&payload);
        let is_cut = payload.len() > sink.filled();
        let len = if flags & libc::MSG_TRUNC != 0 {
            payload.len()
        } else {
            sink.filled()
        };
        Ok(Received {
            len,
            from: Some(domain.show(meta.remote)),
            flags: if is_cut { libc::MSG_TRUNC } else { 0 },
        })
    }
}

/// Takes what is there, as much as there is room for. `Ok`: no more is wanted, or none will come.
fn take(
    host: &mut Host,
    id: TcpId,
    sink: &mut Sink<'_>,
    discards: bool,
    now: Instant,
) -> Result<(), ReceiveError> {
    while sink.room() > 0 {
        let chunk: Bytes = host.stack.call_tcp_receive(now, id, sink.room())?;
        if chunk.is_empty() {
            return Ok(());
        }
        if discards {
            sink.skip(chunk.len());
        } else {
            sink.put(&chunk);
        }
    }
    Ok(())
}

/// Looks at what is there.
fn peek(
    host: &mut Host,
    id: TcpId,
    sink: &mut Sink<'_>,
    wants_all: bool,
) -> Result<Option<()>, Errno> {
    let info = host.stack.tcp_info(id)?;
    let unread = info.unread;
    let is_last = host
        .stack
        .tcp_readiness(id)?
        .contains(Readiness::READ_CLOSED);
    // Less than a segment: the peer may send nothing more until some of it is read.
    let is_full = info.receive_window < info.announced_mss
        && sink.room().saturating_sub(unread) > info.receive_window;
    let wants_all = wants_all && !is_last && !is_full;
    let mut copy = vec![0; sink.room().min(unread.max(1))];
    match host.stack.call_tcp_peek(id, &mut copy) {
        // What no more comes after, or what fills the buffer, has to do.
        Ok(len) if wants_all && len > 0 && len < sink.room() => Ok(None),
        Ok(len) => {
            sink.put(copy.get(..len).unwrap_or_default());
            Ok(Some(()))
        }
        Err(ReceiveError::WouldBlock) => Ok(None),
        // The error stays for whoever reads.
        Err(ReceiveError::Lost(_)) => Ok(Some(())),
        Err(error) => Err(error.into()),
    }
}
