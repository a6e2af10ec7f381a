//! TAP: as a TUN, for Ethernet frames: what other programs and other namespaces expect of a
//! network card.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use switchboard_wire::{Instant, RxPacket, Transmit};

use crate::tun::{Tun, TunDrops};
use crate::{Device, Offloads};

/// A TAP interface, from the side of the program. Its packets are frames: wrap it in
/// [`Ethernet`](crate::ethernet::Ethernet).
pub struct Tap(Tun);

impl Tap {
    /// A device of `fd`, which [`open_tap`](crate::tun::open_tap) made here or in another
    /// process; `mtu` is the interface's. Offloads are agreed on as for a TUN.
    ///
    /// Must be called inside a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// The descriptor is no TAP, or the runtime cannot watch it.
    pub fn from_fd(fd: OwnedFd, mtu: usize) -> io::Result<Self> {
        let tun = Tun::watch(fd, mtu)?;
        if !tun.is_tap() {
            let text = "a TUN: its packets have no Ethernet header";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self(tun))
    }

    /// Frames that went no further, by reason.
    #[must_use]
    pub fn drops(&self) -> TunDrops {
        self.0.drops()
    }
}

impl Device for Tap {
    fn mtu(&self) -> usize {
        self.0.mtu()
    }

    fn offloads(&self) -> Offloads {
        self.0.offloads()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        self.0.poll_recv(cx, now, max, batch)
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send_ready(cx)
    }
}
