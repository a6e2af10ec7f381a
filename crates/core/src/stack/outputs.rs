//! Outputs: packets, events, and when to come back.

use bytes::BytesMut;
use switchboard_wire::{Checksum, Instant, RxPacket, Transmit};

use super::packet_sockets::WAITING_MAX;
use super::{Stack, Way};
use crate::demux::pending::Pending;
use crate::event::{Event, Incoming, Readiness};
use crate::ip::ingress::Origin;
use crate::ready::Who;
use crate::slab::Key;

/// Outputs: after any input, drain the first two; then the third says when to come back.
impl Stack {
    /// The next packet to send.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let mut transmit = Transmit::default();
        self.poll_transmit_into(now, &mut transmit)
            .then_some(transmit)
    }

    /// As `poll_transmit`, written into a transmit that the caller keeps: whatever was in it is
    /// gone. `false`: there is none.
    pub fn poll_transmit_into(&mut self, now: Instant, transmit: &mut Transmit) -> bool {
        self.now = self.now.max(now);
        loop {
            let way = match self.pop_outbox(transmit) {
                Some(way) => {
                    if self.outbox.len() < WAITING_MAX && !self.packet_waiters.is_empty() {
                        self.wake_packet_waiters();
                    }
                    way
                }
                None => match self.next_in_line(now, transmit) {
                    Some(way) => way,
                    None => return false,
                },
            };
            match way {
                Way::Out => {
                    self.stats.packets_sent += 1;
                    return true;
                }
                Way::Back => self.loop_back(now, transmit),
            }
        }
    }

    /// The next packet of those that wait for the device.
    fn pop_outbox(&mut self, transmit: &mut Transmit) -> Option<Way> {
        let (way, waiting) = self.outbox.pop_front()?;
        *transmit = waiting;
        Some(way)
    }

    /// The next packet of whoever's turn it is.
    fn next_in_line(&mut self, now: Instant, transmit: &mut Transmit) -> Option<Way> {
        loop {
            let way = match self.line.pop()? {
                Who::Tcp(key) => self.tcp_turn(now, key, transmit),
                Who::Udp(key) => {
                    let way = self.udp_turn(now, key, transmit);
                    way.or_else(|| self.pop_outbox(transmit))
                }
                other => {
                    debug_assert!(false, "{other:?} sends nothing");
                    None
                }
            };
            if way.is_some() {
                return way;
            }
        }
    }

    /// A packet to ourselves comes back in: copied once, into one piece, and no sum is
    /// computed or believed, as it was never on a wire.
    fn loop_back(&mut self, now: Instant, transmit: &Transmit) {
        let mut bytes = BytesMut::with_capacity(transmit.len());
        bytes.extend_from_slice(&transmit.head);
        for slice in &transmit.payload {
            bytes.extend_from_slice(slice);
        }
        let bytes = bytes.freeze();
        let checksum = match transmit.checksum {
            Some(_) => Checksum::Partial,
            None => Checksum::Verified,
        };
        self.stats.packets_looped += 1;
        let rx = RxPacket {
            slot_size: bytes.len(),
            bytes,
            arrived: now,
            checksum,
            segment_size: transmit.segment_size,
        };
        self.arrive(now, &rx, Origin::Loopback);
    }

    /// The next thing an application may be waiting for.
    pub fn poll_event(&mut self) -> Option<Event> {
        loop {
            let event = match self.events.pop()? {
                Who::Tcp(key) => self.tcp_event(key),
                Who::Udp(key) => self.udp_event(key),
                Who::Packet(key) => self.packet_event(key),
                Who::Listener(key) => self.listener_event(key),
                Who::Incoming(key) => self.incoming_event(key),
                Who::Expired(key) => Some(Event::FlowGone(self.flow_id(key))),
                Who::Echo => {
                    self.is_echo_announced = false;
                    (!self.echoes.is_empty()).then_some(Event::EchoRequested)
                }
            };
            if event.is_some() {
                return event;
            }
        }
    }

    fn tcp_event(&mut self, key: Key) -> Option<Event> {
        let news = core::mem::take(&mut self.tcp.get_mut(key)?.news);
        let id = self.tcp_id(key);
        (!news.is_empty()).then_some(Event::Tcp(id, news))
    }

    fn udp_event(&mut self, key: Key) -> Option<Event> {
        let news = core::mem::take(&mut self.udp.get_mut(key)?.news);
        let id = self.udp_id(key);
        (!news.is_empty()).then_some(Event::Udp(id, news))
    }

    fn listener_event(&mut self, key: Key) -> Option<Event> {
        let listener = self.listeners.get_mut(key)?;
        listener.is_announced = false;
        let has_ready = listener.backlog.has_ready();
        has_ready.then_some(Event::Acceptable(self.listener_id(key)))
    }

    fn incoming_event(&self, key: Key) -> Option<Event> {
        let id = self.flow_id(key);
        Some(Event::Incoming(match self.pending.get(key)? {
            Pending::Tcp {
                tuple,
                hop_limit,
                traffic_class,
                ..
            } => Incoming::Tcp {
                id,
                remote: tuple.remote,
                local: tuple.local,
                hop_limit: *hop_limit,
                traffic_class: *traffic_class,
            },
            Pending::Udp { remote, local, .. } => Incoming::Udp {
                id,
                remote: *remote,
                local: *local,
            },
        }))
    }

    /// A connection has news for its application.
    pub(super) fn tell_tcp(&mut self, key: Key, news: Readiness) {
        let Some(socket) = self.tcp.get_mut(key) else {
            return;
        };
        if news.is_empty() {
            return;
        }
        if socket.news.is_empty() {
            self.events.push(Who::Tcp(key));
        }
        socket.news |= news;
    }

    /// A datagram socket has news for its application.
    pub(super) fn tell_udp(&mut self, key: Key, news: Readiness) {
        let Some(socket) = self.udp.get_mut(key) else {
            return;
        };
        if news.is_empty() || socket.is_closed {
            return;
        }
        if socket.news.is_empty() {
            self.events.push(Who::Udp(key));
        }
        socket.news |= news;
    }

    /// When `handle_timeout` is due; `None` while nothing waits for time to pass.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        [
            self.deadlines.earliest(),
            self.time_waits.earliest(),
            self.pending.earliest(),
            self.reassembly_v4.earliest(),
            self.reassembly_v6.earliest(),
            self.path_mtus.earliest(),
            self.groups.earliest(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
