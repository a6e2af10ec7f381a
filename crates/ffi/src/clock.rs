//! Virtual time: it stands still while anybody who takes part runs, and jumps to the next thing
//! due when all of them sleep in our calls.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError, Weak};
use std::thread::ThreadId;

use slab::Slab;
use switchboard_core::Instant;

use crate::network::{Network, State};
use crate::signal::Signal;

/// Where a network's time comes from.
pub(crate) enum Clock {
    /// The machine's, counted from this moment.
    Real(std::time::Instant),
    /// It moves when every thread that takes part sleeps in one of our calls. A thread takes part
    /// from its first call on until it ends.
    Virtual,
    /// Somebody moves it by hand (`Network::drive`): packetdrill's adapter.
    Driven,
}

/// The state of virtual time.
#[derive(Default)]
pub(crate) struct Virtual {
    pub(crate) now: Instant,
    threads: HashSet<ThreadId>,
    sleepers: Slab<Sleeper>,
}

struct Sleeper {
    deadline: Option<Instant>,
    signal: Arc<Signal>,
}

impl Virtual {
    /// Whether everyone sleeps, and nothing has happened that wakes one.
    fn is_quiet(&self) -> bool {
        self.sleepers.len() >= self.threads.len()
            && self
                .sleepers
                .iter()
                .all(|(_, sleeper)| !sleeper.is_woken(self.now))
    }

    fn still_sleeps(&self, place: usize) -> bool {
        let me = self.sleepers.get(place);
        me.is_some_and(|me| !me.is_woken(self.now))
    }

    /// When the next sleeper has slept long enough.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self
            .sleepers
            .iter()
            .filter_map(|(_, sleeper)| sleeper.deadline);
        deadlines.filter(|deadline| *deadline > self.now).min()
    }

    /// Whether a sleeper was woken and has not got to run yet.
    pub(crate) fn has_woken(&self) -> bool {
        self.sleepers
            .iter()
            .any(|(_, sleeper)| sleeper.is_woken(self.now))
    }
}

impl Sleeper {
    fn is_woken(&self, now: Instant) -> bool {
        self.signal.is_fired() || self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

impl Network {
    /// Sleeps until `signal` is fired or virtual time reaches `deadline`.
    pub(crate) fn sleep_virtual(self: &Arc<Self>, signal: &Arc<Signal>, deadline: Option<Instant>) {
        let mut state = self.lock();
        let signal = Arc::clone(signal);
        let place = state
            .virtual_time
            .sleepers
            .insert(Sleeper { deadline, signal });
        let may_move = matches!(self.clock, Clock::Virtual);
        while state.virtual_time.still_sleeps(place) {
            if may_move
                && state.virtual_time.is_quiet()
                && let Some(next) = state.next_step()
            {
                self.step(&mut state, next);
                continue;
            }
            let woken = self.moved.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.virtual_time.sleepers.remove(place);
    }

    /// Moves virtual time to `to` and does what is due there.
    pub(crate) fn step(&self, state: &mut State, to: Instant) {
        state.virtual_time.now = state.virtual_time.now.max(to);
        let now = state.virtual_time.now;
        state.handle_timeouts(now);
        self.settle(state, now);
    }
}

impl State {
    /// The next moment at which something is due.
    pub(crate) fn next_step(&self) -> Option<Instant> {
        let timer = self.next_deadline();
        [timer, self.virtual_time.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The networks in virtual time that a thread takes part in; it leaves them when it ends.
#[derive(Default)]
pub(crate) struct Members(Vec<Weak<Network>>);

thread_local! {
    static MEMBERS: RefCell<Members> = RefCell::default();
}

impl Members {
    /// The calling thread takes part in `network`.
    pub(crate) fn join(network: &Arc<Network>, time: &mut Virtual) {
        if time.threads.insert(std::thread::current().id()) {
            // A thread that calls from its last destructors cannot be seen leaving.
            let _ = MEMBERS.try_with(|members| {
                members.borrow_mut().0.push(Arc::downgrade(network));
            });
        }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for network in self.0.drain(..).filter_map(|network| network.upgrade()) {
            let me = std::thread::current().id();
            network.lock_apart().virtual_time.threads.remove(&me);
            network.moved.notify_all();
        }
    }
}
