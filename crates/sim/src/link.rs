//! One direction of a line: a pure, time-driven component.
//!
//! It knows packets and time, no hosts and no world, so that the simulator and `run --shape`
//! use the same code. What goes in is a packet as a wire has it: super-segments are cut and
//! checksums finished before. What comes out carries no claim: the receiver verifies it.
//!
//! The order in which impairments act is that of a real line: is it cut, does the packet fit,
//! does the queue take it, and only what was sent can be lost, changed, doubled or late.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use switchboard_wire::Instant;

use crate::impair::{
    Corrupt, Delay, Duplicate, Loss, Mtu, Partition, Rate, Reorder, corrupt::flip_bit,
};
use crate::rng::{Chance, Rng, Seed};

/// Octets that may be on the way at once, over all packets of one direction.
///
/// 64 MiB is the bandwidth-delay product of 1 Gbit/s over half a second; a line that needs
/// more is a mistake, and must not eat the machine.
pub const IN_FLIGHT_OCTETS_MAX: usize = 64 << 20;

/// What a direction of a line does to packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// How long packets are on the way.
    pub delay: Delay,
    /// Which packets do not arrive.
    pub loss: Loss,
    /// Which packets are overtaken.
    pub reorder: Reorder,
    /// Which packets arrive twice.
    pub duplicate: Duplicate,
    /// Which packets arrive changed.
    pub corrupt: Corrupt,
    /// How fast the line is, and the queue in front of it.
    pub rate: Rate,
    /// The longest packet that passes.
    pub mtu: Mtu,
    /// Whether it is cut.
    pub partition: Partition,
}

impl Conditions {
    /// A line that does nothing to packets but take this long.
    #[must_use]
    pub fn delay(base: Duration) -> Self {
        Self {
            delay: Delay::constant(base),
            ..Self::default()
        }
    }

    /// The same with random loss.
    #[must_use]
    pub fn loss(self, chance: Chance) -> Self {
        Self {
            loss: Loss::Random(chance),
            ..self
        }
    }
}

/// One thing that a test does to one packet, whatever the line's conditions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives this much later than it would, and others overtake it.
    Delay(Duration),
    /// It arrives with this bit flipped, counted from the first and modulo its length.
    Corrupt(usize),
}

/// Why a packet went no further than the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LostTo {
    /// Lost on the way.
    Loss,
    /// The queue in front of the line, or the line itself, was full.
    Queue,
    /// Longer than the line takes; with `Some`, its sender is to be told this MTU.
    Mtu(Option<usize>),
    /// The line is cut.
    Partition,
}

/// What became of a packet that was given to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on the way.
    Sent {
        /// When it arrives.
        arrives: Instant,
        /// Which bit is flipped by then.
        corrupted: Option<usize>,
        /// When its twin arrives, where it has one.
        duplicate: Option<Instant>,
        /// It was held back, and later packets may overtake it.
        held_back: bool,
    },
    /// It goes no further.
    Lost(LostTo),
}

/// Counters of one direction. `sent + duplicated` is `arrived + lost + in flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Packets given to the line.
    pub sent: u64,
    /// Twins that the line made.
    pub duplicated: u64,
    /// Packets that came out, twins included.
    pub arrived: u64,
    /// Packets lost on the way.
    pub lost: u64,
    /// Packets that found the queue full.
    pub queue_drops: u64,
    /// Packets too long for the line.
    pub too_long: u64,
    /// Packets that found the line cut.
    pub cut_off: u64,
    /// Packets with a flipped bit.
    pub corrupted: u64,
    /// Packets held back so that others overtake them.
    pub reordered: u64,
}

impl LinkStats {
    /// Packets that went no further, of whatever reason.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.lost + self.queue_drops + self.too_long + self.cut_off
    }
}

/// One direction of a line.
#[derive(Debug)]
pub struct Link {
    conditions: Conditions,
    rng: Rng,
    /// What is on the way, by arrival and then by the order of sending.
    in_flight: BTreeMap<(Instant, u64), Bytes>,
    in_flight_octets: usize,
    /// Arrival of the last packet that kept its place.
    last_arrival: Instant,
    next_order: u64,
    stats: LinkStats,
}

impl Link {
    /// A line of these conditions. Its luck follows from `seed` alone.
    #[must_use]
    pub const fn new(conditions: Conditions, seed: Seed) -> Self {
        Self {
            conditions,
            rng: Rng::new(seed),
            in_flight: BTreeMap::new(),
            in_flight_octets: 0,
            last_arrival: Instant::ZERO,
            next_order: 0,
            stats: LinkStats {
                sent: 0,
                duplicated: 0,
                arrived: 0,
                lost: 0,
                queue_drops: 0,
                too_long: 0,
                cut_off: 0,
                corrupted: 0,
                reordered: 0,
            },
        }
    }

