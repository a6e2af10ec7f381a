//! All sockets of a run, as people see them: `sockets`, `top`, the built-in page, JSON.
//!
//! A socket that is in use writes its counters without a lock; who looks takes a snapshot.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use switchboard_wire::{Endpoint, Protocol};

use crate::figures::{FarFigures, FarHalf, Halves};
use crate::holders::Holders;
use crate::limits::Limits;
use crate::observer::{Flow, Program, Refused};

/// Who holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A process of the run.
    Program(Program),
    /// The gateway's own services.
    BuiltIn,
    /// Not found out, or not yet.
    Unknown,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => f.pad(&program.to_string()),
            Self::BuiltIn => f.pad("(built in)"),
            Self::Unknown => f.pad("?"),
        }
    }
}

/// What a socket is doing, in the words of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketState {
    /// Anyone may call.
    Listen,
    /// The program has called, and waits for the outside.
    SynSent,
    /// Both can send.
    Established,
    /// The program closed first; the far side may still send.
    FinWait,
    /// The far side closed; the program may still send.
    CloseWait,
    /// Both closed, a moment ago.
    TimeWait,
    /// Datagrams flow.
    Open,
    /// Over.
    Done,
    /// Turned away.
    Refused,
    /// No way there.
    Unreachable,
    /// Nobody answered.
    NoAnswer,
    /// Cut off.
    Reset,
}

impl SocketState {
    /// Whether the socket is in use.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(
            self,
            Self::Listen
                | Self::SynSent
                | Self::Established
                | Self::FinWait
                | Self::CloseWait
                | Self::Open
        )
    }

    /// As the screens print it; the RFC's spelling where the RFC has a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN-WAIT",
            Self::CloseWait => "CLOSE-WAIT",
            Self::TimeWait => "TIME-WAIT",
            Self::Open => "open",
            Self::Done => "done",
            Self::Refused => "REFUSED",
            Self::Unreachable => "UNREACHABLE",
            Self::NoAnswer => "NO ANSWER",
            Self::Reset => "CUT OFF",
        }
    }
}

impl fmt::Display for SocketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One socket of the run.
#[derive(Clone, Debug, Serialize)]
pub struct SocketRow {
    /// The same socket keeps its number from snapshot to snapshot.
    pub number: u64,
    /// Who holds it.
    #[serde(serialize_with = "display")]
    pub program: Holder,
    /// The process that holds it, where that is a process of the run.
    pub pid: Option<u32>,
    /// The socket itself.
    #[serde(serialize_with = "display")]
    pub endpoint: Endpoint,
    /// The other end; `None`: anyone.
    pub peer: Option<SocketAddr>,
    /// The name that led to the peer.
    pub peer_name: Option<Arc<str>>,
    /// What it is doing.
    #[serde(serialize_with = "display")]
    pub state: SocketState,
    /// Round trip of the far half, from the host's own socket.
    #[serde(rename = "rtt_us", serialize_with = "micros")]
    pub rtt: Option<Duration>,
    /// Segments sent again in the far half.
    pub resent: Option<u64>,
    /// Octets that the program received ("down").
    pub received: u64,
    /// Octets that the program sent ("up").
    pub sent: u64,
    /// How long it has existed, or did.
    #[serde(rename = "age_ms", serialize_with = "millis")]
    pub age: Duration,
    /// How long it has been gone.
    #[serde(skip)]
    pub ended: Option<Duration>,
    /// Why it was turned away, if it was.
    #[serde(skip)]
    pub why: Option<Arc<Refused>>,
    /// Whether the other end called (`-p`).
    #[serde(skip)]
    pub inward: bool,
}

fn display<T: fmt::Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

fn micros<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    value.map(|rtt| rtt.as_micros()).serialize(to)
}

fn millis<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    value.as_millis().serialize(to)
}

/// A socket that is in use: written by its task, read by snapshots.
pub(crate) struct Live {
    number: u64,
    endpoint: Endpoint,
    peer: Option<SocketAddr>,
    peer_name: Option<Arc<str>>,
    holder: LiveHolder,
    since: Instant,
    state: Mutex<SocketState>,
    figures: Mutex<FarFigures>,
    far: Mutex<Option<Arc<dyn FarHalf>>>,
    received: AtomicU64,
    sent: AtomicU64,
}

enum LiveHolder {
    OfFlow(Arc<Flow>),
    Known(Holder),
}

