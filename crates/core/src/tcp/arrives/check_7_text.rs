//! Seventh, the text (RFC 9293 section 3.10.7.4).

use core::ops::ControlFlow;

use switchboard_wire::Instant;

use crate::error::Lost;
use crate::event::Readiness;
use crate::tcp::connection::Env;
use crate::tcp::segment::{Flags, SackBlock, Segment, Text};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::{End, Stop, Synchronized, Verdict};

impl Synchronized {
    /// Keeps what is new of the text and lies in the window.
    pub(super) fn check_7_text(
        &mut self,
        now: Instant,
        env: &Env,
        segment: &Segment,
        text: Text,
    ) -> Verdict {
        if text.bytes.is_empty() || !self.phase.receives() {
            // After the peer's FIN there is no text: what claims to be some is ignored.
            return ControlFlow::Continue(());
        }
        let end = segment.seq + text.bytes.len() as u32;
        if !env.held && end.is_after(self.rcv.nxt) {
            // Nobody will ever read it: the peer must know that it is lost (RFC 2525 section
            // 2.17, RFC 1122 section 4.2.2.13).
            let reply = self.reset(now, env);
            return ControlFlow::Break(Stop::End(End {
                lost: Some(Lost::Aborted),
                reply: Some(reply),
                time_wait: false,
            }));
        }
        let Some((seq, text)) = self.trim(segment.seq, end, text) else {
            self.ack.at_once();
            return ControlFlow::Continue(());
        };
        if seq == self.rcv.nxt {
            self.keep_in_order(env, segment, text);
        } else {
            self.keep_out_of_order(env, seq, &text);
        }
        ControlFlow::Continue(())
    }

    /// The part of the text that is in the window and before the end of the stream. `None`:
    /// nothing of it.
    fn trim(&mut self, seq: SeqNum, end: SeqNum, mut text: Text) -> Option<(SeqNum, Text)> {
        let left = seq.later(self.rcv.nxt);
        let stream_end = self.rcv.fin_at.unwrap_or(self.rcv.edge);
        let right = end.earlier(self.rcv.edge).earlier(stream_end);
        if left != seq {
            // RFC 2883 section 4.1: the part that came again.
            self.dsack = Some(SackBlock {
                left: seq,
                right: left.earlier(end),
            });
        }
        if !left.is_before(right) {
            return None;
        }
        let (from, to) = (left.since(seq) as usize, right.since(seq) as usize);
        text.bytes = text.bytes.slice(from..to);
        Some((left, text))
    }

    fn keep_in_order(&mut self, env: &Env, segment: &Segment, text: Text) {
        let before = self.rcv.nxt;
        let len = text.bytes.len() as u32;
        self.rcv.nxt += len;
        let tight = self.is_tight(env);
        self.buffer.push(text, tight);
        let filled_hole = self.assembler.is_some();
        if let Some(assembler) = &mut self.assembler {
            self.rcv.nxt = assembler.take(self.rcv.nxt, &mut self.buffer);
            if assembler.is_empty() {
                self.assembler = None;
            }
        }
        self.counters.octets_received += u64::from(self.rcv.nxt.since(before));
        // A promise that was passed by is no promise.
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt);

        let wire_segment = segment
            .segment_size
            .map_or(segment.text_len, |size| u32::from(size.get()))
            .min(u32::from(self.rcv.mss));
        let end_of_turn = env.options.quick_ack && segment.flags.has(Flags::PSH);
        // RFC 5681 section 4.2: what fills a hole is acknowledged at once.
        let at_once = end_of_turn || filled_hole || self.dsack.is_some();
        self.ack.on_text(len, wire_segment, at_once);
        self.signal |= Readiness::READABLE;
    }

    fn keep_out_of_order(&mut self, env: &Env, seq: SeqNum, text: &Text) {
        // RFC 5681 section 4.2: at once, so that the peer can count duplicates.
        self.ack.at_once();
        if self.is_tight(env) {
            return;
        }
        let ranges_max = env.shared.out_of_order_ranges;
        let assembler = self.assembler.get_or_insert_default();
        let inserted = assembler.insert(seq, text, ranges_max, false);
        if assembler.is_empty() {
            self.assembler = None;
        }
        if inserted.duplicate.is_some() {
            self.dsack = inserted.duplicate;
        }
    }
}
