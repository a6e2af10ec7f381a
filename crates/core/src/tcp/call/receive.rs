//! RECEIVE (RFC 9293 section 3.10.3).

use bytes::Bytes;
use switchboard_wire::Instant;

use crate::error::ReceiveError;
use crate::tcp::connection::{Connection, Machine};
use crate::tcp::handshake::{SynReceived, SynSent};
use crate::tcp::recv::ReceiveBuffer;

impl Connection {
    /// The next chunk, at most `max` octets. Empty: end of stream.
    pub(crate) fn receive(&mut self, now: Instant, max: usize) -> Result<Bytes, ReceiveError> {
        let Some(buffer) = self.readable()? else {
            return Ok(Bytes::new());
        };
        let taken = buffer.pop(max);
        self.was_read(now);
        Ok(taken)
    }

    /// Copies into `buffer`. 0: end of stream (or an empty buffer).
    pub(crate) fn receive_slice(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<usize, ReceiveError> {
        let Some(queue) = self.readable()? else {
            return Ok(0);
        };
        let count = queue.read(buffer);
        self.was_read(now);
        Ok(count)
    }

    /// As `receive_slice`, but the octets stay.
    pub(crate) fn peek(&self, buffer: &mut [u8]) -> Result<usize, ReceiveError> {
        if self.end_of_stream()? {
            return Ok(0);
        }
        Ok(match &self.machine {
            Machine::Synchronized(connection) => connection.buffer.peek(buffer),
            Machine::Ended(ended) => ended.buffer.peek(buffer),
            Machine::SynSent(_) | Machine::SynReceived(_) => 0,
        })
    }

    /// The queue to read from, if there is something in it. `None`: the stream has ended.
    fn readable(&mut self) -> Result<Option<&mut ReceiveBuffer>, ReceiveError> {
        if self.end_of_stream()? {
            return Ok(None);
        }
        Ok(match &mut self.machine {
            Machine::Synchronized(connection) => Some(&mut connection.buffer),
            Machine::Ended(ended) => Some(&mut ended.buffer),
            Machine::SynSent(_) | Machine::SynReceived(_) => None,
        })
    }

    /// Whether everything that will ever come has been read; `false`: there is something to
    /// read now.
    fn end_of_stream(&self) -> Result<bool, ReceiveError> {
        match &self.machine {
            Machine::SynSent(SynSent { read_closed, .. })
            | Machine::SynReceived(SynReceived { read_closed, .. }) => {
                read_closed.then_some(true).ok_or(ReceiveError::WouldBlock)
            }
            Machine::Synchronized(connection) => {
                if !connection.buffer.is_empty() {
                    Ok(false)
                } else if connection.read_closed || !connection.phase.receives() {
                    Ok(true)
                } else {
                    Err(ReceiveError::WouldBlock)
                }
            }
            Machine::Ended(ended) if !ended.buffer.is_empty() => Ok(false),
            // As Linux: whoever reads has got everything; the error is for whoever writes.
            Machine::Ended(ended) if ended.is_whole => Ok(true),
            Machine::Ended(ended) => ended
                .lost
                .map_or(Ok(true), |why| Err(ReceiveError::Lost(why))),
        }
    }

    /// The application has read: the peer hears of the room, where it is worth a segment.
    fn was_read(&mut self, now: Instant) {
        if let Machine::Synchronized(connection) = &mut self.machine {
            if connection.owes_window_update(&self.env) {
                connection.ack.at_once();
            }
            connection.settle(now, &self.env);
        }
    }
}
