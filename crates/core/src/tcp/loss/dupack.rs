//! Duplicate acknowledgements: entering, continuing and leaving fast recovery.
//!
//! RFC 5681 section 3.2, RFC 6582 (NewReno, without SACK), RFC 6675 (with SACK).

use super::{Loss, Recovery};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::SendSpace;

/// DupThresh (RFC 5681 section 3.2).
pub(crate) const DUP_THRESH: u32 = 3;

/// What an ACK meant for recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing new.
    Same,
    /// Fast recovery begins: the congestion controller has to hear of it.
    Began,
    /// It is over.
    Ended,
}

impl Loss {
    /// An ACK that moved nothing but says that something arrived.
    pub(crate) fn on_duplicate(&mut self, snd: &SendSpace, smss: u32, sack: bool) -> Outcome {
        self.dupacks = self.dupacks.saturating_add(1);
        match self.state {
            Recovery::Open => {}
            Recovery::Fast => {
                self.find_lost(snd, smss, sack);
                return Outcome::Same;
            }
            Recovery::Timeout => return Outcome::Same,
        }
        let lost = if sack {
            // RFC 6675 section 5, steps 1 and 2.
            self.dupacks >= DUP_THRESH && !self.scoreboard.is_empty()
                || self.scoreboard.lost_edge(snd.una, smss).is_after(snd.una)
        } else {
            // RFC 6582 section 3.2, step 2: not for duplicates that our own repair caused.
            self.dupacks >= DUP_THRESH && snd.una.is_after(self.recover)
        };
        if !lost {
            return Outcome::Same;
        }
        self.begin(Recovery::Fast, snd);
        self.find_lost(snd, smss, sack);
        Outcome::Began
    }

    /// SND.UNA moved by `acked` octets.
    pub(crate) fn on_progress(
        &mut self,
        snd: &SendSpace,
        acked: u32,
        smss: u32,
        sack: bool,
    ) -> Outcome {
        self.scoreboard.advance(snd.una);
        self.keep_up(snd.una);
        match self.state {
            Recovery::Open => {
                self.dupacks = 0;
                return Outcome::Same;
            }
            Recovery::Fast | Recovery::Timeout if snd.una.is_at_or_after(self.recover) => {
                self.state = Recovery::Open;
                self.dupacks = 0;
                self.first_due = false;
                // The congestion controller never heard that it began.
                return if self.is_path_change {
                    Outcome::Same
                } else {
                    Outcome::Ended
                };
            }
            Recovery::Timeout => {}
            Recovery::Fast => {
                // A partial ACK. What it covers beyond the segment that was sent again are
                // segments that duplicates had announced.
                let covered = (acked / smss.max(1)).saturating_sub(1);
                self.dupacks = if sack {
                    0
                } else {
                    self.dupacks.saturating_sub(covered)
                };
                self.find_lost(snd, smss, sack);
                // Without SACK the hole right behind it is lost too, and is sent at once (RFC
                // 6582 section 3.2, step 3).
                self.first_due |= !sack;
            }
        }
        Outcome::Same
    }

    /// Takes the marks along: those that stay behind would, 2^31 octets later, seem to lie
    /// ahead. `recover` stays before SND.UNA, so that the next loss is a new one.
    fn keep_up(&mut self, una: SeqNum) {
        self.lost_below = self.lost_below.later(una);
        self.repaired_to = self.repaired_to.later(una);
        if self.state == Recovery::Open {
            self.recover = self.recover.later(una - 1);
        }
    }

    /// Raises `lost_below` to what is known now.
    fn find_lost(&mut self, snd: &SendSpace, smss: u32, sack: bool) {
        let first = (snd.una + smss).earlier(snd.nxt);
        let edge = if sack {
            // RFC 6675 section 5, step 4.3: the first segment is lost in any case.
            self.scoreboard.lost_edge(snd.una, smss).later(first)
        } else {
            first
        };
        self.lost_below = self.lost_below.later(edge);
    }
}
