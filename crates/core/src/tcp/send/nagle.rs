//! Whether a segment that is not full may leave (RFC 9293 section 3.7.4).

use crate::tcp::connection::Env;
use crate::tcp::tcb::Synchronized;

impl Synchronized {
    /// Whether the last, short part of the queue may be sent now.
    ///
    /// Nagle with Minshall's change, as Linux has it: a short segment waits while another
    /// *short* one is unacknowledged, not while anything is. So the tail of a long write does
    /// not wait for its own full segments, and there is still at most one short segment a
    /// round trip.
    pub(crate) fn may_send_short(&self, env: &Env) -> bool {
        if self.is_corked(env) {
            return false;
        }
        env.options.nodelay || self.override_cork || !self.small_under_way()
    }

    /// Whether a short segment has to wait for more text.
    pub(crate) fn is_corked(&self, env: &Env) -> bool {
        (env.options.cork || self.push.more_follows) && !self.override_cork
    }

    fn small_under_way(&self) -> bool {
        self.snd.small_end.is_after(self.snd.una)
    }
}
