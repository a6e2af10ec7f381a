//! RETRANSMISSION TIMEOUT (RFC 9293 section 3.10.8, RFC 6298 sections 5.4 to 5.6).

use switchboard_wire::Instant;

use crate::tcp::congestion::CongestionController;
use crate::tcp::tcb::Synchronized;
use crate::tcp::timers::Timer;

impl Synchronized {
    /// Everything under way that was not SACKed is taken for lost; `pick` sends it again,
    /// oldest first, as the window of one segment grows.
    pub(super) fn on_retransmit_timeout(&mut self, now: Instant) {
        if !self.timers.take_expired(Timer::Retransmit, now) || self.snd.flight() == 0 {
            return;
        }
        // After a timeout much of what is unacknowledged is not under way: the window says how
        // much can have been.
        let flight = self.snd.flight().min(self.congestion.cwnd());
        let smss = self.smss();
        let again = self.loss.on_timeout(&self.snd);
        self.congestion.on_timeout(now, flight, smss, again);
        self.rtt.back_off();
        self.timers.set(Timer::Retransmit, now + self.rtt.rto());
    }
}
