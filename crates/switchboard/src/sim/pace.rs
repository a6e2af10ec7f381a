//! How a host's paused runtime is led through virtual time, to the nanosecond.
//!
//! tokio's timers fire on whole milliseconds, counted from the runtime's beginning, and a paused
//! runtime jumps from one to the next by itself when it has nothing else to do. Packets arrive in
//! between. So time passes in three kinds of steps: with the runtime's own jumps up to a whole
//! millisecond, where timers fire one after the other; then, when nothing is left to run, by hand
//! to the packet's moment; and by hand to the next whole millisecond after it. No timer can be
//! due in a step by hand.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use switchboard_core::Instant;
use tokio::time::Sleep;

/// The grain of tokio's timers.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// The last whole millisecond that is not after `at`.
pub(super) fn tick_before(at: Instant) -> Instant {
    Instant::from_millis(at.as_millis())
}

/// The first whole millisecond after `at`.
pub(super) fn tick_after(at: Instant) -> Instant {
    tick_before(at) + TICK
}

/// Tells when a runtime has nothing left to run: its `on_thread_park` calls it.
#[derive(Default)]
pub(super) struct Idle {
    is_awaited: AtomicBool,
    is_reached: AtomicBool,
    /// The waker of the future in `block_on`.
    root: Mutex<Option<Waker>>,
}

impl Idle {
    /// The runtime is about to wait. Waking the root future here keeps it from jumping.
    pub(super) fn on_park(&self) {
        if self.is_awaited.swap(false, Ordering::Relaxed) {
            self.is_reached.store(true, Ordering::Relaxed);
            let root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(root) = &*root {
                root.wake_by_ref();
            }
        }
    }

    fn set_root(&self, waker: &Waker) {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        if !root.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *root = Some(waker.clone());
        }
    }

    /// The runtime's handle holds this, and this a waker that holds the handle: ends the circle.
    pub(super) fn forget(&self) {
        let mut root = self.root.lock().unwrap_or_else(PoisonError::into_inner);
        *root = None;
    }

    /// Waits until nothing is left to run at this moment.
    async fn reached(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
        poll_fn(|_| {
            if self.is_reached.swap(false, Ordering::Relaxed) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Where one host's runtime is in virtual time.
pub(super) struct Pace {
    /// What tokio's clock showed when the world's clock showed `born`, a whole millisecond.
    zero: tokio::time::Instant,
    born: Instant,
    /// The world's time that tokio's clock shows now.
    clock: Instant,
    /// Tasks that are due at `clock` may not have run yet.
    is_unsettled: bool,
    sleep: Pin<Box<Sleep>>,
}

impl Pace {
    /// Of a runtime that has just been made, and is entered. Its clock stands at the whole
    /// millisecond before `now`.
    pub(super) fn new(now: Instant) -> Self {
        let born = tick_before(now);
        Self {
            zero: tokio::time::Instant::now(),
            born,
            clock: born,
            is_unsettled: false,
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// Whether this host has, or may have, something to do up to `end`, packets aside.
    pub(super) fn is_due(&self, end: Instant) -> bool {
        self.is_unsettled || tick_before(end) > self.clock
    }

    /// Whether tasks may be due right now.
    pub(super) fn is_unsettled(&self) -> bool {
        self.is_unsettled
    }

    /// Something was woken from outside, at this moment.
    pub(super) fn disturb(&mut self) {
        self.is_unsettled = true;
    }

    /// To be called first in each `block_on`.
    pub(super) async fn begin(&self, idle: &Idle) {
        poll_fn(|cx| {
            idle.set_root(cx.waker());
            Poll::Ready(())
        })
        .await;
    }

    /// Runs everything that is due before `target`, and moves the clock there. What is due at
    /// `target` itself may or may not have run.
    pub(super) async fn advance_to(&mut self, target: Instant, idle: &Idle) {
        if target <= self.clock {
            return;
        }
        if tick_before(self.clock) != self.clock {
            if self.is_unsettled {
                self.settle(idle).await;
            }
            let tick = tick_after(self.clock);
            self.step_to(target.min(tick));
            if target < tick {
                return;
            }
            // Once to let the timer wheel turn, once for what it woke.
            idle.reached().await;
            self.settle(idle).await;
        }
        let tick = tick_before(target);
        if tick > self.clock {
            let at = self.zero + tick.saturating_since(self.born);
            self.sleep.as_mut().reset(at);
            self.sleep.as_mut().await;
            self.clock = tick;
            self.is_unsettled = true;
        }
        if target > self.clock {
            self.settle(idle).await;
            self.step_to(target);
        }
    }

    /// Runs what is due at this moment, until nothing is left.
    pub(super) async fn settle(&mut self, idle: &Idle) {
        idle.reached().await;
        self.is_unsettled = false;
    }

    /// Moves the clock by hand.
    pub(super) fn step_to(&mut self, target: Instant) {
        let by = target.saturating_since(self.clock);
        if !by.is_zero() {
            let mut step = pin!(tokio::time::advance(by));
            // The clock moves at the first poll; what comes after it only gives way to others.
            let _ = step.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            self.clock = target;
        }
    }

    /// Whether tokio's clock shows what it should: whoever runs inside may have moved it.
    pub(super) fn is_right(&self) -> bool {
        let shown = tokio::time::Instant::now().saturating_duration_since(self.zero);
        self.born + shown == self.clock
    }
}
