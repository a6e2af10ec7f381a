//! One stack, its device and those who wait for its sockets, behind one lock.
//!
//! Everybody who takes the lock leaves the shard *settled*: what the stack wants to send has been
//! handed to the device (or one transmit is parked until the device can take it), every event has
//! reached those who wait, and the driver knows of a deadline that is earlier than its timer.
//! Whoever finds nothing to do registers under the same lock, so no wake-up can be lost.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use switchboard_core::{
    Event, FlowId, Incoming, Instant, ListenerId, PingId, RawId, Readiness, Refusal, Stack, TcpId,
    Transmit, UdpId,
};
use switchboard_device::Device;
use tokio::task::coop;

use crate::clock::Clock;
use crate::errors::{self, Ended};
use crate::waiters::{EITHER_SIDE, Ticket, Waiters, WakeList};

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitOn {
    /// A connection.
    Tcp(TcpId),
    /// A listener's backlog.
    Listener(ListenerId),
    /// A datagram socket.
    Udp(UdpId),
    /// A ping socket.
    Ping(PingId),
    /// A raw socket.
    Raw(RawId),
    /// The end of a flow that waits for a verdict.
    Flow(FlowId),
    /// The next incoming flow.
    Incoming,
    /// The end of the shard.
    End,
}

/// Who takes incoming flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takers {
    /// Nobody has asked yet: they wait in the stack's bounded table.
    NotYet,
    /// This many `IncomingFlows`.
    Some(usize),
}

/// One stack with its device and its waiters.
pub(crate) struct Shard {
    pub(crate) stack: Stack,
    device: Option<Box<dyn Device>>,
    /// The one transmit that the device refused; it goes first.
    parked: Option<Transmit>,
    /// Nobody takes what is sent any more; what arrived before is still to be received.
    is_far_end_gone: bool,
    /// Waiters by the index of the socket's handle.
    tcp: Vec<Waiters>,
    listeners: Vec<Waiters>,
    udp: Vec<Waiters>,
    /// Ping and raw sockets, which share the stack's table.
    packets: Vec<Waiters>,
    /// Flows that wait for a verdict, with those who wait for their end.
    flows: HashMap<FlowId, Waiters>,
    /// Flows that nobody has taken yet, in order of arrival.
    incoming: VecDeque<Incoming>,
    incoming_waiters: Waiters,
    takers: Takers,
    end_waiters: Waiters,
    next_ticket: u64,
    /// The driver's waker while it sleeps, and what its timer is set to.
    driver: Option<Waker>,
    timer: Option<Instant>,
    ended: Option<Ended>,
}

impl Shard {
    fn new(stack: Stack, device: Box<dyn Device>) -> Self {
        Self {
            stack,
            device: Some(device),
            parked: None,
            is_far_end_gone: false,
            tcp: Vec::new(),
            listeners: Vec::new(),
            udp: Vec::new(),
            packets: Vec::new(),
            flows: HashMap::new(),
            incoming: VecDeque::new(),
            incoming_waiters: Waiters::default(),
            takers: Takers::NotYet,
            end_waiters: Waiters::default(),
            next_ticket: 0,
            driver: None,
            timer: None,
            ended: None,
        }
    }

