//! One raw or ping socket.

use alloc::collections::VecDeque;
use core::net::IpAddr;

use switchboard_wire::ip::IpProtocol;

use crate::config::PacketOptions;
use crate::event::Readiness;
use crate::socket::UdpError;
use crate::udp::queue::Queue;
use crate::udp::socket::ERRORS_MAX;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ICMP echo with this identifier.
    Ping { identifier: u16 },
    /// Packets of this protocol.
    Raw { protocol: IpProtocol },
}

/// One raw or ping socket. What it sends does not wait here: it goes to the device's own queue
/// at once, or is refused while that is long.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    pub(crate) kind: Kind,
    pub(crate) ipv6: bool,
    /// Where it is bound; may be unspecified.
    pub(crate) local: IpAddr,
    /// Whom it is connected to.
    pub(crate) remote: Option<IpAddr>,
    pub(crate) options: PacketOptions,
    /// Unread. Of a ping's datagrams the remote port is the sequence number.
    pub(crate) received: Queue,
    errors: VecDeque<UdpError>,
    /// What became true since the last event.
    pub(crate) news: Readiness,
    /// It was told `WouldBlock` and waits for room.
    pub(crate) wants_room: bool,
}

impl PacketSocket {
    pub(crate) fn new(kind: Kind, local: IpAddr, options: &PacketOptions) -> Self {
        Self {
            kind,
            ipv6: local.is_ipv6(),
            local,
            remote: None,
            options: *options,
            received: Queue::default(),
            errors: VecDeque::new(),
            news: Readiness::NONE,
            wants_room: false,
        }
    }

    /// Whether a packet from `source` to `destination` may come in.
    pub(crate) fn hears(&self, source: IpAddr, destination: IpAddr) -> bool {
        self.remote.is_none_or(|peer| peer == source)
            && (self.local.is_unspecified() || self.local == destination)
    }

    /// What is true now; `has_room`: the device's queue is short.
    pub(crate) fn readiness(&self, has_room: bool) -> Readiness {
        let mut readiness = Readiness::NONE;
        if !self.received.is_empty() || !self.errors.is_empty() {
            readiness |= Readiness::READABLE;
        }
        if has_room {
            readiness |= Readiness::WRITABLE;
        }
        if !self.errors.is_empty() {
            readiness |= Readiness::ERROR;
        }
        readiness
    }

    /// Something that it sent drew an ICMP error.
    pub(crate) fn push_error(&mut self, error: UdpError) {
        if self.errors.len() >= ERRORS_MAX {
            self.errors.pop_front();
        }
        self.errors.push_back(error);
    }

    /// The oldest error, once.
    pub(crate) fn pop_error(&mut self) -> Option<UdpError> {
        self.errors.pop_front()
    }
}
