//! The transmission control block of a synchronized connection (RFC 9293 section 3.3.1).

use alloc::boxed::Box;
use core::ops::ControlFlow;
use core::time::Duration;

use bytes::{Buf, Bytes};
use switchboard_wire::Instant;

use super::challenge::AnswerLimit;
use super::congestion::{Controller, initial_window};
use super::connection::Env;
use super::fast_open::{Learned, SynText};
use super::handshake::Agreed;
use super::loss::{Loss, RttEstimator};
use super::recv::{AckPolicy, Assembler, ReceiveBuffer};
use super::segment::{Reply, SackBlock};
use super::send::pace::Pacer;
use super::send::push::Push;
use super::send::{SendQueue, SentLog, Why};
use super::seq::SeqNum;
use super::state::{After, Phase, Turn};
use super::timers::{Timer, TimerTable};
use super::timestamps::Recent;
use crate::error::{Lost, Unreachable};
use crate::event::Readiness;

/// Octets of the timestamps option with its padding.
const TIMESTAMPS_LEN: u16 = 12;

/// How long corked octets wait, as Linux: a retransmission timeout, at least this.
const CORK_MAX: Duration = Duration::from_millis(200);

/// Quiet for this long, a connection gives the memory of its empty queues back.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// SND.*
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendSpace {
    pub(crate) una: SeqNum,
    pub(crate) nxt: SeqNum,
    /// The highest number that ever left: a window probe's octet is beyond SND.NXT.
    pub(crate) max: SeqNum,
    /// SND.WND, scaled.
    pub(crate) wnd: u32,
    pub(crate) wl1: SeqNum,
    pub(crate) wl2: SeqNum,
    /// MAX.SND.WND (RFC 5961 section 5.2).
    pub(crate) max_wnd: u32,
    /// Text and options of a full segment.
    pub(crate) mss: u16,
    /// The peer's MSS option, for when the path changes.
    pub(crate) peer_mss: Option<u16>,
    /// End of the last segment that was not full.
    pub(crate) small_end: SeqNum,
}

impl SendSpace {
    /// Octets sent and not acknowledged.
    pub(crate) const fn flight(&self) -> u32 {
        self.nxt.since(self.una)
    }
}

/// RCV.*
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecvSpace {
    pub(crate) nxt: SeqNum,
    /// The right edge of the window: RCV.NXT + RCV.WND. It never moves left.
    pub(crate) edge: SeqNum,
    /// The last RCV.NXT that we told.
    pub(crate) last_ack: SeqNum,
    /// The MSS that we announced.
    pub(crate) mss: u16,
    /// Where the peer's stream ends, once a FIN was seen, perhaps out of order.
    pub(crate) fin_at: Option<SeqNum>,
}

/// What happened on a connection, in octets and segments.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) octets_sent: u64,
    pub(crate) octets_acked: u64,
    pub(crate) octets_received: u64,
    pub(crate) retransmits: u64,
}

/// Why the processing of an event ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Nothing more is to be done with this segment. An answer, where one is due, waits in the
    /// acknowledgement policy.
    Drop,
    /// The connection is over.
    End(End),
}

/// How a connection ends.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// What the application hears; `None`: both halves were closed in order.
    pub(crate) lost: Option<Lost>,
    pub(crate) reply: Option<Reply>,
    pub(crate) time_wait: bool,
}

/// A check's answer: go on with the next check, or not.
pub(crate) type Verdict = ControlFlow<Stop>;

/// What a handshake hands over to the connection that it made.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    pub(crate) agreed: Agreed,
    pub(crate) peer_mss: Option<u16>,
    /// SND.WND, SND.WL1 and SND.WL2.
    pub(crate) window: u32,
    pub(crate) wl1: SeqNum,
    pub(crate) rtt: Option<Duration>,
    pub(crate) syn_was_lost: bool,
    pub(crate) recent: Recent,
    pub(crate) write_closed: bool,
    pub(crate) read_closed: bool,
    pub(crate) syn_text: SynTextSent,
    /// What Fast Open has taught us.
    pub(crate) learned: Option<Learned>,
}

/// Text that went with our SYN (RFC 7413).
#[derive(Clone, Debug, Default)]
pub(crate) struct SynTextSent {
    /// Octets of it that were acknowledged with the SYN.
    pub(crate) acked: u32,
    /// The rest: to be sent once more.
    pub(crate) rest: Bytes,
}

impl SynTextSent {
    /// Of the SYN numbered `iss`, when `ack` acknowledged it.
    pub(crate) fn new(iss: SeqNum, with: Option<&SynText>, ack: Option<SeqNum>) -> Self {
        let mut text = SynText::text(with);
        let acked = ack.map_or(0, |ack| ack.distance_from(iss + 1));
        text.advance((acked as usize).min(text.len()));
        Self { acked, rest: text }
    }
}

