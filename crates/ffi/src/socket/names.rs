//! getsockname and getpeername.

use std::net::SocketAddr;

use switchboard_core::{Readiness, State as TcpState};

use super::{Kind, SocketHandle, Tcp};
use crate::errno::Errno;

impl SocketHandle {
    pub(crate) fn local_address(&self) -> Result<SocketAddr, Errno> {
        self.with(|socket, host, _| {
            let local = match &socket.kind {
                Kind::Tcp(Tcp::Idle { local } | Tcp::PutOff { local, .. }) => {
                    local.unwrap_or(socket.domain.unspecified())
                }
                Kind::Tcp(Tcp::Listening { local, .. }) => *local,
                Kind::Tcp(Tcp::Connection { id, .. }) => host.stack.tcp_endpoints(*id)?.0,
                Kind::Udp(None) => socket.domain.unspecified(),
                Kind::Udp(Some(id)) => host.stack.udp_local(*id)?,
            };
            Ok(socket.domain.show(local))
        })
    }

    pub(crate) fn remote_address(&self) -> Result<SocketAddr, Errno> {
        self.with(|socket, host, _| {
            let remote = match &socket.kind {
                Kind::Tcp(Tcp::Connection { id, .. }) => {
                    let ready = host.stack.tcp_readiness(*id)?;
                    let is_up = ready.contains(Readiness::CONNECTED)
                        && host.stack.tcp_info(*id)?.state != TcpState::Closed;
                    is_up.then_some(host.stack.tcp_endpoints(*id)?.1)
                }
                Kind::Udp(Some(id)) => host.stack.udp_remote(*id)?,
                Kind::Tcp(_) | Kind::Udp(None) => None,
            };
            Ok(socket.domain.show(remote.ok_or(Errno::ENOTCONN)?))
        })
    }
}
