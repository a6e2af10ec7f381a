//! TIME-WAIT as a record: what is left of a connection that is over.

use core::time::Duration;

use switchboard_wire::Instant;

use super::challenge::AnswerLimit;
use super::connection::Env;
use super::segment::{Flags, Header, Options, Reply, Segment, Timestamps};
use super::seq::SeqNum;
use super::syn::PendingSyn;
use super::tcb::Synchronized;
use super::timestamps::{self, Recent};

/// How far behind the old incarnation's numbers a new one of ours begins, in octets: beyond
/// any window that was open.
const ISS_GAP: u32 = 65_535 + 2;

/// A connection that is over and whose old segments are left to die (RFC 9293 section 3.6.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    window: u16,
    /// The peer's clock, where timestamps were agreed.
    recent: Option<Recent>,
    timestamp_offset: u32,
    /// How long the state lasts: 2 MSL.
    length_ms: u32,
    answers_a_second: u32,
    limit: AnswerLimit,
    expires: Instant,
}

/// What a segment means to a connection in TIME-WAIT.
#[derive(Clone, Debug)]
pub(crate) enum TimeWaitStep {
    /// Nothing, or an answer; the record stays (its deadline may have moved).
    Stay(Option<Reply>),
    /// The peer opens anew, safely (RFC 6191; RFC 9293 section 3.6.1, MAY-2): drop the record,
    /// treat the SYN as one to a listener, and begin with an ISS of at least this.
    Reopen(PendingSyn, SeqNum),
}

impl TimeWait {
    /// What is left of `connection`, which has sent and received FIN.
    pub(crate) fn new(now: Instant, connection: &Synchronized, env: &Env) -> Self {
        let length = env.shared.config.time_wait;
        Self {
            snd_nxt: connection.snd.max,
            rcv_nxt: connection.rcv.nxt,
            window: u16::MAX >> connection.agreed.receive_scale,
            recent: connection.agreed.timestamps.then_some(connection.recent),
            timestamp_offset: env.timestamp_offset,
            length_ms: u32::try_from(length.as_millis()).unwrap_or(u32::MAX),
            answers_a_second: env.shared.challenge_acks_per_second,
            limit: AnswerLimit::new(),
            expires: now + length,
        }
    }

    /// A segment for a connection that is over.
    pub(crate) fn on_segment(&mut self, now: Instant, segment: &Segment) -> TimeWaitStep {
        // RFC 1337, fix F1: a RST does not end TIME-WAIT. Old duplicates cause such RSTs, and
        // what TIME-WAIT guards against are old duplicates.
        if segment.flags.rst() {
            return TimeWaitStep::Stay(None);
        }
        let outdated = self
            .recent
            .is_some_and(|recent| recent.outdates(segment, now));
        if segment.flags.syn() && segment.ack.is_none() && self.is_new(segment) {
            return TimeWaitStep::Reopen(PendingSyn::new(segment), self.next_iss());
        }
        // The peer has not seen our last ACK: again, and 2 MSL from now.
        let fin_again = segment.flags.fin() && !outdated;
        if fin_again {
            self.expires = now + Duration::from_millis(u64::from(self.length_ms));
        }
        // An ACK in order asks for nothing; all else is unacceptable and answered.
        let quiet = segment.len() == 0 && segment.seq == self.rcv_nxt && !outdated;
        let answer = !quiet && self.limit.unacceptable(now, self.answers_a_second);
        if fin_again {
            self.limit.acceptable();
        }
        TimeWaitStep::Stay(answer.then(|| self.ack(now)))
    }

    /// When the record dies.
    pub(crate) fn deadline(&self) -> Instant {
        self.expires
    }

    /// Whether we may open to the same peer although it has not expired (RFC 6191 section 2,
    /// seen from the other side): its clock must be able to tell the incarnations apart. The
    /// ISS must then be at least this.
    pub(crate) fn may_reopen(&self, now: Instant) -> Option<SeqNum> {
        let recent = self.recent?;
        (now.saturating_since(recent.at) >= Duration::from_secs(1)).then(|| self.next_iss())
    }

    /// A SYN of a new incarnation, not an old one's (RFC 6191 section 2): a later clock, or
    /// without clocks a later number.
    fn is_new(&self, segment: &Segment) -> bool {
        match (self.recent, segment.options.timestamps) {
            (Some(recent), Some(stamps)) if stamps.value != recent.value => {
                (stamps.value.wrapping_sub(recent.value) as i32) > 0
            }
            _ => segment.seq.is_at_or_after(self.rcv_nxt),
        }
    }

    fn next_iss(&self) -> SeqNum {
        self.snd_nxt + ISS_GAP
    }

    fn ack(&self, now: Instant) -> Reply {
        Reply {
            header: Header {
                seq: self.snd_nxt,
                ack: Some(self.rcv_nxt),
                window: self.window,
                flags: Flags::NONE,
                options: Options {
                    timestamps: self.recent.map(|recent| Timestamps {
                        value: timestamps::clock(now, self.timestamp_offset),
                        echo: recent.value,
                    }),
                    ..Options::default()
                },
            },
        }
    }
}
