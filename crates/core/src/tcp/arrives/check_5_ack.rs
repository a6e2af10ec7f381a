//! Fifth, the ACK field (RFC 9293 section 3.10.7.4, RFC 5961 section 5).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::event::Readiness;
use crate::tcp::congestion::{AckSample, CongestionController};
use crate::tcp::connection::Env;
use crate::tcp::loss::Recovery;
use crate::tcp::loss::dupack::Outcome;
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::send::sent::Covered;
use crate::tcp::seq::SeqNum;
use crate::tcp::state::{After, Turn};
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};
use crate::tcp::timers::Timer;
use crate::tcp::timestamps;

impl Synchronized {
    /// What does it acknowledge, and what window does it open?
    pub(super) fn check_5_ack(&mut self, now: Instant, env: &Env, segment: &Segment) -> Verdict {
        let Some(ack) = segment.ack else {
            return ControlFlow::Break(Stop::Drop);
        };
        // What was never sent cannot be acknowledged, and what is older than any window was
        // is a guess (RFC 5961 section 5.2). An old ACK within that range is a late segment:
        // its text counts.
        let oldest = self.snd.una - self.snd.max_wnd;
        if ack.is_after(self.snd.max) || ack.is_before(oldest) {
            if self
                .answers
                .unacceptable(now, env.shared.challenge_acks_per_second)
            {
                self.ack.at_once();
            }
            return ControlFlow::Break(Stop::Drop);
        }
        // As Linux: who said that more follows has had its time when an acknowledgement comes.
        self.push.more_follows = false;
        let flight = self.snd.flight();
        let una = self.snd.una.later(ack);
        let sacked = if self.agreed.sack {
            let nxt = self.snd.nxt.later(ack);
            self.loss.scoreboard.update(una, nxt, &segment.options.sack)
        } else {
            0
        };
        let advances = ack.is_after(self.snd.una);
        self.judge_tail_probe(now, segment, ack, advances);
        if advances {
            self.on_new_ack(now, env, segment, ack, sacked);
        } else if ack == self.snd.una && self.is_duplicate(segment, flight, sacked) {
            self.on_duplicate_ack(now, segment, flight, sacked);
        }
        if ack == self.snd.una {
            self.update_send_window(now, env, segment, ack, advances);
        }
        self.turn_on_fin_acked(now, env)
    }

    /// SND.UNA moves.
    fn on_new_ack(&mut self, now: Instant, env: &Env, segment: &Segment, ack: SeqNum, sacked: u32) {
        let flight = self.snd.flight();
        let acked = ack.since(self.snd.una);
        let known = self.loss.scoreboard.sacked_before(ack);
        let text = (acked as usize).min(self.queue.len());
        self.fin_acked |= self.fin_queued && acked as usize > text;
        self.queue.release(text);
        // A window probe's octet, or text of our SYN: sent, and SND.NXT stayed before it.
        let text_end = self.snd.una + text as u32;
        self.counters.octets_sent += u64::from(text_end.since(self.snd.nxt));
        self.snd.una = ack;
        self.snd.nxt = self.snd.nxt.later(ack);
        // Marks that stay behind would, 2^31 octets later, seem to lie ahead.
        self.snd.small_end = self.snd.small_end.later(ack);
        self.push.mark = self.push.mark.later(ack);
        self.counters.octets_acked += text as u64;

        let covered = self.sent.acknowledge(ack, segment.arrived);
        self.measure(env, segment, &covered);
        self.delivered += u64::from(acked.saturating_sub(known) + sacked);
        self.delivered_at = segment.arrived;

        let smss = self.smss();
        let sack = self.agreed.sack;
        let mut outcome = self.loss.on_progress(&self.snd, acked, smss, sack);
        if outcome == Outcome::Same && sacked > 0 && self.loss.state == Recovery::Open {
            outcome = self.loss.on_duplicate(&self.snd, smss, sack);
        }
        let sample = AckSample {
            arrived: segment.arrived,
            acked,
            delivered: acked.saturating_sub(known) + sacked,
            lost: 0,
            delivered_total: self.delivered,
            delivered_before: covered.delivered_before,
            interval: covered.interval,
            rtt: covered.rtt,
            srtt: self.rtt.srtt(),
            flight_before: flight,
            ece: segment.flags.has(Flags::ECE),
            app_limited: covered.app_limited,
            smss,
        };
        self.tell_congestion(now, outcome, flight, &sample);

        self.progress_at = now;
        self.hint = None;
        if self.snd.flight() > 0 {
            // RFC 6298 section 5.3.
            self.timers.set(Timer::Retransmit, now + self.rtt.rto());
        }
        self.arm_tail_probe(now, env);
        self.wake_writer(env);
    }

