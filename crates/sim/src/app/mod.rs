//! Simulated applications: what runs on a host and holds its sockets.
//!
//! An application is woken by the events of its own sockets and by its own deadline, and by
//! nothing else, so that an event that a stack forgets is a run that stands still.

pub mod conversation;
pub mod datagrams;

use std::collections::BTreeMap;

use switchboard_core::{ListenerId, Readiness, Stack, TcpId, UdpId};
use switchboard_wire::Instant;

use crate::oracle::Oracles;

pub use conversation::{Abort, Client, Close, Outcome, Plan, Server};
pub use datagrams::{DatagramReceiver, DatagramSender};

/// Why an application runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// It has just been started.
    Start,
    /// Its deadline has come.
    Time,
    /// One of its connections grew ready.
    Tcp(TcpId, Readiness),
    /// Its listener has a connection.
    Acceptable(ListenerId),
    /// One of its datagram sockets grew ready.
    Udp(UdpId, Readiness),
}

/// Something that runs on a host.
pub trait App {
    /// Does what can be done now.
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake);

    /// When it wants to run though nothing happened.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Whether it has done what it is for.
    fn is_done(&self) -> bool;

    /// How it stands, for the report of a failure.
    fn status(&self) -> String;

    /// For finding out, after a run, how a particular application fared.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// Which application holds which socket of a host.
#[derive(Debug, Default)]
pub struct Owners {
    /// Connections.
    pub tcp: BTreeMap<TcpId, usize>,
    /// Listeners.
    pub listeners: BTreeMap<ListenerId, usize>,
    /// Datagram sockets.
    pub udp: BTreeMap<UdpId, usize>,
}

/// What an application can reach while it runs.
pub struct Context<'a> {
    /// The world's time.
    pub now: Instant,
    /// The host's stack.
    pub stack: &'a mut Stack,
    /// Who watches.
    pub oracles: &'a mut Oracles,
    /// Who holds what on this host.
    pub owners: &'a mut Owners,
    /// The application's own index.
    pub me: usize,
}
