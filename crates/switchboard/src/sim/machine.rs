//! A host: its software, and one life of it with a runtime and a stack of its own.

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use switchboard_core::Instant;
use switchboard_core::limits::Limits;
use switchboard_core::{Cidr, TcpConfig};
use switchboard_sim::Rng;
use tokio::runtime::{Builder, LocalRuntime};

use super::control::Control;
use super::fabric::{self, PART_HOSTS, Shared};
use super::inside::Inside;
use super::pace::{Idle, Pace};
use super::port::{self, Inbox, Port};
use crate::clock::Clock;
use crate::net::Resolving;
use crate::network::Net;

/// What a host's software returns.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

type Software = Pin<Box<dyn Future<Output = Result>>>;

/// Starts a host's software: called once for each life.
pub(super) type Start = Box<dyn FnMut() -> Software>;

/// How a host's stack is made.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) addresses: Vec<Cidr>,
    pub(super) mtu: usize,
    pub(super) tcp: TcpConfig,
    pub(super) limits: Limits,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            mtu: 1500,
            tcp: TcpConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// How a host's software ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Done,
    Failed(String),
    Panicked(String),
}

/// When, and how.
type Ending = Rc<RefCell<Option<(Instant, Outcome)>>>;

/// One life of a host.
pub(super) struct Machine {
    runtime: Option<LocalRuntime>,
    idle: Arc<Idle>,
    pace: Pace,
    inbox: Arc<Mutex<Inbox>>,
    fabric: Shared,
    inside: Rc<Inside>,
    ending: Ending,
}

impl Machine {
    /// Starts a host at the world's `now`: makes its runtime and its stack, and its software
    /// runs as soon as the world does.
    pub(super) fn start(
        control: &Control,
        host: usize,
        setup: &Setup,
        software: &mut Start,
        now: Instant,
    ) -> io::Result<Self> {
        let idle = Arc::new(Idle::default());
        let runtime = runtime(&idle, control, host)?;
        let entered = runtime.enter();
        let mut pace = Pace::new(now);
        pace.step_to(now);
        let clock = Clock::showing(now);
        let fabric = Arc::clone(&control.fabric);
        let (net, inside) = stack(control, host, setup, clock)?;
        net.use_on(runtime.handle());

        let inside = Rc::new(inside);
        let ending = Ending::default();
        let software = {
            let _guard = inside.enter();
            catch_unwind(AssertUnwindSafe(software))
        };
        match software {
            Ok(software) => {
                let watched = watch(software, clock, Rc::clone(&ending));
                // Its end is told through `ending`; the handle would say no more.
                drop(runtime.spawn_local(watched));
            }
            Err(panic) => *ending.borrow_mut() = Some((now, Outcome::Panicked(said(&*panic)))),
        }
        drop(entered);
        pace.disturb();
        let inbox = Arc::clone(&fabric::lock(&fabric).hosts[host].inbox);
        fabric::lock(&fabric).hosts[host].net = Some(net);
        Ok(Self {
            runtime: Some(runtime),
            idle,
            pace,
            inbox,
            fabric,
            inside,
            ending,
        })
    }

    /// How its software ended, if it has.
    pub(super) fn ending(&self) -> Option<(Instant, Outcome)> {
        self.ending.borrow().clone()
    }

    /// Whether it has to be run for a stretch of time that ends at `end`, packets aside.
    pub(super) fn is_due(&self, end: Instant) -> bool {
        self.pace.is_due(end)
    }

    /// Whether it has something to do right now.
    pub(super) fn is_unsettled(&self) -> bool {
        self.pace.is_unsettled()
    }

    /// Lives up to `end`: packets that arrive before it, timers and tasks that are due before it.
    /// Returns `false` if its software has moved tokio's clock.
    pub(super) fn live(&mut self, end: Instant, expects_packets: bool) -> bool {
        let Some(runtime) = &self.runtime else {
            return true;
        };
        let _guard = self.inside.enter();
        let (pace, idle) = (&mut self.pace, &*self.idle);
        let (fabric, inbox, host) = (&self.fabric, &self.inbox, self.inside.host);
        runtime.block_on(async {
            pace.begin(idle).await;
            while expects_packets && let Some(at) = next_before(fabric, host, end) {
                pace.advance_to(at, idle).await;
                receive(fabric, inbox, host, at);
                pace.settle(idle).await;
            }
            pace.advance_to(end, idle).await;
            pace.is_right()
        })
    }

