//! SEND (RFC 9293 section 3.10.2).
//!
//! The way back of a packet begins here: after this `send::pick`.

use bytes::Bytes;
use switchboard_wire::Instant;

use crate::error::SendError;
use crate::tcp::congestion::{CongestionController, initial_window};
use crate::tcp::connection::{Connection, Env, Machine};
use crate::tcp::tcb::Synchronized;

/// No queue is longer: offsets into it must fit the sequence space.
const SEND_BUFFER_MAX: usize = 1 << 30;

impl Connection {
    /// Takes from the front of `data` what there is room for, without a copy.
    pub(crate) fn send(&mut self, now: Instant, data: &mut Bytes) -> Result<usize, SendError> {
        self.queue(now, data.len(), false, |connection, room| {
            connection.queue.push(data.split_to(room));
        })
    }

    /// Copies from `data` what there is room for. `more`: and more follows soon.
    pub(crate) fn send_slice(
        &mut self,
        now: Instant,
        data: &[u8],
        more: bool,
    ) -> Result<usize, SendError> {
        self.queue(now, data.len(), more, |connection, room| {
            if let Some(taken) = data.get(..room) {
                connection.queue.push_slice(taken);
            }
        })
    }

    fn queue(
        &mut self,
        now: Instant,
        len: usize,
        more: bool,
        push: impl FnOnce(&mut Synchronized, usize),
    ) -> Result<usize, SendError> {
        let connection = match &mut self.machine {
            Machine::SynSent(_) | Machine::SynReceived(_) => return Err(SendError::WouldBlock),
            Machine::Ended(ended) => {
                return Err(ended.lost.map_or(SendError::Closed, SendError::Lost));
            }
            Machine::Synchronized(connection) => connection,
        };
        if !connection.phase.sends() {
            return Err(SendError::Closed);
        }
        if len == 0 {
            return Ok(0);
        }
        let room = connection.send_room(&self.env).min(len);
        if room == 0 {
            connection.writer_waits = true;
            return Err(SendError::WouldBlock);
        }
        connection.restart_after_idle(now, &self.env);
        push(connection, room);
        connection.push.more_follows = more;
        if !more {
            connection.push.mark = connection.data_end();
        }
        // Whoever asks whether it may send, and is told no, waits without another attempt.
        connection.writer_waits |= connection.send_room(&self.env) == 0;
        connection.settle(now, &self.env);
        Ok(room)
    }

    /// What a cork holds back leaves, once; the cork stays.
    pub(crate) fn push(&mut self, now: Instant) {
        if let Machine::Synchronized(connection) = &mut self.machine {
            connection.override_cork |= connection.unsent() > 0;
            connection.settle(now, &self.env);
        }
    }

    /// Octets that `send` would take now.
    pub(crate) fn room(&self) -> usize {
        match &self.machine {
            Machine::Synchronized(connection) if connection.phase.sends() => {
                connection.send_room(&self.env)
            }
            _ => 0,
        }
    }
}

impl Synchronized {
    /// Octets that the send queue has room for.
    pub(crate) fn send_room(&self, env: &Env) -> usize {
        let limit = env.options.send_buffer.min(SEND_BUFFER_MAX);
        limit.saturating_sub(self.queue.len())
    }

    /// RFC 5681 section 4.1: after a pause longer than the retransmission timeout nothing is
    /// known of the path any more.
    fn restart_after_idle(&mut self, now: Instant, env: &Env) {
        if !env.shared.config.slow_start_after_idle {
            return;
        }
        let idle = self.queue.is_empty() && self.snd.flight() == 0;
        if idle && now.saturating_since(self.sent_at) > self.rtt.rto() {
            self.congestion.on_idle(initial_window(self.smss(), false));
        }
    }
}
