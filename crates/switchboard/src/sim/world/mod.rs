//! The world: hosts that run one after the other, in stretches of virtual time in which none can
//! hear of another.
//!
//! A packet is on the way for at least the shortest delay of all links. So whatever a host sends
//! in a stretch of that length arrives after it, and each host can live through the stretch by
//! itself, with the packets that were on the way when it began. This is exact: the order in which
//! hosts run changes nothing. At the end of a stretch all hosts are at one moment; there the trace
//! is put in the order of time, and what hosts asked of the world is done.

mod builder;
mod hosts;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use switchboard_core::Instant;
use switchboard_sim::{Rng, Seed};

pub use self::builder::Builder;
pub use self::hosts::HostBuilder;
use self::hosts::{Role, Slot};
use crate::sim::control::Control;
use crate::sim::fabric::{self, Order, Way};
use crate::sim::failure::{Failure, FailureKind};
use crate::sim::links::{Group, Line};
use crate::sim::machine::Machine;
use crate::sim::pace::{TICK, tick_after, tick_before};
use crate::sim::record::Record;
use crate::sim::report::Report;

type Plan = Box<dyn FnOnce(&mut Sim)>;

/// A simulated world: hosts with software, links between them, and a clock that jumps.
///
/// Everything runs on the thread that calls [`run`](Self::run), which must not be inside a tokio
/// runtime: use a plain `#[test]`.
pub struct Sim {
    control: Control,
    seed: Seed,
    again: String,
    rng: Rng,
    now: Instant,
    limit: Instant,
    hosts: Vec<Slot>,
    plans: BTreeMap<(Instant, u64), Plan>,
    next_plan: u64,
    record: Record,
    /// Time of the machine that simulates.
    real: Duration,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed.0)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Links and faults: see [`Control`], whose methods these are.
impl Sim {
    /// The handle of this world, for software inside its hosts.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Both directions between two hosts or groups: see [`Control::link`].
    #[must_use]
    pub fn link(&self, a: impl Group, b: impl Group) -> Line {
        self.control.link(a, b)
    }

    /// One direction: see [`Control::link_one_way`].
    #[must_use]
    pub fn link_one_way(&self, from: impl Group, to: impl Group) -> Line {
        self.control.link_one_way(from, to)
    }

    /// Every link: see [`Control::links`].
    #[must_use]
    pub fn links(&self) -> Line {
        self.control.links()
    }

    /// Cuts every link between two groups: see [`Control::partition`].
    pub fn partition(&self, a: impl Group, b: impl Group) {
        self.control.partition(a, b);
    }

    /// Cuts hosts off from all others: see [`Control::isolate`].
    pub fn isolate(&self, hosts: impl Group) {
        self.control.isolate(hosts);
    }

    /// Mends every link between two groups: see [`Control::repair`].
    pub fn repair(&self, a: impl Group, b: impl Group) {
        self.control.repair(a, b);
    }

    /// Mends every link.
    pub fn repair_all(&self) {
        self.control.repair_all();
    }

    /// Ends hosts as a power failure does, now: see [`Control::crash`]. A host that is about to
    /// start is started first, and ends before its software runs.
    pub fn crash(&mut self, hosts: impl Group) {
        self.control.crash(hosts);
        self.obey_changes();
    }

    /// Starts hosts again, now: see [`Control::restart`].
    pub fn restart(&mut self, hosts: impl Group) {
        self.control.restart(hosts);
    }

    /// Records every packet from now on, as a pcapng file. Packets stand at the moment at which
    /// they were sent; comments say by whom, and their fate.
    pub fn capture(&mut self, output: impl Write + 'static) {
        self.record.capture(Box::new(output), None);
    }

    /// The same for the packets between two hosts or groups alone.
    pub fn capture_link(&mut self, a: impl Group, b: impl Group, output: impl Write + 'static) {
        let ways: Vec<Way> = self.control.link(a, b).into_ways();
        self.record.capture(Box::new(output), Some(ways));
    }
}

