//! The simulated network: hosts, links, and a clock that jumps to what happens next.
//!
//! Everything follows from one seed. A step does exactly one thing, at the earliest moment at
//! which there is one to do: a packet arrives, a stack's deadline comes, an application wants
//! to run, or the test's own plan changes something. After it the host concerned is drained,
//! and every oracle looks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use bytes::Bytes;
use switchboard_core::{Config, Stack};
use switchboard_wire::{Instant, RxPacket, Transmit};

use crate::app::App;
use crate::door;
use crate::failure::Failure;
use crate::host::Host;
use crate::icmp;
use crate::link::{Conditions, Fate, Fault, Link, LinkStats, LostTo};
use crate::oracle::{Oracles, invariants};
use crate::packets;
use crate::rng::Seed;
use crate::trace::{Entry, Trace};

/// Packets that arrive without any application getting anything done before a run counts as
/// stuck: a lone loss with the longest backoff costs tens, an ACK loop any number.
const PACKETS_WITHOUT_PROGRESS_MAX: u64 = 20_000;

/// The same for steps of any kind. Thousands of connections in TIME-WAIT cost a step each.
const STEPS_WITHOUT_PROGRESS_MAX: u64 = 1_000_000;

/// Turns of draining one host after one input before it counts as a loop.
const DRAIN_TURNS_MAX: u32 = 100_000;

/// A deadline may fire this often at one moment before it counts as a busy loop.
const DEADLINES_AT_ONCE_MAX: u32 = 64;

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// One direction between two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    from: HostId,
    to: HostId,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The test's plan.
    Plan,
    /// A router's ICMP error arrives.
    Icmp,
    /// A packet arrives over a link.
    Arrival(Way),
    /// A stack's deadline.
    Deadline(HostId),
    /// An application's deadline.
    App(HostId),
}

type Plan = Box<dyn FnOnce(&mut World)>;

/// A simulated network.
pub struct World {
    seed: Seed,
    repeat: String,
    now: Instant,
    hosts: Vec<Host>,
    links: BTreeMap<Way, Link>,
    /// What the test wants done later, in order.
    plans: BTreeMap<(Instant, u64), Plan>,
    /// ICMP errors of the routers on the way: arrival, receiver.
    icmp: BTreeMap<(Instant, u64), (HostId, Bytes)>,
    next_order: u64,
    oracles: Oracles,
    trace: Trace,
    faults: BTreeMap<u64, Fault>,
    steps_without_progress: u64,
    packets_at_progress: u64,
    progress_seen: u64,
    deadlines_at_once: (Instant, u32),
    packets_delivered: u64,
}

