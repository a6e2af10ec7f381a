//! UDP applications: one that sends numbered datagrams, one that counts them.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::{ReceiveError, UdpId, UdpOptions, UdpSendError};
use switchboard_wire::Instant;

use super::{App, Context, Wake};
use crate::pattern::Direction;

/// Sends numbered datagrams to one place at a steady pace.
#[derive(Debug)]
pub struct DatagramSender {
    remote: SocketAddr,
    local: SocketAddr,
    count: u64,
    /// Octets of each; the number is the first eight.
    len: usize,
    gap: Duration,
    socket: Option<UdpId>,
    next_number: u64,
    next_at: Instant,
}

impl DatagramSender {
    /// `count` datagrams of `len` octets, one each `gap`, from `local`.
    #[must_use]
    pub const fn new(
        local: SocketAddr,
        remote: SocketAddr,
        count: u64,
        len: usize,
        gap: Duration,
    ) -> Self {
        Self {
            remote,
            local,
            count,
            len,
            gap,
            socket: None,
            next_number: 0,
            next_at: Instant::ZERO,
        }
    }

    fn bind(&mut self, cx: &mut Context<'_>) {
        let bound = cx.stack.call_udp_bind(self.local, &UdpOptions::default());
        match bound {
            Ok(id) => {
                cx.owners.udp.insert(id, cx.me);
                self.socket = Some(id);
                self.local = cx.stack.udp_local(id).unwrap_or(self.local);
                if let Err(error) = cx.stack.call_udp_connect(id, self.remote) {
                    cx.oracles.note(
                        cx.now,
                        Err(format!("connect to {}: {error:?}", self.remote)),
                    );
                }
            }
            Err(error) => cx
                .oracles
                .note(cx.now, Err(format!("bind to {}: {error:?}", self.local))),
        }
    }

    fn send(&mut self, cx: &mut Context<'_>) {
        let Some(id) = self.socket else { return };
        let direction = Direction::new(self.local, self.remote);
        while self.next_number < self.count && self.next_at <= cx.now {
            let payload = cx
                .oracles
                .datagram
                .send(direction, self.next_number, self.len);
            match cx.stack.call_udp_send(cx.now, id, payload, None) {
                Ok(()) => {}
                // The datagram is gone, and the sender knows: as good as lost.
                Err(UdpSendError::WouldBlock | UdpSendError::Unreachable(_)) => {
                    cx.oracles.datagram.refused(direction, self.next_number);
                }
                Err(error) => cx.oracles.note(cx.now, Err(format!("send: {error:?}"))),
            }
            cx.oracles.note_progress();
            self.next_number += 1;
            self.next_at = cx.now + self.gap;
        }
        if self.is_done() {
            self.socket = None;
            cx.owners.udp.remove(&id);
            let closed = cx.stack.call_udp_close(id);
            cx.oracles
                .note(cx.now, closed.map_err(|error| error.to_string()));
        }
    }
}

impl App for DatagramSender {
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake) {
        if why == Wake::Start {
            self.bind(cx);
            self.next_at = cx.now;
        }
        self.send(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.is_done() && self.socket.is_some()).then_some(self.next_at)
    }

    fn is_done(&self) -> bool {
        self.next_number >= self.count
    }

    fn status(&self) -> String {
        format!("sent {} of {} datagrams", self.next_number, self.count)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Receives numbered datagrams and remembers in which order they came.
#[derive(Debug)]
pub struct DatagramReceiver {
    local: SocketAddr,
    socket: Option<UdpId>,
    arrived: Vec<(u64, Instant)>,
}

impl DatagramReceiver {
    /// Receives on `local` for ever.
    #[must_use]
    pub const fn new(local: SocketAddr) -> Self {
        Self {
            local,
            socket: None,
            arrived: Vec::new(),
        }
    }

    /// The numbers of what came, in the order in which it came, each with its moment.
    #[must_use]
    pub fn arrived(&self) -> &[(u64, Instant)] {
        &self.arrived
    }

    fn receive(&mut self, cx: &mut Context<'_>) {
        let Some(id) = self.socket else { return };
        loop {
            match cx.stack.call_udp_receive(id) {
                Ok((payload, meta)) => {
                    let direction = Direction::new(meta.remote, meta.local);
                    match cx.oracles.datagram.received(direction, &payload) {
                        Ok(number) => self.arrived.push((number, cx.now)),
                        Err(what) => cx.oracles.note(cx.now, Err(what)),
                    }
                    cx.oracles.note_progress();
                }
                Err(ReceiveError::WouldBlock) => return,
                Err(error) => {
                    let what = format!("receive on {}: {error:?}", self.local);
                    return cx.oracles.note(cx.now, Err(what));
                }
            }
        }
    }
}

impl App for DatagramReceiver {
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake) {
        if why == Wake::Start {
            match cx.stack.call_udp_bind(self.local, &UdpOptions::default()) {
                Ok(id) => {
                    cx.owners.udp.insert(id, cx.me);
                    self.socket = Some(id);
                }
                Err(error) => cx
                    .oracles
                    .note(cx.now, Err(format!("bind to {}: {error:?}", self.local))),
            }
        }
        self.receive(cx);
    }

    fn is_done(&self) -> bool {
        true
    }

    fn status(&self) -> String {
        format!(
            "received {} datagrams on {}",
            self.arrived.len(),
            self.local
        )
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
