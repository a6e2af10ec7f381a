//! How much the peer's window lets us send (RFC 9293 sections 3.8.6 and 3.8.6.2.1).

use crate::tcp::tcb::Synchronized;

impl Synchronized {
    /// Octets of sequence space that the peer's window still has room for.
    pub(crate) fn usable_window(&self) -> u32 {
        (self.snd.una + self.snd.wnd).since(self.snd.nxt)
    }

    /// Silly window avoidance of the sender: a segment that the window cuts short waits until
    /// the window is worth it, half of the largest that the peer ever announced.
    pub(crate) fn window_is_worth(&self, len: u32) -> bool {
        len > 0 && (self.override_sws || len >= self.snd.max_wnd / 2)
    }

    /// Nothing is under way and what waits does not fit: only a probe, or the override timer,
    /// gets things moving (the persist state).
    pub(crate) fn is_shut_out(&self) -> bool {
        let waiting = self.unsent() + u32::from(self.fin_waits());
        if self.snd.flight() > 0 || waiting == 0 {
            return false;
        }
        let usable = self.usable_window();
        usable == 0 || (usable < waiting.min(self.smss()) && usable < self.snd.max_wnd / 2)
    }
}
