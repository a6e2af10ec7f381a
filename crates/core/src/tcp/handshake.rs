//! SYN-SENT and SYN-RECEIVED: the shapes of a connection that does not stand yet.

use alloc::boxed::Box;
use core::time::Duration;

use switchboard_wire::Instant;

use super::challenge::AnswerLimit;
use super::connection::{Env, OpenParams};
use super::fast_open::SynText;
use super::segment::{Flags, HEADER_LEN, Header, Options, Outgoing, Timestamps};
use super::seq::SeqNum;
use super::syn::PendingSyn;
use super::timestamps;

/// Largest shift of a window (RFC 7323 section 2.3).
pub(crate) const WINDOW_SCALE_MAX: u8 = 14;

/// Smallest MSS of a peer that we honour, in octets, header options included: what Linux has
/// as `net.ipv4.tcp_min_snd_mss` since CVE-2019-11479. It leaves 8 octets of text beside 40 of
/// options.
pub(crate) const MSS_MIN: u16 = 48;

/// What both ends agreed on. Nothing here is assumed: each is set only where both offered it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// Windows are scaled (RFC 7323 section 2).
    pub(crate) scaling: bool,
    /// Shift of the windows that the peer announces.
    pub(crate) send_scale: u8,
    /// Shift of those that we announce.
    pub(crate) receive_scale: u8,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    /// ECN (RFC 3168). The seam for it: we neither offer nor accept it yet.
    pub(crate) ecn: bool,
}

impl Agreed {
    /// What `env` offers and a SYN with these options accepts, or the other way round.
    pub(crate) fn between(
        env: &Env,
        window_scale: Option<u8>,
        sack: bool,
        timestamps: bool,
    ) -> Self {
        let config = &env.shared.config;
        let scale = window_scale.filter(|_| config.window_scaling);
        Self {
            scaling: scale.is_some(),
            // RFC 7323 section 2.3: a larger shift is an error, to be read as 14.
            send_scale: scale.map_or(0, |shift| shift.min(WINDOW_SCALE_MAX)),
            receive_scale: scale.map_or(0, |_| env.receive_scale()),
            timestamps: timestamps && config.timestamps,
            sack: sack && config.sack,
            ecn: false,
        }
    }
}

/// A SYN or SYN|ACK that is sent again until it is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// It has to be sent now.
    pub(crate) due: bool,
    /// Times it was sent again.
    pub(crate) retransmits: u8,
    pub(crate) first_sent: Instant,
    pub(crate) last_sent: Instant,
    /// When it is sent again, or given up.
    pub(crate) expires: Instant,
}

impl Attempt {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            due: true,
            retransmits: 0,
            first_sent: now,
            last_sent: now,
            expires: Instant::FAR_FUTURE,
        }
    }

    /// It leaves now.
    pub(crate) fn record_sent(&mut self, now: Instant, env: &Env) {
        if self.expires == Instant::FAR_FUTURE {
            self.first_sent = now;
        }
        self.due = false;
        self.last_sent = now;
        let config = &env.shared.config;
        let doubled = config
            .rto_initial
            .saturating_mul(1 << u32::from(self.retransmits.min(16)));
        self.expires = now + doubled.min(config.rto_max);
    }

    /// The timer expired: once more, or `false` after `retries`.
    pub(crate) fn again(&mut self, retries: u8) -> bool {
        if self.retransmits >= retries {
            return false;
        }
        self.retransmits += 1;
        self.due = true;
        true
    }

    /// Round trip to an answer, unless it is not known to which copy it belongs (Karn).
    pub(crate) fn round_trip(&self, arrived: Instant) -> Option<Duration> {
        (self.retransmits == 0).then(|| arrived.saturating_since(self.last_sent))
    }
}

/// SYN-SENT: an active open whose SYN was not answered.
#[derive(Clone, Debug)]
pub(crate) struct SynSent {
    pub(crate) iss: SeqNum,
    pub(crate) attempt: Attempt,
    /// Fast Open: what goes with the SYN.
    pub(crate) syn_text: Option<Box<SynText>>,
    /// The application has said already that it will send nothing.
    pub(crate) write_closed: bool,
    pub(crate) read_closed: bool,
}

/// SYN-RECEIVED: SYN|ACK sent, its ACK awaited.
#[derive(Clone, Debug)]
pub(crate) struct SynReceived {
    pub(crate) iss: SeqNum,
    pub(crate) irs: SeqNum,
    pub(crate) attempt: Attempt,
    pub(crate) agreed: Agreed,
    /// The peer's MSS option.
    pub(crate) peer_mss: Option<u16>,
    /// TSval of the peer's SYN, and when it came.
    pub(crate) ts_recent: u32,
    pub(crate) ts_recent_at: Instant,
    /// We opened too: both at once (RFC 9293 section 3.5, figure 8).
    pub(crate) active: bool,
    /// What went with our SYN, where we opened too.
    pub(crate) syn_text: Option<Box<SynText>>,
    pub(crate) write_closed: bool,
    pub(crate) read_closed: bool,
    pub(crate) answers: AnswerLimit,
}

impl SynSent {
    pub(crate) const fn new(now: Instant, iss: SeqNum, syn_text: Option<Box<SynText>>) -> Self {
        Self {
            iss,
            attempt: Attempt::new(now),
            syn_text,
            write_closed: false,
            read_closed: false,
        }
    }

