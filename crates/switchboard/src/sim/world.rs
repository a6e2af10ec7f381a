//! The world: hosts that run one after the other, in stretches of virtual time in which none can
//! hear of another.
//!
//! A packet is on the way for at least the shortest delay of all links. So whatever a host sends
//! in a stretch of that length arrives after it, and each host can live through the stretch by
//! itself, with the packets that were on the way when it began. This is exact: the order in which
//! hosts run changes nothing. At the end of a stretch all hosts are at one moment; there the trace
//! is put in the order of time, and what hosts asked of the world is done.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard_core::limits::Limits;
use switchboard_core::{Cidr, Instant, TcpConfig};
use switchboard_sim::link::Conditions;
use switchboard_sim::{Rng, Seed};

use super::control::{Control, Host};
use super::fabric::{self, Fabric, Order, PART_WORLD, Way};
use super::failure::{Failure, FailureKind};
use super::links::{Group, Line};
use super::machine::{Machine, Outcome, Result as SoftwareResult, Setup, Start};
use super::pace::{TICK, tick_after, tick_before};
use super::record::Record;
use super::report::Report;

/// How long packets take where nobody said otherwise: hosts of one country.
const DELAY: Duration = Duration::from_millis(10);

/// How long a run may take in virtual time where nobody said otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(3600);

/// Makes a [`Sim`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    seed: Option<u64>,
    conditions: Conditions,
    time_limit: Duration,
    again: Option<String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A world with links of 10 ms and a time limit of an hour.
    pub fn new() -> Self {
        Self {
            seed: None,
            conditions: Conditions::delay(DELAY),
            time_limit: TIME_LIMIT,
            again: None,
        }
    }

    /// What all luck follows from. Default: the environment's `SWITCHBOARD_SEED`, else 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long packets take between hosts whose link nobody changes. Default 10 ms. The longer
    /// the shortest delay of all, the faster the world runs.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.conditions.delay.base = delay;
        self
    }

    /// Everything that links do to packets where nobody changes them.
    pub fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// How long a run may take in virtual time before it has failed. Default one hour.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How to see a failure of this run again, for its report.
    pub(super) fn again(mut self, command: String) -> Self {
        self.again = Some(command);
        self
    }

    /// The world, without hosts.
    pub fn build(self) -> Sim {
        let (seed, again) = match (self.seed, self.again) {
            (Some(seed), again) => (seed, again.unwrap_or_default()),
            (None, again) => {
                let seed = super::seeds::seed_of_environment().unwrap_or(0);
                (seed, again.unwrap_or_else(|| super::seeds::again(seed)))
            }
        };
        let seed = Seed(seed);
        let fabric = Arc::new(Mutex::new(Fabric::new(seed, self.conditions)));
        Sim {
            control: Control { fabric },
            seed,
            again,
            rng: Rng::new(seed.of_part(PART_WORLD)),
            now: Instant::ZERO,
            limit: Instant::ZERO + self.time_limit,
            hosts: Vec::new(),
            plans: BTreeMap::new(),
            next_plan: 0,
            record: Record::new(),
            real: Duration::ZERO,
        }
    }
}

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The run goes on until its software has ended.
    Client,
    /// The run does not wait for it.
    Server,
}

/// A host with its software, alive or not.
struct Slot {
    name: String,
    role: Role,
    setup: Setup,
    software: Start,
    machine: Option<Machine>,
    /// A client's software has ended in order.
    is_done: Option<Instant>,
}

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

/// A host that is to be added, with other than the default settings.
#[must_use = "the host is there once its software is named: `host` or `client`"]
pub struct HostBuilder<'a> {
    sim: &'a mut Sim,
    name: String,
    aliases: Vec<String>,
    setup: Setup,
}

