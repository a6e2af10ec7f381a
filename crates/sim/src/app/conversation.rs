//! TCP applications: a client and a server that both follow a [`Plan`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::{
    ListenerId, Lost, Readiness, ReceiveError, SendError, Shutdown, TcpId, TcpOptions,
};
use switchboard_wire::Instant;

use super::{App, Context, Wake};
use crate::pattern::Direction;

/// When an application closes its half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Close {
    /// As soon as it has sent everything: half-close, and it reads on.
    #[default]
    AfterSending,
    /// When the peer's stream has ended too.
    AfterPeer,
    /// At this moment, or when everything is sent, whichever is later.
    At(Instant),
}

/// When an application gives up without ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// After it has sent this many octets.
    AfterSending(u64),
    /// After it has received this many octets.
    AfterReceiving(u64),
}

/// What an application does with one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Octets that it sends.
    pub send: u64,
    /// Octets that it hands over at once.
    pub write: usize,
    /// Time between two writes; zero writes until there is no room.
    pub write_gap: Duration,
    /// Octets that it takes at once.
    pub read: usize,
    /// Time between two reads; zero reads until nothing is there.
    pub read_gap: Duration,
    /// It does not read before this moment.
    pub read_from: Instant,
    /// When it closes its half.
    pub close: Close,
    /// When it aborts.
    pub abort: Option<Abort>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            send: 0,
            write: 16 << 10,
            write_gap: Duration::ZERO,
            read: 64 << 10,
            read_gap: Duration::ZERO,
            read_from: Instant::ZERO,
            close: Close::AfterSending,
            abort: None,
        }
    }
}

impl Plan {
    /// Sends this much, reads everything, half-closes when it has sent.
    #[must_use]
    pub fn send(octets: u64) -> Self {
        Self {
            send: octets,
            ..Self::default()
        }
    }
}

/// How a conversation ended for one application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything sent, everything read, closed.
    Done,
    /// The stack reported this.
    Lost(Lost),
    /// It aborted by plan.
    Aborted,
}

/// One end of one connection, following its plan.
#[derive(Debug)]
struct Conversation {
    id: TcpId,
    plan: Plan,
    /// The direction in which we send, once the connection stands.
    direction: Option<Direction>,
    sent: u64,
    received: u64,
    next_write: Instant,
    /// There was no room: the stack says when there is.
    is_full: bool,
    next_read: Instant,
    /// Octets are there that we have chosen not to read yet.
    is_reading_later: bool,
    has_finished: bool,
    has_peer_ended: bool,
    last_received: Instant,
    outcome: Option<Outcome>,
}

impl Conversation {
    fn new(id: TcpId, plan: Plan) -> Self {
        Self {
            id,
            plan,
            direction: None,
            sent: 0,
            received: 0,
            next_write: Instant::ZERO,
            is_full: false,
            next_read: plan.read_from,
            is_reading_later: false,
            has_finished: false,
            has_peer_ended: false,
            last_received: Instant::ZERO,
            outcome: None,
        }
    }

    fn on_ready(&mut self, cx: &mut Context<'_>, readiness: Readiness) {
        if self.outcome.is_some() {
            return;
        }
        let established = self.direction.is_none()
            && readiness.contains(Readiness::CONNECTED)
            && !readiness.contains(Readiness::ERROR);
        if established && let Ok((local, remote)) = cx.stack.tcp_endpoints(self.id) {
            let direction = Direction::new(local, remote);
            cx.oracles.stream.begin(direction);
            cx.oracles.note_progress();
            self.direction = Some(direction);
        }
        if readiness.intersects(Readiness::ERROR)
            && let Ok(Some(lost)) = cx.stack.take_tcp_error(self.id)
        {
            // What arrived before the error can still be read.
            self.read(cx);
            self.lose(cx, lost);
            return;
        }
        if readiness.intersects(Readiness::READABLE | Readiness::READ_CLOSED) {
            self.read(cx);
        }
        if readiness.intersects(Readiness::WRITABLE | Readiness::CONNECTED) {
            self.write(cx);
        }
        self.close_when_due(cx);
    }

