//! One connection, in any state but LISTEN and TIME-WAIT: which shape it has, and what moves
//! it from one to the next.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::IpAddr;
use core::ops::ControlFlow;
use core::time::Duration;

use switchboard_wire::Instant;

use super::arrives::syn_received::Received;
use super::arrives::syn_sent::Opened;
use super::fast_open::SynText;
use super::handshake::{SynReceived, SynSent};
use super::recv::ReceiveBuffer;
use super::segment::{FourTuple, Outgoing, Segment, Text};
use super::seq::SeqNum;
use super::step::{Next, Step};
use super::syn::PendingSyn;
use super::tcb::{End, Stop, Synchronized, Verdict};
use super::time_wait::TimeWait;
use crate::config::{TcpConfig, TcpOptions};
use crate::error::{ConnectError, Lost, Unreachable};
use crate::event::Readiness;
use crate::socket::State;
use crate::stats::TcpInfo;

/// What all connections of a stack share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// Timers, and what is offered.
    pub(crate) config: TcpConfig,
    /// Out-of-order ranges that one connection keeps.
    pub(crate) out_of_order_ranges: usize,
    /// Challenge ACKs a second and connection.
    pub(crate) challenge_acks_per_second: u32,
}

/// What the link and the path let a connection do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkLimits {
    /// The MSS that we announce: the link's MTU without IP and TCP headers, options not
    /// counted (RFC 9293 section 3.7.1, RFC 6691).
    pub(crate) receive_mss: u16,
    /// The same of the path to the peer, as far as known: bounds what we send.
    pub(crate) path_mss: u16,
    /// Longest TCP header and text that one transmit may have, where the device cuts
    /// super-segments for this family (65535 less the IP header); `None` where it does not.
    pub(crate) super_segment: Option<u16>,
}

/// How a connection begins.
#[derive(Clone, Debug)]
pub(crate) struct OpenParams {
    pub(crate) tuple: FourTuple,
    /// Our initial sequence number, from `IsnGenerator::isn`.
    pub(crate) iss: SeqNum,
    /// Added to our timestamps clock, from `IsnGenerator::timestamp_offset`.
    pub(crate) timestamp_offset: u32,
    pub(crate) options: TcpOptions,
    pub(crate) link: LinkLimits,
    pub(crate) shared: Arc<Shared>,
}

/// What holds in every shape of a connection.
#[derive(Debug)]
pub(crate) struct Env {
    pub(crate) tuple: FourTuple,
    pub(crate) options: TcpOptions,
    pub(crate) link: LinkLimits,
    pub(crate) shared: Arc<Shared>,
    pub(crate) timestamp_offset: u32,
    /// The application has a handle.
    pub(crate) held: bool,
}

impl Env {
    fn new(params: OpenParams) -> Self {
        Self {
            tuple: params.tuple,
            options: params.options.within_bounds(),
            link: params.link,
            shared: params.shared,
            timestamp_offset: params.timestamp_offset,
            held: true,
        }
    }

    /// R2 of RFC 9293 section 3.8.3. Without a wish of the application's, what Linux's 15
    /// resends come to: doubled from the smallest timeout nine times, then the largest.
    pub(crate) fn user_timeout(&self) -> Duration {
        self.options.user_timeout.unwrap_or_else(|| {
            let config = &self.shared.config;
            let doubled = config.rto_min.saturating_mul((2 << 9) - 1);
            doubled.saturating_add(config.rto_max.saturating_mul(6))
        })
    }
}

/// The shape that a connection has.
#[derive(Debug)]
pub(crate) enum Machine {
    SynSent(SynSent),
    SynReceived(SynReceived),
    Synchronized(Box<Synchronized>),
    Ended(Box<Ended>),
}

/// What is left where the network side is over and the application still has its handle.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Why; `None`: both halves were closed in order.
    pub(crate) lost: Option<Lost>,
    /// The application has not taken the error yet.
    pub(crate) error_waits: bool,
    /// What arrived and was not read.
    pub(crate) buffer: ReceiveBuffer,
    /// The peer's FIN had arrived before: the stream was whole, however the connection ended.
    pub(crate) is_whole: bool,
    /// What was known at the end.
    pub(crate) info: TcpInfo,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) env: Env,
    pub(crate) machine: Machine,
}

/// What happens to it.
impl Connection {
    /// Active open: SYN waits in `next_segment`, and takes `syn_text` along.
    pub(crate) fn open(now: Instant, params: OpenParams, syn_text: Option<Box<SynText>>) -> Self {
        Self {
            machine: Machine::SynSent(SynSent::new(now, params.iss, syn_text)),
            env: Env::new(params),
        }
    }

    /// Passive open: SYN|ACK waits in `next_segment`.
    pub(crate) fn answer(now: Instant, syn: &PendingSyn, params: OpenParams) -> Self {
        let iss = params.iss;
        let env = Env::new(params);
        Self {
            machine: Machine::SynReceived(SynReceived::passive(now, iss, syn, &env)),
            env,
        }
    }