    /// Ends this life. What its tasks would say when they are dropped goes nowhere.
    fn end(&mut self) {
        let net = {
            let mut fabric = fabric::lock(&self.fabric);
            fabric.hosts[self.inside.host].net.take()
        };
        let waker = port::lock(&self.inbox).clear();
        drop(waker);
        self.idle.forget();
        let _guard = self.inside.enter();
        if let Some(runtime) = self.runtime.take() {
            // Blocking tasks of this life may not end; nobody waits for them.
            runtime.shutdown_background();
        }
        drop(net);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}

/// When the next packet arrives at a host, if before `end`.
fn next_before(fabric: &Shared, host: usize, end: Instant) -> Option<Instant> {
    let next = fabric::lock(fabric).next_arrival_at(host);
    next.filter(|&at| at < end)
}

/// Hands over what has arrived by `now`.
fn receive(fabric: &Shared, inbox: &Mutex<Inbox>, host: usize, now: Instant) {
    let mut inbox = port::lock(inbox);
    fabric::lock(fabric).deliver(host, now, &mut inbox);
    let waker = inbox.waker();
    drop(inbox);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A paused runtime that tells when it has nothing to do. Without tokio's I/O: real sockets have
/// no place in virtual time.
fn runtime(idle: &Arc<Idle>, control: &Control, host: usize) -> io::Result<LocalRuntime> {
    let mut builder = Builder::new_current_thread();
    let hook = Arc::clone(idle);
    builder
        .enable_time()
        .start_paused(true)
        .on_thread_park(move || hook.on_park());
    #[cfg(tokio_unstable)]
    {
        let (seed, life) = luck(control, host);
        let seed = seed.of_part(u64::from(life)).expand();
        builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed));
    }
    #[cfg(not(tokio_unstable))]
    let _ = (control, host);
    builder.build_local(Default::default())
}

/// The seed of a host's luck, and which life of it comes next.
fn luck(control: &Control, host: usize) -> (switchboard_sim::Seed, u16) {
    let fabric = fabric::lock(&control.fabric);
    let seed = fabric.seed.of_part(PART_HOSTS | host as u64);
    (seed, fabric.hosts[host].life + 1)
}

/// A new stack with its driver on the current runtime.
fn stack(control: &Control, host: usize, setup: &Setup, clock: Clock) -> io::Result<(Net, Inside)> {
    let (seed, life) = luck(control, host);
    let seed = seed.of_part(u64::from(life));
    let (port, addresses, name) = {
        let mut fabric = fabric::lock(&control.fabric);
        let place = &mut fabric.hosts[host];
        place.life = life;
        let port = Port {
            host,
            life,
            mtu: setup.mtu,
            clock,
            inbox: Arc::clone(&place.inbox),
            fabric: Arc::clone(&control.fabric),
        };
        (port, place.addresses.clone(), place.name.clone())
    };
    let names = Arc::clone(&control.fabric);
    let net = Net::builder()
        .addresses(addresses)
        .seed(seed.of_part(1).expand())
        .tcp(setup.tcp.clone())
        .limits(setup.limits)
        .clock(clock)
        .resolver(move |name: &str| resolve(&names, name))
        .build(port)?;
    let inside = Inside {
        host,
        name,
        clock,
        rng: RefCell::new(Rng::new(seed.of_part(2))),
        control: control.clone(),
    };
    Ok((net, inside))
}

/// Names are the world's: every host knows every other.
fn resolve(fabric: &Shared, name: &str) -> Resolving {
    let found = fabric::lock(fabric).resolve(name).map(<[_]>::to_vec);
    let answer = found.ok_or_else(|| {
        let what = format!("{name}: no host of this simulated world is called so");
        io::Error::new(io::ErrorKind::NotFound, what)
    });
    Box::pin(std::future::ready(answer))
}

/// Runs a host's software and notes how it ended, panics included.
async fn watch(mut software: Software, clock: Clock, ending: Ending) {
    let outcome = poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| software.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Poll::Ready(Outcome::Done),
            Ok(Poll::Ready(Err(error))) => Poll::Ready(Outcome::Failed(chain(&*error))),
            Err(panic) => Poll::Ready(Outcome::Panicked(said(&*panic))),
        }
    })
    .await;
    *ending.borrow_mut() = Some((clock.now(), outcome));
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it did not say why".to_owned())
}