/// A connection that both ends know of: ESTABLISHED and what comes after it.
#[derive(Debug)]
pub(crate) struct Synchronized {
    pub(crate) phase: Phase,
    pub(crate) agreed: Agreed,
    pub(crate) snd: SendSpace,
    pub(crate) rcv: RecvSpace,
    /// TS.Recent; means nothing unless timestamps were agreed.
    pub(crate) recent: Recent,

    pub(crate) queue: SendQueue,
    pub(crate) sent: SentLog,
    /// The application will send no more: FIN follows the queue.
    pub(crate) fin_queued: bool,
    pub(crate) fin_acked: bool,
    /// A send call found no room.
    pub(crate) writer_waits: bool,
    /// What the next segment probes, if a timer asked for a probe.
    pub(crate) probe: Option<Why>,
    pub(crate) override_sws: bool,
    pub(crate) override_cork: bool,
    pub(crate) push: Push,

    pub(crate) buffer: ReceiveBuffer,
    pub(crate) assembler: Option<Box<Assembler>>,
    /// What arrived twice, not told yet.
    pub(crate) dsack: Option<SackBlock>,
    /// The application has said that it will read no more. What arrives is kept all the same,
    /// as on Linux: it may read it still.
    pub(crate) read_closed: bool,
    pub(crate) ack: AckPolicy,

    pub(crate) rtt: RttEstimator,
    pub(crate) loss: Loss,
    pub(crate) congestion: Controller,
    pub(crate) pacer: Pacer,
    /// Octets known to have arrived, and since when.
    pub(crate) delivered: u64,
    pub(crate) delivered_at: Instant,

    pub(crate) timers: TimerTable,
    pub(crate) persist_backoff: u8,
    pub(crate) keepalives_sent: u8,
    /// When an acceptable segment arrived last.
    pub(crate) heard_at: Instant,
    /// When something was acknowledged last, or, if nothing was under way, sent first.
    pub(crate) progress_at: Instant,
    /// When text or FIN was sent last.
    pub(crate) sent_at: Instant,
    pub(crate) answers: AnswerLimit,
    /// The last ICMP error: why it timed out, if it does (RFC 5927 section 5.2).
    pub(crate) hint: Option<Unreachable>,
    /// Text that went with our SYN was acknowledged with it.
    pub(crate) syn_text_acked: bool,
    pub(crate) counters: Counters,
    /// What became true for the application during this event.
    pub(crate) signal: Readiness,
}

impl Synchronized {
    /// A connection that has just become synchronized.
    pub(crate) fn new(now: Instant, env: &Env, made: &Established) -> Self {
        let SynTextSent { acked, rest } = &made.syn_text;
        let snd_nxt = made.iss + 1 + *acked;
        let rcv_nxt = made.irs + 1;
        let mss = env.send_mss(made.peer_mss);
        let mut rtt = RttEstimator::new(&env.shared.config, made.syn_was_lost);
        if let Some(sample) = made.rtt {
            rtt.sample(sample);
        }
        let smss = u32::from(full_segment(mss, made.agreed));
        let window = initial_window(smss, made.syn_was_lost);
        let mut connection = Self {
            phase: Phase::Established,
            agreed: made.agreed,
            snd: SendSpace {
                una: snd_nxt,
                nxt: snd_nxt,
                // The rest of a SYN's text has left, and may be acknowledged any time.
                max: snd_nxt + rest.len() as u32,
                wnd: made.window,
                wl1: made.wl1,
                wl2: snd_nxt,
                max_wnd: made.window,
                mss,
                peer_mss: made.peer_mss,
                small_end: snd_nxt,
            },
            rcv: RecvSpace {
                nxt: rcv_nxt,
                edge: rcv_nxt + u32::from(env.syn_window()),
                last_ack: rcv_nxt,
                mss: env.announced_mss(),
                fin_at: None,
            },
            recent: made.recent,
            queue: SendQueue::default(),
            sent: SentLog::default(),
            fin_queued: false,
            fin_acked: false,
            writer_waits: false,
            probe: None,
            override_sws: false,
            override_cork: false,
            push: Push::new(snd_nxt),
            buffer: ReceiveBuffer::default(),
            assembler: None,
            dsack: None,
            read_closed: made.read_closed,
            ack: AckPolicy::new(),
            rtt,
            loss: Loss::new(made.iss),
            congestion: Controller::new(env.options.congestion, window),
            pacer: Pacer::default(),
            delivered: 0,
            delivered_at: now,
            timers: TimerTable::new(),
            persist_backoff: 0,
            keepalives_sent: 0,
            heard_at: now,
            progress_at: now,
            sent_at: now,
            answers: AnswerLimit::new(),
            hint: None,
            syn_text_acked: *acked > 0,
            counters: Counters {
                octets_sent: (*acked).into(),
                octets_acked: (*acked).into(),
                ..Counters::default()
            },
            signal: Readiness::CONNECTED | Readiness::WRITABLE,
        };
        if !rest.is_empty() {
            connection.queue.push(rest.clone());
            connection.push.mark = connection.data_end();
        }
        if made.write_closed {
            connection.queue_fin();
        }
        connection.settle(now, env);
        connection
    }

