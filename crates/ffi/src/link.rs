//! A stack's way out.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use switchboard_core::Instant;

use crate::errno::Errno;
use crate::kernel;

/// Where a host's packets go.
pub(crate) enum Link {
    /// To another host of the network, at once.
    Peer(usize),
    /// Through a descriptor: one packet for each read and write.
    Descriptor {
        fd: OwnedFd,
        /// A packet that it did not take. The stack is asked for no other until it does.
        held: Option<Bytes>,
        /// It failed for good.
        is_broken: bool,
    },
    /// Kept, with the time, for somebody who takes them.
    Kept(VecDeque<(Instant, Bytes)>),
}

impl Link {
    pub(crate) fn descriptor(fd: OwnedFd) -> Self {
        Self::Descriptor {
            fd,
            held: None,
            is_broken: false,
        }
    }

    /// Whether it takes a packet now.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Descriptor {
                held, is_broken, ..
            } => held.is_none() && !is_broken,
            Self::Peer(_) | Self::Kept(_) => true,
        }
    }

    /// Whether it has to be asked again when its descriptor is writable.
    pub(crate) fn is_backed_up(&self) -> bool {
        matches!(self, Self::Descriptor { held: Some(_), .. })
    }

    pub(crate) fn send(&mut self, now: Instant, packet: Bytes) {
        match self {
            Self::Descriptor {
                fd,
                held,
                is_broken,
            } => match kernel::write(fd.as_fd(), &packet) {
                Err(Errno::EAGAIN | Errno::ENOBUFS) => *held = Some(packet),
                Err(Errno(libc::EBADF | libc::EBADFD | libc::ENODEV | libc::EPIPE)) => {
                    *is_broken = true
                }
                // The device refuses this packet (its interface is down, say): lost on the wire.
                Ok(_) | Err(_) => {}
            },
            Self::Kept(kept) => kept.push_back((now, packet)),
            // `State::transmit` hands these over itself.
            Self::Peer(_) => {}
        }
    }

    /// The descriptor can take again what it did not take before.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Self::Descriptor { held, .. } = self
            && let Some(packet) = held.take()
        {
            self.send(now, packet);
        }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Descriptor {
                fd,
                is_broken: false,
                ..
            } => Some(fd.as_fd()),
            _ => None,
        }
    }
}
