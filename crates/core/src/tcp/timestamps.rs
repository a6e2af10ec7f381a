//! Timestamps and protection against wrapped sequence numbers (RFC 7323 sections 4 and 5).

use core::time::Duration;

use switchboard_wire::Instant;

use super::segment::{Segment, Timestamps};
use super::seq::SeqNum;

/// After this long without news TS.Recent says nothing any more (RFC 7323 section 5.5): a
/// peer's clock that ticks once a millisecond has gone half round.
const RECENT_IS_STALE: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// Our clock as a peer sees it: milliseconds, from an offset that is the connection's own.
pub(crate) fn clock(now: Instant, offset: u32) -> u32 {
    (now.as_millis() as u32).wrapping_add(offset)
}

/// What the peer's clock showed last, on a connection that agreed on timestamps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recent {
    /// TS.Recent.
    pub(crate) value: u32,
    /// When we learned it.
    pub(crate) at: Instant,
}

impl Recent {
    /// R1 of RFC 7323 section 5.3: whether `segment` is older than what we have seen. Never
    /// for RST, and never for a segment without the option: the standard would drop those,
    /// but middleboxes strip options, and a dropped handshake ACK is a dead connection.
    pub(crate) fn outdates(&self, segment: &Segment, now: Instant) -> bool {
        let Some(Timestamps { value, .. }) = segment.options.timestamps else {
            return false;
        };
        !segment.flags.rst()
            && (value.wrapping_sub(self.value) as i32) < 0
            && now.saturating_since(self.at) < RECENT_IS_STALE
    }

    /// R3: a segment that begins at or before what we acknowledged last, and whose clock is
    /// not behind, brings the new TS.Recent. Called for acceptable segments only, so a clock
    /// that is behind means that TS.Recent was stale.
    pub(crate) fn update(&mut self, segment: &Segment, last_ack_sent: SeqNum, now: Instant) {
        if let Some(Timestamps { value, .. }) = segment.options.timestamps
            && segment.seq.is_at_or_before(last_ack_sent)
        {
            self.value = value;
            self.at = now;
        }
    }
}

/// The round trip that an echo of our clock shows (RFC 7323 section 4), to the millisecond.
///
/// `None` for an echo that lies in the future or more than ten minutes in the past: it was
/// not our clock.
pub(crate) fn round_trip(segment: &Segment, offset: u32) -> Option<Duration> {
    let echo = segment.options.timestamps?.echo;
    let elapsed = clock(segment.arrived, offset).wrapping_sub(echo);
    (elapsed <= 600_000).then(|| Duration::from_millis(u64::from(elapsed.max(1))))
}
