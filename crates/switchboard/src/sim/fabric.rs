//! What lies between the hosts: addresses, names, links, and what is on the way.
//!
//! The hosts of a world share one fabric. A host sends into it at its own moment of virtual time;
//! what arrives is kept in one queue for each host, in the order of arrival. Nothing here depends
//! on the order in which hosts run: a link has one sender, and ties are broken by number.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use switchboard_core::{Cidr, Instant};
use switchboard_sim::link::{Conditions, Fate, Link, LinkStats, LostTo};
use switchboard_sim::trace::Entry;
use switchboard_sim::{Seed, icmp, packets};

use super::port::Inbox;
use crate::network::Net;

/// The least that a packet is on the way: hosts run apart for as long as the shortest link takes,
/// so a link that takes no time would let nobody run.
pub(super) const DELAY_MIN: Duration = Duration::from_micros(1);

/// Parts of the seed. Hosts' stacks use `host << 16 | incarnation` below the first.
pub(super) const PART_LINKS: u64 = 1 << 40;
pub(super) const PART_HOSTS: u64 = 2 << 40;
pub(super) const PART_WORLD: u64 = 3 << 40;

/// A world's fabric, as hosts and handles hold it.
pub(super) type Shared = Arc<Mutex<Fabric>>;

/// The fabric behind its lock. One thread runs a world, so nobody ever waits for it.
pub(super) fn lock(fabric: &Mutex<Fabric>) -> MutexGuard<'_, Fabric> {
    fabric.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One direction between two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way {
    pub(super) from: usize,
    pub(super) to: usize,
}

/// What the fabric knows of a host.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) addresses: Vec<Cidr>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
    /// The running stack; `None` while the host is down.
    pub(super) net: Option<Net>,
    /// Counted up at each start: what an earlier life sends is discarded.
    pub(super) life: u16,
    /// Packets that came while it was down.
    pub(super) missed: u64,
    /// What is on the way to it.
    arrivals: BinaryHeap<Reverse<Arrival>>,
}

/// A packet on its way to a host.
struct Arrival {
    at: Instant,
    from: usize,
    order: u64,
    /// The packet itself where it comes from a router, not over a link.
    packet: Option<Bytes>,
}