    /// SEGMENT ARRIVES (RFC 9293 section 3.10.7).
    pub(crate) fn on_segment(&mut self, now: Instant, segment: &Segment, text: Text) -> Step {
        match &mut self.machine {
            Machine::SynSent(syn_sent) => {
                let opened = syn_sent.on_segment(now, &self.env, segment);
                self.opened(now, opened, segment, text)
            }
            Machine::SynReceived(syn_received) => {
                let received = syn_received.on_segment(now, &self.env, segment);
                self.received(now, received, segment, text)
            }
            Machine::Synchronized(connection) => {
                let verdict = connection.on_segment(now, &self.env, segment, text);
                self.conclude(now, verdict)
            }
            Machine::Ended(_) => Step::stay(),
        }
    }

    /// What an answer to our SYN led to.
    fn opened(&mut self, now: Instant, opened: Opened, segment: &Segment, text: Text) -> Step {
        match opened {
            Opened::Stay(reply) => Step {
                reply,
                ..Step::stay()
            },
            Opened::Refused => self.fail(now, ConnectError::Refused),
            Opened::Both(syn_received) => {
                self.machine = Machine::SynReceived(syn_received);
                Step::stay()
            }
            Opened::Established(made) => {
                let mut connection = Box::new(Synchronized::new(now, &self.env, &made));
                let verdict = connection.on_rest_of_syn(now, &self.env, segment, text);
                self.machine = Machine::Synchronized(connection);
                Step {
                    learned: made.learned,
                    ..self.conclude(now, verdict)
                }
            }
        }
    }

    /// What a segment in SYN-RECEIVED led to.
    fn received(
        &mut self,
        now: Instant,
        received: Received,
        segment: &Segment,
        text: Text,
    ) -> Step {
        match received {
            Received::Stay(reply) => Step {
                reply,
                ..Step::stay()
            },
            Received::Reset { active: true } => self.fail(now, ConnectError::Refused),
            Received::Reset { active: false } => self.end(
                now,
                End {
                    lost: Some(Lost::Reset),
                    ..End::default()
                },
            ),
            Received::Established(made) => {
                let mut connection = Box::new(Synchronized::new(now, &self.env, &made));
                let verdict = if segment.flags.syn() {
                    connection.on_rest_of_syn(now, &self.env, segment, text)
                } else {
                    connection.on_segment(now, &self.env, segment, text)
                };
                self.machine = Machine::Synchronized(connection);
                self.conclude(now, verdict)
            }
        }
    }

    /// The moment that `deadline` named has come. Harmless if it has not.
    pub(crate) fn on_timeout(&mut self, now: Instant) -> Step {
        match &mut self.machine {
            Machine::SynSent(SynSent { attempt, .. }) => {
                let retries = self.env.shared.config.syn_retries;
                if attempt.expires > now || attempt.due || attempt.again(retries) {
                    return Step::stay();
                }
            }
            Machine::SynReceived(SynReceived { attempt, .. }) => {
                let retries = self.env.shared.config.syn_ack_retries;
                if attempt.expires > now || attempt.due || attempt.again(retries) {
                    return Step::stay();
                }
            }
            Machine::Synchronized(connection) => {
                let verdict = connection.on_timeout(now, &self.env);
                return self.conclude(now, verdict);
            }
            Machine::Ended(_) => return Step::stay(),
        }
        let waited = match &self.machine {
            Machine::SynSent(SynSent { attempt, .. })
            | Machine::SynReceived(SynReceived { attempt, .. }) => {
                now.saturating_since(attempt.first_sent)
            }
            _ => Duration::ZERO,
        };
        self.fail(now, ConnectError::TimedOut { waited })
    }

    /// An ICMP error that quotes one of our segments. Checks the quoted sequence number first
    /// (RFC 5927 section 4). Not for `TooBig`: see `quotes_us` and `on_path_mtu`.
    ///
    /// Before a connection stands, an error ends the attempt, soft ones too (RFC 5461 section
    /// 4.1, as Linux): whoever waits for a connection wants to know now. Afterwards none does
    /// (RFC 5927 section 5.2): it is remembered as the likely reason of a timeout.
    pub(crate) fn on_icmp(
        &mut self,
        now: Instant,
        why: Unreachable,
        offender: IpAddr,
        quoted: SeqNum,
    ) -> Step {
        if !self.quotes_us(quoted) {
            return Step::stay();
        }
        match &mut self.machine {
            Machine::SynSent(_) | Machine::SynReceived(_) => {
                self.fail(now, ConnectError::Unreachable { why, offender })
            }
            Machine::Synchronized(connection) => {
                connection.hint = Some(why);
                Step::stay()
            }
            Machine::Ended(_) => Step::stay(),
        }
    }