    /// Writes the SYN.
    pub(crate) fn emit(&mut self, now: Instant, env: &Env, out: &mut Outgoing) -> bool {
        if !self.attempt.due {
            return false;
        }
        out.retransmission = self.attempt.retransmits > 0;
        self.attempt.record_sent(now, env);
        let config = &env.shared.config;
        out.header = Header {
            seq: self.iss,
            ack: None,
            window: env.syn_window(),
            flags: Flags::SYN,
            options: Options {
                mss: Some(env.announced_mss()),
                window_scale: config.window_scaling.then(|| env.receive_scale()),
                sack_permitted: config.sack,
                timestamps: config.timestamps.then(|| Timestamps {
                    value: timestamps::clock(now, env.timestamp_offset),
                    echo: 0,
                }),
                ..Options::default()
            },
        };
        if let Some(syn_text) = &self.syn_text
            && !self.attempt.was_repeated()
        {
            syn_text.emit(out);
        }
        true
    }
}

impl SynReceived {
    /// Passive: `syn` is answered.
    pub(crate) fn passive(now: Instant, iss: SeqNum, syn: &PendingSyn, env: &Env) -> Self {
        Self {
            iss,
            irs: syn.irs,
            attempt: Attempt::new(now),
            agreed: Agreed::between(
                env,
                syn.window_scale,
                syn.sack_permitted,
                syn.timestamp.is_some(),
            ),
            peer_mss: syn.mss,
            ts_recent: syn.timestamp.unwrap_or(0),
            ts_recent_at: syn.arrived,
            active: false,
            syn_text: None,
            write_closed: false,
            read_closed: false,
            answers: AnswerLimit::new(),
        }
    }

    /// SND.NXT: only the SYN was sent.
    pub(crate) fn snd_nxt(&self) -> SeqNum {
        self.iss + 1
    }

    /// RCV.NXT: only the SYN was received.
    pub(crate) fn rcv_nxt(&self) -> SeqNum {
        self.irs + 1
    }

    /// Writes the SYN|ACK.
    pub(crate) fn emit(&mut self, now: Instant, env: &Env, out: &mut Outgoing) -> bool {
        if !self.attempt.due {
            return false;
        }
        out.retransmission = self.attempt.retransmits > 0;
        self.attempt.record_sent(now, env);
        out.header = Header {
            seq: self.iss,
            ack: Some(self.rcv_nxt()),
            // RFC 7323 section 2.2: the window of a segment with SYN is never scaled.
            window: env.syn_window(),
            flags: Flags::SYN,
            options: Options {
                mss: Some(env.announced_mss()),
                window_scale: self.agreed.scaling.then_some(self.agreed.receive_scale),
                sack_permitted: self.agreed.sack,
                timestamps: self.agreed.timestamps.then(|| Timestamps {
                    value: timestamps::clock(now, env.timestamp_offset),
                    echo: self.ts_recent,
                }),
                ..Options::default()
            },
        };
        true
    }

    /// An ACK that says what we expect, without moving anything.
    pub(crate) fn bare_ack(&self, now: Instant, env: &Env) -> Header {
        Header {
            seq: self.snd_nxt(),
            ack: Some(self.rcv_nxt()),
            window: env.syn_window() >> self.agreed.receive_scale,
            flags: Flags::NONE,
            options: Options {
                timestamps: self.agreed.timestamps.then(|| Timestamps {
                    value: timestamps::clock(now, env.timestamp_offset),
                    echo: self.ts_recent,
                }),
                ..Options::default()
            },
        }
    }
}

impl Env {
    /// Window of a SYN: never scaled, so at most 65,535.
    pub(crate) fn syn_window(&self) -> u16 {
        u16::try_from(self.options.receive_buffer).unwrap_or(u16::MAX)
    }

    /// The smallest shift with which the whole receive buffer can be announced.
    pub(crate) fn receive_scale(&self) -> u8 {
        let limit = self.options.receive_buffer;
        (0..WINDOW_SCALE_MAX)
            .find(|&shift| (usize::from(u16::MAX) << shift) >= limit)
            .unwrap_or(WINDOW_SCALE_MAX)
    }

    /// The MSS of a peer whose SYN had this option.
    pub(crate) fn peer_mss(&self, option: Option<u16>) -> u16 {
        // RFC 9293 section 3.7.1, MUST-15: without the option, 536 or 1220.
        let default = if self.tuple.remote.is_ipv4() {
            536
        } else {
            1220
        };
        option.unwrap_or(default)
    }

    /// The MSS option of our SYN.
    pub(crate) fn announced_mss(&self) -> u16 {
        self.options
            .mss
            .unwrap_or(u16::MAX)
            .min(self.link.receive_mss)
            .max(MSS_MIN)
    }

    /// What bounds the segments that we send: the peer's MSS option, the path, the
    /// application's clamp. Text and TCP options together, in octets.
    pub(crate) fn send_mss(&self, peer_mss: Option<u16>) -> u16 {
        let (clamp, path) = (self.options.mss, self.link.path_mss);
        bounded_mss(self.peer_mss(peer_mss), clamp, path)
    }

    /// Longest text and options that one transmit may have, where the device cuts.
    pub(crate) fn super_segment(&self) -> Option<u32> {
        self.link
            .super_segment
            .map(|longest| u32::from(longest).saturating_sub(HEADER_LEN as u32))
    }
}

impl OpenParams {
    /// The same before there is a connection, for a peer whose MSS is known from another one.
    pub(crate) fn send_mss(&self, peer_mss: u16) -> u16 {
        bounded_mss(peer_mss, self.options.mss, self.link.path_mss)
    }
}

fn bounded_mss(peer: u16, clamp: Option<u16>, path: u16) -> u16 {
    peer.min(clamp.unwrap_or(u16::MAX))
        .max(MSS_MIN)
        .min(path.max(MSS_MIN))
}
