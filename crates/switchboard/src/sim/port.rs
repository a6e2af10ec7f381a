//! A host's network card: the [`Device`] between its stack and the fabric.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use switchboard_core::{Instant, RxPacket, Transmit};
use switchboard_device::Device;
use switchboard_sim::door;

use super::fabric::{self, Shared};
use crate::clock::Clock;

/// Packets that have arrived at a host and were not received yet.
#[derive(Default)]
pub(super) struct Inbox {
    packets: VecDeque<Bytes>,
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn push(&mut self, packet: Bytes) {
        self.packets.push_back(packet);
    }

    /// Whoever waits for packets, if there are any.
    pub(super) fn waker(&mut self) -> Option<Waker> {
        if self.packets.is_empty() {
            None
        } else {
            self.waker.take()
        }
    }

    /// Forgets everything: the host has crashed.
    pub(super) fn clear(&mut self) -> Option<Waker> {
        self.packets.clear();
        self.waker.take()
    }
}

/// The inbox behind its lock. One thread runs a world, so nobody ever waits for it.
pub(super) fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device of one life of a host.
pub(super) struct Port {
    pub(super) host: usize,
    pub(super) life: u16,
    pub(super) mtu: usize,
    pub(super) clock: Clock,
    pub(super) inbox: Arc<Mutex<Inbox>>,
    pub(super) fabric: Shared,
}

impl Device for Port {
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
        let mut inbox = lock(&self.inbox);
        let count = inbox.packets.len().min(max);
        if count == 0 {
            match &inbox.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => inbox.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let arrived = now();
        // What comes off a link claims nothing: the stack verifies it.
        batch.extend(
            inbox
                .packets
                .drain(..count)
                .map(|packet| RxPacket::new(packet, arrived)),
        );
        Poll::Ready(Ok(count))
    }

    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        let mut fabric = fabric::lock(&self.fabric);
        let place = &fabric.hosts[self.host];
        if place.life != self.life || place.net.is_none() {
            // The host has crashed: its sockets are being dropped, and nobody shall hear of it.
            return Ok(());
        }
        let now = self.clock.now();
        for packet in door::plain_packets(transmit) {
            fabric.send(self.host, now, packet);
        }
        Ok(())
    }

    fn poll_send_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
