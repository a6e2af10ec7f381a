//! CLOSE (RFC 9293 section 3.10.4), one half at a time or both.

use switchboard_wire::Instant;

use crate::config::Linger;
use crate::error::{Lost, SendError};
use crate::event::Readiness;
use crate::socket::Shutdown;
use crate::tcp::connection::{Connection, Machine};
use crate::tcp::step::{Next, Step};
use crate::tcp::tcb::End;

impl Connection {
    /// Closes one half or both; the application keeps its handle.
    pub(crate) fn shutdown(&mut self, now: Instant, how: Shutdown) -> Result<Step, SendError> {
        let read = matches!(how, Shutdown::Read | Shutdown::Both);
        let write = matches!(how, Shutdown::Write | Shutdown::Both);
        match &mut self.machine {
            Machine::SynSent(attempt) => {
                attempt.read_closed |= read;
                attempt.write_closed |= write;
            }
            Machine::SynReceived(attempt) => {
                attempt.read_closed |= read;
                attempt.write_closed |= write;
            }
            Machine::Synchronized(connection) => {
                if read && !connection.read_closed {
                    connection.read_closed = true;
                    connection.signal |= Readiness::READABLE | Readiness::READ_CLOSED;
                }
                if write {
                    connection.queue_fin();
                }
                connection.settle(now, &self.env);
            }
            Machine::Ended(ended) => {
                return match ended.lost {
                    Some(why) => Err(SendError::Lost(why)),
                    None => Ok(Step::stay()),
                };
            }
        }
        Ok(Step::stay().signal(self.take_signal()))
    }

    /// The application lets go of its handle. From now on nobody reads; the object is dropped
    /// when a step (this one, or a later one) says `Next::Drop` or `Next::TimeWait`.
    /// If the network side is over already, this step says `Next::Drop`.
    pub(crate) fn close(&mut self, now: Instant) -> Step {
        let linger = self.env.options.linger;
        match &mut self.machine {
            Machine::SynSent(_) => return self.abort(now),
            Machine::SynReceived(_) if linger == Linger::Reset => return self.abort(now),
            Machine::SynReceived(attempt) => {
                attempt.write_closed = true;
                self.env.held = false;
            }
            Machine::Synchronized(connection) => {
                // Octets that were acknowledged and will never be read are lost, and the peer
                // has to know (RFC 2525 section 2.17).
                let unread = !connection.buffer.is_empty();
                if unread || linger == Linger::Reset {
                    return self.abort(now);
                }
                self.env.held = false;
                connection.assembler = None;
                connection.queue_fin();
                connection.settle(now, &self.env);
            }
            Machine::Ended(_) => return Step::stay().next(Next::Drop),
        }
        Step::stay().signal(self.take_signal())
    }

    /// Ends it without the peer's consent.
    pub(super) fn end_aborted(&mut self, now: Instant, end: End) -> Step {
        let lost = Some(Lost::Aborted);
        self.end(now, End { lost, ..end })
    }
}
