//! Two ways to drive connections: a [`Pair`] joined by a link that a test controls, and a
//! [`Solo`] whose peer is written by hand, segment by segment.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::num::NonZeroU16;
use core::time::Duration;

use bytes::Bytes;
use switchboard_wire::Instant;

use crate::config::{TcpConfig, TcpOptions};
use crate::event::Readiness;
use crate::tcp::connection::Machine;
use crate::tcp::fast_open::Learned;
use crate::tcp::segment::{Header, Reply};
use crate::tcp::tcb::Synchronized;
use crate::tcp::*;

pub(super) const MS: Duration = Duration::from_millis(1);

/// A segment on the wire.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) header: Header,
    pub(super) text: Bytes,
    pub(super) segment_size: Option<NonZeroU16>,
    pub(super) retransmission: bool,
}

impl Wire {
    pub(super) fn segment(&self, arrived: Instant) -> Segment {
        Segment {
            seq: self.header.seq,
            ack: self.header.ack,
            window: self.header.window,
            flags: self.header.flags,
            options: self.header.options.clone(),
            text_len: self.text.len() as u32,
            segment_size: self.segment_size,
            arrived,
            ce: false,
        }
    }
    pub(super) fn is(&self, flags: Flags) -> bool {
        self.header.flags.has(flags)
    }
    fn reply(reply: Reply) -> Self {
        Self {
            header: reply.header,
            text: Bytes::new(),
            segment_size: None,
            retransmission: false,
        }
    }
}

/// How a connection of a test is made.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) config: TcpConfig,
    pub(super) options: TcpOptions,
    pub(super) mss: u16,
    pub(super) super_segment: Option<u16>,
    pub(super) iss: u32,
    pub(super) out_of_order_ranges: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: TcpConfig::default(),
            options: TcpOptions::default(),
            mss: 1460,
            super_segment: None,
            iss: 1_000,
            out_of_order_ranges: 256,
        }
    }
}

impl Setup {
    pub(super) fn params(&self, client: bool) -> OpenParams {
        let near: SocketAddr = "10.0.0.1:1000".parse().unwrap();
        let far: SocketAddr = "10.0.0.2:80".parse().unwrap();
        let (local, remote) = if client { (near, far) } else { (far, near) };
        OpenParams {
            tuple: FourTuple { local, remote },
            iss: SeqNum::new(self.iss),
            timestamp_offset: self.iss ^ 0x55aa_55aa,
            options: self.options,
            link: LinkLimits {
                receive_mss: self.mss,
                path_mss: self.mss,
                super_segment: self.super_segment,
            },
            shared: Arc::new(Shared {
                config: self.config.clone(),
                out_of_order_ranges: self.out_of_order_ranges,
                challenge_acks_per_second: 10,
            }),
        }
    }
}

/// One end of a pair.
pub(super) struct End {
    pub(super) connection: Option<Connection>,
    pub(super) params: OpenParams,
    pub(super) time_wait: Option<TimeWait>,
    /// The network side is over.
    pub(super) over: bool,
    pub(super) signals: Readiness,
    pub(super) sent: u64,
    /// What Fast Open has taught.
    pub(super) learned: Option<Learned>,
    outbox: Vec<Wire>,
}

impl End {
    fn new(params: OpenParams) -> Self {
        Self {
            connection: None,
            params,
            time_wait: None,
            over: false,
            signals: Readiness::NONE,
            sent: 0,
            learned: None,
            outbox: Vec::new(),
        }
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("no connection yet")
    }

    pub(super) fn tcb(&self) -> &Synchronized {
        match &self.connection.as_ref().expect("no connection yet").machine {
            Machine::Synchronized(connection) => connection,
            other => panic!("not synchronized: {other:?}"),
        }
    }

    pub(super) fn absorb(&mut self, step: Step) {
        self.signals |= step.signal;
        self.learned = step.learned.or(self.learned);
        if let Some(reply) = step.reply {
            self.outbox.push(Wire::reply(reply));
        }
        match step.next {
            Next::Stay => {}
            Next::Drop => self.over = true,
            Next::TimeWait(record) => {
                self.over = true;
                self.time_wait = Some(*record);
            }
        }
    }