    /// Why the shard works no more, if so.
    pub(crate) fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Fails if the shard works no more: before anything that needs the link.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.ended
            .as_ref()
            .map_or(Ok(()), |why| Err(errors::ended(why)))
    }

    pub(crate) fn device(&mut self) -> Option<&mut Box<dyn Device>> {
        self.device.as_mut()
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Those who wait on `on`; `None` for a flow that is gone.
    pub(crate) fn waiters(&mut self, on: WaitOn) -> Option<&mut Waiters> {
        match on {
            WaitOn::Tcp(id) => Some(at(&mut self.tcp, id.index())),
            WaitOn::Listener(id) => Some(at(&mut self.listeners, id.index())),
            WaitOn::Udp(id) => Some(at(&mut self.udp, id.index())),
            WaitOn::Ping(id) => Some(at(&mut self.packets, id.index())),
            WaitOn::Raw(id) => Some(at(&mut self.packets, id.index())),
            WaitOn::Flow(id) => self.flows.get_mut(&id),
            WaitOn::Incoming => Some(&mut self.incoming_waiters),
            WaitOn::End => Some(&mut self.end_waiters),
        }
    }

    /// Hands to the device what the stack wants to send, and to the waiters what it has to say.
    pub(crate) fn settle(&mut self, now: Instant, woken: &mut WakeList) {
        loop {
            self.transmit(now, woken);
            let Some(event) = self.stack.poll_event() else {
                return;
            };
            self.on_event(now, event, woken);
            while let Some(event) = self.stack.poll_event() {
                self.on_event(now, event, woken);
            }
        }
    }

    /// As `settle`, and wakes the driver where only it can go on.
    fn settle_for_application(&mut self, now: Instant, woken: &mut WakeList) {
        let was_parked = self.is_parked();
        self.settle(now, woken);
        let parked_now = self.is_parked() && !was_parked;
        if parked_now || earlier(self.stack.poll_timeout(), self.timer) {
            woken.extend(self.driver.take());
        }
    }

    /// Drains the stack into the device until one of them has enough.
    fn transmit(&mut self, now: Instant, woken: &mut WakeList) {
        // One for all: it is written in place, and moved only where it has to wait.
        let mut transmit = Transmit::default();
        while self.parked.is_none()
            && self.device.is_some()
            && self.stack.poll_transmit_into(now, &mut transmit)
        {
            self.send(&mut transmit, woken);
        }
    }

    /// The device may take more: the parked transmit first.
    pub(crate) fn unpark(&mut self, woken: &mut WakeList) {
        if let Some(mut transmit) = self.parked.take() {
            self.send(&mut transmit, woken);
        }
    }

    /// Hands one transmit to the device, or parks it.
    fn send(&mut self, transmit: &mut Transmit, woken: &mut WakeList) {
        let Some(device) = &mut self.device else {
            return;
        };
        if self.is_far_end_gone {
            return;
        }
        match device.try_send(transmit) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.parked = Some(std::mem::take(transmit));
            }
            Err(error) => self.on_send_error(error, woken),
        }
    }

    /// The device takes nothing any more.
    pub(crate) fn on_send_error(&mut self, error: io::Error, woken: &mut WakeList) {
        self.parked = None;
        if error.kind() == io::ErrorKind::BrokenPipe {
            self.is_far_end_gone = true;
            woken.extend(self.driver.take());
        } else {
            self.end(Ended::device(error), woken);
        }
    }

    /// Whether the link is gone, once nothing is left to be received.
    pub(crate) fn is_far_end_gone(&self) -> bool {
        self.is_far_end_gone
    }

    fn on_event(&mut self, now: Instant, event: Event, woken: &mut WakeList) {
        match event {
            Event::Tcp(id, ready) => at(&mut self.tcp, id.index()).wake(ready, woken),
            Event::Udp(id, ready) => at(&mut self.udp, id.index()).wake(ready, woken),
            Event::Ping(id, ready) => at(&mut self.packets, id.index()).wake(ready, woken),
            Event::Raw(id, ready) => at(&mut self.packets, id.index()).wake(ready, woken),
            Event::Acceptable(id) => at(&mut self.listeners, id.index()).wake_all(woken),
            Event::Incoming(incoming) => self.on_incoming(now, incoming, woken),
            Event::FlowGone(id) => self.forget_flow(id, woken),
            Event::EchoRequested => self.on_echo(woken),
        }
    }

    fn on_incoming(&mut self, now: Instant, incoming: Incoming, woken: &mut WakeList) {
        let id = flow_id(&incoming);
        if self.takers == Takers::Some(0) {
            // Whoever took flows is gone; nobody will ever answer this one. An error would only
            // say that it is gone already.
            let _ = self.stack.refuse(now, id, Refusal::Reset);
            return;
        }
        self.flows.insert(id, Waiters::default());
        self.incoming.push_back(incoming);
        self.incoming_waiters.wake_all(woken);
    }

    fn on_echo(&mut self, woken: &mut WakeList) {
        if self.takers == Takers::Some(0) {
            while self.stack.receive_echo().is_some() {}
        }
        self.incoming_waiters.wake_all(woken);
    }

    /// The next flow that somebody may take.
    pub(crate) fn next_incoming(&mut self) -> Option<Incoming> {
        while let Some(incoming) = self.incoming.pop_front() {
            if self.flows.contains_key(&flow_id(&incoming)) {
                return Some(incoming);
            }
        }
        None
    }

    /// Whether the flow still waits for a verdict.
    pub(crate) fn is_pending(&self, id: FlowId) -> bool {
        self.flows.contains_key(&id)
    }

    /// The flow has its verdict, or is gone.
    pub(crate) fn forget_flow(&mut self, id: FlowId, woken: &mut WakeList) {
        if let Some(mut waiters) = self.flows.remove(&id) {
            waiters.wake_all(woken);
        }
        // Flows that come and go untaken must not pile up.
        if self.incoming.len() > 2 * self.flows.len() + 64 {
            let flows = &self.flows;
            self.incoming
                .retain(|incoming| flows.contains_key(&flow_id(incoming)));
        }
    }

    /// Somebody takes incoming flows from now on.
    pub(crate) fn add_taker(&mut self) {
        self.takers = match self.takers {
            Takers::NotYet => Takers::Some(1),
            Takers::Some(count) => Takers::Some(count + 1),
        };
    }

    /// One of them is gone. After the last, flows that nobody took are refused.
    pub(crate) fn remove_taker(&mut self, now: Instant) {
        let Takers::Some(count) = self.takers else {
            return;
        };
        self.takers = Takers::Some(count.saturating_sub(1));
        if count <= 1 {
            while let Some(incoming) = self.next_incoming() {
                let id = flow_id(&incoming);
                self.flows.remove(&id);
                // Only "it is gone already" can go wrong.
                let _ = self.stack.refuse(now, id, Refusal::Reset);
            }
            while self.stack.receive_echo().is_some() {}
        }
    }

    /// Nothing works from now on; everybody who waits learns why.
    pub(crate) fn end(&mut self, why: Ended, woken: &mut WakeList) {
        if self.ended.is_some() {
            return;
        }
        self.ended = Some(why);
        self.parked = None;
        woken.discard_device(self.device.take());
        let (streams, datagrams) = (&mut self.tcp, &mut self.udp);
        let tables = [streams, &mut self.listeners, datagrams, &mut self.packets];
        for waiters in tables.into_iter().flatten() {
            waiters.wake_all(woken);
        }
        for waiters in self.flows.values_mut() {
            waiters.wake_all(woken);
        }
        self.flows.clear();
        self.incoming.clear();
        self.incoming_waiters.wake_all(woken);
        self.end_waiters.wake_all(woken);
        woken.extend(self.driver.take());
    }

    /// The driver goes to sleep with its timer set to `timer`.
    pub(crate) fn driver_sleeps(
        &mut self,
        waker: &Waker,
        timer: Option<Instant>,
        woken: &mut WakeList,
    ) {
        self.timer = timer;
        if !self.driver.as_ref().is_some_and(|old| old.will_wake(waker))
            && let Some(old) = self.driver.replace(waker.clone())
        {
            woken.discard(old);
        }
    }

    /// Calls the driver, whatever it sleeps for.
    pub(crate) fn wake_driver(&mut self, woken: &mut WakeList) {
        woken.extend(self.driver.take());
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }
}

