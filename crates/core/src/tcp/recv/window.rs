//! What the peer may send (RFC 9293 sections 3.8.6 and 3.8.6.2.2, RFC 7323 section 2).

use crate::tcp::connection::Env;
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::Synchronized;

/// Silly window avoidance of the receiver speaks up when the right edge can move by a quarter
/// of the buffer, or by this many full segments.
const UPDATE_SEGMENTS: usize = 16;

impl Synchronized {
    /// The window for the next header, as the field has it. The right edge that it promises is
    /// remembered; it never moves left (SHLD-14).
    pub(crate) fn announce_window(&mut self, env: &Env) -> u16 {
        let scale = self.agreed.receive_scale;
        let promised = self.rcv.edge.since(self.rcv.nxt);
        let free = self.free_memory(env);
        let most = u32::from(u16::MAX) << scale;
        let window = if free > promised && self.is_worth_telling(free - promised, promised, env) {
            free
        } else {
            promised
        };
        let mut field = window.min(most) >> scale;
        // A window is told in units of 2^scale octets. Rounding down would take back what was
        // promised; rounding up promises a little more, a unit for each header, so it must
        // have a bound too. Beyond it the edge that we told moves by less than a unit, which
        // RFC 7323 section 2.4 expects of us; the edge that we hold to does not move.
        if field << scale < promised && self.may_round_up(env) {
            field += 1;
        }
        let field = field.min(u32::from(u16::MAX));
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt + (field << scale));
        field as u16
    }

    /// Octets of text that may still arrive, by the memory that is left.
    fn free_memory(&self, env: &Env) -> u32 {
        let limit = env.options.receive_buffer;
        let free = limit.saturating_sub(self.receive_charge());
        // RFC 7323 section 2.2: windows are below 2^30.
        u32::try_from(free).unwrap_or(u32::MAX).min(1 << 30)
    }

    /// The largest window that we ever announce: the buffer, or what the field can say.
    fn largest_window(&self, env: &Env) -> usize {
        let sayable = usize::from(u16::MAX) << self.agreed.receive_scale;
        env.options.receive_buffer.min(sayable)
    }

    /// Octets of memory that received text pins.
    pub(crate) fn receive_charge(&self) -> usize {
        let waiting = self
            .assembler
            .as_ref()
            .map_or(0, |assembler| assembler.charged());
        self.buffer.charged() + waiting
    }

    /// Whether the receive queue holds as much memory as it may: what arrives is then copied
    /// to fit, and nothing out of order is kept.
    pub(crate) fn is_tight(&self, env: &Env) -> bool {
        self.receive_charge() >= env.options.receive_buffer
    }

    fn may_round_up(&self, env: &Env) -> bool {
        let limit = env.options.receive_buffer;
        let promised = self.rcv.edge.since(self.rcv.nxt) as usize;
        self.buffer.len() + promised <= limit + limit / 8
    }

    /// Whether moving the right edge by `more` octets is worth it: RFC 9293 section
    /// 3.8.6.2.2, the smaller of half the buffer and a segment. Small steps while the peer
    /// still has room would only cost segments.
    fn is_worth_telling(&self, more: u32, promised: u32, env: &Env) -> bool {
        let limit = self.largest_window(env);
        let segment = usize::from(self.rcv.mss);
        if promised as usize >= limit / 2 {
            return true;
        }
        more as usize >= segment.min(limit / 2)
    }

    /// The application has read: whether the peer should hear of it by itself (MUST-37's other
    /// side: a window that opened unsaid is never used).
    pub(crate) fn owes_window_update(&self, env: &Env) -> bool {
        if !self.phase.receives() {
            return false;
        }
        let limit = self.largest_window(env);
        let promised = self.rcv.edge.since(self.rcv.nxt) as usize;
        let free = (self.free_memory(env) as usize).min(limit);
        let more = free.saturating_sub(promised);
        let segment = usize::from(self.rcv.mss);
        let worth = (limit / 4).min(UPDATE_SEGMENTS * segment);
        promised < limit / 2 && more >= worth.max(segment.min(limit / 2))
    }

    /// Whether any of the `len` octets of sequence space from `seq` on may still arrive: the
    /// test of RFC 9293 section 3.10.7.4, first, made whole for segments larger than the
    /// window.
    pub(crate) fn is_acceptable(&self, seq: SeqNum, len: u32) -> bool {
        let window = self.rcv.edge.since(self.rcv.nxt);
        match (len, window) {
            // The right edge itself counts: an ACK from a peer that has filled the window
            // begins there. Read to the letter ("SEG.SEQ < RCV.NXT + RCV.WND"), two ends that
            // have each filled the other's window and lost a segment discard each other's
            // ACKs until both give up.
            (0, _) => seq.is_within(self.rcv.nxt, window + 1),
            // Nothing of it fits, but its ACK counts, and its sender wants to hear of us: it
            // probes.
            (_, 0) => seq == self.rcv.nxt,
            (_, _) => seq.is_before(self.rcv.edge) && (seq + len).is_after(self.rcv.nxt),
        }
    }
}