/// Time.
impl Sim {
    /// The time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_since(Instant::ZERO)
    }

    /// The world's seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed.0
    }

    /// Luck for whoever builds the world: follows from the seed. Software inside has its own
    /// ([`sim::random`](super::random)).
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Does something when the world is `elapsed` old; at once when it is older, as soon as it
    /// runs.
    pub fn at(&mut self, elapsed: Duration, what: impl FnOnce(&mut Self) + 'static) {
        let order = self.next_plan;
        self.next_plan += 1;
        self.plans
            .insert((Instant::ZERO + elapsed, order), Box::new(what));
    }

    /// Runs until every client's software has returned.
    ///
    /// # Errors
    ///
    /// The first software that failed or panicked; or time was over.
    pub fn run(&mut self) -> Result<Report, Box<Failure>> {
        let limit = self.limit;
        if self.advance(limit, true)? {
            return Ok(self.report());
        }
        Err(self.out_of_time())
    }

    /// Runs for a time, whether clients end or not.
    ///
    /// # Errors
    ///
    /// The first software that failed or panicked.
    pub fn run_for(&mut self, time: Duration) -> Result<Report, Box<Failure>> {
        let end = self.now + time;
        self.advance(end, false)?;
        Ok(self.report())
    }

    /// Whether every client's software has returned.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.hosts
            .iter()
            .all(|slot| slot.role == Role::Server || slot.is_done.is_some())
    }

    /// What the run has been so far.
    #[must_use]
    pub fn report(&self) -> Report {
        Report {
            seed: self.seed.0,
            elapsed: self.elapsed(),
            hosts: self.hosts.len(),
            packets: self.record.trace.packets(),
            digest: self.record.trace.digest(),
            real: self.real,
        }
    }

    /// Runs up to `end`, or until all clients are done. `true`: they are.
    fn advance(&mut self, end: Instant, stop_when_done: bool) -> Result<bool, Box<Failure>> {
        let started = std::time::Instant::now();
        let result = self.advance_timed(end, stop_when_done);
        self.real += started.elapsed();
        result
    }

    fn advance_timed(&mut self, end: Instant, stop_when_done: bool) -> Result<bool, Box<Failure>> {
        self.obey()?;
        loop {
            if stop_when_done && self.is_done() {
                self.check_repeated()?;
                return Ok(true);
            }
            if self.now >= end {
                return Ok(false);
            }
            self.do_plans()?;
            self.stretch(end)?;
        }
    }

    /// Does the plans of this moment.
    fn do_plans(&mut self) -> Result<(), Box<Failure>> {
        while self.next_plan_at().is_some_and(|at| at <= self.now) {
            if let Some((_, plan)) = self.plans.pop_first() {
                plan(self);
            }
            self.obey()?;
        }
        Ok(())
    }

    fn next_plan_at(&self) -> Option<Instant> {
        self.plans.keys().next().map(|&(at, _)| at)
    }

    /// One stretch: every host lives through it by itself.
    fn stretch(&mut self, limit: Instant) -> Result<(), Box<Failure>> {
        let end = match self.next_plan_at() {
            Some(at) => limit.min(at),
            None => limit,
        };
        let end = self.end_of_stretch(end);
        let mut moved = None;
        let expects = self.who_expects(end);
        for (index, (slot, expects)) in self.hosts.iter_mut().zip(expects).enumerate() {
            match &mut slot.machine {
                Some(machine) if expects || machine.is_due(end) => {
                    if !machine.live(end, expects) {
                        moved.get_or_insert(index);
                    }
                }
                Some(_) => {}
                None => fabric::lock(&self.control.fabric).lose(index, end),
            }
        }
        self.now = end;
        {
            let mut fabric = fabric::lock(&self.control.fabric);
            fabric.now = end;
            self.record.add(&mut fabric.sent);
        }
        if let Some(index) = moved {
            let what = "its software has moved tokio's clock (pause, resume or advance)";
            return Err(self.fail(FailureKind::ClockMoved, Some(index), what.to_owned()));
        }
        self.check()?;
        self.obey()
    }

    /// Which hosts get packets before `end`. Whatever is sent until then arrives later.
    fn who_expects(&self, end: Instant) -> Vec<bool> {
        let fabric = fabric::lock(&self.control.fabric);
        let hosts = 0..self.hosts.len();
        let arrivals = hosts.map(|host| fabric.next_arrival_at(host));
        arrivals.map(|at| at.is_some_and(|at| at < end)).collect()
    }

    /// How far hosts may run without hearing of each other, at most to `limit`.
    fn end_of_stretch(&self, limit: Instant) -> Instant {
        let (lookahead, arrival) = {
            let fabric = fabric::lock(&self.control.fabric);
            (fabric.lookahead(), fabric.next_arrival())
        };
        if lookahead >= TICK {
            // Timers fire on whole milliseconds: a stretch that ends there costs least.
            return tick_before(self.now + lookahead).min(limit);
        }
        let machines = || self.hosts.iter().filter_map(|slot| slot.machine.as_ref());
        if !machines().any(Machine::is_unsettled) {
            // Between whole milliseconds nothing happens but arrivals.
            let next = arrival.map_or(tick_after(self.now), |at| at.min(tick_after(self.now)));
            if next > self.now {
                return next.min(limit);
            }
        }
        (self.now + lookahead).min(tick_after(self.now)).min(limit)
    }

    /// Does what hosts asked of the world.
    fn obey(&mut self) -> Result<(), Box<Failure>> {
        loop {
            let orders = std::mem::take(&mut fabric::lock(&self.control.fabric).orders);
            if orders.is_empty() {
                return Ok(());
            }
            for order in orders {
                if let Order::Restart(index) = order {
                    self.start(index)?;
                } else {
                    self.obey_one(order);
                }
            }
        }
    }

    /// Does the orders that cannot fail, and leaves the others: starts, and crashes that were
    /// ordered after a start of the same host.
    fn obey_changes(&mut self) {
        let orders = std::mem::take(&mut fabric::lock(&self.control.fabric).orders);
        let (mut left, mut starting) = (Vec::new(), Vec::new());
        for order in orders {
            match order {
                Order::Restart(index) => {
                    starting.push(index);
                    left.push(order);
                }
                Order::Crash(index) if starting.contains(&index) => left.push(order),
                order => self.obey_one(order),
            }
        }
        fabric::lock(&self.control.fabric).orders = left;
    }

    fn obey_one(&mut self, order: Order) {
        match order {
            Order::Change(ways, change) => {
                fabric::lock(&self.control.fabric).change(&ways, &change);
            }
            Order::ChangeAll(change) => fabric::lock(&self.control.fabric).change_all(&change),
            Order::Crash(index) => self.stop(index),
            Order::Restart(_) => {}
        }
    }

    pub(in crate::sim) fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    pub(in crate::sim) fn into_record(mut self) -> Record {
        std::mem::replace(&mut self.record, Record::new())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        for slot in &mut self.hosts {
            slot.machine = None;
        }
    }
}