    /// Whether a segment with this sequence number may be on its way: what an ICMP error must
    /// quote before a path MTU is learned from it (RFC 5927 section 7).
    pub(crate) fn quotes_us(&self, quoted: SeqNum) -> bool {
        match &self.machine {
            Machine::SynSent(SynSent { iss, .. })
            | Machine::SynReceived(SynReceived { iss, .. }) => quoted == *iss,
            Machine::Synchronized(connection) => {
                let snd = &connection.snd;
                quoted.is_at_or_after(snd.una) && quoted.is_before(snd.max)
            }
            Machine::Ended(_) => false,
        }
    }

    /// The path MTU changed: the MSS that it allows, as in `LinkLimits::path_mss`.
    pub(crate) fn on_path_mtu(&mut self, now: Instant, path_mss: u16) {
        self.env.link.path_mss = path_mss;
        if let Machine::Synchronized(connection) = &mut self.machine {
            connection.on_path_mtu(now, &self.env);
        }
    }

    /// Draws a step from a verdict.
    pub(crate) fn conclude(&mut self, now: Instant, verdict: Verdict) -> Step {
        if let ControlFlow::Break(Stop::End(end)) = verdict {
            return self.end(now, end);
        }
        Step::stay().signal(self.take_signal())
    }

    pub(crate) fn take_signal(&mut self) -> Readiness {
        match &mut self.machine {
            Machine::Synchronized(connection) => core::mem::take(&mut connection.signal),
            _ => Readiness::NONE,
        }
    }

    fn fail(&mut self, now: Instant, why: ConnectError) -> Step {
        let learned = match &self.machine {
            // Whoever refuses has read what came.
            Machine::SynSent(syn_sent) if why != ConnectError::Refused => {
                syn_sent.learned_nothing()
            }
            _ => None,
        };
        let end = End {
            lost: Some(Lost::NeverConnected(why)),
            ..End::default()
        };
        Step {
            learned,
            ..self.end(now, end)
        }
    }

    /// The network side is over.
    pub(crate) fn end(&mut self, now: Instant, end: End) -> Step {
        let mut info = self.info(now);
        info.state = if end.time_wait {
            State::TimeWait
        } else {
            State::Closed
        };
        let mut next = Next::Drop;
        let mut buffer = ReceiveBuffer::default();
        let mut is_whole = false;
        if let Machine::Synchronized(connection) = &mut self.machine {
            is_whole = !connection.phase.receives();
            if end.time_wait {
                next = Next::TimeWait(Box::new(TimeWait::new(now, connection, &self.env)));
            }
            buffer = core::mem::take(&mut connection.buffer);
        }
        let mut signal = Readiness::READABLE
            | Readiness::WRITABLE
            | Readiness::READ_CLOSED
            | Readiness::WRITE_CLOSED
            | Readiness::CLOSED;
        if end.lost.is_some() {
            signal |= Readiness::ERROR;
        }
        if matches!(end.lost, Some(Lost::NeverConnected(_))) {
            signal |= Readiness::CONNECTED;
        }
        signal |= self.take_signal();
        self.machine = Machine::Ended(Box::new(Ended {
            lost: end.lost,
            error_waits: end.lost.is_some(),
            buffer,
            is_whole,
            info,
        }));
        Step {
            signal,
            reply: end.reply,
            next,
            learned: None,
        }
    }
}

/// What it wants.
impl Connection {
    /// Fills `out` with the next segment to send. `false`: none now.
    pub(crate) fn next_segment(&mut self, now: Instant, out: &mut Outgoing) -> bool {
        out.payload.clear();
        out.segment_size = None;
        out.retransmission = false;
        out.hop_limit = self.env.options.hop_limit;
        // The ECN bits are the transport's, and we do not use ECN yet (RFC 3168 section 6.1.1).
        out.traffic_class = self.env.options.traffic_class & !0b11;
        match &mut self.machine {
            Machine::SynSent(syn_sent) => syn_sent.emit(now, &self.env, out),
            Machine::SynReceived(syn_received) => syn_received.emit(now, &self.env, out),
            Machine::Synchronized(connection) => connection.next_segment(now, &self.env, out),
            Machine::Ended(_) => false,
        }
    }

    /// Whether `next_segment` may have one; `false` is certain. Asked after every event, where
    /// the whole answer would cost as much as the segment's own turn does.
    pub(crate) fn may_transmit(&self) -> bool {
        match &self.machine {
            Machine::SynSent(SynSent { attempt, .. })
            | Machine::SynReceived(SynReceived { attempt, .. }) => attempt.due,
            Machine::Synchronized(connection) => !connection.has_nothing_to_send(),
            Machine::Ended(_) => false,
        }
    }

    /// When `on_timeout` is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Machine::SynSent(SynSent { attempt, .. })
            | Machine::SynReceived(SynReceived { attempt, .. }) => {
                (!attempt.due && attempt.expires != Instant::FAR_FUTURE).then_some(attempt.expires)
            }
            Machine::Synchronized(connection) => connection.timers.deadline(),
            Machine::Ended(_) => None,
        }
    }
}