    fn arrive(&mut self, now: Instant, wire: &Wire) {
        let segment = wire.segment(now);
        let text = Text {
            bytes: wire.text.clone(),
            slot_size: wire.text.len().max(1500),
        };
        if let Some(record) = &mut self.time_wait {
            if let TimeWaitStep::Stay(Some(reply)) = record.on_segment(now, &segment) {
                self.outbox.push(Wire::reply(reply));
            }
            return;
        }
        if self.over {
            self.outbox.extend(reset_for(&segment).map(Wire::reply));
            return;
        }
        match &mut self.connection {
            Some(connection) => {
                let step = connection.on_segment(now, &segment, text);
                self.absorb(step);
            }
            None => match listen(&segment) {
                Listened::Ignore => {}
                Listened::Reset(reply) => self.outbox.push(Wire::reply(reply)),
                Listened::Syn(syn) => {
                    self.connection = Some(Connection::answer(now, &syn, self.params.clone()));
                }
            },
        }
    }

    /// Everything that it wants to send now.
    pub(super) fn drain(&mut self, now: Instant) -> Vec<Wire> {
        let mut wires = core::mem::take(&mut self.outbox);
        let mut out = Outgoing::default();
        if let Some(connection) = &mut self.connection
            && !self.over
        {
            for _ in 0..100_000 {
                let may = connection.may_transmit();
                let got = connection.next_segment(now, &mut out);
                assert!(may || !got, "a segment that nobody would have asked for");
                if !got {
                    break;
                }
                let text = match &out.payload[..] {
                    [slice] => slice.clone(),
                    slices => slices.concat().into(),
                };
                wires.push(Wire {
                    header: out.header.clone(),
                    text,
                    segment_size: out.segment_size,
                    retransmission: out.retransmission,
                });
            }
        }
        self.sent += wires.len() as u64;
        wires
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.over {
            return self.time_wait.as_ref().map(TimeWait::deadline);
        }
        self.connection.as_ref().and_then(Connection::deadline)
    }

    fn timeout(&mut self, now: Instant) {
        if self.over {
            if self
                .time_wait
                .is_some_and(|record| record.deadline() <= now)
            {
                self.time_wait = None;
            }
            return;
        }
        if let Some(connection) = &mut self.connection {
            let step = connection.on_timeout(now);
            self.absorb(step);
        }
    }
}

/// What the link does to a segment: when each copy of it arrives, after how long.
pub(super) type Fate = Vec<Duration>;

/// Which end a segment leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    A,
    B,
}

type Link = dyn FnMut(From, u64, &Wire) -> Fate;

/// Two connections and a link.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) a: End,
    pub(super) b: End,
    pub(super) link: Box<Link>,
    in_flight: VecDeque<(Instant, u64, From, Wire)>,
    order: u64,
    /// Every segment that left, for the tests to look at.
    pub(super) log: Vec<(Instant, From, Wire)>,
    pub(super) keep_log: bool,
}

impl Pair {
    /// `a` has opened to `b`, which listens; the link takes 10 ms.
    pub(super) fn opening(a: &Setup, b: &Setup) -> Self {
        let delay = 10 * MS;
        let now = Instant::from_millis(1_000);
        let mut end_a = End::new(a.params(true));
        end_a.connection = Some(Connection::open(now, end_a.params.clone(), None));
        Self {
            now,
            a: end_a,
            b: End::new(b.params(false)),
            link: Box::new(move |_, _, _| std::vec![delay]),
            in_flight: VecDeque::new(),
            order: 0,
            log: Vec::new(),
            keep_log: true,
        }
    }

    /// The same, with the handshake done.
    pub(super) fn established(a: &Setup, b: &Setup) -> Self {
        let mut pair = Self::opening(a, b);
        pair.run(100 * MS);
        assert_eq!(pair.a.connection().state(), crate::State::Established);
        assert_eq!(pair.b.connection().state(), crate::State::Established);
        pair.log.clear();
        pair
    }

    pub(super) fn plain() -> Self {
        Self::established(&Setup::default(), &Setup::default())
    }

    fn flush(&mut self) {
        for (from, end) in [(From::A, &mut self.a), (From::B, &mut self.b)] {
            for wire in end.drain(self.now) {
                if self.keep_log {
                    self.log.push((self.now, from, wire.clone()));
                }
                self.order += 1;
                for delay in (self.link)(from, self.order, &wire) {
                    let at = self.now + delay;
                    let index = self.in_flight.partition_point(|(other, order, _, _)| {
                        (*other, *order) <= (at, self.order)
                    });
                    self.in_flight
                        .insert(index, (at, self.order, from, wire.clone()));
                }
            }
        }
    }

