//! Who holds a flow's inside socket: asked at once while flows are few, later where they come in
//! crowds, and before anybody looks.
//!
//! A question costs the agent some ten system calls and a wake-up: for a program that opens a
//! thousand connections a second that is a processor's work, for sockets that are mostly gone
//! before the answer. So only so many are asked about at once. The others are put off: asked
//! about one by one while their flow lives, and all together when somebody looks at the sockets.
//! Whose flow ends before stays unknown: nobody guesses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::observer::{Flow, Happening, HolderLookup, Observers};
use crate::registry::lock;

/// How long somebody who looks waits for the flows that were put off.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Flows put off before those that have ended meanwhile are swept out.
const SWEEP_AT: usize = 1024;

/// Finds holders of sockets, not faster than it is worth.
pub(crate) struct Holders {
    /// `None`: nobody knows, and every holder is unknown.
    lookup: Option<Arc<dyn HolderLookup>>,
    observers: Observers,
    /// Somebody tells of every flow as it happens: none is put off.
    asks_at_once: bool,
    wait: Duration,
    burst: u32,
    pace: Duration,
    state: Mutex<State>,
    /// Somebody looks: those that were put off are due.
    looked: Notify,
    /// None is put off any more.
    caught_up: Notify,
}

struct State {
    /// Questions that may be asked at once.
    left: u32,
    /// Since when `left` has been growing.
    since: Instant,
    put_off: VecDeque<Weak<Flow>>,
    sweep_at: usize,
    /// A task asks about those that were put off.
    is_asking: bool,
    /// Somebody waits for it.
    is_due: bool,
}

impl Holders {
    pub(crate) fn new(
        lookup: Option<Arc<dyn HolderLookup>>,
        observers: Observers,
        asks_at_once: bool,
        limits: &Limits,
    ) -> Arc<Self> {
        Arc::new(Self {
            lookup,
            observers,
            asks_at_once,
            wait: limits.holder_wait,
            burst: limits.holder_burst,
            pace: limits.holder_pace,
            state: Mutex::new(State {
                left: limits.holder_burst,
                since: Instant::now(),
                put_off: VecDeque::new(),
                sweep_at: SWEEP_AT,
                is_asking: false,
                is_due: false,
            }),
            looked: Notify::new(),
            caught_up: Notify::new(),
        })
    }

    /// Has the holder of `flow` found out beside everything else, now or later.
    pub(crate) fn look_up(self: &Arc<Self>, flow: &Arc<Flow>) {
        if self.lookup.is_none() || flow.transport.protocol().is_none() {
            return flow.set_holder(None);
        }
        let may_start = {
            let mut state = lock(&self.state);
            if self.asks_at_once || state.take(self.burst, self.pace) {
                drop(state);
                return self.ask_beside(flow.clone());
            }
            flow.put_off();
            state.keep(flow);
            !std::mem::replace(&mut state.is_asking, true)
        };
        if may_start {
            tokio::spawn(self.clone().ask_those_put_off());
        }
    }

    /// Who holds the socket of `flow`, asked about now if it was put off.
    pub(crate) async fn of<'a>(
        self: &Arc<Self>,
        flow: &'a Arc<Flow>,
    ) -> Option<&'a crate::Program> {
        if flow.take_put_off() {
            self.ask_beside(flow.clone());
        }
        let known = tokio::time::timeout(self.wait, flow.holder_known());
        known.await.ok().flatten()
    }

    /// Somebody is about to look at all sockets: asks about those that were put off, and waits
    /// for the answers, a second at most.
    pub(crate) async fn catch_up(&self) {
        let caught_up = self.caught_up.notified();
        {
            let mut state = lock(&self.state);
            if !state.is_asking {
                return;
            }
            state.is_due = true;
        }
        self.looked.notify_one();
        // Whoever waits longer sees the rest as unknown.
        let _ = tokio::time::timeout(LOOK_WAIT, caught_up).await;
    }

    fn ask_beside(self: &Arc<Self>, flow: Arc<Flow>) {
        let holders = self.clone();
        tokio::spawn(async move { holders.ask(flow).await });
    }

    async fn ask(&self, flow: Arc<Flow>) {
        let (Some(lookup), Some(protocol)) = (&self.lookup, flow.transport.protocol()) else {
            return flow.set_holder(None);
        };
        let (inner, outer) = flow.inner_and_outer();
        let found = tokio::time::timeout(self.wait, lookup.holder(protocol, inner, outer)).await;
        flow.set_holder(found.ok().flatten());
        self.observers.tell(&Happening::FlowHeld { flow });
    }

    /// One after the other, at the pace, or as fast as the answers come while somebody waits.
    async fn ask_those_put_off(self: Arc<Self>) {
        loop {
            let is_due = lock(&self.state).is_due;
            if !is_due {
                let _ = tokio::time::timeout(self.pace, self.looked.notified()).await;
            }
            let next = lock(&self.state).next_put_off();
            match next {
                Next::Flow(flow) => self.ask(flow).await,
                Next::Ended => {}
                Next::None => return self.caught_up.notify_waiters(),
            }
        }
    }
}

enum Next {
    Flow(Arc<Flow>),
    /// The next one has ended, or is known.
    Ended,
    None,
}

impl State {
    /// Whether one more may be asked at once.
    fn take(&mut self, burst: u32, pace: Duration) -> bool {
        if self.left < burst {
            let pace = pace.max(Duration::from_micros(1));
            let earned = self.since.elapsed().as_nanos() / pace.as_nanos();
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            if earned > 0 {
                self.left = self.left.saturating_add(earned).min(burst);
                self.since = Instant::now();
            }
        } else {
            self.since = Instant::now();
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    fn keep(&mut self, flow: &Arc<Flow>) {
        if self.put_off.len() >= self.sweep_at {
            self.put_off.retain(|flow| flow.strong_count() > 0);
            self.sweep_at = SWEEP_AT.max(2 * self.put_off.len());
        }
        self.put_off.push_back(Arc::downgrade(flow));
    }

    fn next_put_off(&mut self) -> Next {
        // Those that have ended cost nobody a turn.
        while let Some(flow) = self.put_off.pop_front() {
            if let Some(flow) = flow.upgrade() {
                return match flow.take_put_off() {
                    true => Next::Flow(flow),
                    false => Next::Ended,
                };
            }
        }
        self.is_asking = false;
        self.is_due = false;
        Next::None
    }
}

#[cfg(test)]
#[path = "holders_tests.rs"]
mod tests;
