//! How often a connection answers segments that it does not accept.
//!
//! Challenge ACKs (RFC 5961) need a limit, or they are an amplifier; the limit is counted for
//! each connection by itself, or it is a side channel: CVE-2016-5696 read the state of other
//! connections from one counter shared by all. Answers to unacceptable segments need one too:
//! two ends that disagree would acknowledge each other's acknowledgements for ever.

use core::time::Duration;

use switchboard_wire::Instant;

/// Unacceptable segments in a row that are answered before the gaps begin to grow.
const STREAK_FREE: u8 = 8;

/// The longest gap between answers in one streak is this, doubled this often: 64 s.
const STREAK_GAP: Duration = Duration::from_millis(500);
const STREAK_DOUBLINGS_MAX: u8 = 7;

/// The limit of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLimit {
    /// The second in which `used` answers were given.
    second: u32,
    used: u32,
    /// Unacceptable segments answered since the last acceptable one.
    streak: u8,
    /// No answer to a streak before this.
    not_before: Instant,
}

impl AnswerLimit {
    pub(crate) const fn new() -> Self {
        Self {
            second: 0,
            used: 0,
            streak: 0,
            not_before: Instant::ZERO,
        }
    }

    /// Whether one more challenge ACK may leave now; counts it.
    pub(crate) fn challenge(&mut self, now: Instant, a_second: u32) -> bool {
        let second = (now.as_millis() / 1_000) as u32;
        if second != self.second {
            self.second = second;
            self.used = 0;
        }
        let allowed = self.used < a_second;
        self.used = self.used.saturating_add(u32::from(allowed));
        allowed
    }

    /// Whether an unacceptable segment without text may be answered now; counts it.
    ///
    /// The gaps grow while nothing acceptable arrives in between, so that a loop of answers
    /// dies whatever its round trip is.
    pub(crate) fn unacceptable(&mut self, now: Instant, a_second: u32) -> bool {
        if now < self.not_before || !self.challenge(now, a_second) {
            return false;
        }
        self.streak = self.streak.saturating_add(1);
        if let Some(over) = self.streak.checked_sub(STREAK_FREE) {
            let doublings = u32::from(over.min(STREAK_DOUBLINGS_MAX));
            self.not_before = now + STREAK_GAP * (1 << doublings);
        }
        true
    }

    /// An acceptable segment ends the streak.
    pub(crate) fn acceptable(&mut self) {
        self.streak = 0;
        self.not_before = Instant::ZERO;
    }
}
