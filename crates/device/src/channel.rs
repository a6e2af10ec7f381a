//! A device made of two channels of packets: for whoever has IP packets in hand, as phone VPNs,
//! WireGuard and tunnels of any kind have.
//!
//! Works on any system and without any right. Both channels are bounded and hold packets back
//! where they are full: nothing is dropped here.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use switchboard_wire::{Instant, RxPacket, Transmit};
use tokio::sync::mpsc::{self, OwnedPermit, error::SendError, error::TrySendError};

use crate::Device;

/// A device, and the other ends of its two channels.
///
/// - `mtu`: octets of the longest packet of the link.
/// - `capacity`: packets that may wait in each direction, at least 1.
///
/// What goes into the sender, the stack receives; what the stack sends, comes out of the
/// receiver: whole IP packets, segments cut and checksums finished. Dropping the sender tells
/// the stack that the link is gone, once what it sent has been received; dropping the receiver
/// tells it at once.
///
/// ```
/// use switchboard_device::{Device, channel};
///
/// let (device, to_stack, mut from_stack) = channel(1420, 256);
/// assert_eq!(device.mtu(), 1420);
/// # drop((device, to_stack));
/// # assert!(from_stack.try_recv().is_none());
/// ```
#[must_use]
pub fn channel(mtu: usize, capacity: usize) -> (ChannelDevice, PacketSender, PacketReceiver) {
    let (to_stack, incoming) = mpsc::channel(capacity.max(1));
    let (outgoing, from_stack) = mpsc::channel(capacity.max(1));
    let device = ChannelDevice::new(mtu, incoming, outgoing);
    (device, PacketSender(to_stack), PacketReceiver(from_stack))
}

/// The device of a [`channel`].
pub struct ChannelDevice {
    mtu: usize,
    incoming: mpsc::Receiver<Bytes>,
    outgoing: mpsc::Sender<Bytes>,
    /// A place in the channel that is being waited for, or has been kept for us.
    place: Place,
    scratch: Vec<Bytes>,
}

type Waiting = Pin<Box<dyn Future<Output = Result<OwnedPermit<Bytes>, SendError<()>>> + Send>>;

enum Place {
    None,
    Waiting(Waiting),
    Kept(OwnedPermit<Bytes>),
}

impl fmt::Debug for ChannelDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelDevice")
            .field("mtu", &self.mtu)
            .finish_non_exhaustive()
    }
}

impl ChannelDevice {
    /// A device of two channels that exist already: what comes from `incoming` the stack
    /// receives, what it sends goes to `outgoing`.
    #[must_use]
    pub fn new(mtu: usize, incoming: mpsc::Receiver<Bytes>, outgoing: mpsc::Sender<Bytes>) -> Self {
        Self {
            mtu,
            incoming,
            outgoing,
            place: Place::None,
            scratch: Vec::new(),
        }
    }
}

impl Device for ChannelDevice {
    fn mtu(&self) -> usize {
        self.mtu
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        let packets = &mut self.scratch;
        let count = ready!(self.incoming.poll_recv_many(cx, packets, max));
        let arrived = now();
        batch.extend(
            packets
                .drain(..)
                .map(|packet| RxPacket::new(packet, arrived)),
        );
        Poll::Ready(Ok(count))
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        match std::mem::replace(&mut self.place, Place::None) {
            Place::Kept(place) => {
                place.send(transmit.to_bytes());
                return Ok(());
            }
            // Others may not overtake whoever waits in line.
            waiting @ Place::Waiting(_) => {
                self.place = waiting;
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Place::None => {}
        }
        match self.outgoing.try_reserve() {
            Ok(place) => {
                place.send(transmit.to_bytes());
                Ok(())
            }
            Err(TrySendError::Full(())) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TrySendError::Closed(())) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.place {
                Place::Kept(_) => return Poll::Ready(Ok(())),
                Place::None => {
                    let waiting = self.outgoing.clone().reserve_owned();
                    self.place = Place::Waiting(Box::pin(waiting));
                }
                Place::Waiting(waiting) => match ready!(waiting.as_mut().poll(cx)) {
                    Ok(place) => self.place = Place::Kept(place),
                    Err(_closed) => {
                        self.place = Place::None;
                        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                    }
                },
            }
        }
    }
}

/// The stack and its device are gone; the packet comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkGone(pub Bytes);

impl fmt::Display for LinkGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the device at the other end of the channel is gone")
    }
}

impl std::error::Error for LinkGone {}

/// Why a packet could not be handed over at once; it comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrySend {
    /// As many packets as the channel holds wait already.
    Full(Bytes),
    /// The stack and its device are gone.
    LinkGone(Bytes),
}

/// Hands packets to the stack of a [`channel`]'s device. Cloning gives another sender.
#[derive(Clone, Debug)]
pub struct PacketSender(mpsc::Sender<Bytes>);

impl PacketSender {
    /// Hands over an IP packet, waiting while the channel is full. Can be dropped at any time:
    /// the packet is then handed over whole or not at all.
    ///
    /// # Errors
    ///
    /// [`LinkGone`]: nobody will receive it.
    pub async fn send(&self, packet: impl Into<Bytes>) -> Result<(), LinkGone> {
        let sent = self.0.send(packet.into()).await;
        sent.map_err(|SendError(packet)| LinkGone(packet))
    }

    /// Hands over an IP packet if the channel has room.
    ///
    /// # Errors
    ///
    /// It has not, or nobody will receive it.
    pub fn try_send(&self, packet: impl Into<Bytes>) -> Result<(), TrySend> {
        self.0.try_send(packet.into()).map_err(|error| match error {
            TrySendError::Full(packet) => TrySend::Full(packet),
            TrySendError::Closed(packet) => TrySend::LinkGone(packet),
        })
    }

    /// Waits until nobody will receive any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Takes the packets that the stack of a [`channel`]'s device sends.
#[derive(Debug)]
pub struct PacketReceiver(mpsc::Receiver<Bytes>);

impl PacketReceiver {
    /// The next IP packet; `None` once the stack and its device are gone. Can be dropped at any
    /// time without losing a packet.
    pub async fn recv(&mut self) -> Option<Bytes> {
        self.0.recv().await
    }

    /// Up to `max` packets at once, appended to `packets`; waits for the first. 0 once the stack
    /// and its device are gone.
    pub async fn recv_many(&mut self, packets: &mut Vec<Bytes>, max: usize) -> usize {
        self.0.recv_many(packets, max).await
    }

    /// A packet that waits, if there is one.
    pub fn try_recv(&mut self) -> Option<Bytes> {
        self.0.try_recv().ok()
    }

    /// The next packet, for those who poll; `None` as in [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.0.poll_recv(cx)
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