/// A lock whose holder cannot leave it half-written: a panic elsewhere does not spoil it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn set_state(&self, state: SocketState) {
        *lock(&self.state) = state;
    }

    pub(crate) fn set_far(&self, far: Arc<dyn FarHalf>) {
        *lock(&self.far) = Some(far);
    }

    pub(crate) fn set_figures(&self, figures: FarFigures) {
        *lock(&self.figures) = figures;
    }

    pub(crate) fn add_received(&self, octets: usize) {
        self.received.fetch_add(octets as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_sent(&self, octets: usize) {
        self.sent.fetch_add(octets as u64, Ordering::Relaxed);
    }

    /// Octets received and sent so far.
    pub(crate) fn octets(&self) -> (u64, u64) {
        let received = self.received.load(Ordering::Relaxed);
        (received, self.sent.load(Ordering::Relaxed))
    }

    pub(crate) fn set_octets(&self, received: u64, sent: u64) {
        self.received.store(received, Ordering::Relaxed);
        self.sent.store(sent, Ordering::Relaxed);
    }

    fn row(&self) -> SocketRow {
        let far = lock(&self.far).as_ref().and_then(|far| far.figures());
        // Of sockets that are closed, the last that they said.
        let figures = far.unwrap_or_else(|| *lock(&self.figures));
        let program = match &self.holder {
            LiveHolder::Known(holder) => holder.clone(),
            LiveHolder::OfFlow(flow) => match flow.holder() {
                Some(program) => Holder::Program(program.clone()),
                None => Holder::Unknown,
            },
        };
        let pid = match &program {
            Holder::Program(program) => Some(program.pid),
            _ => None,
        };
        SocketRow {
            ended: None,
            why: None,
            inward: matches!(&self.holder, LiveHolder::OfFlow(flow) if flow.inward),
            number: self.number,
            program,
            pid,
            endpoint: self.endpoint,
            peer: self.peer,
            peer_name: self.peer_name.clone(),
            state: *lock(&self.state),
            rtt: figures.rtt,
            resent: figures.resent,
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            age: self.since.elapsed(),
        }
    }
}

/// Keeps a socket's row live; when dropped, the row is among those that are gone.
pub(crate) struct LiveRow {
    live: Arc<Live>,
    registry: Registry,
    /// The state that the row ends in.
    ending: SocketState,
    why: Option<Arc<Refused>>,
    keep: bool,
}

impl LiveRow {
    /// The flow was turned away.
    pub(crate) fn refuse(&mut self, state: SocketState, why: &Refused) {
        self.ending = state;
        self.why = Some(Arc::new(why.clone()));
    }

    /// The row of a socket that is gone shows this state.
    pub(crate) fn end_as(&mut self, state: SocketState) {
        self.ending = state;
    }

    /// When the socket is gone its row is gone too.
    pub(crate) fn forget(&mut self) {
        self.keep = false;
    }
}

impl std::ops::Deref for LiveRow {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.live
    }
}

impl Drop for LiveRow {
    fn drop(&mut self) {
        self.live.set_state(self.ending);
        let mut row = self.live.row();
        row.why = self.why.take();
        *lock(&self.live.far) = None;
        let mut table = lock(&self.registry.table);
        table.live.remove(&self.live.number);
        if self.keep {
            table.done.push_back((Instant::now(), row));
            table.trim(&self.registry.limits);
        }
    }
}

#[derive(Default)]
struct Table {
    next_number: u64,
    live: BTreeMap<u64, Arc<Live>>,
    done: VecDeque<(Instant, SocketRow)>,
}

impl Table {
    fn trim(&mut self, limits: &Limits) {
        while self.done.len() > limits.done_rows {
            self.done.pop_front();
        }
        while let Some((at, _)) = self.done.front() {
            if at.elapsed() < limits.done_row_age {
                break;
            }
            self.done.pop_front();
        }
    }
}

/// All sockets of a run.
#[derive(Clone)]
pub struct Registry {
    table: Arc<Mutex<Table>>,
    limits: Limits,
    holders: Arc<Holders>,
}

impl Registry {
    pub(crate) fn new(limits: Limits, holders: Arc<Holders>) -> Self {
        Self {
            table: Arc::default(),
            limits,
            holders,
        }
    }

    /// As [`snapshot`](Self::snapshot), for people: the holders of sockets that nobody has been
    /// asked about yet are found out first, which takes a second at most.
    pub async fn look(&self) -> Vec<SocketRow> {
        self.holders.catch_up().await;
        self.snapshot()
    }

