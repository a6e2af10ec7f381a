//! What the program's link is made of, as all processes of a run know it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use switchboard_device::Device;
use switchboard_device::tun::Tun;
use switchboard_device::veth::Veth;

/// What makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub(crate) enum LinkKind {
    /// A TUN: needs `/dev/net/tun`.
    Tun,
    /// A veth pair and packet sockets: needs no device node.
    Veth,
}

/// The relay's end of a link.
#[derive(Debug)]
pub(crate) struct LinkEnd {
    pub(crate) kind: LinkKind,
    /// One of a TUN, one or more of a veth pair.
    pub(crate) fds: Vec<OwnedFd>,
}

impl LinkEnd {
    /// The same end once more.
    ///
    /// # Errors
    ///
    /// No descriptors left.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let fds = self.fds.iter().map(OwnedFd::try_clone);
        Ok(Self {
            kind: self.kind,
            fds: fds.collect::<io::Result<_>>()?,
        })
    }

    /// Its descriptors, to be lent.
    pub(crate) fn borrow(&self) -> Vec<BorrowedFd<'_>> {
        self.fds.iter().map(AsFd::as_fd).collect()
    }

    /// A device of it. Inside a runtime.
    ///
    /// # Errors
    ///
    /// It is no such link, or the runtime cannot watch it.
    pub(crate) fn into_device(mut self, mtu: usize) -> io::Result<Box<dyn Device>> {
        Ok(match self.kind {
            LinkKind::Tun => {
                let fd = self.fds.pop().ok_or(io::ErrorKind::NotFound)?;
                Box::new(Tun::from_fd(fd, mtu)?)
            }
            LinkKind::Veth => Box::new(Veth::from_fds(self.fds, mtu)?),
        })
    }
}
