//! Which segments carry PSH, and what waits for more.
//!
//! RFC 9293 section 3.9.1.2 leaves to the stack where PSH goes beyond the last segment of what
//! there is to send (MUST-61). As Linux: the end of what one call sent, unless the caller said that
//! more follows; and the end of each group of segments that leaves together, so that a receiver
//! that merges segments hands them up without waiting for others.

use switchboard_wire::Instant;

use crate::tcp::congestion::CongestionController;
use crate::tcp::connection::Env;
use crate::tcp::send::pick::{Plan, Why};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::Synchronized;

/// Longest group, in octets, where the round trip is short (Linux's `gso_max_size`).
const GROUP_MAX: u64 = 65_536;
/// A group is worth a 2^10th of a second of the sending rate (`sk_pacing_shift`).
const RATE_SHIFT: u32 = 10;
/// The shorter the round trip, the longer the group: halved for each 2^9 µs (`tcp_tso_rtt_log`).
const RTT_SHIFT: u32 = 9;
/// Shortest group, in segments (`tcp_min_tso_segs`).
const GROUP_MIN: u64 = 2;

/// What the next segment's PSH depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    /// The end of the last call that was not followed by more.
    pub(crate) mark: SeqNum,
    /// The last call said that more follows: a short segment waits, until an acknowledgement
    /// arrives or the cork's time is over.
    pub(crate) more_follows: bool,
    /// Full segments since the last PSH that left at `group_at`.
    group: u32,
    group_at: Instant,
}

impl Push {
    pub(crate) const fn new(nxt: SeqNum) -> Self {
        Self {
            mark: nxt,
            more_follows: false,
            group: 0,
            group_at: Instant::ZERO,
        }
    }
}

impl Synchronized {
    /// Whether text from `seq` to `end` ends what a call sent.
    pub(super) fn ends_call(&self, seq: SeqNum, end: SeqNum) -> bool {
        end == self.data_end() && self.push.mark.is_after(seq)
    }

    /// Whether `len` octets, which have just left by `plan`, end a group.
    pub(super) fn ends_group(&mut self, now: Instant, env: &Env, plan: &Plan, len: u32) -> bool {
        if plan.why != Why::New || len < plan.mss {
            return false;
        }
        if len > plan.mss {
            // The device cuts it, and PSH goes to the last piece.
            return true;
        }
        if self.push.group_at != now {
            self.push.group = 0;
            self.push.group_at = now;
        }
        self.push.group += 1;
        let group = self.push.group;
        let goes_on = || {
            let next = self.pick(now, env);
            next.is_some_and(|next| next.why == Why::New && next.len >= next.mss)
        };
        let ends = group > 1 && (u64::from(group) >= self.group_max() || !goes_on());
        if ends {
            self.push.group = 0;
        }
        ends
    }

    /// Segments of a group.
    fn group_max(&self) -> u64 {
        let micros =
            |time: core::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let Some((srtt, min_rtt)) = self.rtt.srtt().zip(self.rtt.min_rtt()) else {
            return GROUP_MIN;
        };
        // As Linux paces in slow start: twice the window in a round trip.
        let rate = u64::from(self.congestion.cwnd()) * 2_000_000 / micros(srtt).max(1);
        let near = GROUP_MAX.checked_shr(u32::try_from(micros(min_rtt) >> RTT_SHIFT).unwrap_or(64));
        let octets = (rate >> RATE_SHIFT) + near.unwrap_or(0);
        (octets.min(GROUP_MAX) / u64::from(self.smss()).max(1)).max(GROUP_MIN)
    }
}