impl World {
    /// An empty world in which all luck follows from `seed`.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            repeat: String::new(),
            now: Instant::ZERO,
            hosts: Vec::new(),
            links: BTreeMap::new(),
            plans: BTreeMap::new(),
            icmp: BTreeMap::new(),
            next_order: 0,
            oracles: Oracles::default(),
            trace: Trace::default(),
            faults: BTreeMap::new(),
            steps_without_progress: 0,
            packets_at_progress: 0,
            progress_seen: 0,
            deadlines_at_once: (Instant::ZERO, 0),
            packets_delivered: 0,
        }
    }

    /// The command that repeats this run, for the report of a failure.
    pub fn set_repeat_command(&mut self, command: impl Into<String>) {
        self.repeat = command.into();
    }

    /// Does this to the packet of that number, counted over the whole world from 0.
    pub fn set_fault(&mut self, packet: u64, fault: Fault) {
        self.faults.insert(packet, fault);
    }

    /// Adds a host.
    pub fn host(&mut self, name: &str, config: Config) -> HostId {
        let id = HostId(self.hosts.len());
        let seed = self.seed.of_part(id.0 as u64);
        self.hosts.push(Host::new(name, config, seed));
        self.trace.name_host(name);
        id
    }

    /// Joins two hosts, with the same conditions in both directions.
    pub fn link(&mut self, a: HostId, b: HostId, conditions: &Conditions) {
        self.link_one_way(a, b, conditions.clone());
        self.link_one_way(b, a, conditions.clone());
    }

    /// Joins two hosts in one direction only, or replaces that direction.
    pub fn link_one_way(&mut self, from: HostId, to: HostId, conditions: Conditions) {
        let part = 1 << 32 | (from.0 as u64) << 16 | to.0 as u64;
        let link = Link::new(conditions, self.seed.of_part(part));
        self.links.insert(Way { from, to }, link);
    }

    /// What a direction does to packets, to change it while the world runs.
    ///
    /// # Panics
    ///
    /// If there is no such link: a mistake in the test.
    pub fn conditions_mut(&mut self, from: HostId, to: HostId) -> &mut Conditions {
        self.links
            .get_mut(&Way { from, to })
            .expect("the test names a link that it made")
            .conditions_mut()
    }

    /// Whether a direction may change packets.
    #[must_use]
    pub fn corrupts(&self, from: HostId, to: HostId) -> bool {
        self.links
            .get(&Way { from, to })
            .is_some_and(|link| !link.conditions().corrupt.chance.is_never())
    }

    /// What a direction has done so far.
    #[must_use]
    pub fn link_stats(&self, from: HostId, to: HostId) -> LinkStats {
        self.links
            .get(&Way { from, to })
            .map(|link| *link.stats())
            .unwrap_or_default()
    }

    /// Starts an application; returns its index on that host.
    pub fn start(&mut self, host: HostId, app: impl App + 'static) -> usize {
        let now = self.now;
        let index = self.hosts[host.0].start(now, &mut self.oracles, Box::new(app));
        self.drain(host);
        index
    }

    /// Does something at a later moment.
    pub fn at(&mut self, when: Instant, what: impl FnOnce(&mut Self) + 'static) {
        let order = self.next_order();
        self.plans.insert((when, order), Box::new(what));
    }

    /// Calls a host's stack directly, then drains it.
    pub fn call<T>(&mut self, host: HostId, call: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        let now = self.now;
        let result = call(self.hosts[host.0].stack_mut(), now);
        self.drain(host);
        result
    }

    /// A host.
    #[must_use]
    pub fn host_of(&self, id: HostId) -> &Host {
        &self.hosts[id.0]
    }

    /// Takes the flows that wait for a verdict on a host that takes any address.
    pub fn take_incoming(&mut self, host: HostId) -> Vec<switchboard_core::FlowId> {
        self.hosts[host.0].take_incoming()
    }

    /// The clock.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Where its luck comes from.
    #[must_use]
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// Every packet so far.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The trace, to choose how much of it is kept.
    pub const fn trace_mut(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// Ends the world and keeps its trace.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    /// What the oracles know.
    #[must_use]
    pub const fn oracles(&self) -> &Oracles {
        &self.oracles
    }

    /// Whether every application has done what it is for.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.hosts
            .iter()
            .all(|host| host.apps().all(|app| app.is_done()))
    }

    /// Does the next thing. `false`: nothing will ever happen any more.
    ///
    /// # Errors
    ///
    /// The first promise that was broken.
    pub fn step(&mut self) -> Result<bool, Box<Failure>> {
        let Some((at, next)) = self.next() else {
            return Ok(false);
        };
        self.now = self.now.max(at);
        match next {
            Next::Plan => {
                if let Some((_, plan)) = self.plans.pop_first() {
                    plan(self);
                }
            }
            Next::Icmp => {
                if let Some((_, (host, packet))) = self.icmp.pop_first() {
                    self.deliver(host, packet);
                }
            }
            Next::Arrival(way) => {
                let packet = self.links.get_mut(&way).and_then(|link| link.poll(at));
                if let Some(packet) = packet {
                    self.deliver(way.to, packet);
                }
            }
            Next::Deadline(host) => {
                self.count_deadline();
                let now = self.now;
                self.hosts[host.0].stack_mut().handle_timeout(now);
                self.drain(host);
            }
            Next::App(host) => {
                let now = self.now;
                self.hosts[host.0].wake_due_apps(now, &mut self.oracles);
                self.drain(host);
            }
        }
        self.check()?;
        Ok(true)
    }

    /// Runs until `end`, or until nothing will ever happen any more.
    ///
    /// # Errors
    ///
    /// The first promise that was broken.
    pub fn run_until(&mut self, end: Instant) -> Result<(), Box<Failure>> {
        while self.next().is_some_and(|(at, _)| at <= end) {
            self.step()?;
        }
        self.now = self.now.max(end);
        Ok(())
    }

    /// Runs until every application is done.
    ///
    /// # Errors
    ///
    /// The first promise that was broken; or nothing will ever happen and one is not done.
    pub fn run_until_done(&mut self) -> Result<(), Box<Failure>> {
        while !self.is_done() {
            if !self.step()? {
                return Err(self.fail("an application waits for ever: nothing will happen"));
            }
        }
        Ok(())
    }

    /// Runs until nothing will ever happen any more, then checks what must be true at rest:
    /// every application done, every octet delivered or an error told, no connection left,
    /// every packet counted.
    ///
    /// # Errors
    ///
    /// The first promise that was broken.
    pub fn run_until_idle(&mut self) -> Result<(), Box<Failure>> {
        self.run_until_done()?;
        while self.step()? {}
        self.check_at_rest()
    }

    /// A failure of this run, at this moment.
    #[must_use]
    pub fn fail(&self, what: impl Into<String>) -> Box<Failure> {
        let mut status = String::new();
        for host in &self.hosts {
            for app in host.apps() {
                status.push_str(&format!("  {}: {}\n", host.name(), app.status()));
            }
        }
        Box::new(Failure::new(
            self.seed,
            self.now,
            what.into(),
            self.repeat.clone(),
            status,
            &self.trace,
        ))
    }

    /// The earliest thing to do. Of several at one moment: plan, packets in the order of
    /// their links, deadlines and applications in the order of their hosts.
    fn next(&self) -> Option<(Instant, Next)> {
        let mut earliest: Option<(Instant, Next)> = None;
        let mut consider = |at: Option<Instant>, next: Next| {
            if let Some(at) = at
                && earliest.is_none_or(|(best, _)| at < best)
            {
                earliest = Some((at, next));
            }
        };
        consider(self.plans.keys().next().map(|&(at, _)| at), Next::Plan);
        consider(self.icmp.keys().next().map(|&(at, _)| at), Next::Icmp);
        for (&way, link) in &self.links {
            consider(link.deadline(), Next::Arrival(way));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            consider(host.stack().poll_timeout(), Next::Deadline(HostId(index)));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            consider(host.app_deadline(), Next::App(HostId(index)));
        }
        earliest
    }

    fn next_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    /// A packet reaches a host.
    fn deliver(&mut self, to: HostId, packet: Bytes) {
        self.packets_delivered += 1;
        self.oracles.wire.delivered(&packet);
        let now = self.now;
        let host = &mut self.hosts[to.0];
        host.packets_in += 1;
        host.stack_mut()
            .handle_packet(now, RxPacket::new(packet, now));
        self.drain(to);
    }

    /// Takes from a host everything that it has to say, until it has nothing more.
    fn drain(&mut self, id: HostId) {
        for _ in 0..DRAIN_TURNS_MAX {
            let now = self.now;
            let transmit = self.hosts[id.0].stack_mut().poll_transmit(now);
            if let Some(transmit) = transmit {
                self.hosts[id.0].packets_out += 1;
                self.transmit(id, transmit);
                continue;
            }
            let host = &mut self.hosts[id.0];
            if !host.dispatch_events(now, &mut self.oracles) {
                let found = invariants::check_stack(host.stack(), now, host.open_connections())
                    .map_err(|what| format!("{}: {what}", host.name()));
                self.oracles.note(now, found);
                return;
            }
        }
        let what = format!("{} never has nothing to say", self.hosts[id.0].name());
        self.oracles.note(self.now, Err(what));
    }

    /// Who has that address; else the first neighbour of `from` that takes any.
    fn next_hop(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        let owner = self.hosts.iter().position(|h| h.has_address(address));
        let router = || {
            self.hosts.iter().enumerate().position(|(index, host)| {
                let to = HostId(index);
                host.stack().config().any_address && self.links.contains_key(&Way { from, to })
            })
        };
        owner.or_else(router).map(HostId)
    }

    /// What leaves a stack: cut and summed, then each packet onto its link.
    fn transmit(&mut self, from: HostId, transmit: Transmit) {
        let mtu = self.hosts[from.0].stack().config().mtu;
        for packet in door::plain_packets(&transmit) {
            let found = self
                .oracles
                .wire
                .sent(&packet, mtu)
                .map_err(|what| format!("{}: {what}", self.hosts[from.0].name()));
            self.oracles.note(self.now, found);
            let to = destination(&packet).and_then(|address| self.next_hop(from, address));
            match to {
                Some(to) => self.put_on_link(Way { from, to }, packet),
                None => self.trace.record(Entry {
                    at: self.now,
                    from: from.0,
                    to: None,
                    packet,
                    fate: Fate::Lost(LostTo::Partition),
                    number: None,
                }),
            }
        }
    }

    fn put_on_link(&mut self, way: Way, packet: Bytes) {
        let number = self.trace.next_number();
        let fault = self.faults.get(&number).copied();
        let fate = match self.links.get_mut(&way) {
            Some(link) => link.send_faulty(self.now, &packet, fault),
            None => Fate::Lost(LostTo::Partition),
        };
        if let Fate::Lost(LostTo::Mtu(Some(mtu))) = fate {
            self.at_the_router(way, &packet, mtu);
        }
        self.trace.record(Entry {
            at: self.now,
            from: way.from.0,
            to: Some(way.to.0),
            packet,
            fate,
            number: Some(number),
        });
    }

    /// The router in front of a narrow link cuts what may be cut; about the rest it tells the
    /// sender, which takes as long as the way back.
    fn at_the_router(&mut self, way: Way, packet: &Bytes, mtu: usize) {
        if let Some(link) = self.links.get_mut(&way) {
            // Pieces are no packets of a host: they have no number and no line of their own.
            for piece in packets::fragments(packet, mtu) {
                link.send(self.now, &piece);
            }
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
        let delay = self
            .links
            .get(&back)
            .map_or(Duration::ZERO, |link| link.conditions().delay.base);
        let order = self.next_order();
        self.icmp
            .insert((self.now + delay, order), (way.from, error));
    }

    fn count_deadline(&mut self) {
        let (at, count) = self.deadlines_at_once;
        self.deadlines_at_once = if at == self.now {
            (at, count + 1)
        } else {
            (self.now, 1)
        };
        if self.deadlines_at_once.1 > DEADLINES_AT_ONCE_MAX * self.hosts.len() as u32 {
            let what = "a deadline that comes again and again at one moment".to_owned();
            self.oracles.note(self.now, Err(what));
        }
    }

    fn check(&mut self) -> Result<(), Box<Failure>> {
        if let Some(violation) = self.oracles.first_violation() {
            return Err(self.fail(violation.what.clone()));
        }
        let progress = self.oracles.progress();
        if progress == self.progress_seen {
            self.steps_without_progress += 1;
        } else {
            self.steps_without_progress = 0;
            self.packets_at_progress = self.packets_delivered;
            self.progress_seen = progress;
        }
        let packets = self.packets_delivered - self.packets_at_progress;
        let steps = self.steps_without_progress;
        if packets > PACKETS_WITHOUT_PROGRESS_MAX || steps > STEPS_WITHOUT_PROGRESS_MAX {
            return Err(self.fail(format!(
                "{packets} packets and {steps} steps in which nothing got done"
            )));
        }
        Ok(())
    }

    fn check_at_rest(&self) -> Result<(), Box<Failure>> {
        if !self.is_done() {
            return Err(self.fail("nothing will happen and an application is not done"));
        }
        self.oracles
            .stream
            .check_at_rest()
            .map_err(|what| self.fail(what))?;
        let links = || self.links.values().map(Link::stats);
        let copies: u64 = links().map(|stats| stats.duplicated).sum();
        let is_gentle = links().all(|stats| stats.corrupted == 0 && stats.dropped() == 0);
        self.oracles
            .datagram
            .check_at_rest(copies, is_gentle)
            .map_err(|what| self.fail(what))?;
        for host in &self.hosts {
            let stats = host.stack().stats();
            if (stats.packets_received, stats.packets_sent) != (host.packets_in, host.packets_out) {
                return Err(self.fail(format!(
                    "{} counts {} packets in and {} out, the world {} and {}",
                    host.name(),
                    stats.packets_received,
                    stats.packets_sent,
                    host.packets_in,
                    host.packets_out
                )));
            }
            let left = host.stack().sockets().find(|socket| {
                socket
                    .state
                    .is_some_and(|state| state != switchboard_core::State::Listen)
            });
            if let Some(socket) = left {
                return Err(self.fail(format!(
                    "{} still has {} in {:?} when nothing will ever happen",
                    host.name(),
                    socket.local,
                    socket.state
                )));
            }
        }
        Ok(())
    }
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