impl Arrival {
    fn key(&self) -> (Instant, usize, u64) {
        (self.at, self.from, self.order)
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Something that code inside a host asked of the world: done where all hosts are at one moment.
pub(super) enum Order {
    /// A change of these directions.
    Change(Vec<Way>, Change),
    /// A change of every direction, those to come too.
    ChangeAll(Change),
    /// A host's end.
    Crash(usize),
    /// A host's new beginning.
    Restart(usize),
}

/// A change of what a link does.
pub(super) type Change = Box<dyn Fn(&mut Conditions) + Send>;

/// What lies between the hosts.
pub(super) struct Fabric {
    pub(super) seed: Seed,
    pub(super) hosts: Vec<Place>,
    names: BTreeMap<String, Vec<IpAddr>>,
    owners: HashMap<IpAddr, usize>,
    /// What a pair of hosts gets that nobody has said anything of.
    default: Conditions,
    links: BTreeMap<Way, Link>,
    /// What was sent since the trace was written last.
    pub(super) sent: Vec<Entry>,
    /// What was asked for since the hosts were at one moment last.
    pub(super) orders: Vec<Order>,
    /// The moment at which all hosts are, as far as the world is concerned.
    pub(super) now: Instant,
    /// What happened to the world, for the ladder.
    pub(super) events: Vec<(Instant, String)>,
    next_order: u64,
}

impl Fabric {
    pub(super) fn new(seed: Seed, default: Conditions) -> Self {
        let mut default = default;
        at_least(&mut default);
        Self {
            seed,
            hosts: Vec::new(),
            names: BTreeMap::new(),
            owners: HashMap::new(),
            default,
            links: BTreeMap::new(),
            sent: Vec::new(),
            orders: Vec::new(),
            now: Instant::ZERO,
            events: Vec::new(),
            next_order: 0,
        }
    }

    /// Adds a host and gives it addresses, and returns its number.
    ///
    /// # Panics
    ///
    /// If a name or an address is taken: a mistake in the test.
    pub(super) fn add_host(&mut self, name: &str, more: &[Cidr], aliases: &[String]) -> usize {
        let index = self.hosts.len();
        let mut addresses = own_addresses(index);
        addresses.extend_from_slice(more);
        for cidr in &addresses {
            let taken = self.owners.insert(cidr.address, index);
            assert!(taken.is_none(), "two hosts have {}", cidr.address);
        }
        // Said to every name: IPv4 first, as most software tries the first alone.
        let ips: Vec<IpAddr> = match more {
            [] => addresses.iter().map(|cidr| cidr.address).collect(),
            chosen => chosen.iter().map(|cidr| cidr.address).collect(),
        };
        for name in std::iter::once(name).chain(aliases.iter().map(String::as_str)) {
            let taken = self.names.insert(name.to_ascii_lowercase(), ips.clone());
            assert!(taken.is_none(), "two hosts are called {name:?}");
        }
        self.hosts.push(Place {
            name: name.to_owned(),
            addresses,
            inbox: Arc::default(),
            net: None,
            life: 0,
            missed: 0,
            arrivals: BinaryHeap::new(),
        });
        index
    }

    /// The host of that name.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        let plain = name.to_ascii_lowercase();
        let address = self.names.get(&plain)?.first()?;
        self.owners.get(address).copied()
    }

    /// The addresses of a name; of `NAME.`, too.
    pub(super) fn resolve(&self, name: &str) -> Option<&[IpAddr]> {
        let plain = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.names.get(&plain).map(Vec::as_slice)
    }

    /// The least time that a packet takes between any two hosts.
    pub(super) fn lookahead(&self) -> Duration {
        let pairs = self.hosts.len() * self.hosts.len().saturating_sub(1);
        let others = (self.links.len() < pairs).then_some(self.default.delay.base);
        let links = self.links.values().map(|link| link.conditions().delay.base);
        links.chain(others).min().unwrap_or(self.default.delay.base)
    }

    /// A direction, made where it has not been used or spoken of yet.
    pub(super) fn link(&mut self, way: Way) -> &mut Link {
        let (seed, default) = (self.seed, &self.default);
        self.links.entry(way).or_insert_with(|| {
            let part = PART_LINKS | (way.from as u64) << 16 | way.to as u64;
            Link::new(default.clone(), seed.of_part(part))
        })
    }

    /// What a direction has done so far.
    pub(super) fn link_stats(&self, way: Way) -> LinkStats {
        self.links
            .get(&way)
            .map(|link| *link.stats())
            .unwrap_or_default()
    }

    /// Changes directions now.
    pub(super) fn change(&mut self, ways: &[Way], change: &Change) {
        for &way in ways {
            let conditions = self.link(way).conditions_mut();
            change(conditions);
            at_least(conditions);
        }
    }

    /// Changes every direction now, and what those begin with that are not there yet.
    pub(super) fn change_all(&mut self, change: &Change) {
        let links = self.links.values_mut().map(Link::conditions_mut);
        for conditions in links.chain([&mut self.default]) {
            change(conditions);
            at_least(conditions);
        }
    }

    /// When the next packet arrives anywhere.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        let hosts = 0..self.hosts.len();
        hosts.filter_map(|host| self.next_arrival_at(host)).min()
    }

    /// When the next packet arrives at a host.
    pub(super) fn next_arrival_at(&self, host: usize) -> Option<Instant> {
        let next = self.hosts[host].arrivals.peek();
        next.map(|Reverse(arrival)| arrival.at)
    }

    /// Moves what has arrived at a host by `now` into its inbox, or loses it if the host is down.
    pub(super) fn deliver(&mut self, host: usize, now: Instant, inbox: &mut Inbox) {
        while let Some(packet) = self.take_arrival(host, now) {
            inbox.push(packet);
        }
    }

    /// Loses what has arrived at a host that is down, before `now`.
    pub(super) fn lose(&mut self, host: usize, now: Instant) {
        while self.next_arrival_at(host).is_some_and(|at| at < now) {
            let taken = self.take_arrival(host, now);
            self.hosts[host].missed += u64::from(taken.is_some());
        }
    }

