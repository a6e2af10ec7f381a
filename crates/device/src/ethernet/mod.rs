//! Ethernet below IP: a link with stations on it, where we are the router.
//!
//! [`Ethernet`] wraps a device whose packets are Ethernet frames (a [`Tap`](crate::tap::Tap), a
//! QEMU guest's [`stream`](crate::stream)) and is a device whose packets are IP. It finds out
//! where stations are, says where we are (ARP, neighbour discovery), and gives addresses out
//! (DHCP, router advertisements). No timers: each of these is an answer, or comes with a packet
//! to somebody unknown, which its sender sends again.

mod answers;
mod config;
mod neighbors;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use switchboard_wire::ethernet::{EtherType, EthernetHeader, HEADER_LEN, MacAddr};
use switchboard_wire::packet::{HEAD_MAX, Head};
use switchboard_wire::{Instant, RxPacket, Transmit};

pub use self::config::EthernetConfig;
use self::neighbors::{Neighbors, Route};
use crate::{Device, Offloads};

/// Frames of our own, and packets to neighbours just found, that may wait for room.
const WAITING_MAX: usize = 64;

/// Frames and packets that went no further, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetDrops {
    /// Frames that broke a rule of their format.
    pub malformed: u64,
    /// Frames for other stations.
    pub not_for_us: u64,
    /// Frames with neither IP nor ARP in them.
    pub unknown_type: u64,
    /// Packets to an address that no station has said it has, pushed out by later ones.
    pub unresolved: u64,
    /// Answers that the link had no room for.
    pub no_room: u64,
}

/// Who has the one address that there is, and for how long.
#[derive(Clone, Copy, Debug)]
struct Lease {
    station: MacAddr,
    ends: Instant,
}

/// A device of IP packets over a device `D` of Ethernet frames.
pub struct Ethernet<D> {
    frames: D,
    config: EthernetConfig,
    neighbors: Neighbors,
    /// Whom the lease was given to.
    leased_to: Option<Lease>,
    /// The task that receives, while it waits.
    receiver: Option<Waker>,
    /// Frames ready to leave, oldest first.
    waiting: VecDeque<Transmit>,
    received: Vec<RxPacket>,
    drops: EthernetDrops,
}

impl<D: Device> Ethernet<D> {
    /// Wraps `frames`, whose MTU is that of the packets inside its frames.
    pub fn new(frames: D, config: EthernetConfig) -> Self {
        Self {
            frames,
            config,
            neighbors: Neighbors::default(),
            leased_to: None,
            receiver: None,
            waiting: VecDeque::new(),
            received: Vec::new(),
            drops: EthernetDrops::default(),
        }
    }

    /// What went no further, by reason.
    #[must_use]
    pub fn drops(&self) -> EthernetDrops {
        self.drops
    }

    /// A frame arrived: the IP packet in it, if it is for the stack.
    fn on_frame(&mut self, mut frame: RxPacket) -> Option<RxPacket> {
        let Ok(header) = EthernetHeader::parse(&frame.bytes) else {
            self.drops.malformed += 1;
            return None;
        };
        let is_for_us = header.destination == self.config.station || header.destination.is_group();
        if !is_for_us || header.source == self.config.station {
            self.drops.not_for_us += 1;
            return None;
        }
        frame.bytes.advance(HEADER_LEN);
        match header.kind {
            EtherType::IPV4 | EtherType::IPV6 => self.on_packet(&header, frame),
            EtherType::ARP => {
                self.on_arp(&frame.bytes);
                None
            }
            _ => {
                self.drops.unknown_type += 1;
                None
            }
        }
    }

    fn on_packet(&mut self, header: &EthernetHeader, packet: RxPacket) -> Option<RxPacket> {
        if self.answer_packet(header, &packet) {
            return None;
        }
        if let Some(source) = source_of(&packet.bytes) {
            self.learn(source, header.source);
        }
        Some(packet)
    }

    /// `station` has `address`: what waited for it may leave.
    fn learn(&mut self, address: IpAddr, station: MacAddr) {
        let is_host = !address.is_unspecified() && !address.is_multicast();
        if !is_host || station.is_group() || self.config.own.contains(&address) {
            return;
        }
        for transmit in self.neighbors.learn(address, station) {
            self.enqueue(framed(&transmit, self.config.station, station));
        }
    }

