//! The deadlines of one connection: a small array, and its minimum.

use switchboard_wire::Instant;

/// What a connection may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// RFC 6298: the oldest unacknowledged octet.
    Retransmit,
    /// RFC 8985 section 7: the last segments of a flight.
    TailProbe,
    /// RFC 9293 section 3.8.6.1: the peer's window is shut, or too small to use.
    Persist,
    /// RFC 9293 section 3.8.6.3: an acknowledgement waits for company.
    DelayedAck,
    /// RFC 9293 section 3.8.4.
    KeepAlive,
    /// RFC 9293 section 3.8.3, threshold R2.
    User,
    /// FIN-WAIT-2 of a connection that nobody holds any more.
    FinWait2,
    /// Corked octets go out in spite of the cork.
    Cork,
    /// The pacer lets the next segment go.
    Pacing,
    /// Nothing has happened for a while: give memory back.
    Idle,
}

/// Every timer there is, in the order of the enum.
pub(crate) const TIMERS: [Timer; 10] = [
    Timer::Retransmit,
    Timer::TailProbe,
    Timer::Persist,
    Timer::DelayedAck,
    Timer::KeepAlive,
    Timer::User,
    Timer::FinWait2,
    Timer::Cork,
    Timer::Pacing,
    Timer::Idle,
];

/// When each timer expires; `FAR_FUTURE` where it is not set.
#[derive(Clone, Debug)]
pub(crate) struct TimerTable {
    at: [Instant; TIMERS.len()],
}

impl TimerTable {
    pub(crate) const fn new() -> Self {
        Self {
            at: [Instant::FAR_FUTURE; TIMERS.len()],
        }
    }

    /// Sets `timer`, whether it was set or not.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.at.get_mut(timer as usize) {
            *slot = at;
        }
    }

    /// Sets `timer` unless it is set already.
    pub(crate) fn set_if_clear(&mut self, timer: Timer, at: Instant) {
        if !self.is_set(timer) {
            self.set(timer, at);
        }
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.set(timer, Instant::FAR_FUTURE);
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        let at = self.at.get(timer as usize).copied()?;
        (at != Instant::FAR_FUTURE).then_some(at)
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// Whether `timer` has expired; it is cleared then.
    pub(crate) fn take_expired(&mut self, timer: Timer, now: Instant) -> bool {
        let expired = self.get(timer).is_some_and(|at| at <= now);
        if expired {
            self.clear(timer);
        }
        expired
    }

    /// The earliest of them.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let at = self.at.iter().copied().min()?;
        (at != Instant::FAR_FUTURE).then_some(at)
    }
}