    /// When something happens next.
    pub(super) fn next_event(&self) -> Option<Instant> {
        let arrival = self.in_flight.front().map(|(at, ..)| *at);
        [arrival, self.a.deadline(), self.b.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets the next thing happen, if it does by `until`.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let Some(at) = self.next_event().filter(|at| *at <= until) else {
            return false;
        };
        self.now = self.now.max(at);
        while let Some((at, ..)) = self.in_flight.front()
            && *at <= self.now
        {
            let (_, _, from, wire) = self.in_flight.pop_front().unwrap();
            let end = match from {
                From::A => &mut self.b,
                From::B => &mut self.a,
            };
            end.arrive(self.now, &wire);
        }
        for end in [&mut self.a, &mut self.b] {
            if end.deadline().is_some_and(|at| at <= self.now) {
                end.timeout(self.now);
                let still = end.deadline().is_some_and(|at| at <= self.now);
                if still {
                    // A deadline may stay only for what can be sent now.
                    end.timeout(self.now);
                }
            }
        }
        self.flush();
        self.check_invariants();
        true
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 2_000_000, "no end in sight");
        }
        self.now = until;
    }

    fn check_invariants(&self) {
        for end in [&self.a, &self.b] {
            let Some(Connection {
                machine: Machine::Synchronized(tcb),
                ..
            }) = &end.connection
            else {
                continue;
            };
            let snd = &tcb.snd;
            assert!(snd.una.is_at_or_before(snd.nxt), "{snd:?}");
            assert!(snd.nxt.is_at_or_before(snd.max), "{snd:?}");
            assert!(tcb.rcv.nxt.is_at_or_before(tcb.rcv.edge), "{:?}", tcb.rcv);
            let waits = snd.flight() > 0;
            if waits {
                assert!(
                    end.deadline().is_some(),
                    "a deadline while octets are under way"
                );
            }
        }
    }

    /// Moves what can be moved from `a` to `b`: sends from `data` at `sent`, reads into `got`.
    pub(super) fn pump(&mut self, data: &[u8], sent: &mut usize, got: &mut Vec<u8>) {
        if *sent < data.len()
            && let Ok(count) = self
                .a
                .connection()
                .send_slice(self.now, &data[*sent..], false)
        {
            *sent += count;
        }
        let now = self.now;
        while let Ok(chunk) = self.b.connection().receive(now, 1 << 20) {
            if chunk.is_empty() {
                break;
            }
            got.extend_from_slice(&chunk);
        }
    }

    /// Sends all of `data` from `a` to `b`, reading as it arrives; panics if it takes longer
    /// than `most`, or arrives changed.
    pub(super) fn transfer(&mut self, data: &[u8], most: Duration) {
        let (mut sent, mut got) = (0, Vec::new());
        let until = self.now + most;
        while got.len() < data.len() {
            self.pump(data, &mut sent, &mut got);
            if !self.step(until) {
                self.pump(data, &mut sent, &mut got);
                break;
            }
        }
        assert_eq!(got.len(), data.len(), "all of it arrives\n{}", self.tail());
        assert!(got == data, "as it was sent");
    }

    /// The end of the log, for a panic's message.
    pub(super) fn tail(&self) -> String {
        use core::fmt::Write;
        let mut text = String::new();
        for (at, from, wire) in self.log.iter().rev().take(30).rev() {
            let _ = writeln!(
                text,
                "{at} {from:?} {:?} seq {} ack {:?} len {} win {} sack {:?}",
                wire.header.flags,
                wire.header.seq,
                wire.header.ack.map(|ack| ack.value()),
                wire.text.len(),
                wire.header.window,
                wire.header.options.sack,
            );
        }
        text
    }

    /// Segments that left `from` and fulfil `what`.
    pub(super) fn count(&self, from: From, what: impl Fn(&Wire) -> bool) -> usize {
        self.log
            .iter()
            .filter(|(_, side, wire)| *side == from && what(wire))
            .count()
    }
}

/// One connection and a peer written by hand. Numbers are relative: ours to our ISS, the
/// peer's to its own.
pub(super) struct Solo {
    pub(super) now: Instant,
    pub(super) end: End,
    pub(super) iss: SeqNum,
    pub(super) irs: SeqNum,
    /// TSval of the peer, if it has a clock.
    pub(super) clock: Option<u32>,
}

/// A segment of the peer, in the making.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) window: u16,
    pub(super) flags: Flags,
    pub(super) text: Vec<u8>,
    pub(super) options: Options,
}

impl Peer {
    pub(super) fn seq(seq: u32) -> Self {
        Self {
            seq,
            ack: None,
            window: 65_535,
            flags: Flags::NONE,
            text: Vec::new(),
            options: Options::default(),
        }
    }
    pub(super) fn ack(mut self, ack: u32) -> Self {
        self.ack = Some(ack);
        self
    }
    pub(super) fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }
    pub(super) fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }
    pub(super) fn text(mut self, text: &[u8]) -> Self {
        self.text = text.to_vec();
        self
    }
    pub(super) fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }
    pub(super) fn stamp(mut self, value: u32) -> Self {
        self.options.timestamps = Some(Timestamps { value, echo: 0 });
        self
    }
}