    /// A frame of ours shall leave when the link has room.
    fn enqueue(&mut self, frame: Transmit) {
        if self.waiting.len() >= WAITING_MAX {
            self.drops.no_room += 1;
        } else {
            self.waiting.push_back(frame);
        }
    }

    /// Sends what waits, as far as there is room.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(frame) = self.waiting.front() {
            match self.frames.try_send(frame) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                sent => sent?,
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Where a packet to `destination` goes.
    fn route(&self, destination: IpAddr) -> Route {
        if let Some(group) = MacAddr::of_group(destination) {
            return Route::To(group);
        }
        match destination {
            IpAddr::V4(v4) if self.config.is_broadcast(v4) => Route::To(MacAddr::BROADCAST),
            _ => self.neighbors.route(destination),
        }
    }

    /// Nobody has said where `destination` is: asks, and keeps the packet a while.
    fn hold(&mut self, destination: IpAddr, transmit: &Transmit) -> io::Result<()> {
        if self.neighbors.hold(destination, transmit.clone()) {
            self.drops.unresolved += 1;
        }
        if self.neighbors.may_ask(destination) {
            self.ask_for(destination);
            self.flush()?;
        }
        if !self.waiting.is_empty()
            && let Some(receiver) = self.receiver.take()
        {
            // Nobody waits for room to send: whoever receives does it.
            receiver.wake();
        }
        Ok(())
    }
}

impl<D: Device> Device for Ethernet<D> {
    fn mtu(&self) -> usize {
        self.frames.mtu()
    }

    fn offloads(&self) -> Offloads {
        self.frames.offloads()
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        loop {
            self.flush()?;
            let mut received = std::mem::take(&mut self.received);
            let polled = self.frames.poll_recv(cx, now, max, &mut received);
            let before = batch.len();
            for frame in received.drain(..) {
                batch.extend(self.on_frame(frame));
            }
            self.received = received;
            match polled {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(_)) if batch.len() > before => {
                    self.flush()?;
                    return Poll::Ready(Ok(batch.len() - before));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.waiting.is_empty() => {
                    self.receiver = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Pending => match self.frames.poll_send_ready(cx)? {
                    Poll::Ready(()) => {}
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let Some(destination) = destination_of(&transmit.head) else {
            self.drops.malformed += 1;
            return Ok(());
        };
        match self.route(destination) {
            Route::To(station) => {
                let frame = framed(transmit, self.config.station, station);
                self.frames.try_send(&frame)
            }
            Route::Unknown => self.hold(destination, transmit),
        }
    }

    fn poll_send_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.frames.poll_send_ready(cx)
    }
}

/// The frame around a packet.
fn framed(transmit: &Transmit, source: MacAddr, destination: MacAddr) -> Transmit {
    let is_v6 = transmit.head.first().is_some_and(|octet| octet >> 4 == 6);
    let header = EthernetHeader {
        destination,
        source,
        kind: if is_v6 {
            EtherType::IPV6
        } else {
            EtherType::IPV4
        },
    };
    let mut frame = Transmit {
        head: Head::new(),
        payload: transmit.payload.clone(),
        checksum: transmit.checksum,
        segment_size: transmit.segment_size,
    };
    header.emit(&mut frame.head);
    if let Some(partial) = &mut frame.checksum {
        partial.start += HEADER_LEN as u16;
    }
    if transmit.head.len() + HEADER_LEN <= HEAD_MAX {
        // It fits: the line above says so.
        let _ = frame.head.try_extend_from_slice(&transmit.head);
    } else {
        frame.payload.clear();
        frame.payload.push(transmit.to_bytes());
    }
    frame
}

/// The frame around a whole packet of ours.
fn frame_of(packet: Vec<u8>, kind: EtherType, source: MacAddr, destination: MacAddr) -> Transmit {
    let mut frame = Transmit::default();
    let header = EthernetHeader {
        destination,
        source,
        kind,
    };
    header.emit(&mut frame.head);
    frame.payload.push(Bytes::from(packet));
    frame
}

/// Who sent an IP packet.
fn source_of(packet: &[u8]) -> Option<IpAddr> {
    address_at(packet, 12, 8)
}

/// Whom it is for.
fn destination_of(packet: &[u8]) -> Option<IpAddr> {
    address_at(packet, 16, 24)
}

fn address_at(packet: &[u8], v4: usize, v6: usize) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => Some(IpAddr::from(*packet.get(v4..)?.first_chunk::<4>()?)),
        6 => Some(IpAddr::from(*packet.get(v6..)?.first_chunk::<16>()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
