//! A bad network between a stack and its device, in real time: delay, jitter, loss, rate,
//! reordering, duplicates, corruption, a queue, a cut.
//!
//! [`Shaped`] wraps any [`Device`]. Each direction is a [`Link`] of the simulator, so what a
//! seeded test found out in virtual time happens here on tokio's clock, and the other way
//! round. What passes is what a wire would carry: super-segments are cut and checksums finished
//! before a link may lose or change a packet, and nothing is claimed to be verified afterwards.
//!
//! ```
//! use std::time::Duration;
//! use switchboard::shape::{Conditions, Chance, Seed, Shaped};
//! use switchboard::{Net, device::pipe};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (near, far) = pipe::pair(1500, Default::default(), 256);
//! let line = Conditions::delay(Duration::from_millis(40)).loss(Chance::percent(1));
//! let near = Shaped::new(near, line.clone(), line, Seed(7));
//! let handle = near.handle();
//! let net = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
//!
//! // While it runs: the line to the stack gets longer.
//! handle.toward(|line| line.delay.base = Duration::from_millis(300));
//! # drop((net, far)); Ok(()) }
//! ```
//!
//! tokio's timers have a resolution of one millisecond, so in real time a packet may come up to
//! that much late; over a longer time rates are exact.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use switchboard_core::{Instant, RxPacket, Transmit};
use switchboard_device::{Device, Offloads};
pub use switchboard_sim::impair::{
    Burst, ConditionsError, Corrupt, Delay, Duplicate, Loss, Mtu, Partition, QueueLimit, Rate,
    Reorder,
};
pub use switchboard_sim::{Chance, Conditions, Link, LinkStats, Seed};
use switchboard_sim::{Fate, door, icmp, link::LostTo, packets};
use switchboard_wire::{IpPacket, offload};
use tokio::time::Sleep;

use crate::clock::Clock;

/// The MTU of a shaped link where its device would take more: what ordinary lines have.
pub const MTU: usize = 1500;

/// Packets taken from the device at once.
const BATCH: usize = 64;

/// Batches taken from the device in one call, before the stack gets what has arrived.
const BATCHES: usize = 4;

/// "Too big" messages that wait for the device; as with any router, more are not sent.
const ANSWERS_MAX: usize = 64;

/// Part of the seed that is the luck of what comes in; the other is of what goes out.
const TOWARD: u64 = 0;
const AWAY: u64 = 1;

/// A device with a line of given conditions in each direction: see the [module](self).
pub struct Shaped<D> {
    device: D,
    mtu: usize,
    clock: Clock,
    lines: Arc<Mutex<Lines>>,
    /// Has left the line, and waits for the device.
    parked: Option<Transmit>,
    batch: Vec<RxPacket>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The device gives no more; what is on the way still arrives.
    is_gone: bool,
    /// The device takes no more.
    is_broken: bool,
    failed: Option<io::Error>,
}

/// What the handle shares.
struct Lines {
    toward: Link,
    away: Link,
    /// "Too big" messages for the far side: they begin here, and go out before anything else.
    answers: VecDeque<Bytes>,
    /// The driver.
    waker: Option<Waker>,
}

/// Changes the conditions of a [`Shaped`] device while it runs, and counts what they did.
/// Cloning gives another handle of the same device.
#[derive(Clone)]
pub struct ShapeHandle(Arc<Mutex<Lines>>);