    /// Every socket in use, oldest first, then those that are gone, oldest first: bounded by
    /// the flows that the gateway takes and by [`Limits::done_rows`].
    #[must_use]
    pub fn snapshot(&self) -> Vec<SocketRow> {
        let (live, mut rows) = {
            let mut table = lock(&self.table);
            table.trim(&self.limits);
            let live: Vec<_> = table.live.values().cloned().collect();
            let done = table.done.iter().map(|(at, row)| SocketRow {
                ended: Some(at.elapsed()),
                ..row.clone()
            });
            let done: Vec<_> = done.collect();
            (live, done)
        };
        // Asking the host for figures happens outside the lock.
        let mut all: Vec<_> = live.iter().map(|live| live.row()).collect();
        all.append(&mut rows);
        all
    }

    /// Both halves of the conversation with this number, while it is under way.
    #[must_use]
    pub fn halves(&self, number: u64) -> Option<Halves> {
        let live = lock(&self.table).live.get(&number)?.clone();
        let far = lock(&live.far).clone();
        Some(far.map_or_else(Halves::default, |far| far.halves()))
    }

    /// The program and the name of a conversation, for labels in a capture.
    #[must_use]
    pub fn label(&self, protocol: Protocol, inner: SocketAddr, outer: SocketAddr) -> Label {
        let endpoint = Endpoint {
            protocol,
            address: inner,
        };
        let found = self.snapshot_of(endpoint, outer);
        found.map_or_else(Label::default, |row| Label {
            program: match row.program {
                Holder::Program(program) => Some(program),
                _ => None,
            },
            name: row.peer_name,
        })
    }

    /// The newest socket at `endpoint`; one that talks to `peer` if there is such a one.
    fn snapshot_of(&self, endpoint: Endpoint, peer: SocketAddr) -> Option<SocketRow> {
        let table = lock(&self.table);
        let mut second = None;
        for live in table.live.values().rev() {
            if live.endpoint == endpoint {
                if live.peer == Some(peer) {
                    return Some(live.row());
                }
                second.get_or_insert_with(|| live.row());
            }
        }
        let done = table.done.iter().rev().map(|(_, row)| row);
        let mut done = done.filter(|row| row.endpoint == endpoint && row.peer == Some(peer));
        done.next().cloned().or(second)
    }

    /// The row of a relayed flow's inside socket.
    pub(crate) fn add_flow(
        &self,
        flow: &Arc<Flow>,
        protocol: Protocol,
        state: SocketState,
    ) -> LiveRow {
        let (inner, outer) = flow.inner_and_outer();
        let endpoint = Endpoint {
            protocol,
            address: inner,
        };
        self.add(NewRow {
            endpoint,
            peer: Some(outer),
            peer_name: flow.name.clone(),
            holder: LiveHolder::OfFlow(flow.clone()),
            state,
        })
    }

    /// The row of a socket of our own services.
    pub(crate) fn add_builtin(
        &self,
        endpoint: Endpoint,
        peer: Option<SocketAddr>,
        state: SocketState,
    ) -> LiveRow {
        let mut row = self.add(NewRow {
            endpoint,
            peer,
            peer_name: None,
            holder: LiveHolder::Known(Holder::BuiltIn),
            state,
        });
        row.forget();
        row
    }

    fn add(&self, new: NewRow) -> LiveRow {
        let mut table = lock(&self.table);
        table.next_number += 1;
        let live = Arc::new(Live {
            number: table.next_number,
            endpoint: new.endpoint,
            peer: new.peer,
            peer_name: new.peer_name,
            holder: new.holder,
            since: Instant::now(),
            state: Mutex::new(new.state),
            figures: Mutex::default(),
            far: Mutex::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        table.live.insert(live.number, live.clone());
        LiveRow {
            live,
            registry: self.clone(),
            ending: SocketState::Done,
            why: None,
            keep: true,
        }
    }
}

struct NewRow {
    endpoint: Endpoint,
    peer: Option<SocketAddr>,
    peer_name: Option<Arc<str>>,
    holder: LiveHolder,
    state: SocketState,
}

/// What a capture says of a packet beside its octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The program that holds the inside socket.
    pub program: Option<Program>,
    /// The name that led to the far address.
    pub name: Option<Arc<str>>,
}