    fn on_time(&mut self, cx: &mut Context<'_>) {
        if self.outcome.is_some() || self.direction.is_none() {
            return;
        }
        if self.is_reading_later && self.next_read <= cx.now {
            self.read(cx);
        }
        if self.next_write <= cx.now && !self.is_full {
            self.write(cx);
        }
        self.close_when_due(cx);
    }

    fn deadline(&self) -> Option<Instant> {
        if self.outcome.is_some() || self.direction.is_none() {
            return None;
        }
        let read = self.is_reading_later.then_some(self.next_read);
        let writes_later = self.sent < self.plan.send && !self.is_full;
        let write =
            (writes_later && self.plan.write_gap > Duration::ZERO).then_some(self.next_write);
        let close = match self.plan.close {
            Close::At(at) if !self.has_finished && self.sent == self.plan.send => Some(at),
            _ => None,
        };
        [read, write, close].into_iter().flatten().min()
    }

    fn read(&mut self, cx: &mut Context<'_>) {
        let Some(direction) = self.direction.map(Direction::reversed) else {
            return;
        };
        while self.outcome.is_none() && !self.has_peer_ended {
            if cx.now < self.next_read {
                self.is_reading_later = true;
                return;
            }
            self.is_reading_later = false;
            match cx.stack.call_tcp_receive(cx.now, self.id, self.plan.read) {
                Ok(octets) if octets.is_empty() => {
                    self.has_peer_ended = true;
                    cx.oracles.note_progress();
                    let found = cx.oracles.stream.ended(direction);
                    cx.oracles.note(cx.now, found);
                }
                Ok(octets) => {
                    self.received += octets.len() as u64;
                    self.last_received = cx.now;
                    cx.oracles.note_progress();
                    let found = cx.oracles.stream.received(direction, &octets);
                    cx.oracles.note(cx.now, found);
                    if self.plan.read_gap > Duration::ZERO {
                        self.next_read = cx.now + self.plan.read_gap;
                    }
                    self.abort_when_due(cx);
                }
                Err(ReceiveError::WouldBlock) => return,
                Err(ReceiveError::Lost(lost)) => return self.lose(cx, lost),
                Err(ReceiveError::NoSuchSocket) => return self.fail(cx, "read"),
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        let Some(direction) = self.direction else {
            return;
        };
        self.is_full = false;
        while self.outcome.is_none() && self.sent < self.plan.send && self.next_write <= cx.now {
            let left = usize::try_from(self.plan.send - self.sent).unwrap_or(usize::MAX);
            let mut octets = direction
                .pattern()
                .octets(self.sent, left.min(self.plan.write.max(1)));
            match cx.stack.call_tcp_send(cx.now, self.id, &mut octets) {
                Ok(taken) => {
                    self.sent += taken as u64;
                    cx.oracles.stream.sent(direction, taken);
                    if self.plan.write_gap > Duration::ZERO {
                        self.next_write = cx.now + self.plan.write_gap;
                    }
                    self.abort_when_due(cx);
                }
                Err(SendError::WouldBlock) => {
                    self.is_full = true;
                    break;
                }
                Err(SendError::Lost(lost)) => return self.lose(cx, lost),
                Err(SendError::Closed | SendError::NoSuchSocket) => {
                    return self.fail(cx, "write");
                }
            }
        }
    }

    fn abort_when_due(&mut self, cx: &mut Context<'_>) {
        let is_due = match self.plan.abort {
            None => false,
            Some(Abort::AfterSending(octets)) => self.sent >= octets,
            Some(Abort::AfterReceiving(octets)) => self.received >= octets,
        };
        if is_due && self.outcome.is_none() {
            self.break_off(cx, Outcome::Aborted);
            if cx.stack.call_tcp_abort(cx.now, self.id).is_err() {
                self.fail(cx, "abort");
            }
        }
    }

    /// Half-closes when the plan says so, and lets go when both halves are done.
    fn close_when_due(&mut self, cx: &mut Context<'_>) {
        let Some(direction) = self.direction.filter(|_| self.outcome.is_none()) else {
            return;
        };
        let is_due = match self.plan.close {
            Close::AfterSending => true,
            Close::AfterPeer => self.has_peer_ended,
            Close::At(at) => at <= cx.now,
        };
        if is_due && self.sent == self.plan.send && !self.has_finished {
            self.has_finished = true;
            cx.oracles.stream.finished(direction);
            cx.oracles.note_progress();
            match cx.stack.call_tcp_shutdown(cx.now, self.id, Shutdown::Write) {
                Ok(()) => {}
                Err(SendError::Lost(lost)) => return self.lose(cx, lost),
                Err(_) => return self.fail(cx, "shutdown"),
            }
        }
        if self.has_finished && self.has_peer_ended {
            self.outcome = Some(Outcome::Done);
            cx.owners.tcp.remove(&self.id);
            if cx.stack.call_tcp_close(cx.now, self.id).is_err() {
                self.fail(cx, "close");
            }
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, lost: Lost) {
        if self.outcome.is_none() {
            self.break_off(cx, Outcome::Lost(lost));
            // A lost connection's handle is still ours to give back.
            if cx.stack.call_tcp_close(cx.now, self.id).is_err() {
                self.fail(cx, "close after the error");
            }
        }
    }

    fn break_off(&mut self, cx: &mut Context<'_>, outcome: Outcome) {
        self.outcome = Some(outcome);
        cx.owners.tcp.remove(&self.id);
        cx.oracles.note_progress();
        if let Some(direction) = self.direction {
            cx.oracles.stream.broken(direction);
        }
    }

    /// A call failed in a way that the plan makes impossible.
    fn fail(&mut self, cx: &mut Context<'_>, call: &str) {
        let what = format!(
            "{call} failed on a connection that is open: {}",
            self.status()
        );
        cx.oracles.note(cx.now, Err(what));
        self.outcome = Some(Outcome::Aborted);
    }

    fn status(&self) -> String {
        let direction = self
            .direction
            .map_or_else(|| "not connected".to_owned(), |d| d.to_string());
        format!(
            "{direction}: sent {} of {}, received {}{}{}, {:?}",
            self.sent,
            self.plan.send,
            self.received,
            if self.has_finished { ", finished" } else { "" },
            if self.has_peer_ended {
                ", peer ended"
            } else {
                ""
            },
            self.outcome
        )
    }
}

/// Opens one connection and follows its plan.
#[derive(Debug)]
pub struct Client {
    remote: SocketAddr,
    options: TcpOptions,
    plan: Plan,
    starts: Instant,
    conversation: Option<Conversation>,
    failed: bool,
}

impl Client {
    /// Connects to `remote` at once.
    #[must_use]
    pub fn new(remote: SocketAddr, plan: Plan) -> Self {
        Self {
            remote,
            options: TcpOptions::default(),
            plan,
            starts: Instant::ZERO,
            conversation: None,
            failed: false,
        }
    }

    /// The same with these options.
    #[must_use]
    pub const fn with_options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    /// The same, but it connects at that moment.
    #[must_use]
    pub const fn starting_at(mut self, starts: Instant) -> Self {
        self.starts = starts;
        self
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.conversation.as_ref().and_then(|c| c.outcome)
    }

    /// Octets received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.conversation.as_ref().map_or(0, |c| c.received)
    }

    fn connect(&mut self, cx: &mut Context<'_>) {
        match cx
            .stack
            .call_tcp_connect(cx.now, None, self.remote, &self.options)
        {
            Ok(id) => {
                cx.owners.tcp.insert(id, cx.me);
                self.conversation = Some(Conversation::new(id, self.plan));
            }
            Err(error) => {
                self.failed = true;
                let what = format!("connect to {}: {error:?}", self.remote);
                cx.oracles.note(cx.now, Err(what));
            }
        }
    }
}

impl App for Client {
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake) {
        match (why, &mut self.conversation) {
            (Wake::Start | Wake::Time, None) if !self.failed && self.starts <= cx.now => {
                self.connect(cx);
            }
            (Wake::Time, Some(conversation)) => conversation.on_time(cx),
            (Wake::Tcp(_, readiness), Some(conversation)) => conversation.on_ready(cx, readiness),
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.conversation {
            None if self.failed => None,
            None => Some(self.starts),
            Some(conversation) => conversation.deadline(),
        }
    }

    fn is_done(&self) -> bool {
        self.failed || self.outcome().is_some()
    }

    fn status(&self) -> String {
        self.conversation.as_ref().map_or_else(
            || format!("client of {}", self.remote),
            Conversation::status,
        )
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// Listens, accepts everybody, and follows a plan with each.
#[derive(Debug)]
pub struct Server {
    local: SocketAddr,
    options: TcpOptions,
    backlog: usize,
    plan: Plan,
    expected: Option<usize>,
    listener: Option<ListenerId>,
    conversations: BTreeMap<TcpId, Conversation>,
    ended: Vec<(Outcome, u64, Instant)>,
}

impl Server {
    /// Listens on `local` from the start, for `expected` connections; then it stops. With
    /// `None` it never stops, and is done whenever no conversation is under way.
    #[must_use]
    pub fn new(local: SocketAddr, plan: Plan, expected: Option<usize>) -> Self {
        Self {
            local,
            options: TcpOptions::default(),
            backlog: 128,
            plan,
            expected,
            listener: None,
            conversations: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    /// The same with these options.
    #[must_use]
    pub const fn with_options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    /// How each ended, octets received from it, and when the last of them came.
    #[must_use]
    pub fn ended(&self) -> &[(Outcome, u64, Instant)] {
        &self.ended
    }

    fn listen(&mut self, cx: &mut Context<'_>) {
        match cx
            .stack
            .call_tcp_listen(self.local, self.backlog, &self.options)
        {
            Ok(id) => {
                cx.owners.listeners.insert(id, cx.me);
                self.listener = Some(id);
            }
            Err(error) => {
                let what = format!("listen on {}: {error:?}", self.local);
                cx.oracles.note(cx.now, Err(what));
            }
        }
    }

    fn accept(&mut self, cx: &mut Context<'_>, listener: ListenerId) {
        while let Ok(Some(accepted)) = cx.stack.call_tcp_accept(cx.now, listener) {
            cx.owners.tcp.insert(accepted.id, cx.me);
            let mut conversation = Conversation::new(accepted.id, self.plan);
            // What is true already makes no edge: ask.
            let now_true = cx.stack.tcp_readiness(accepted.id).unwrap_or_default();
            conversation.on_ready(cx, now_true | Readiness::CONNECTED);
            self.conversations.insert(accepted.id, conversation);
        }
        self.bury(cx);
    }

    /// Moves what has ended out of the way; the last one takes the listener with it.
    fn bury(&mut self, cx: &mut Context<'_>) {
        let ended = &mut self.ended;
        self.conversations.retain(|_, conversation| {
            if let Some(outcome) = conversation.outcome {
                ended.push((outcome, conversation.received, conversation.last_received));
            }
            conversation.outcome.is_none()
        });
        if self.expected.is_some()
            && self.is_done()
            && let Some(id) = self.listener.take()
        {
            cx.owners.listeners.remove(&id);
            if cx.stack.call_tcp_unlisten(cx.now, id).is_err() {
                cx.oracles.note(cx.now, Err("unlisten failed".to_owned()));
            }
        }
    }
}

impl App for Server {
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake) {
        match why {
            Wake::Start => self.listen(cx),
            Wake::Acceptable(id) => self.accept(cx, id),
            Wake::Tcp(id, readiness) => {
                if let Some(conversation) = self.conversations.get_mut(&id) {
                    conversation.on_ready(cx, readiness);
                }
                self.bury(cx);
            }
            Wake::Time => {
                for conversation in self.conversations.values_mut() {
                    conversation.on_time(cx);
                }
                self.bury(cx);
            }
            Wake::Udp(..) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.conversations
            .values()
            .filter_map(Conversation::deadline)
            .min()
    }

    fn is_done(&self) -> bool {
        match self.expected {
            Some(expected) => self.ended.len() >= expected,
            None => self.conversations.is_empty(),
        }
    }

    fn status(&self) -> String {
        let mut text = format!(
            "server on {}: {} ended of {:?}",
            self.local,
            self.ended.len(),
            self.expected
        );
        for conversation in self.conversations.values() {
            text.push_str("; ");
            text.push_str(&conversation.status());
        }
        text
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