impl Solo {
    /// An active open whose SYN has left.
    pub(super) fn opening(setup: &Setup) -> (Self, Wire) {
        Self::opening_with(setup, None)
    }

    /// The same with something in the SYN.
    pub(super) fn opening_with(setup: &Setup, with: Option<Box<SynText>>) -> (Self, Wire) {
        let params = setup.params(true);
        let now = Instant::from_millis(1_000);
        let mut end = End::new(params.clone());
        end.connection = Some(Connection::open(now, params, with));
        let mut solo = Self {
            now,
            end,
            iss: SeqNum::new(setup.iss),
            irs: SeqNum::new(setup.iss ^ 0xffff_0000),
            clock: None,
        };
        let syn = solo.one();
        (solo, syn)
    }

    /// Established, with what `options` offer in the peer's SYN|ACK and a window of 65,535.
    pub(super) fn established_with(setup: &Setup, options: Options) -> Self {
        let (mut solo, _) = Self::opening(setup);
        solo.clock = options.timestamps.map(|stamps| stamps.value);
        solo.say(Peer::seq(0).ack(1).flags(Flags::SYN).options(options));
        assert_eq!(solo.end.connection().state(), crate::State::Established);
        let ack = solo.one();
        assert_eq!(ack.header.ack, Some(solo.irs + 1));
        solo
    }

    /// Established without any option but the MSS.
    pub(super) fn established(setup: &Setup) -> Self {
        let options = Options {
            mss: Some(1460),
            ..Options::default()
        };
        Self::established_with(setup, options)
    }

    /// The same with SACK.
    pub(super) fn established_sack(setup: &Setup) -> Self {
        let options = Options {
            mss: Some(1460),
            sack_permitted: true,
            ..Options::default()
        };
        Self::established_with(setup, options)
    }

    /// The peer's segment arrives.
    pub(super) fn say(&mut self, peer: Peer) {
        let mut options = peer.options;
        for block in &mut options.sack {
            block.left = self.iss + block.left.value();
            block.right = self.iss + block.right.value();
        }
        if options.timestamps.is_none()
            && let Some(value) = self.clock
        {
            options.timestamps = Some(Timestamps { value, echo: 0 });
        }
        let wire = Wire {
            header: Header {
                seq: self.irs + peer.seq,
                ack: peer.ack.map(|ack| self.iss + ack),
                window: peer.window,
                flags: peer.flags,
                options,
            },
            text: peer.text.into(),
            segment_size: None,
            retransmission: false,
        };
        self.end.arrive(self.now, &wire);
    }

    /// What leaves now.
    pub(super) fn hear(&mut self) -> Vec<Wire> {
        self.end.drain(self.now)
    }

    /// The one segment that leaves now.
    pub(super) fn one(&mut self) -> Wire {
        let mut wires = self.hear();
        assert_eq!(wires.len(), 1, "one segment: {wires:?}");
        wires.remove(0)
    }

    /// Nothing leaves now.
    pub(super) fn silence(&mut self) {
        let wires = self.hear();
        assert!(wires.is_empty(), "silence: {wires:?}");
    }

    /// Our number, relative.
    pub(super) fn rel(&self, wire: &Wire) -> u32 {
        wire.header.seq.distance_from(self.iss)
    }

    /// What we acknowledge, relative.
    pub(super) fn rel_ack(&self, wire: &Wire) -> u32 {
        wire.header.ack.expect("an ACK").distance_from(self.irs)
    }

    /// Lets time pass; returns everything that left meanwhile, with when.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<(Instant, Wire)> {
        let until = self.now + time;
        let mut left: Vec<_> = self
            .hear()
            .into_iter()
            .map(|wire| (self.now, wire))
            .collect();
        while let Some(at) = self.end.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.end.timeout(self.now);
            left.extend(
                self.end
                    .drain(self.now)
                    .into_iter()
                    .map(|wire| (self.now, wire)),
            );
            if self.end.over {
                break;
            }
        }
        self.now = until;
        left
    }

    pub(super) fn send(&mut self, data: &[u8]) -> usize {
        let now = self.now;
        self.end.connection().send_slice(now, data, false).unwrap()
    }

    pub(super) fn state(&mut self) -> crate::State {
        self.end.connection().state()
    }
}

/// Octets that show where they are from.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i % 251) as u8 ^ (i / 251) as u8)
        .collect()
}

/// A small generator: the same numbers everywhere.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut x = self.0;
        x ^= x >> 33;
        x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
        x ^ (x >> 33)
    }
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
    pub(super) fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }
}
