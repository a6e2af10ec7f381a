//! What is thought lost, and repair of it.
//!
//! One state for both kinds of peer. With SACK the scoreboard says what arrived (RFC 6675);
//! without it each duplicate ACK says that one segment did (RFC 6582, counted as Linux does).
//! Either way two numbers follow: below `lost_below` whatever has not arrived is lost, and
//! below `repaired_to` it was sent again. `pipe`, `next_hole` and the end of recovery are then
//! the same. A tail loss probe (RFC 8985 section 7) asks where nothing arrives behind a loss.
//! Detection by time (section 6 of the same) would raise `lost_below` from
//! [`SentLog`](super::send::SentLog)'s records, and arm a timer; nothing else changes.

pub(crate) mod dupack;
pub(crate) mod rto;
pub(crate) mod scoreboard;
pub(crate) mod tail;

pub(crate) use rto::RttEstimator;
pub(crate) use scoreboard::Scoreboard;
use tail::TailProbe;

use super::seq::SeqNum;
use super::tcb::SendSpace;

/// Whether something is being repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// No.
    Open,
    /// Fast recovery, until `recover` is acknowledged.
    Fast,
    /// After a retransmission timeout, until `recover` is acknowledged.
    Timeout,
}

/// Loss detection and repair of one connection.
#[derive(Debug)]
pub(crate) struct Loss {
    pub(crate) state: Recovery,
    /// Duplicate ACKs, while there is no SACK: segments that arrived behind a hole.
    pub(crate) dupacks: u32,
    pub(crate) scoreboard: Scoreboard,
    /// Whatever is before this and was not SACKed is lost.
    pub(crate) lost_below: SeqNum,
    /// HighRxt: holes before this were filled.
    pub(crate) repaired_to: SeqNum,
    /// RecoveryPoint, "recover": SND.NXT when repair began.
    pub(crate) recover: SeqNum,
    /// The first repair is still to be sent.
    pub(crate) first_due: bool,
    /// SND.UNA when the retransmission timer expired last.
    timed_out_at: SeqNum,
    /// What is being repaired was too long for the path, not lost to congestion.
    is_path_change: bool,
    /// A tail loss probe is under way.
    pub(super) tail: Option<TailProbe>,
}

impl Loss {
    pub(crate) fn new(iss: SeqNum) -> Self {
        Self {
            state: Recovery::Open,
            dupacks: 0,
            scoreboard: Scoreboard::default(),
            lost_below: iss,
            repaired_to: iss,
            // RFC 6582 section 3.2, step 1.
            recover: iss,
            first_due: false,
            timed_out_at: iss,
            is_path_change: false,
            tail: None,
        }
    }

    /// RFC 6675's "pipe": octets thought to be in the network.
    pub(crate) fn pipe(&self, snd: &SendSpace, smss: u32) -> u32 {
        let flight = snd.flight();
        let arrived = if self.scoreboard.is_empty() {
            // At least the hole itself did not arrive.
            self.dupacks
                .saturating_mul(smss)
                .min(flight.saturating_sub(smss))
        } else {
            self.scoreboard.total()
        };
        let mut pipe = flight.saturating_sub(arrived);
        if self.state != Recovery::Open {
            let lost_below = self.lost_below.later(snd.una).earlier(snd.nxt);
            let repaired_to = self.repaired_to.later(snd.una).earlier(snd.nxt);
            let lost = lost_below.since(snd.una) - self.scoreboard.sacked_before(lost_below);
            let repaired = repaired_to.since(snd.una) - self.scoreboard.sacked_before(repaired_to);
            pipe = pipe.saturating_sub(lost).saturating_add(repaired);
        }
        pipe
    }

    /// The next range to send again: lost, not SACKed, not sent again yet. Where `speculative`,
    /// one that is not lost yet by the rules but below something that arrived.
    pub(crate) fn next_hole(&self, snd: &SendSpace, speculative: bool) -> Option<(SeqNum, SeqNum)> {
        if self.state == Recovery::Open {
            return None;
        }
        let from = self.repaired_to.later(snd.una);
        let limit = match (speculative, self.scoreboard.highest()) {
            (false, _) => self.lost_below,
            (true, Some(highest)) => highest,
            (true, None) => return None,
        };
        let limit = limit.earlier(snd.nxt);
        let (from, to) = self.scoreboard.hole_from(from, limit);
        from.is_before(to).then_some((from, to))
    }

    /// Nothing is thought lost.
    pub(crate) fn is_open(&self) -> bool {
        self.state == Recovery::Open
    }

    pub(crate) const fn first_repair_is_due(&self) -> bool {
        self.first_due
    }

    /// Everything up to `end` was sent again.
    pub(crate) fn record_repair(&mut self, end: SeqNum) {
        self.repaired_to = self.repaired_to.later(end);
        self.first_due = false;
    }

    fn begin(&mut self, state: Recovery, snd: &SendSpace) {
        self.state = state;
        self.is_path_change = false;
        self.recover = snd.nxt;
        self.repaired_to = snd.una;
        self.first_due = true;
        self.tail = None;
    }

    /// The retransmission timer expired: everything that was not SACKed is lost (RFC 5681
    /// section 3.1, RFC 6675 section 5.1). Returns whether it had expired for the same octets
    /// before.
    pub(crate) fn on_timeout(&mut self, snd: &SendSpace) -> bool {
        let again = self.state == Recovery::Timeout && self.timed_out_at == snd.una;
        self.timed_out_at = snd.una;
        // RFC 2018 section 8: a receiver may take SACK back. One that holds the very octet it
        // waits for has.
        if self.scoreboard.lowest() == Some(snd.una) {
            self.scoreboard.clear();
        }
        self.begin(Recovery::Timeout, snd);
        self.lost_below = snd.nxt;
        self.dupacks = 0;
        again
    }
}

impl Loss {
    /// A tail loss probe arrived: holes below what was SACKed are lost.
    fn on_probe_arrived(&mut self, snd: &SendSpace) {
        if let Some(highest) = self.scoreboard.highest() {
            self.begin(Recovery::Fast, snd);
            self.lost_below = self.lost_below.later(highest);
        }
    }

    /// The path takes shorter segments than what is under way: that is lost, and not by
    /// congestion.
    pub(crate) fn on_path_mtu(&mut self, snd: &SendSpace) {
        if self.state == Recovery::Open {
            self.begin(Recovery::Fast, snd);
            self.is_path_change = true;
        }
        self.repaired_to = snd.una;
        self.lost_below = snd.nxt;
        self.first_due = true;
    }
}