    /// SMSS: payload of a full segment with the options that every segment carries.
    pub(crate) fn smss(&self) -> u32 {
        u32::from(full_segment(self.snd.mss, self.agreed))
    }

    /// The number behind the last octet of the send queue: where FIN goes.
    pub(crate) fn data_end(&self) -> SeqNum {
        self.snd.una + self.queue.len() as u32
    }

    /// Octets of text that wait for their first transmission.
    pub(crate) fn unsent(&self) -> u32 {
        self.data_end().since(self.snd.nxt)
    }

    /// Whether FIN waits for its first transmission.
    pub(crate) fn fin_waits(&self) -> bool {
        self.fin_queued && !self.fin_acked && !self.snd.nxt.is_after(self.data_end())
    }

    /// The application will send no more (RFC 9293 section 3.10.4).
    pub(crate) fn queue_fin(&mut self) {
        if !self.fin_queued {
            self.fin_queued = true;
            if let After::Phase(phase) = self.phase.after(Turn::Close) {
                self.phase = phase;
            }
            self.signal |= Readiness::WRITE_CLOSED;
        }
    }

    /// Text under way must leave now and then: sets and clears the timers that follow from
    /// what is true, after every event.
    pub(crate) fn settle(&mut self, now: Instant, env: &Env) {
        self.settle_sending(now, env);
        self.settle_waiting(now, env);
    }

    fn settle_sending(&mut self, now: Instant, env: &Env) {
        let shut_out = self.is_shut_out();
        if !shut_out {
            self.timers.clear(Timer::Persist);
            self.persist_backoff = 0;
            self.override_sws = false;
        } else if !self.timers.is_set(Timer::Persist) {
            if self.persist_backoff == 0 {
                self.progress_at = now;
            }
            let factor = 1u32 << self.persist_backoff.min(16);
            let wait = self.rtt.rto_base().saturating_mul(factor);
            self.timers
                .set(Timer::Persist, now + wait.min(env.shared.config.rto_max));
        }
        if self.snd.flight() == 0 {
            self.timers.clear(Timer::Retransmit);
        }
        self.settle_tail_probe();
        if self.snd.flight() > 0 || shut_out {
            let give_up = self.progress_at + env.user_timeout();
            self.timers.set(Timer::User, give_up);
        } else {
            self.timers.clear(Timer::User);
        }
        let corked = self.is_corked(env) && self.unsent() > 0;
        if corked && self.unsent() < self.smss() {
            let longest = self.rtt.rto_base().max(CORK_MAX);
            self.timers.set_if_clear(Timer::Cork, now + longest);
        } else {
            self.timers.clear(Timer::Cork);
        }
        use super::congestion::CongestionController;
        match self.pacer.wait(now, self.congestion.pacing_rate()) {
            Some(at) if self.unsent() > 0 => self.timers.set(Timer::Pacing, at),
            _ => self.timers.clear(Timer::Pacing),
        }
    }

    fn settle_waiting(&mut self, now: Instant, env: &Env) {
        if self.ack.is_owed() {
            let at = now + env.shared.config.delayed_ack;
            self.timers.set_if_clear(Timer::DelayedAck, at);
        } else {
            self.timers.clear(Timer::DelayedAck);
        }
        let quiet = self.snd.flight() == 0 && !self.timers.is_set(Timer::Persist);
        match env.options.keep_alive {
            Some(keep_alive) if quiet => {
                let at = self.heard_at + keep_alive.idle;
                self.timers.set_if_clear(Timer::KeepAlive, at);
            }
            _ => self.timers.clear(Timer::KeepAlive),
        }
        if self.phase == Phase::FinWait2 && !env.held {
            let at = now + env.shared.config.fin_wait_2;
            self.timers.set_if_clear(Timer::FinWait2, at);
        }
        let can_shrink =
            self.queue.can_shrink() || self.sent.can_shrink() || self.buffer.can_shrink();
        if can_shrink {
            self.timers.set_if_clear(Timer::Idle, now + IDLE_AFTER);
        } else {
            self.timers.clear(Timer::Idle);
        }
    }

    /// Octets of memory that the queues pin.
    pub(crate) fn pinned(&self) -> usize {
        self.queue.len() + self.receive_charge()
    }
}

/// Payload of a full segment: what is left of the MSS beside the options of every segment.
fn full_segment(mss: u16, agreed: Agreed) -> u16 {
    if agreed.timestamps {
        mss.saturating_sub(TIMESTAMPS_LEN).max(1)
    } else {
        mss
    }
}
