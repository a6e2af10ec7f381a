//! One datagram socket.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::queue::Queue;
use crate::config::UdpOptions;
use crate::event::Readiness;
use crate::multicast::is_everybody;
use crate::socket::UdpError;

/// ICMP errors that wait for the application; older ones make room (`IP_RECVERR` has its
/// bound in the receive buffer; errors are all of one size here).
pub(crate) const ERRORS_MAX: usize = 32;

/// One datagram socket. Idle ones hold no buffers.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    /// Where it is bound; the address may be unspecified.
    pub(crate) local: SocketAddr,
    /// Whom it is connected to.
    pub(crate) remote: Option<SocketAddr>,
    /// An accepted flow: it gets what this source sends to addresses that are not ours.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) options: UdpOptions,
    /// Unread.
    pub(crate) received: Queue,
    /// Unsent.
    pub(crate) unsent: Queue,
    errors: VecDeque<UdpError>,
    /// Groups that it is in.
    pub(crate) groups: Vec<IpAddr>,
    /// What became true since the last event.
    pub(crate) news: Readiness,
    /// It waits in the queue of those that have something to send.
    pub(crate) is_in_line: bool,
    /// It was told `WouldBlock` and waits for room.
    pub(crate) wants_room: bool,
    /// The application has let go; what it had sent by then still leaves.
    pub(crate) is_closed: bool,
}

impl UdpSocket {
    pub(crate) fn new(local: SocketAddr, options: &UdpOptions) -> Self {
        Self {
            local,
            remote: None,
            source: None,
            options: options.within_bounds(),
            received: Queue::default(),
            unsent: Queue::default(),
            errors: VecDeque::new(),
            groups: Vec::new(),
            news: Readiness::NONE,
            is_in_line: false,
            wants_room: false,
            is_closed: false,
        }
    }

    /// Whether a datagram from `remote` may come in: a connected socket hears one peer only.
    pub(crate) fn hears(&self, remote: SocketAddr) -> bool {
        self.remote.is_none_or(|peer| peer == remote)
    }

    /// Whether a datagram to `group` is for it: it is a member, or everybody is.
    pub(crate) fn hears_group(&self, group: IpAddr) -> bool {
        is_everybody(group) || self.groups.contains(&group)
    }

    /// What is true now.
    pub(crate) fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::NONE;
        if !self.received.is_empty() || !self.errors.is_empty() {
            readiness |= Readiness::READABLE;
        }
        if self.unsent.charged() < self.options.send_buffer {
            readiness |= Readiness::WRITABLE;
        }
        if !self.errors.is_empty() {
            readiness |= Readiness::ERROR;
        }
        readiness
    }

    /// Whether the application hears of ICMP errors: of a socket that is not connected they may
    /// be about any of its peers, so it has to ask for them.
    pub(crate) fn hears_errors(&self) -> bool {
        self.options.receive_errors || self.remote.is_some() || self.source.is_some()
    }

    /// One of its datagrams drew an ICMP error.
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
