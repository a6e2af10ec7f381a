//! Writing what `pick` decided, and recording that it was sent.

use core::num::NonZeroU16;

use switchboard_wire::Instant;

use super::pick::{Plan, Why};
use super::sent::Sent;
use crate::tcp::congestion::CongestionController;
use crate::tcp::connection::Env;
use crate::tcp::segment::{Flags, Header, Options, Outgoing, Reply, SackBlocks, Timestamps};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;
use crate::tcp::timestamps;

/// SACK blocks of a header, with timestamps and without (RFC 2018 section 3).
const SACK_WITH_TIMESTAMPS: usize = 3;
const SACK_ALONE: usize = 4;

/// Octets of the timestamps option with its padding.
const TIMESTAMPS_LEN: u32 = 12;

impl Synchronized {
    /// Fills `out` with the next segment.
    pub(crate) fn next_segment(&mut self, now: Instant, env: &Env, out: &mut Outgoing) -> bool {
        let Some(plan) = self.pick(now, env) else {
            return false;
        };
        let len = self.fill_payload(&plan, out);
        // Slices ran out before the text did: FIN comes with its end.
        let fin = plan.fin && len == plan.len;
        let end = plan.seq + len;
        let mut flags = Flags::NONE;
        if fin {
            flags = flags | Flags::FIN;
        }
        if len > 0 && self.ends_call(plan.seq, end) {
            flags = flags | Flags::PSH;
        }
        out.header = self.header(now, env, plan.seq, flags);
        out.retransmission = plan.is_again(self.snd.nxt);
        self.record(now, env, &plan, len, end + u32::from(fin));
        if self.ends_group(now, env, &plan, len) {
            out.header.flags = out.header.flags | Flags::PSH;
        }
        self.settle(now, env);
        true
    }

    /// Puts the slices of the plan's text into `out`; returns how many octets they have.
    fn fill_payload(&mut self, plan: &Plan, out: &mut Outgoing) -> u32 {
        if plan.len == 0 {
            return 0;
        }
        let skip = plan.seq.distance_from(self.snd.una) as usize;
        let mut len = self.queue.slices(skip, plan.len as usize, &mut out.payload) as u32;
        if len < plan.len && len < plan.mss {
            // Many tiny chunks, each sent alone at first: one copy is cheaper than segments
            // of a few octets.
            let wanted = plan.len.min(plan.mss);
            out.payload.clear();
            out.payload.push(self.queue.copy(skip, wanted as usize));
            len = wanted;
        } else if len < plan.len {
            let surplus = len % plan.mss;
            len -= surplus;
            trim(out, surplus as usize);
        }
        if len > plan.mss {
            out.segment_size = u16::try_from(plan.mss).ok().and_then(NonZeroU16::new);
        }
        len
    }

    /// Brings the books up to date: `plan` has left, up to `end`.
    fn record(&mut self, now: Instant, env: &Env, plan: &Plan, len: u32, end: SeqNum) {
        match plan.why {
            Why::New => self.record_new(now, env, plan, len, end),
            Why::Repair => {
                self.loss.record_repair(end);
                self.record_again(now, plan, len, end);
            }
            Why::TailProbe => {
                let again = plan.is_again(self.snd.nxt);
                if again {
                    self.record_again(now, plan, len, end);
                } else {
                    self.record_new(now, env, plan, len, end);
                }
                self.record_tail_probe(again);
            }
            Why::WindowProbe => {
                // SND.NXT stays: the peer may have had no room for it.
                self.snd.max = self.snd.max.later(end);
                self.probe = None;
            }
            Why::KeepAlive => self.probe = None,
            Why::Ack => {}
        }
    }