impl<D> fmt::Debug for Shaped<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shaped")
            .field("mtu", &self.mtu)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ShapeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShapeHandle").finish_non_exhaustive()
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    // A caller's closure may panic under it; conditions are plain values, whole in any case.
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<D: Device> Shaped<D> {
    /// Puts a line of conditions `toward` before what `device` receives, and one of conditions
    /// `away` behind what the stack sends. The luck of both follows from `seed`. The MTU is the
    /// device's, at most 1500 octets.
    pub fn new(device: D, toward: Conditions, away: Conditions, seed: Seed) -> Self {
        let lines = Lines {
            toward: Link::new(toward, seed.of_part(TOWARD)),
            away: Link::new(away, seed.of_part(AWAY)),
            answers: VecDeque::new(),
            waker: None,
        };
        Self {
            mtu: device.mtu().min(MTU),
            device,
            clock: Clock::start(),
            lines: Arc::new(Mutex::new(lines)),
            parked: None,
            batch: Vec::with_capacity(BATCH),
            sleep: None,
            is_gone: false,
            is_broken: false,
            failed: None,
        }
    }

    /// With another MTU, in octets; not above the device's.
    #[must_use]
    pub fn with_mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu.min(self.device.mtu());
        self
    }

    /// For changes while it runs.
    #[must_use]
    pub fn handle(&self) -> ShapeHandle {
        ShapeHandle(Arc::clone(&self.lines))
    }

    /// Takes from the device what it has, onto the line toward the stack. `true`: it may have
    /// more at once.
    fn take_in(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        for _ in 0..BATCHES {
            if self.is_gone {
                return Ok(false);
            }
            let batch = &mut self.batch;
            match self.device.poll_recv(cx, &|| now, BATCH, batch) {
                Poll::Pending => return Ok(false),
                Poll::Ready(result) => self.is_gone = result? == 0,
            }
            let mut lines = lock(&self.lines);
            for received in self.batch.drain(..) {
                for packet in offload::cut_received(&received) {
                    lines.send_toward(now, &packet);
                }
            }
        }
        Ok(true)
    }

    /// Gives the device what has left the line away from the stack.
    fn give_out(&mut self, now: Instant) {
        while !self.is_broken {
            let transmit = match self.parked.take() {
                Some(transmit) => transmit,
                None => match lock(&self.lines).next_out(now) {
                    Some(packet) => Transmit::from_packet(&packet),
                    None => return,
                },
            };
            match self.device.try_send(&transmit) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.parked = Some(transmit);
                    return;
                }
                Err(error) => self.on_send_error(error),
            }
        }
    }

    fn on_send_error(&mut self, error: io::Error) {
        self.is_broken = true;
        self.parked = None;
        // The far end is gone; what it sent before may still be on the way to us.
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.failed = Some(error);
        }
    }

    /// Gives out what is due, waiting for the device where it is full.
    fn drain_out(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            self.give_out(now);
            if self.parked.is_none() {
                return;
            }
            match self.device.poll_send_ready(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {
                    self.give_out(now);
                    if self.parked.is_some() {
                        // It said ready and refused all the same: on a turn of its own.
                        cx.waker().wake_by_ref();
                        return;
                    }
                }
                Poll::Ready(Err(error)) => self.on_send_error(error),
            }
        }
    }

    /// Sets the timer to the next arrival. `true`: it has come already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let lines = lock(&self.lines);
        let out = match &self.parked {
            // The device wakes us.
            Some(_) => None,
            None => lines.away.deadline(),
        };
        let next = [lines.toward.deadline(), out].into_iter().flatten().min();
        drop(lines);
        let Some(next) = next else {
            self.sleep = None;
            return false;
        };
        let at = self.clock.to_tokio(next);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.deadline() != at {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            empty => empty.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl Lines {
    fn send_toward(&mut self, now: Instant, packet: &Bytes) {
        let Fate::Lost(LostTo::Mtu(Some(mtu))) = self.toward.send(now, packet) else {
            return;
        };
        // As a router in front of a narrow line: what may be cut is cut, else its sender told.
        for piece in packets::fragments(packet, mtu) {
            self.toward.send(now, &piece);
        }
        if self.answers.len() < ANSWERS_MAX
            && let Some(answer) = too_big(packet, mtu)
        {
            self.answers.push_back(answer);
        }
    }

    fn send_away(&mut self, now: Instant, packet: &Bytes) {
        let Fate::Lost(LostTo::Mtu(Some(mtu))) = self.away.send(now, packet) else {
            return;
        };
        for piece in packets::fragments(packet, mtu) {
            self.away.send(now, &piece);
        }
        if let Some(answer) = too_big(packet, mtu) {
            self.toward.send(now, &answer);
        }
    }

    fn next_out(&mut self, now: Instant) -> Option<Bytes> {
        self.answers.pop_front().or_else(|| self.away.poll(now))
    }
}

/// "Too big" about `packet`. The line has no address of its own: it speaks for the far end.
fn too_big(packet: &Bytes, mtu: usize) -> Option<Bytes> {
    let router = IpPacket::parse(packet).ok()?.destination;
    icmp::too_big(router, packet, mtu)
}

impl<D: Device> Device for Shaped<D> {
    fn mtu(&self) -> usize {
        self.mtu
    }

    /// All: what the stack leaves to the device is done here.
    fn offloads(&self) -> Offloads {
        Offloads {
            checksum: true,
            tso4: true,
            tso6: true,
            uso: true,
        }
    }

    fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        now: &dyn Fn() -> Instant,
        max: usize,
        batch: &mut Vec<RxPacket>,
    ) -> Poll<io::Result<usize>> {
        lock(&self.lines).waker = Some(cx.waker().clone());
        loop {
            let here = self.clock.now();
            let has_more = self.take_in(cx, here)?;
            self.drain_out(cx, here);
            if let Some(error) = self.failed.take() {
                return Poll::Ready(Err(error));
            }
            let mut lines = lock(&self.lines);
            let before = batch.len();
            let arrived = std::iter::from_fn(|| lines.toward.poll(here)).take(max);
            batch.extend(arrived.map(|packet| RxPacket::new(packet, now())));
            let count = batch.len() - before;
            let is_over = self.is_gone && lines.toward.deadline().is_none();
            drop(lines);
            if count > 0 || is_over {
                return Poll::Ready(Ok(count));
            }
            if has_more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !self.poll_timer(cx) {
                return Poll::Pending;
            }
        }
    }

    /// Never refuses: what a line has no room for is lost there, and counted.
    fn try_send(&mut self, transmit: &Transmit) -> io::Result<()> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let now = self.clock.now();
        let mut lines = lock(&self.lines);
        let before = lines.next_deadline();
        for packet in door::plain_packets(transmit) {
            lines.send_away(now, &packet);
        }
        drop(lines);
        self.give_out(now);
        let mut lines = lock(&self.lines);
        let after = lines.next_deadline();
        // An application may be calling: only the driver can wait for the line or the device.
        let is_earlier = after.is_some_and(|after| before.is_none_or(|before| after < before));
        if (is_earlier || self.parked.is_some() || self.failed.is_some())
            && let Some(waker) = lines.waker.take()
        {
            drop(lines);
            waker.wake();
        }
        Ok(())
    }

    fn poll_send_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl Lines {
    fn next_deadline(&self) -> Option<Instant> {
        let both = [self.toward.deadline(), self.away.deadline()];
        both.into_iter().flatten().min()
    }
}

impl ShapeHandle {
    /// Changes the line toward the stack, from the next packet on. What is on the way stays so.
    pub fn toward<T>(&self, change: impl FnOnce(&mut Conditions) -> T) -> T {
        change(lock(&self.0).toward.conditions_mut())
    }

    /// Changes the line away from the stack, from the next packet on.
    pub fn away<T>(&self, change: impl FnOnce(&mut Conditions) -> T) -> T {
        change(lock(&self.0).away.conditions_mut())
    }

    /// Both directions are of these conditions from the next packet on.
    pub fn set(&self, conditions: &Conditions) {
        let mut lines = lock(&self.0);
        lines.toward.conditions_mut().clone_from(conditions);
        lines.away.conditions_mut().clone_from(conditions);
    }

    /// Counters of the line toward the stack, and of the line away from it.
    #[must_use]
    pub fn stats(&self) -> (LinkStats, LinkStats) {
        let lines = lock(&self.0);
        (*lines.toward.stats(), *lines.away.stats())
    }
}
