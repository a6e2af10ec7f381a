//! Two stacks and what carries packets between them: one copy into a slot that is reused, as
//! a device would do it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant as Moment;

use bytes::BytesMut;
use switchboard_core::{
    Checksum, Cidr, Config, Entropy, Event, Instant, Offloads, RxPacket, Stack, Transmit, UdpId,
};

pub(super) struct Link {
    pub(super) a: Stack,
    pub(super) b: Stack,
    /// Datagram sockets of `b` that have something to read.
    pub(super) readable: Vec<UdpId>,
    slots: Slots,
    start: Moment,
}

/// Addresses of the two: 0 is `a`'s, the others are `b`'s.
pub(super) fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, number, 1).into()
}

impl Link {
    pub(super) fn new(mtu: usize) -> Self {
        Self::make(mtu, Offloads::default())
    }

    /// With super-segments and unfinished checksums, as over a TUN with offloads.
    pub(super) fn with_offloads(mtu: usize) -> Self {
        let offloads = Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        };
        Self::make(mtu, offloads)
    }

    fn make(mtu: usize, offloads: Offloads) -> Self {
        let stack = |addresses: &[u8], seed| {
            let addresses = addresses.iter().map(|number| Cidr {
                address: address(*number),
                prefix_len: 16,
            });
            let config = Config {
                addresses: addresses.collect(),
                mtu,
                offloads,
                ..Config::default()
            };
            Stack::new(config, Entropy::from_seed([seed; 32]))
        };
        Self {
            a: stack(&[0], 1),
            b: stack(&[1, 2, 3], 2),
            readable: Vec::new(),
            slots: Slots::default(),
            start: Moment::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(self.start.elapsed().as_nanos() as u64)
    }

    /// Carries what both have to send, once each way, and lets timers run.
    pub(super) fn turn(&mut self) -> usize {
        let now = self.now();
        let mut packets = carry(&mut self.a, &mut self.b, &mut self.slots, now);
        packets += carry(&mut self.b, &mut self.a, &mut self.slots, now);
        for stack in [&mut self.a, &mut self.b] {
            if stack.poll_timeout().is_some_and(|at| at <= now) {
                stack.handle_timeout(now);
            }
        }
        while self.a.poll_event().is_some() {}
        while let Some(event) = self.b.poll_event() {
            if let Event::Udp(id, _) = event {
                self.readable.push(id);
            }
        }
        packets
    }

    /// Until neither has anything to send.
    pub(super) fn settle(&mut self) {
        while self.turn() > 0 {}
    }
}

fn carry(from: &mut Stack, to: &mut Stack, slots: &mut Slots, now: Instant) -> usize {
    let mut packets = 0;
    while let Some(transmit) = from.poll_transmit(now) {
        to.handle_packet(now, slots.receive(&transmit, now));
        packets += 1;
    }
    packets
}

/// Slots in a ring: the next one is free again in nearly every case.
#[derive(Default)]
struct Slots {
    ring: Vec<BytesMut>,
    next: usize,
}

const SLOTS: usize = 512;

impl Slots {
    fn receive(&mut self, transmit: &Transmit, now: Instant) -> RxPacket {
        let len = transmit.len();
        if self.ring.len() < SLOTS {
            self.ring.push(BytesMut::new());
        }
        self.next = (self.next + 1) % SLOTS;
        let at = self.next.min(self.ring.len() - 1);
        let slot = &mut self.ring[at];
        slot.reserve(len);
        slot.extend_from_slice(&transmit.head);
        for slice in &transmit.payload {
            slot.extend_from_slice(slice);
        }
        let mut packet = RxPacket::new(slot.split().freeze(), now);
        if transmit.checksum.is_some() {
            packet.checksum = Checksum::Partial;
        }
        packet.segment_size = transmit.segment_size;
        packet
    }
}