    fn record_new(&mut self, now: Instant, env: &Env, plan: &Plan, len: u32, end: SeqNum) {
        self.sent_at = now;
        if self.snd.flight() == 0 {
            self.progress_at = now;
        }
        self.snd.nxt = end;
        self.snd.max = self.snd.max.later(end);
        if len > 0 && !len.is_multiple_of(plan.mss) {
            self.snd.small_end = end;
        }
        self.counters.octets_sent += u64::from(len);
        let app_limited = self.unsent() == 0;
        self.sent.record(Sent {
            end,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            retransmitted: false,
            app_limited,
        });
        self.pacer.record(now, len, self.congestion.pacing_rate());
        self.timers
            .set_if_clear(Timer::Retransmit, now + self.rtt.rto());
        self.arm_tail_probe(now, env);
        self.override_sws = false;
        if self.unsent() == 0 {
            self.override_cork = false;
        }
    }

    fn record_again(&mut self, now: Instant, plan: &Plan, len: u32, end: SeqNum) {
        self.sent_at = now;
        self.sent.record_again(plan.seq, end, now);
        let segments = len.div_ceil(plan.mss).max(1);
        self.counters.retransmits += u64::from(segments);
        self.pacer.record(now, len, self.congestion.pacing_rate());
        self.timers
            .set_if_clear(Timer::Retransmit, now + self.rtt.rto());
    }

    /// The header of a segment, acknowledging everything in order so far. From here on that
    /// acknowledgement counts as sent.
    pub(crate) fn header(&mut self, now: Instant, env: &Env, seq: SeqNum, flags: Flags) -> Header {
        let sack = self.sack_blocks();
        let window = self.announce_window(env);
        self.ack.record_sent();
        self.timers.clear(Timer::DelayedAck);
        self.rcv.last_ack = self.rcv.nxt;
        self.dsack = None;
        Header {
            seq,
            ack: Some(self.rcv.nxt),
            window,
            flags,
            options: Options {
                timestamps: self.agreed.timestamps.then(|| Timestamps {
                    value: timestamps::clock(now, env.timestamp_offset),
                    echo: self.recent.value,
                }),
                sack,
                ..Options::default()
            },
        }
    }

    /// RST that the peer will take for ours.
    pub(crate) fn reset(&mut self, now: Instant, env: &Env) -> Reply {
        let mut header = self.header(now, env, self.snd.max, Flags::RST);
        header.options = Options::default();
        Reply { header }
    }

    /// An acknowledgement by itself, now.
    pub(crate) fn ack_reply(&mut self, now: Instant, env: &Env) -> Reply {
        let seq = self.snd.max;
        Reply {
            header: self.header(now, env, seq, Flags::NONE),
        }
    }

    /// What the next header says of octets out of order: a DSACK first (RFC 2883 section 4),
    /// then ranges, most recent first (RFC 2018 section 4).
    fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::new();
        if !self.agreed.sack {
            return blocks;
        }
        let most = if self.agreed.timestamps {
            SACK_WITH_TIMESTAMPS
        } else {
            SACK_ALONE
        };
        if let Some(dsack) = self.dsack {
            blocks.push(dsack);
        }
        if let Some(assembler) = &self.assembler {
            assembler.recent_blocks(most, &mut blocks);
        }
        blocks
    }

    /// Octets of options in the next segment with text.
    pub(crate) fn data_options_len(&self) -> u32 {
        let timestamps = if self.agreed.timestamps {
            TIMESTAMPS_LEN
        } else {
            0
        };
        let blocks = match (&self.assembler, self.dsack) {
            (None, None) => 0,
            _ => self.sack_blocks().len() as u32,
        };
        timestamps + if blocks > 0 { 4 + 8 * blocks } else { 0 }
    }
}

/// Takes `surplus` octets off the end of a payload.
fn trim(out: &mut Outgoing, mut surplus: usize) {
    while surplus > 0
        && let Some(mut last) = out.payload.pop()
    {
        let keep = last.len().saturating_sub(surplus);
        surplus -= last.len() - keep;
        if keep > 0 {
            last.truncate(keep);
            out.payload.push(last);
        }
    }
}
