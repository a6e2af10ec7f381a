//! Deciding what to send, without changing anything.
//!
//! Loss recovery, congestion control, the peer's window, Nagle and pacing each answer one
//! question here; none of them sees a packet. The order is that of urgency: repair, probe,
//! new text, speculative repair, and an acknowledgement where nothing else carries it.

use switchboard_wire::Instant;

use crate::tcp::congestion::CongestionController;
use crate::tcp::connection::Env;
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::Synchronized;

/// Why a segment is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Text, or FIN, for the first time.
    New,
    /// Again: it is thought lost.
    Repair,
    /// The window is shut: does the peer still live, and is it still shut?
    WindowProbe,
    /// The last segments may be lost.
    TailProbe,
    /// Nothing was heard for long.
    KeepAlive,
    /// Only to acknowledge.
    Ack,
}

/// What to send: a range of sequence space, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) why: Why,
    pub(crate) seq: SeqNum,
    /// Octets of text.
    pub(crate) len: u32,
    pub(crate) fin: bool,
    /// Payload of the segments that a longer text is to be cut to.
    pub(crate) mss: u32,
}

impl Plan {
    /// Whether it is a segment of text or FIN that has left before.
    pub(crate) fn is_again(&self, nxt: SeqNum) -> bool {
        let carries = matches!(self.why, Why::Repair | Why::TailProbe);
        carries && self.seq.is_before(nxt)
    }
}

impl Synchronized {
    /// What to send now, if anything.
    pub(crate) fn pick(&self, now: Instant, env: &Env) -> Option<Plan> {
        if self.has_nothing_to_send() {
            return None;
        }
        self.pick_repair(env, false)
            .or_else(|| self.pick_probe(env))
            .or_else(|| self.pick_new(now, env))
            .or_else(|| self.pick_repair(env, true))
            .or_else(|| self.pick_ack(env))
    }

    /// Nothing waits and nothing is missing: what is true after most events of a conversation,
    /// and what each of them asks.
    pub(crate) fn has_nothing_to_send(&self) -> bool {
        self.probe.is_none()
            && !self.ack.is_due()
            && self.loss.is_open()
            && self.unsent() == 0
            && !self.fin_waits()
    }

    /// Payload of a full segment, and the longest payload of one transmit.
    fn segment_limits(&self, env: &Env) -> (u32, u32) {
        let options = self.data_options_len();
        let mss = u32::from(self.snd.mss).saturating_sub(options).max(1);
        let longest = env
            .super_segment()
            .map_or(mss, |longest| longest.saturating_sub(options).max(mss));
        (mss, longest)
    }

    /// A hole that is thought lost, or, where `speculative`, one below something that arrived
    /// (RFC 6675 section 4, NextSeg, rules 1 and 3).
    fn pick_repair(&self, env: &Env, speculative: bool) -> Option<Plan> {
        let (from, to) = self.loss.next_hole(&self.snd, speculative)?;
        let (mss, longest) = self.segment_limits(env);
        let room = if self.loss.first_repair_is_due() {
            // RFC 5681 section 3.2, step 3; RFC 6675 section 5, step 4.3: the first one leaves
            // whatever the window says.
            mss
        } else {
            let room = self.congestion_room();
            if room < mss.min(to.since(from)) {
                return None;
            }
            room
        };
        // What the peer's window no longer covers waits, but for the oldest octet.
        let window = (self.snd.una + self.snd.wnd.max(mss)).since(from);
        let data_end = self.data_end();
        let text = data_end.earlier(to).since(from);
        let len = whole_segments(text.min(room).min(longest).min(window), mss, text);
        let fin = self.fin_queued && from + len == data_end && to.is_after(data_end);
        (len > 0 || fin).then_some(Plan {
            why: Why::Repair,
            seq: from,
            len,
            fin,
            mss,
        })
    }

    fn pick_probe(&self, env: &Env) -> Option<Plan> {
        let (mss, _) = self.segment_limits(env);
        let text = u32::from(self.data_end().is_after(self.snd.una));
        match self.probe? {
            // RFC 9293 section 3.8.6.1: one octet of new data, or FIN where none is left.
            why @ Why::WindowProbe => Some(Plan {
                why,
                seq: self.snd.una,
                len: text,
                fin: text == 0 && self.fin_waits(),
                mss,
            }),
            Why::TailProbe => Some(self.plan_tail_probe(mss)),
            // RFC 9293 section 3.8.4: an old number, so that the peer has to answer.
            why => Some(Plan {
                why,
                seq: self.snd.nxt - 1,
                len: 0,
                fin: false,
                mss,
            }),
        }
    }

    /// New text, as much as window, congestion window and Nagle allow.
    fn pick_new(&self, now: Instant, env: &Env) -> Option<Plan> {
        let unsent = self.unsent();
        let fin_waits = self.fin_waits();
        if unsent == 0 && !fin_waits {
            return None;
        }
        if self
            .pacer
            .wait(now, self.congestion.pacing_rate())
            .is_some()
        {
            return None;
        }
        let (mss, longest) = self.segment_limits(env);
        let window = self.usable_window();
        let room = self.congestion_room();
        if room < mss.min(unsent) {
            return None;
        }
        let most = unsent.min(window).min(room).min(longest);
        let fin = fin_waits && most == unsent && window > most;
        let len = if most == unsent && (fin || self.may_send_short(env)) {
            most
        } else {
            // The short rest waits for company, or for a wider window.
            let whole = most - most % mss;
            let cut_by_window = most == window && most < unsent;
            if whole == 0 && cut_by_window && self.window_is_worth(most) {
                most
            } else {
                whole
            }
        };
        (len > 0 || fin).then_some(Plan {
            why: Why::New,
            seq: self.snd.nxt,
            len,
            fin,
            mss,
        })
    }

    fn pick_ack(&self, env: &Env) -> Option<Plan> {
        self.ack.is_due().then(|| Plan {
            why: Why::Ack,
            seq: self.snd.nxt,
            len: 0,
            fin: false,
            mss: self.segment_limits(env).0,
        })
    }

    /// Octets that the congestion window has room for. One full segment may always be under
    /// way (RFC 5681 section 3.1, LW): the segment size may have grown beyond the window, and
    /// with nothing under way no acknowledgement would ever open it.
    pub(crate) fn congestion_room(&self) -> u32 {
        let smss = self.smss();
        let pipe = self.loss.pipe(&self.snd, smss);
        self.congestion.cwnd().max(smss).saturating_sub(pipe)
    }
}

/// `len` cut to whole segments, unless it is less than one, or everything there is.
fn whole_segments(len: u32, mss: u32, all: u32) -> u32 {
    if len < mss || len == all {
        len
    } else {
        len - len % mss
    }
}
