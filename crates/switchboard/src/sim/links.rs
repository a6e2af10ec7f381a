//! Links, and what they do to packets.

use std::time::Duration;

use switchboard_sim::impair::{Burst, Delay, Loss, Mtu, Partition, QueueLimit, Rate, Reorder};
use switchboard_sim::{Chance, Conditions};

use super::control::{Control, Host};
use super::fabric::Way;

/// Names hosts: a name, a [`Host`], or several in an array, a slice or a vector.
pub trait Group {
    /// The names.
    fn names(&self) -> Vec<String>;
}

impl Group for str {
    fn names(&self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl Group for String {
    fn names(&self) -> Vec<String> {
        vec![self.clone()]
    }
}

impl Group for Host {
    fn names(&self) -> Vec<String> {
        vec![self.name()]
    }
}

impl<T: Group> Group for [T] {
    fn names(&self) -> Vec<String> {
        self.iter().flat_map(Group::names).collect()
    }
}

impl<T: Group, const N: usize> Group for [T; N] {
    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

impl<T: Group> Group for Vec<T> {
    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

impl<T: Group + ?Sized> Group for &T {
    fn names(&self) -> Vec<String> {
        (**self).names()
    }
}

/// Links between hosts, to change what they do to packets from now on.
///
/// Each method changes one thing of every direction that this names, and returns it for the next.
/// The order in which a link acts is that of a real line: is it cut, does the packet fit, does the
/// queue take it, and only what was sent can be lost, changed, doubled or late.
#[derive(Clone, Debug)]
pub struct Line {
    control: Control,
    /// `None`: all there are and will be.
    ways: Option<Vec<Way>>,
}

impl Line {
    pub(super) fn new(control: Control, ways: Vec<Way>) -> Self {
        Self {
            control,
            ways: Some(ways),
        }
    }

    pub(super) fn all(control: Control) -> Self {
        Self {
            control,
            ways: None,
        }
    }

    /// The directions that it names; none where it names all.
    pub(super) fn into_ways(self) -> Vec<Way> {
        self.ways.unwrap_or_default()
    }

    /// Changes anything that `switchboard_sim::Link` knows.
    pub fn change(self, change: impl Fn(&mut Conditions) + Send + 'static) -> Self {
        self.control.change(self.ways.as_deref(), Box::new(change));
        self
    }

    /// Replaces everything.
    pub fn conditions(self, conditions: Conditions) -> Self {
        self.change(move |now| *now = conditions.clone())
    }

    /// How long every packet is on the way, at least a microsecond.
    ///
    /// Hosts run apart for as long as the shortest delay of all links: below a millisecond the
    /// world gets slower.
    pub fn delay(self, base: Duration) -> Self {
        self.change(move |now| now.delay.base = base)
    }

    /// How much longer a packet may be on the way, evenly spread from zero. Packets keep their
    /// order.
    pub fn jitter(self, jitter: Duration) -> Self {
        self.change(move |now| {
            now.delay = Delay {
                jitter,
                ..now.delay
            }
        })
    }

    /// Which part of the packets is lost, each with the same chance: `0.01` is one in a hundred.
    pub fn loss(self, part: f64) -> Self {
        self.change(move |now| {
            now.loss = if part > 0.0 {
                Loss::Random(Chance::of_one(part))
            } else {
                Loss::None
            };
        })
    }

    /// Losses in bursts: the chance that one begins at a packet, and how many packets it takes on
    /// average.
    pub fn burst_loss(self, begins: f64, packets: f64) -> Self {
        let burst = Burst::new(
            Chance::of_one(begins),
            Chance::of_one(1.0 / packets.max(1.0)),
        );
        self.change(move |now| now.loss = Loss::Burst(burst))
    }

    /// Which part of the packets arrives twice.
    pub fn duplicate(self, part: f64) -> Self {
        self.change(move |now| now.duplicate.chance = Chance::of_one(part))
    }

    /// Which part of the packets arrives with one bit flipped: the stacks' sums find it.
    pub fn corrupt(self, part: f64) -> Self {
        self.change(move |now| now.corrupt.chance = Chance::of_one(part))
    }

    /// Which part of the packets is held back, and for how long at most, so that later ones
    /// overtake them.
    pub fn reorder(self, part: f64, by: Duration) -> Self {
        let reorder = Reorder {
            chance: Chance::of_one(part),
            by,
        };
        self.change(move |now| now.reorder = reorder)
    }

    /// How fast each direction is, in bits a second, IP headers included; 0 is no limit. What
    /// comes faster waits in a queue of a thousand packets.
    pub fn rate(self, bits_per_second: u64) -> Self {
        self.change(move |now| {
            let limit = now.rate.limit;
            now.rate = match bits_per_second {
                0 => Rate::default(),
                bits => Rate::bits_per_second(bits),
            };
            now.rate.limit = limit;
        })
    }

    /// How many packets may wait in front of a direction that has a [`rate`](Self::rate); more
    /// are dropped.
    pub fn queue(self, packets: usize) -> Self {
        self.change(move |now| {
            now.rate.limit = QueueLimit {
                packets,
                ..now.rate.limit
            }
        })
    }

    /// The longest packet that passes, in octets. A router in front cuts what may be cut and
    /// tells the sender of the rest (path MTU discovery).
    pub fn mtu(self, octets: usize) -> Self {
        self.change(move |now| now.mtu = Mtu::Answered(octets))
    }

    /// The longest packet that passes, in octets; nobody is told of the others.
    pub fn mtu_black_hole(self, octets: usize) -> Self {
        self.change(move |now| now.mtu = Mtu::BlackHole(octets))
    }

    /// Cuts it: what is sent from now on is lost, what is on the way arrives.
    pub fn cut(self) -> Self {
        self.change(|now| now.partition = Partition::Cut)
    }

    /// Ends [`cut`](Self::cut).
    pub fn mend(self) -> Self {
        self.change(|now| now.partition = Partition::Whole)
    }
}