    /// What it does to packets now.
    #[must_use]
    pub const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Changes what it does from the next packet on.
    pub const fn conditions_mut(&mut self) -> &mut Conditions {
        &mut self.conditions
    }

    /// What it has done so far.
    #[must_use]
    pub const fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Packets on the way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Gives the line a packet: from the IP header on, cut, with its sums finished.
    pub fn send(&mut self, now: Instant, packet: &Bytes) -> Fate {
        self.send_faulty(now, packet, None)
    }

    /// As [`Link::send`], and this happens to it for certain.
    pub fn send_faulty(&mut self, now: Instant, packet: &Bytes, fault: Option<Fault>) -> Fate {
        self.stats.sent += 1;
        let fate = match self.admit(now, packet.len()) {
            Err(lost_to) => Fate::Lost(lost_to),
            Ok(departs) => self.carry(departs, packet, fault),
        };
        if let Fate::Lost(lost_to) = fate {
            *match lost_to {
                LostTo::Loss => &mut self.stats.lost,
                LostTo::Queue => &mut self.stats.queue_drops,
                LostTo::Mtu(_) => &mut self.stats.too_long,
                LostTo::Partition => &mut self.stats.cut_off,
            } += 1;
        }
        fate
    }

    /// The next packet that has arrived by `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Bytes> {
        let entry = self.in_flight.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let packet = entry.remove();
        self.in_flight_octets -= packet.len();
        self.stats.arrived += 1;
        Some(packet)
    }

    /// When the next packet arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.in_flight.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Whether the line takes a packet of this length, and when its last bit has left.
    fn admit(&mut self, now: Instant, len: usize) -> Result<Instant, LostTo> {
        if self.conditions.partition == Partition::Cut {
            return Err(LostTo::Partition);
        }
        if !self.conditions.mtu.passes(len) {
            return Err(LostTo::Mtu(match self.conditions.mtu {
                Mtu::Answered(mtu) => Some(mtu),
                Mtu::Unlimited | Mtu::BlackHole(_) => None,
            }));
        }
        if self.in_flight_octets + len > IN_FLIGHT_OCTETS_MAX {
            return Err(LostTo::Queue);
        }
        self.conditions
            .rate
            .departure(now, len)
            .ok_or(LostTo::Queue)
    }

    /// What happens to a packet on the way. Every chance is drawn for every packet, so that
    /// one impairment switched off leaves the luck of the others as it was.
    fn carry(&mut self, departs: Instant, packet: &Bytes, fault: Option<Fault>) -> Fate {
        let rng = &mut self.rng;
        let is_lost = self.conditions.loss.strikes(rng) || fault == Some(Fault::Drop);
        let flipped = self.conditions.corrupt.strikes(packet.len(), rng);
        let doubled = self.conditions.duplicate.strikes(rng) || fault == Some(Fault::Duplicate);
        let held_back = self.conditions.reorder.holds_back(rng);
        let arrival = self
            .conditions
            .delay
            .arrival(departs, self.last_arrival, rng);
        if is_lost {
            return Fate::Lost(LostTo::Loss);
        }
        let corrupted = match fault {
            Some(Fault::Corrupt(bit)) => Some(bit),
            _ => flipped,
        };
        let held_back = match fault {
            Some(Fault::Delay(by)) => Some(by),
            _ => held_back,
        };
        let arrives = match held_back {
            Some(by) => arrival + by,
            None => {
                self.last_arrival = arrival;
                arrival
            }
        };
        let packet = match corrupted {
            Some(bit) => flip_bit(packet, bit),
            None => packet.clone(),
        };
        self.stats.corrupted += u64::from(corrupted.is_some());
        self.stats.reordered += u64::from(held_back.is_some());
        self.stats.duplicated += u64::from(doubled);
        if doubled {
            self.put_in_flight(arrives, packet.clone());
        }
        self.put_in_flight(arrives, packet);
        Fate::Sent {
            arrives,
            corrupted,
            duplicate: doubled.then_some(arrives),
            held_back: held_back.is_some(),
        }
    }

    fn put_in_flight(&mut self, arrives: Instant, packet: Bytes) {
        self.in_flight_octets += packet.len();
        self.in_flight.insert((arrives, self.next_order), packet);
        self.next_order += 1;
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