/// The place of a socket in a table of waiters.
fn at(table: &mut Vec<Waiters>, index: usize) -> &mut Waiters {
    if table.len() <= index {
        table.resize_with(index + 1, Waiters::default);
    }
    &mut table[index]
}

/// The name of an incoming flow.
fn flow_id(incoming: &Incoming) -> FlowId {
    match *incoming {
        Incoming::Tcp { id, .. } | Incoming::Udp { id, .. } => id,
    }
}

/// Whether a timer set to `timer` would be late for `deadline`.
fn earlier(deadline: Option<Instant>, timer: Option<Instant>) -> bool {
    match (deadline, timer) {
        (Some(deadline), Some(timer)) => deadline < timer,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// A shard behind its lock.
pub(crate) struct ShardCell {
    shard: Mutex<Shard>,
    clock: Clock,
    /// No `Net` and no socket is left: the driver ends once every connection has.
    abandoned: AtomicBool,
}

impl ShardCell {
    pub(crate) fn new(stack: Stack, device: Box<dyn Device>, clock: Clock) -> Self {
        Self {
            shard: Mutex::new(Shard::new(stack, device)),
            clock,
            abandoned: AtomicBool::new(false),
        }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes the lock. A panic under it (a bug of the stack) ends the shard, not the process.
    pub(crate) fn lock(&self, woken: &mut WakeList) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(|poisoned| {
            let mut shard = PoisonError::into_inner(poisoned);
            self.shard.clear_poison();
            shard.end(Ended::Panicked, woken);
            shard
        })
    }

    /// One call of an application: under the lock, and settled afterwards.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&mut Shard, Instant, &mut WakeList) -> T) -> T {
        let mut woken = WakeList::default();
        let mut shard = self.lock(&mut woken);
        let now = self.clock.now();
        let result = call(&mut shard, now, &mut woken);
        shard.settle_for_application(now, &mut woken);
        drop(shard);
        woken.finish();
        result
    }

    /// A question that changes nothing.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Shard) -> T) -> T {
        let mut woken = WakeList::default();
        let shard = self.lock(&mut woken);
        let answer = question(&shard);
        drop(shard);
        answer
    }

    /// One attempt of a `poll_*` method: `Pending` registers the caller, under the same lock.
    pub(crate) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        on: WaitOn,
        side: Side,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let budget = ready!(coop::poll_proceed(cx));
        let result = self.call(|shard, now, woken| {
            let result = attempt(shard, now);
            if result.is_pending() {
                shard.check()?;
                if let Some(waiters) = shard.waiters(on) {
                    match side {
                        Side::Read => waiters.register_reader(cx.waker(), woken),
                        Side::Write => waiters.register_writer(cx.waker(), woken),
                    }
                }
            }
            result
        });
        if result.is_ready() {
            budget.made_progress();
        }
        result
    }

    /// One attempt that registers nobody; after the shard's end its error.
    pub(crate) fn poll_once<T>(
        &self,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.call(|shard, now, _| {
            let result = attempt(shard, now);
            if result.is_pending() {
                shard.check()?;
            }
            result
        })
    }

    /// Makes attempts until one is `Ready`. Any number of tasks may wait for one socket. Dropping
    /// the future between attempts loses nothing.
    pub(crate) async fn wait<T>(
        &self,
        on: WaitOn,
        wants: Readiness,
        mut attempt: impl FnMut(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let mut place = Place {
            cell: self,
            on,
            ticket: None,
        };
        poll_fn(|cx| self.poll_at(cx, on, wants, &mut place.ticket, &mut attempt)).await
    }

    /// One attempt of somebody who has a place of its own among the waiters, `place`, and gives
    /// it up when it goes.
    pub(crate) fn poll_at<T>(
        &self,
        cx: &mut Context<'_>,
        on: WaitOn,
        wants: Readiness,
        place: &mut Option<Ticket>,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let budget = ready!(coop::poll_proceed(cx));
        let result = self.call(|shard, now, woken| {
            let result = attempt(shard, now);
            if result.is_pending() {
                shard.check()?;
                let ticket = *place.get_or_insert_with(|| shard.ticket());
                if let Some(waiters) = shard.waiters(on) {
                    waiters.register(ticket, wants, cx.waker(), woken);
                }
            }
            result
        });
        if result.is_ready() {
            budget.made_progress();
        }
        result
    }

    /// Waits until the shard has ended.
    pub(crate) async fn ended(&self) -> Ended {
        let result = self
            .wait(WaitOn::End, EITHER_SIDE, |shard, _| match shard.ended() {
                Some(why) => Poll::Ready(Ok(why.clone())),
                None => Poll::Pending,
            })
            .await;
        result.unwrap_or(Ended::ShutDown)
    }

    /// Ends the shard.
    pub(crate) fn end(&self, why: Ended) {
        let mut woken = WakeList::default();
        self.lock(&mut woken).end(why, &mut woken);
        woken.finish();
    }

    /// No `Net` and no socket is left.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        let mut woken = WakeList::default();
        self.lock(&mut woken).wake_driver(&mut woken);
        woken.finish();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// Which of the two places of the `poll_*` methods a caller takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

/// A future's place among the waiters, given up when the future is dropped.
struct Place<'a> {
    cell: &'a ShardCell,
    on: WaitOn,
    ticket: Option<Ticket>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut woken = WakeList::default();
        let mut shard = self.cell.lock(&mut woken);
        if let Some(waiters) = shard.waiters(self.on) {
            waiters.deregister(ticket, &mut woken);
        }
        drop(shard);
        woken.finish();
    }
}
