//! fcntl and ioctl.

use std::ffi::{c_int, c_ulong};

use switchboard_core::ReceiveError;

use super::{Kind, SocketHandle, Tcp};
use crate::errno::Errno;

/// Octets queued to be sent and not sent yet (`linux/sockios.h`).
const SIOCOUTQNSD: c_ulong = 0x894B;
/// Whether the stream is at its urgent mark.
const SIOCATMARK: c_ulong = 0x8905;

impl SocketHandle {
    /// `F_GETFL`: the flags of the open file.
    pub(crate) fn status_flags(&self) -> Result<c_int, Errno> {
        self.with(|socket, _, _| {
            let is_nonblocking = socket.settings.is_nonblocking;
            Ok(libc::O_RDWR | if is_nonblocking { libc::O_NONBLOCK } else { 0 })
        })
    }

    /// `F_SETFL`, and `FIONBIO`.
    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Errno> {
        self.with(|socket, _, _| {
            socket.settings.is_nonblocking = nonblocking;
            Ok(())
        })
    }

    /// ioctl(2), where it asks for a number.
    pub(crate) fn ask(&self, request: c_ulong) -> Result<c_int, Errno> {
        let number = self.with(|socket, host, _| {
            let stack = &mut host.stack;
            match (request, &socket.kind) {
                (
                    libc::FIONREAD | libc::TIOCOUTQ | SIOCOUTQNSD,
                    Kind::Tcp(Tcp::Listening { .. }),
                ) => Err(Errno::EINVAL),
                (libc::FIONREAD, Kind::Tcp(Tcp::Connection { id, .. })) => {
                    let info = stack.tcp_info(*id)?;
                    Ok(info.unread)
                }
                (libc::TIOCOUTQ, Kind::Tcp(Tcp::Connection { id, .. })) => {
                    let info = stack.tcp_info(*id)?;
                    Ok(info.unsent + info.in_flight)
                }
                (SIOCOUTQNSD, Kind::Tcp(Tcp::Connection { id, .. })) => {
                    Ok(stack.tcp_info(*id)?.unsent)
                }
                (libc::FIONREAD, Kind::Udp(Some(id))) => match stack.call_udp_peek(*id) {
                    Ok((payload, _)) => Ok(payload.len()),
                    Err(ReceiveError::WouldBlock) => Ok(0),
                    Err(error) => Err(error.into()),
                },
                (libc::FIONREAD | libc::TIOCOUTQ | SIOCOUTQNSD | SIOCATMARK, _) => Ok(0),
                _ => Err(Errno::ENOTTY),
            }
        })?;
        Ok(c_int::try_from(number).unwrap_or(c_int::MAX))
    }
}