    /// A round trip, from the time that the octets left, or, for octets that left more than
    /// once, from the clock that the peer echoes (RFC 7323 section 4, RFC 6298 section 3).
    fn measure(&mut self, env: &Env, segment: &Segment, covered: &Covered) {
        let echoed = || {
            self.agreed
                .timestamps
                .then(|| timestamps::round_trip(segment, env.timestamp_offset))
                .flatten()
        };
        if let Some(rtt) = covered.rtt.or_else(echoed) {
            self.rtt.sample(rtt);
        }
    }

    fn tell_congestion(&mut self, now: Instant, outcome: Outcome, flight: u32, sample: &AckSample) {
        match outcome {
            Outcome::Began => self.congestion.on_congestion(now, flight, sample.smss),
            Outcome::Ended => self.congestion.on_recovered(now),
            // After a timeout the window grows while the holes are filled; in fast recovery
            // it stands still.
            Outcome::Same if self.loss.state != Recovery::Fast => self.congestion.on_ack(sample),
            Outcome::Same => {}
        }
    }

    /// RFC 5681 section 2, with RFC 6675's meaning where SACK was agreed: it tells of
    /// something new.
    fn is_duplicate(&self, segment: &Segment, flight: u32, sacked: u32) -> bool {
        if self.agreed.sack {
            return sacked > 0;
        }
        flight > 0
            && segment.len() == 0
            && u32::from(segment.window) << self.agreed.send_scale == self.snd.wnd
    }

    fn on_duplicate_ack(&mut self, now: Instant, segment: &Segment, flight: u32, sacked: u32) {
        self.delivered += u64::from(sacked);
        self.delivered_at = segment.arrived;
        let smss = self.smss();
        let outcome = self.loss.on_duplicate(&self.snd, smss, self.agreed.sack);
        if outcome == Outcome::Began {
            self.congestion.on_congestion(now, flight, smss);
        }
    }

    /// SND.WND, unless a later segment has set it already: SND.WL1 and SND.WL2.
    ///
    /// A segment that moves SND.UNA sets it whatever its number is (a FIN sent again is older
    /// than the ACKs behind it): the old window, counted from the new SND.UNA, would end
    /// further right than the peer ever said.
    fn update_send_window(
        &mut self,
        now: Instant,
        env: &Env,
        segment: &Segment,
        ack: SeqNum,
        advances: bool,
    ) {
        let newer = advances
            || self.snd.wl1.is_before(segment.seq)
            || (self.snd.wl1 == segment.seq && self.snd.wl2.is_at_or_before(ack));
        if newer {
            self.snd.wnd = u32::from(segment.window) << self.agreed.send_scale;
            self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
            self.snd.wl1 = segment.seq;
            self.snd.wl2 = ack;
        }
        if self.snd.wnd > 0 {
            self.probe = None;
        }
        // A peer that answers probes is alive, and may keep its window shut as long as it
        // likes (MUST-37); but nobody waits for it where the application has let go.
        let shut = self.snd.wnd == 0 || self.timers.is_set(Timer::Persist);
        if shut && env.held {
            self.progress_at = now;
        }
    }

    /// There is room in the send queue again, and somebody waits for it. Not for every few
    /// octets: a quarter of the queue.
    pub(crate) fn wake_writer(&mut self, env: &Env) {
        let limit = env.options.send_buffer;
        let room = limit.saturating_sub(self.queue.len());
        if self.writer_waits && room > 0 && room >= limit / 4 {
            self.writer_waits = false;
            self.signal |= Readiness::WRITABLE;
        }
    }

    /// Our FIN was acknowledged: the next phase, or the end.
    fn turn_on_fin_acked(&mut self, now: Instant, env: &Env) -> Verdict {
        if !self.fin_acked {
            return ControlFlow::Continue(());
        }
        match self.phase.after(Turn::FinAcknowledged) {
            After::Phase(phase) => {
                self.phase = phase;
                ControlFlow::Continue(())
            }
            // Where FINs crossed, and both of the peer's packets came in one batch, its FIN is
            // still owed an acknowledgement: unanswered, it would be sent again.
            After::TimeWait => ControlFlow::Break(Stop::End(End {
                reply: self.ack.is_due().then(|| self.ack_reply(now, env)),
                time_wait: true,
                ..End::default()
            })),
            After::Closed => ControlFlow::Break(Stop::End(End::default())),
        }
    }
}