    fn take_arrival(&mut self, host: usize, now: Instant) -> Option<Bytes> {
        if self.next_arrival_at(host)? > now {
            return None;
        }
        let Reverse(arrival) = self.hosts[host].arrivals.pop()?;
        if arrival.packet.is_some() {
            return arrival.packet;
        }
        let way = Way {
            from: arrival.from,
            to: host,
        };
        self.links.get_mut(&way)?.poll(arrival.at)
    }

    /// A host sends a packet: cut, with its sums finished.
    pub(super) fn send(&mut self, from: usize, now: Instant, packet: Bytes) {
        let address = destination(&packet);
        match address {
            Some(address) if is_for_all(address) => {
                for to in (0..self.hosts.len()).filter(|&to| to != from) {
                    self.put_on_link(Way { from, to }, now, packet.clone());
                }
            }
            _ => match address.and_then(|address| self.owners.get(&address).copied()) {
                Some(to) if to != from => self.put_on_link(Way { from, to }, now, packet),
                _ => self.sent.push(Entry {
                    at: now,
                    from,
                    to: None,
                    packet,
                    fate: Fate::Lost(LostTo::Partition),
                    number: None,
                }),
            },
        }
    }

    fn put_on_link(&mut self, way: Way, now: Instant, packet: Bytes) {
        let fate = self.link(way).send(now, &packet);
        self.expect(way, fate);
        if let Fate::Lost(LostTo::Mtu(Some(mtu))) = fate {
            self.at_the_router(way, now, &packet, mtu);
        }
        self.sent.push(Entry {
            at: now,
            from: way.from,
            to: Some(way.to),
            packet,
            fate,
            // The trace counts them when it gets them in the order of time.
            number: Some(0),
        });
    }

    /// Notes when what a link carries will be there.
    fn expect(&mut self, way: Way, fate: Fate) {
        let Fate::Sent {
            arrives, duplicate, ..
        } = fate
        else {
            return;
        };
        for at in std::iter::once(arrives).chain(duplicate) {
            self.put_on_the_way(way, at, None);
        }
    }

    fn put_on_the_way(&mut self, way: Way, at: Instant, packet: Option<Bytes>) {
        self.next_order += 1;
        self.hosts[way.to].arrivals.push(Reverse(Arrival {
            at,
            from: way.from,
            order: self.next_order,
            packet,
        }));
    }

    /// The router in front of a narrow link cuts what may be cut; about the rest it tells the
    /// sender, which takes as long as the way back.
    fn at_the_router(&mut self, way: Way, now: Instant, packet: &Bytes, mtu: usize) {
        for piece in packets::fragments(packet, mtu) {
            let fate = self.link(way).send(now, &piece);
            self.expect(way, fate);
        }
        let router = match destination(packet) {
            Some(IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            _ => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        };
        let Some(error) = icmp::too_big(router, packet, mtu) else {
            return;
        };
        let back = Way {
            from: way.to,
            to: way.from,
        };
        let delay = self.link(back).conditions().delay.base;
        self.put_on_the_way(back, now + delay, Some(error));
    }
}

/// The addresses of a host that has chosen none: 10.0.0.0/8 and fd00::/64, from 1 on.
fn own_addresses(index: usize) -> Vec<Cidr> {
    let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
    assert!(number < 1 << 24, "a world has at most 2^24 hosts");
    let v4 = Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) | number);
    let v6 = Ipv6Addr::from_bits(0xfd00_u128 << 112 | u128::from(number));
    vec![
        Cidr {
            address: v4.into(),
            prefix_len: 8,
        },
        Cidr {
            address: v6.into(),
            prefix_len: 64,
        },
    ]
}

/// Keeps a link from taking no time.
fn at_least(conditions: &mut Conditions) {
    conditions.delay.base = conditions.delay.base.max(DELAY_MIN);
}

/// Where a packet is going.
fn destination(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => {
            let octets: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        }
        6 => {
            let octets: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            Some(IpAddr::from(octets))
        }
        _ => None,
    }
}

/// Whether every host gets a packet to this address: multicast, and the broadcasts of 10/8.
fn is_for_all(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_multicast() || v4.is_broadcast() || v4 == Ipv4Addr::new(10, 255, 255, 255)
        }
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
