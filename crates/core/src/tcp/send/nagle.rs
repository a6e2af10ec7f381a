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
        if env.options.cork && !self.override_cork {
            return false;
        }
        env.options.nodelay || self.override_cork || !self.small_under_way()
    }

    fn small_under_way(&self) -> bool {
        self.snd.small_end.is_after(self.snd.una)
    }
}
