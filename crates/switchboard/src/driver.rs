//! What runs a shard when no application calls: packets from the device, and time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use switchboard_core::{Instant, RxPacket, State};
use tokio::time::Sleep;

use crate::errors::Ended;
use crate::shard::{Shard, ShardCell};
use crate::waiters::WakeList;

/// Packets that one `poll_recv` may hand over. Their acknowledgements leave together, so a batch
/// is also what one acknowledgement covers at most; larger ones make the applications wait.
const BATCH: usize = 64;

/// Packets of one turn, before other tasks of the runtime get theirs. The lock is released
/// between batches.
const PACKETS_PER_TURN: usize = 256;

/// How long connections that nobody holds any more may take to end in order.
const LINGER_MAX: Duration = Duration::from_secs(60);

/// The future that runs a [`Net`](crate::Net): spawn it once, on any runtime.
///
/// It ends when the device does, when [`Net::shutdown`](crate::Net::shutdown) is called, or when
/// no `Net` and no socket is left and every connection has ended (at most a minute later). When
/// it is dropped before, as by a runtime that shuts down, every socket fails and says so.
#[must_use = "a network does nothing until its driver is spawned"]
pub struct Driver {
    cell: Arc<ShardCell>,
    batch: Vec<RxPacket>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` is set to; `None` while it is not wanted.
    timer: Option<Instant>,
    /// What `sleep` shall be set to, as the last turn left it.
    wanted: Option<Instant>,
    /// The last turn found the shard at its end.
    has_ended: bool,
    linger_until: Option<Instant>,
    woken: WakeList,
}

/// How a turn ended.
enum Turn {
    /// Nothing is left to do until somebody calls.
    Idle,
    /// The budget is used up, there may be more.
    More,
}

impl Driver {
    pub(crate) fn new(cell: Arc<ShardCell>) -> Self {
        Self {
            cell,
            batch: Vec::with_capacity(BATCH),
            sleep: None,
            timer: None,
            wanted: None,
            has_ended: false,
            linger_until: None,
            woken: WakeList::default(),
        }
    }

    /// One turn: a bounded number of packets, then time.
    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        let mut budget = PACKETS_PER_TURN;
        loop {
            let more = self.one_batch(cx);
            self.woken.finish();
            match more {
                None => return Turn::Idle,
                Some(received) => budget = budget.saturating_sub(received),
            }
            if budget == 0 {
                return Turn::More;
            }
        }
    }

    /// One time under the lock. `Some`: packets came, there may be more. `None`: registered with
    /// the device, the timer and the applications.
    fn one_batch(&mut self, cx: &mut Context<'_>) -> Option<usize> {
        let cell = Arc::clone(&self.cell);
        let mut shard = cell.lock(&mut self.woken);
        // One moment for the whole batch: the clock is asked once.
        let now = cell.clock().now();

        let received = receive(&mut shard, cx, &mut self.batch, &|| now, &mut self.woken);
        for packet in self.batch.drain(..) {
            shard.stack.handle_packet(now, packet);
        }
        if shard.stack.poll_timeout().is_some_and(|due| due <= now) {
            shard.stack.handle_timeout(now);
        }
        shard.settle(now, &mut self.woken);
        self.unpark(&mut shard, cx, now);
        if received > 0 {
            return Some(received);
        }

        self.linger(&mut shard, now);
        let deadline = match (shard.stack.poll_timeout(), self.linger_until) {
            (Some(due), Some(until)) => Some(due.min(until)),
            (due, until) => due.or(until),
        };
        self.wanted = self.timer_for(deadline);
        self.has_ended = shard.ended().is_some();
        shard.driver_sleeps(cx.waker(), self.wanted, &mut self.woken);
        None
    }

    /// While a transmit is parked: asks the device until it takes it or has registered us.
    fn unpark(&mut self, shard: &mut Shard, cx: &mut Context<'_>, now: Instant) {
        while shard.is_parked() {
            let Some(device) = shard.device() else {
                return;
            };
            match device.poll_send_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {
                    shard.unpark(&mut self.woken);
                    if shard.is_parked() {
                        // It said ready and refused all the same: ask again on a turn of its
                        // own, not in a loop under the lock.
                        cx.waker().wake_by_ref();
                        return;
                    }
                    shard.settle(now, &mut self.woken);
                }
                Poll::Ready(Err(error)) => shard.on_send_error(error, &mut self.woken),
            }
        }
    }

    /// What the timer is set to after this turn. A deadline that moved away leaves it alone: it
    /// moves with every acknowledgement, and one early wake-up costs less than all those moves.
    fn timer_for(&self, deadline: Option<Instant>) -> Option<Instant> {
        match (deadline, self.timer) {
            (None, _) => None,
            (Some(deadline), Some(timer)) if timer <= deadline => Some(timer),
            (deadline, _) => deadline,
        }
    }

    /// Nobody holds the network any more: it ends with its last connection.
    fn linger(&mut self, shard: &mut Shard, now: Instant) {
        if !self.cell.is_abandoned() {
            return;
        }
        let until = *self.linger_until.get_or_insert(now + LINGER_MAX);
        // What waits for the device was sent, as far as its sender knows.
        let is_busy = shard.is_parked()
            || shard.stack.sockets().any(|socket| {
                !matches!(
                    socket.state,
                    None | Some(State::Listen | State::TimeWait | State::Closed)
                )
            });
        if !is_busy || now >= until {
            shard.end(Ended::ShutDown, &mut self.woken);
        }
    }

    /// Sets the timer. `true`: it has gone off already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(wanted) = self.wanted else {
            self.timer = None;
            return false;
        };
        let clock = self.cell.clock();
        let at = clock.to_tokio(wanted);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if self.timer != Some(wanted) {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            empty => empty.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        self.timer = Some(wanted);
        if sleep.as_mut().poll(cx).is_ready() {
            self.timer = None;
            return true;
        }
        false
    }
}

/// Receives one batch. 0: none came and the device knows whom to wake, or there is no device.
fn receive(
    shard: &mut Shard,
    cx: &mut Context<'_>,
    batch: &mut Vec<RxPacket>,
    now: &dyn Fn() -> Instant,
    woken: &mut WakeList,
) -> usize {
    let Some(device) = shard.device() else {
        return 0;
    };
    match device.poll_recv(cx, now, BATCH, batch) {
        Poll::Pending if shard.is_far_end_gone() => {
            shard.end(Ended::LinkGone, woken);
            0
        }
        Poll::Pending => 0,
        Poll::Ready(Ok(0)) => {
            shard.end(Ended::LinkGone, woken);
            0
        }
        Poll::Ready(Ok(received)) => received,
        Poll::Ready(Err(error)) => {
            shard.end(Ended::device(error), woken);
            0
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.turn(cx) {
                Turn::More => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Idle => {}
            }
            if self.has_ended {
                return Poll::Ready(());
            }
            if !self.poll_timer(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.cell.end(Ended::DriverDropped);
    }
}
