//! What is different for datagram sockets.

use std::net::SocketAddr;

use switchboard_core::UdpId;

use super::{Kind, Socket, SocketHandle};
use crate::errno::Errno;
use crate::network::{Host, SocketKey};

impl Socket {
    /// Its name in the stack; binds it to any address and a free port if it is not bound.
    pub(super) fn udp(&mut self, key: SocketKey, host: &mut Host) -> Result<UdpId, Errno> {
        match self.kind {
            Kind::Udp(Some(id)) => Ok(id),
            Kind::Udp(None) => {
                let any = self.domain.unspecified();
                let id = host.stack.call_udp_bind(any, &self.settings.udp)?;
                host.own_udp(id, key);
                self.kind = Kind::Udp(Some(id));
                Ok(id)
            }
            Kind::Tcp(_) => Err(Errno::EINVAL),
        }
    }
}

impl SocketHandle {
    /// connect(2); `None` (`AF_UNSPEC`) ends a datagram socket's tie to its peer.
    pub(crate) fn connect(&self, remote: Option<SocketAddr>) -> Result<(), Errno> {
        let is_udp = self.with(|socket, _, _| Ok(matches!(socket.kind, Kind::Udp(_))))?;
        if !is_udp {
            return self.connect_tcp(remote.ok_or(Errno::EAFNOSUPPORT)?);
        }
        self.with(|socket, host, _| {
            let remote = remote
                .map(|remote| socket.domain.check(remote))
                .transpose()?;
            let id = socket.udp(self.key, host)?;
            let remote = remote.unwrap_or(socket.domain.unspecified());
            Ok(host.stack.call_udp_connect(id, remote)?)
        })
    }
}
