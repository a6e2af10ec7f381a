//! Tail loss probes (RFC 8985 section 7).
//!
//! If the last segments of a flight are lost, nothing arrives behind them that could tell. Two
//! round trips after the last one left, one probe does: new text if there is some, else the last
//! segment again. Its acknowledgement starts recovery by SACK, long before the retransmission
//! timeout would empty the window.

use core::time::Duration;

use switchboard_wire::Instant;

use super::Recovery;
use crate::tcp::congestion::CongestionController;
use crate::tcp::connection::Env;
use crate::tcp::segment::Segment;
use crate::tcp::send::{Plan, Why};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;

/// PTO before the first round trip was measured (section 7.2).
const PTO_UNMEASURED: Duration = Duration::from_secs(1);

/// Added to two round trips, so that an acknowledgement which comes just in time is not raced:
/// Linux adds two ticks of its clock.
const PTO_SLACK: Duration = Duration::from_millis(2);

/// A probe whose acknowledgement has not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TailProbe {
    /// TLP.end_seq: SND.NXT when it had left.
    end: SeqNum,
    /// TLP.is_retrans: it was an old segment.
    again: bool,
}

impl Synchronized {
    /// Whether a probe would tell anything: only SACK can tell what it says, and what is being
    /// repaired already, or has drawn SACK, needs none.
    fn wants_tail_probe(&self) -> bool {
        self.agreed.sack
            && self.snd.flight() > 0
            && self.loss.state == Recovery::Open
            && self.loss.scoreboard.is_empty()
            && self.loss.tail.is_none()
    }

    /// New text left, or some of it was acknowledged (section 7.2).
    pub(crate) fn arm_tail_probe(&mut self, now: Instant, env: &Env) {
        if !self.wants_tail_probe() {
            return;
        }
        let wait = match self.rtt.srtt() {
            // One segment alone: the peer may delay its acknowledgement.
            Some(srtt) if self.snd.flight() <= self.smss() => 2 * srtt + env.shared.config.rto_min,
            Some(srtt) => 2 * srtt + PTO_SLACK,
            None => PTO_UNMEASURED,
        };
        // Never later than the retransmission timeout, which it then comes before.
        let at = match self.timers.get(Timer::Retransmit) {
            Some(timeout) => timeout.min(now + wait),
            None => now + wait,
        };
        self.timers.set(Timer::TailProbe, at);
    }

    /// The probe timer is off where a probe would tell nothing.
    pub(crate) fn settle_tail_probe(&mut self) {
        if !self.wants_tail_probe() {
            self.timers.clear(Timer::TailProbe);
            if self.probe == Some(Why::TailProbe) {
                self.probe = None;
            }
        }
    }

    /// What the probe carries: the next new segment, whatever the congestion window says, or the
    /// last one again (section 7.3).
    pub(crate) fn plan_tail_probe(&self, mss: u32) -> Plan {
        let unsent = self.unsent();
        let len = unsent.min(mss);
        let window = self.usable_window();
        if len > 0 && window >= len {
            return Plan {
                why: Why::TailProbe,
                seq: self.snd.nxt,
                len,
                fin: self.fin_waits() && len == unsent && window > len,
                mss,
            };
        }
        let text_end = self.snd.nxt.earlier(self.data_end());
        let begun = self.sent.last_begins().unwrap_or(self.snd.una);
        let text = text_end.since(begun.later(self.snd.una).earlier(text_end));
        // What left together was cut to full segments but for the last.
        let len = if text == 0 { 0 } else { (text - 1) % mss + 1 };
        Plan {
            why: Why::TailProbe,
            seq: text_end - len,
            len,
            fin: self.snd.nxt.is_after(text_end),
            mss,
        }
    }

    /// The probe has left; `again`: it was an old segment.
    pub(crate) fn record_tail_probe(&mut self, again: bool) {
        self.probe = None;
        self.loss.tail = Some(TailProbe {
            end: self.snd.nxt,
            again,
        });
    }

    /// What an ACK says of the probe (section 7.4): a repair that nobody noticed is a loss all
    /// the same, and the congestion window must hear of it. `advances`: it moved SND.UNA.
    pub(crate) fn judge_tail_probe(
        &mut self,
        now: Instant,
        segment: &Segment,
        ack: SeqNum,
        advances: bool,
    ) {
        let Some(probe) = self.loss.tail else {
            return;
        };
        if ack.is_before(probe.end) {
            self.judge_holes_before(now, probe);
            return;
        }
        let first = segment.options.sack.first();
        let arrived_twice =
            first.is_some_and(|block| block.right == probe.end && block.right.is_at_or_before(ack));
        if probe.again && !arrived_twice {
            if ack.is_after(probe.end) {
                let (flight, smss) = (self.snd.flight(), self.smss());
                self.congestion.on_congestion(now, flight, smss);
                self.congestion.on_recovered(now);
            } else if advances || first.is_some() {
                // It may be the ACK of the original or of the probe: the next one tells.
                return;
            }
        }
        self.loss.tail = None;
    }

    /// The probe, or the segment that it repeats, has arrived: what left at least two round trips
    /// before the probe and has not is lost (section 6.2's rule for this one case).
    fn judge_holes_before(&mut self, now: Instant, probe: TailProbe) {
        let highest = self.loss.scoreboard.highest();
        if self.loss.state == Recovery::Open
            && highest.is_some_and(|end| end.is_at_or_after(probe.end))
        {
            let (flight, smss) = (self.snd.flight(), self.smss());
            self.loss.on_probe_arrived(&self.snd);
            self.congestion.on_congestion(now, flight, smss);
        }
    }
}