impl HostBuilder<'_> {
    /// An address of its own choice, beside the ones that every host gets; its name stands for
    /// the chosen ones alone.
    pub fn address(mut self, address: Cidr) -> Self {
        self.setup.addresses.push(address);
        self
    }

    /// Another name for it.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// The longest packet that it sends, in octets. Default 1500.
    pub fn mtu(mut self, octets: usize) -> Self {
        self.setup.mtu = octets;
        self
    }

    /// What its TCP connections share.
    pub fn tcp(mut self, tcp: TcpConfig) -> Self {
        self.setup.tcp = tcp;
        self
    }

    /// Bounds of its queues and tables.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.setup.limits = limits;
        self
    }

    /// Adds it, as [`Sim::host`].
    pub fn host<F, S>(self, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(Role::Server, software)
    }

    /// Adds it, as [`Sim::client`].
    pub fn client<F, S>(self, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(Role::Client, software)
    }

    fn add<F, S>(self, role: Role, mut software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        let start: Start = Box::new(move || Box::pin(software()));
        self.sim
            .add_slot(&self.name, &self.aliases, self.setup, role, start)
    }
}

/// Hosts.
impl Sim {
    /// Adds a host that the run does not wait for: a server. `software` is called when the run
    /// begins, and again at each [`restart`](Self::restart). It may return; what it spawned goes
    /// on. An error that it returns, or a panic of its own, fails the run. A panic in a task that it
    /// spawned shows in the task's `JoinHandle`, as always with tokio: join what must not fail.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn host<F, S>(&mut self, name: &str, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(name).host(software)
    }

    /// Adds a host whose software the run waits for: it ends when all clients' software has
    /// returned.
    ///
    /// # Panics
    ///
    /// If the name is taken.
    pub fn client<F, S>(&mut self, name: &str, software: S) -> Host
    where
        S: FnMut() -> F + 'static,
        F: Future<Output = SoftwareResult> + 'static,
    {
        self.add(name).client(software)
    }

    /// Adds a host with settings of its own: `sim.add("a").mtu(1280).host(..)`.
    pub fn add(&mut self, name: &str) -> HostBuilder<'_> {
        HostBuilder {
            sim: self,
            name: name.to_owned(),
            aliases: Vec::new(),
            setup: Setup::default(),
        }
    }

    fn add_slot(
        &mut self,
        name: &str,
        aliases: &[String],
        setup: Setup,
        role: Role,
        software: Start,
    ) -> Host {
        let index = {
            let mut fabric = fabric::lock(&self.control.fabric);
            fabric.add_host(name, &setup.addresses, aliases)
        };
        self.record.trace.name_host(name);
        self.hosts.push(Slot {
            name: name.to_owned(),
            role,
            setup,
            software,
            machine: None,
            is_done: None,
        });
        self.control.order(Order::Restart(index));
        self.control.host_handle(name)
    }

    /// The handle of a host.
    ///
    /// # Panics
    ///
    /// If there is no such host.
    #[must_use]
    pub fn host_handle(&self, name: &str) -> Host {
        self.control.host_handle(name)
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

    /// Looks how software has ended, and what the record says.
    fn check(&mut self) -> Result<(), Box<Failure>> {
        let mut first: Option<(Instant, usize, Outcome)> = None;
        for (index, slot) in self.hosts.iter_mut().enumerate() {
            let Some((at, outcome)) = slot.machine.as_ref().and_then(Machine::ending) else {
                continue;
            };
            match outcome {
                Outcome::Done => {
                    slot.is_done.get_or_insert(at);
                }
                _ if first.as_ref().is_none_or(|&(earliest, ..)| at < earliest) => {
                    first = Some((at, index, outcome));
                }
                _ => {}
            }
        }
        match first {
            Some((at, index, Outcome::Panicked(why))) => {
                let what = format!("its software panicked: {why}");
                return Err(self.fail_at(at, FailureKind::Panic, Some(index), what));
            }
            Some((at, index, Outcome::Failed(why))) => {
                let what = format!("its software failed: {why}");
                return Err(self.fail_at(at, FailureKind::Software, Some(index), what));
            }
            _ => {}
        }
        if let Some(what) = self.record.difference(false) {
            return Err(self.fail(FailureKind::NotRepeatable, None, what));
        }
        if let Some(error) = self.record.capture_error() {
            let what = format!("a capture cannot be written: {error}");
            return Err(self.fail(FailureKind::System, None, what));
        }
        Ok(())
    }

    /// Whether this run was what its reference was, now that it is over.
    fn check_repeated(&mut self) -> Result<(), Box<Failure>> {
        match self.record.difference(true) {
            Some(what) => Err(self.fail(FailureKind::NotRepeatable, None, what)),
            None => Ok(()),
        }
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

    /// Ends a host's life, if it has one.
    fn stop(&mut self, index: usize) {
        let slot = &mut self.hosts[index];
        if let Some(machine) = slot.machine.take() {
            let what = format!("{} crashes", slot.name);
            drop(machine);
            let mut fabric = fabric::lock(&self.control.fabric);
            let now = self.now;
            fabric.events.push((now, what));
        }
    }

    fn start(&mut self, index: usize) -> Result<(), Box<Failure>> {
        self.stop(index);
        let slot = &mut self.hosts[index];
        slot.is_done = None;
        let started = Machine::start(
            &self.control,
            index,
            &slot.setup,
            &mut slot.software,
            self.now,
        );
        match started {
            Ok(machine) => slot.machine = Some(machine),
            Err(error) => {
                let what = format!("it cannot be started: {error}");
                return Err(self.fail(FailureKind::System, Some(index), what));
            }
        }
        if self.now > Instant::ZERO {
            let what = format!("{} starts", self.hosts[index].name);
            fabric::lock(&self.control.fabric)
                .events
                .push((self.now, what));
        }
        Ok(())
    }

    /// Time is over and clients still wait.
    fn out_of_time(&self) -> Box<Failure> {
        let names: Vec<&str> = self.waiting().map(|slot| slot.name.as_str()).collect();
        let names = names.join(", ");
        let last = self.record.last_sent();
        let what = format!(
            "the time limit is reached, and still waiting: {names}; the last packet was sent at {}",
            switchboard_sim::notation::time(last)
        );
        // Nobody has said anything for the last quarter of the time.
        let is_stuck = last.saturating_since(Instant::ZERO) < self.elapsed() * 3 / 4;
        let kind = if is_stuck {
            FailureKind::Stuck
        } else {
            FailureKind::TimeLimit
        };
        self.fail(kind, None, what)
    }

    fn waiting(&self) -> impl Iterator<Item = &Slot> {
        let clients = self.hosts.iter().filter(|slot| slot.role == Role::Client);
        clients.filter(|slot| slot.is_done.is_none())
    }

    fn fail(&self, kind: FailureKind, host: Option<usize>, what: String) -> Box<Failure> {
        self.fail_at(self.now, kind, host, what)
    }

    fn fail_at(
        &self,
        at: Instant,
        kind: FailureKind,
        host: Option<usize>,
        what: String,
    ) -> Box<Failure> {
        let host = host.map(|index| self.hosts[index].name.clone());
        let what = match &host {
            Some(host) => format!("{host}: {what}"),
            None => what,
        };
        let ladder = self
            .record
            .ladder(&fabric::lock(&self.control.fabric).events);
        let trace = &self.record.trace;
        let has_packets = !trace.entries().is_empty();
        Box::new(Failure {
            kind,
            host,
            report: switchboard_sim::Failure {
                seed: self.seed,
                at,
                what,
                repeat: self.again.clone(),
                status: self.status(),
                ladder,
                capture: if has_packets {
                    trace.pcapng()
                } else {
                    Vec::new()
                },
            },
        })
    }

    /// How each host stands, a line or more for each.
    fn status(&self) -> String {
        let mut text = String::new();
        for (index, slot) in self.hosts.iter().enumerate() {
            let state = match (&slot.machine, slot.is_done, slot.role) {
                (None, ..) => "down".to_owned(),
                (Some(_), Some(at), _) => {
                    format!("done at {}", switchboard_sim::notation::time(at))
                }
                (Some(_), None, Role::Client) => "waiting".to_owned(),
                (Some(_), None, Role::Server) => "up".to_owned(),
            };
            text.push_str(&format!("  {}: {state}", slot.name));
            let handle = Host::new(self.control.clone(), index);
            for socket in handle.sockets() {
                text.push_str(&format!("; {}", super::report::socket(&socket)));
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    pub(super) fn into_record(mut self) -> Record {
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
