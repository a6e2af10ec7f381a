//! STATUS (RFC 9293 section 3.10.6).

use core::time::Duration;

use switchboard_wire::Instant;

use crate::error::Lost;
use crate::event::Readiness;
use crate::socket::State;
use crate::stats::TcpInfo;
use crate::tcp::congestion::CongestionController;
use crate::tcp::connection::{Connection, Ended, Env, Machine};
use crate::tcp::fast_open::SynText;
use crate::tcp::handshake::{SynReceived, SynSent};
use crate::tcp::segment::{FourTuple, HEADER_LEN};
use crate::tcp::tcb::Synchronized;

impl Connection {
    pub(crate) fn tuple(&self) -> &FourTuple {
        &self.env.tuple
    }

    pub(crate) fn state(&self) -> State {
        match &self.machine {
            Machine::SynSent(_) => State::SynSent,
            Machine::SynReceived(_) => State::SynReceived,
            Machine::Synchronized(connection) => connection.phase.state(),
            Machine::Ended(ended) => ended.info.state,
        }
    }

    /// Takes the pending error, once.
    pub(crate) fn take_error(&mut self) -> Option<Lost> {
        match &mut self.machine {
            Machine::Ended(ended) => {
                let waits = core::mem::take(&mut ended.error_waits);
                ended.lost.filter(|_| waits)
            }
            _ => None,
        }
    }

    /// What is true now.
    pub(crate) fn readiness(&self) -> Readiness {
        match &self.machine {
            Machine::SynSent(_) | Machine::SynReceived(_) => Readiness::NONE,
            Machine::Synchronized(connection) => {
                connection.readiness(connection.send_room(&self.env))
            }
            Machine::Ended(ended) => ended.readiness(),
        }
    }

    /// Whether the peer's FIN has arrived, and everything before it.
    pub(crate) fn peer_finished(&self) -> bool {
        match &self.machine {
            Machine::SynSent(_) | Machine::SynReceived(_) => false,
            Machine::Synchronized(connection) => !connection.phase.receives(),
            Machine::Ended(ended) => ended.is_whole,
        }
    }

    /// Octets of memory that its queues pin: for the stack's own bound.
    pub(crate) fn pinned(&self) -> usize {
        match &self.machine {
            Machine::SynSent(SynSent { syn_text, .. })
            | Machine::SynReceived(SynReceived { syn_text, .. }) => {
                SynText::text_len(syn_text.as_deref())
            }
            Machine::Synchronized(connection) => connection.pinned(),
            Machine::Ended(ended) => ended.buffer.charged(),
        }
    }

    pub(crate) fn info(&self, _now: Instant) -> TcpInfo {
        let config = &self.env.shared.config;
        let mut info = TcpInfo {
            state: self.state(),
            local: self.env.tuple.local,
            remote: self.env.tuple.remote,
            srtt: None,
            rttvar: Duration::ZERO,
            min_rtt: None,
            rto: config.rto_initial,
            cwnd: 0,
            ssthresh: 0,
            send_window: 0,
            receive_window: usize::from(self.env.syn_window()),
            send_mss: 0,
            unsent: 0,
            in_flight: 0,
            unread: 0,
            octets_sent: 0,
            octets_acked: 0,
            octets_received: 0,
            retransmits: 0,
            backoffs: 0,
            window_scale: None,
            timestamps: false,
            sack: false,
            syn_text_acked: false,
            announced_mss: self.env.announced_mss().into(),
            path_mtu: self.env.path_mtu(),
        };
        match &self.machine {
            Machine::SynSent(attempt) => info.retransmits = attempt.attempt.retransmits.into(),
            Machine::SynReceived(attempt) => {
                info.retransmits = attempt.attempt.retransmits.into();
            }
            Machine::Synchronized(connection) => connection.fill(&mut info),
            Machine::Ended(ended) => {
                info = ended.info;
                info.unread = ended.buffer.len();
            }
        }
        info
    }
}

impl Env {
    /// The path's MTU, from the MSS that it leaves.
    fn path_mtu(&self) -> usize {
        let ip = if self.tuple.remote.is_ipv4() { 20 } else { 40 };
        usize::from(self.link.path_mss) + HEADER_LEN + ip
    }
}

impl Synchronized {
    fn readiness(&self, room: usize) -> Readiness {
        let mut ready = Readiness::CONNECTED;
        let read_closed = self.read_closed || !self.phase.receives();
        if read_closed {
            ready |= Readiness::READ_CLOSED;
        }
        if read_closed || !self.buffer.is_empty() {
            ready |= Readiness::READABLE;
        }
        if !self.phase.sends() {
            ready |= Readiness::WRITE_CLOSED | Readiness::WRITABLE;
        } else if room > 0 {
            ready |= Readiness::WRITABLE;
        }
        ready
    }

    fn fill(&self, info: &mut TcpInfo) {
        info.srtt = self.rtt.srtt();
        info.rttvar = self.rtt.rttvar();
        info.min_rtt = self.rtt.min_rtt();
        info.rto = self.rtt.rto();
        info.backoffs = self.rtt.backoffs();
        info.cwnd = self.congestion.cwnd() as usize;
        info.ssthresh = self.congestion.ssthresh() as usize;
        info.send_window = self.snd.wnd as usize;
        info.receive_window = self.rcv.edge.since(self.rcv.nxt) as usize;
        info.send_mss = self.smss() as usize;
        info.unsent = self.unsent() as usize;
        info.in_flight = self.snd.flight() as usize;
        info.unread = self.buffer.len();
        info.octets_sent = self.counters.octets_sent;
        info.octets_acked = self.counters.octets_acked;
        info.octets_received = self.counters.octets_received;
        info.retransmits = self.counters.retransmits;
        let agreed = self.agreed;
        info.window_scale = agreed
            .scaling
            .then_some((agreed.receive_scale, agreed.send_scale));
        info.timestamps = agreed.timestamps;
        info.sack = agreed.sack;
        info.syn_text_acked = self.syn_text_acked;
    }
}

impl Ended {
    fn readiness(&self) -> Readiness {
        let ready = Readiness::READABLE
            | Readiness::WRITABLE
            | Readiness::READ_CLOSED
            | Readiness::WRITE_CLOSED
            | Readiness::CONNECTED
            | Readiness::CLOSED;
        if self.error_waits {
            ready | Readiness::ERROR
        } else {
            ready
        }
    }
}
