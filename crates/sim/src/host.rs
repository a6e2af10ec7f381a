//! A machine of the simulated network: a real stack and the applications on it.

use std::net::IpAddr;

use switchboard_core::{Cidr, Config, Entropy, Event, FlowId, Incoming, Readiness, Stack, TcpId};
use switchboard_wire::Instant;

use crate::app::{App, Context, Owners, Wake};
use crate::oracle::Oracles;
use crate::rng::Seed;

/// Events that one input may cause before it counts as a flood, for each socket of the host.
const EVENTS_PER_SOCKET_MAX: usize = 64;

/// The same for sockets that no application owns, all together: those of direct calls.
const UNOWNED_EVENTS_MAX: usize = 1 << 20;

/// A machine.
pub struct Host {
    name: String,
    stack: Stack,
    apps: Vec<Box<dyn App>>,
    owners: Owners,
    /// Flows to any address that wait for a verdict, oldest first.
    incoming: Vec<FlowId>,
    /// Packets that the world has handed over and taken, to compare with the stack's count.
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
}

/// The configuration of a host with these addresses and everything else by default.
///
/// # Panics
///
/// If one of `addresses` is no `ADDRESS/PREFIX`: it is part of a test.
#[must_use]
pub fn config(addresses: &[&str]) -> Config {
    Config {
        addresses: addresses.iter().map(|text| cidr(text)).collect(),
        ..Config::default()
    }
}

fn cidr(text: &str) -> Cidr {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no ADDRESS/PREFIX"))
}

impl Host {
    pub(crate) fn new(name: &str, config: Config, seed: Seed) -> Self {
        Self {
            name: name.to_owned(),
            stack: Stack::new(config, Entropy::from_seed(seed.expand())),
            apps: Vec::new(),
            owners: Owners::default(),
            incoming: Vec::new(),
            packets_in: 0,
            packets_out: 0,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its stack.
    #[must_use]
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Its stack, to call what no application calls.
    pub const fn stack_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }

    /// One of its applications, if it is an `A`.
    #[must_use]
    pub fn app<A: 'static>(&self, index: usize) -> Option<&A> {
        self.apps.get(index)?.as_any().downcast_ref()
    }

    /// Its applications.
    pub fn apps(&self) -> impl Iterator<Item = &dyn App> {
        self.apps.iter().map(AsRef::as_ref)
    }

    /// Whether that address is one of its own.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.stack
            .config()
            .addresses
            .iter()
            .any(|own| own.address == address)
    }

    /// Takes the flows to any address that wait for a verdict, oldest first.
    pub fn take_incoming(&mut self) -> Vec<FlowId> {
        std::mem::take(&mut self.incoming)
    }

    /// Connections that its applications hold.
    pub(crate) fn open_connections(&self) -> impl Iterator<Item = TcpId> {
        self.owners.tcp.keys().copied()
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        oracles: &mut Oracles,
        app: Box<dyn App>,
    ) -> usize {
        self.apps.push(app);
        let me = self.apps.len() - 1;
        self.wake(now, oracles, me, Wake::Start);
        me
    }

    /// When an application wants to run.
    pub(crate) fn app_deadline(&self) -> Option<Instant> {
        self.apps.iter().filter_map(|app| app.deadline()).min()
    }

    /// Wakes every application whose deadline has come.
    pub(crate) fn wake_due_apps(&mut self, now: Instant, oracles: &mut Oracles) {
        for me in 0..self.apps.len() {
            let deadline = self.apps.get(me).and_then(|app| app.deadline());
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.wake(now, oracles, me, Wake::Time);
            }
        }
    }

    /// Hands every event to the application that it is for; says whether there was one.
    pub(crate) fn dispatch_events(&mut self, now: Instant, oracles: &mut Oracles) -> bool {
        let sockets = self.owners.tcp.len() + self.owners.udp.len() + self.owners.listeners.len();
        let limit = EVENTS_PER_SOCKET_MAX * (sockets + 1);
        let mut polled = 0;
        let mut unowned = 0;
        while let Some(event) = self.stack.poll_event() {
            polled += 1;
            if polled - unowned > limit || unowned > UNOWNED_EVENTS_MAX {
                oracles.note(now, Err(format!("{}: a flood of events", self.name)));
                return false;
            }
            let (owner, why) = match event {
                Event::Tcp(id, readiness) => {
                    (self.owners.tcp.get(&id).copied(), Wake::Tcp(id, readiness))
                }
                Event::Acceptable(id) => (
                    self.owners.listeners.get(&id).copied(),
                    Wake::Acceptable(id),
                ),
                Event::Udp(id, readiness) => {
                    (self.owners.udp.get(&id).copied(), Wake::Udp(id, readiness))
                }
                Event::Incoming(Incoming::Tcp { id, .. } | Incoming::Udp { id, .. }) => {
                    self.incoming.push(id);
                    continue;
                }
                Event::FlowGone(id) => {
                    self.incoming.retain(|waiting| *waiting != id);
                    continue;
                }
                // Nobody here opens such sockets.
                Event::EchoRequested | Event::Ping(..) | Event::Raw(..) => continue,
            };
            check_event(now, oracles, &self.name, why);
            // A connection that still waits in its listener's backlog has no owner yet.
            match owner {
                Some(me) => self.wake(now, oracles, me, why),
                None => unowned += 1,
            }
        }
        polled > 0
    }

    fn wake(&mut self, now: Instant, oracles: &mut Oracles, me: usize, why: Wake) {
        let Self {
            stack,
            apps,
            owners,
            ..
        } = self;
        if let Some(app) = apps.get_mut(me) {
            let mut cx = Context {
                now,
                stack,
                oracles,
                owners,
                me,
            };
            app.wake(&mut cx, why);
        }
    }
}

/// An event says something.
fn check_event(now: Instant, oracles: &mut Oracles, host: &str, why: Wake) {
    let is_empty = match why {
        Wake::Tcp(_, readiness) | Wake::Udp(_, readiness) => readiness == Readiness::NONE,
        Wake::Start | Wake::Time | Wake::Acceptable(_) => false,
    };
    if is_empty {
        oracles.note(now, Err(format!("{host}: an event without readiness")));
    }
}
