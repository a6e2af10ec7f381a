//! Where packets come from and go to.
//!
//! A [`Device`] hands over received packets in batches and takes transmits without waiting.
//! Nothing of the stack is known here: the seam is `switchboard_wire::packet`.

pub mod channel;
pub mod ethernet;
#[cfg(all(target_os = "linux", feature = "tun"))]
pub mod host_socket;
#[cfg(all(target_os = "linux", feature = "tun"))]
mod netlink;
pub mod pipe;
mod pool;
#[cfg(unix)]
pub mod stream;
#[cfg(all(target_os = "linux", feature = "tun"))]
pub mod tap;
pub mod tee;
#[cfg(feature = "tun")]
pub mod tun;
#[cfg(all(target_os = "linux", feature = "tun"))]
pub mod veth;

use std::io;
use std::task::{Context, Poll};

use switchboard_wire::{Instant, RxPacket, Transmit};

pub use channel::{ChannelDevice, PacketReceiver, PacketSender, channel};

/// What a device takes off the stack's hands, in the direction out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It finishes TCP and UDP checksums.
    pub checksum: bool,
    /// It cuts TCP super-segments over IPv4.
    pub tso4: bool,
    /// It cuts TCP super-segments over IPv6.
    pub tso6: bool,
    /// It cuts UDP super-datagrams (USO), both families.
    pub uso: bool,
}

/// A link to other machines that carries IP packets.
///
/// Small on purpose: implementing one takes a screen of code. `poll_recv` and `try_send` never
/// block. One task at a time uses a device; the driver puts it behind its shard's lock.
pub trait Device: Send + 'static {
    /// Largest packet of the link, in octets: what `Config::mtu` becomes.
    fn mtu(&self) -> usize;

    /// What it takes off the stack's hands. Fixed for the device's life.
    fn offloads(&self) -> Offloads {
        Offloads::default()
    }

    /// Appends at least one and at most `max` received packets, stamped with `now()`, to
    /// `batch`; or registers `cx` and returns `Pending`. `Ok(0)` says that the link is gone for
    /// good.
    ///
    /// # Errors
    ///
    /// The device's own error; the driver stops and every socket fails.
    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>>;

    /// Sends one packet now, or says [`io::ErrorKind::WouldBlock`]; the transmit then stays
    /// with the caller, who waits for `poll_send_ready`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or the device's own error.
    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()>;

    /// Ready when `try_send` may work again.
    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl<D: Device + ?Sized> Device for Box<D> {
    fn mtu(&self) -> usize {
        (**self).mtu()
    }

    fn offloads(&self) -> Offloads {
        (**self).offloads()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        (**self).poll_recv(cx, now, max, batch)
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        (**self).try_send(transmit)
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_send_ready(cx)
    }
}
