//! A device that shows every packet which passes it to somebody else.
//!
//! What passes is not changed, and not copied unless the onlooker asks: a [`PacketView`] gives
//! the headers at once, and on demand the plain packets that a super-segment stands for.

mod capture;

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use switchboard_wire::packet::IP_PACKET_MAX;
pub use switchboard_wire::pcapng::Direction;
use switchboard_wire::{Instant, RxPacket, Transmit, offload};

pub use self::capture::{Capture, CaptureConfig, CaptureSink, CaptureStats, capture};
use crate::{Device, Offloads};

/// Somebody who is shown packets.
///
/// Called on the data path, under the shard's lock: look, note, and return.
pub trait PacketSink: Send {
    /// A packet has passed: it was received ([`Direction::Inbound`]), or the device has taken
    /// it ([`Direction::Outbound`]), at `at` on the stack's clock.
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>);
}

impl<S: PacketSink + ?Sized> PacketSink for Box<S> {
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) {
        (**self).packet(at, direction, packet);
    }
}

/// Shows each packet to each of several.
impl<S: PacketSink> PacketSink for Vec<S> {
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) {
        for sink in self {
            sink.packet(at, direction, packet);
        }
    }
}

/// Looks at a packet that passes.
#[derive(Clone, Copy, Debug)]
pub enum PacketView<'a> {
    /// As the device handed it over.
    Received(&'a RxPacket),
    /// As the stack transmitted it.
    Sent(&'a Transmit),
}

impl PacketView<'_> {
    /// The beginning of the packet in one piece: all its headers, and for a received packet
    /// all of it. A super-segment's headers speak of the whole, and a checksum that was left
    /// to offloads is not finished.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        match self {
            Self::Received(packet) => &packet.bytes,
            Self::Sent(transmit) => &transmit.head,
        }
    }

    /// Octets of the whole packet, super-segments uncut.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "no packet is empty")]
    pub fn len(&self) -> usize {
        match self {
            Self::Received(packet) => packet.bytes.len(),
            Self::Sent(transmit) => transmit.len(),
        }
    }

    /// Calls `each` with every packet that a wire would have carried, cut and with checksums
    /// finished. This is where the copying is done.
    pub fn for_each_plain(&self, mut each: impl FnMut(&[u8])) {
        match self {
            Self::Received(packet) => {
                offload::cut_received(packet).for_each(|bytes: Bytes| each(&bytes));
            }
            Self::Sent(transmit) => {
                let mut whole = Vec::with_capacity(transmit.len().min(IP_PACKET_MAX));
                for piece in offload::cut(transmit) {
                    whole.clear();
                    whole.extend_from_slice(&piece.head);
                    for slice in &piece.payload {
                        whole.extend_from_slice(slice);
                    }
                    each(&whole);
                }
            }
        }
    }

    /// The packet for later, sharing its octets.
    #[must_use]
    pub fn keep(&self) -> KeptPacket {
        match self {
            Self::Received(packet) => KeptPacket::Received((*packet).clone()),
            Self::Sent(transmit) => KeptPacket::Sent(Box::new((*transmit).clone())),
        }
    }
}

/// A packet that somebody keeps; its slot and its send queue chunks live as long.
#[derive(Clone, Debug)]
pub enum KeptPacket {
    /// Was received.
    Received(RxPacket),
    /// Was transmitted.
    Sent(Box<Transmit>),
}

impl KeptPacket {
    /// Looks at it.
    #[must_use]
    pub fn view(&self) -> PacketView<'_> {
        match self {
            Self::Received(packet) => PacketView::Received(packet),
            Self::Sent(transmit) => PacketView::Sent(transmit),
        }
    }

    /// Octets of memory that it keeps allocated, about.
    #[must_use]
    pub fn pinned(&self) -> usize {
        match self {
            Self::Received(packet) => packet.slot_size,
            Self::Sent(transmit) => size_of::<Transmit>() + transmit.payload_len(),
        }
    }
}

/// A device with an onlooker.
pub struct Tee<D, S = Box<dyn PacketSink>> {
    device: D,
    sink: S,
    clock: Box<dyn Fn() -> Instant + Send>,
}

impl<D: Device, S: PacketSink> Tee<D, S> {
    /// Shows `sink` what passes `device`. `clock` is the stack's: it stamps what is sent.
    pub fn new(device: D, sink: S, clock: impl Fn() -> Instant + Send + 'static) -> Self {
        Self {
            device,
            sink,
            clock: Box::new(clock),
        }
    }
}

impl<D: Device, S: PacketSink + 'static> Device for Tee<D, S> {
    fn mtu(&self) -> usize {
        self.device.mtu()
    }

    fn offloads(&self) -> Offloads {
        self.device.offloads()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        let before = batch.len();
        let result = self.device.poll_recv(cx, now, max, batch);
        for packet in batch.iter().skip(before) {
            let view = PacketView::Received(packet);
            self.sink.packet(packet.arrived, Direction::Inbound, view);
        }
        result
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        // Shown only once it is gone: a device that is full is offered the same again.
        self.device.try_send(transmit)?;
        let view = PacketView::Sent(transmit);
        self.sink.packet((self.clock)(), Direction::Outbound, view);
        Ok(())
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.device.poll_send_ready(cx)
    }
}

#[cfg(test)]
mod tests;
