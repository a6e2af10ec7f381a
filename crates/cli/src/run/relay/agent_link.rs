//! The relay's end of the channel on tokio: questions with numbers, answers when they come.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use switchboard_gateway::{BoxFuture, HolderLookup, Program};
use switchboard_wire::Protocol;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use crate::run::channel::Channel;
use crate::run::message::{FromAgent, Holder, Seen, ToAgent, Wanted, is_tcp};

/// Shared by everybody in the relay who asks the agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentLink {
    agent: u32,
    channel: Arc<AsyncFd<Channel>>,
    questions: Arc<Mutex<Questions>>,
}

#[derive(Debug, Default)]
struct Questions {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<Holder>>>,
    /// Those about sockets, with what has been answered so far.
    collecting: HashMap<u64, (Vec<Seen>, oneshot::Sender<Vec<Seen>>)>,
}

/// A socket of the run that the relay does not see.
#[derive(Clone, Debug)]
pub(crate) struct InsideSocket {
    pub(crate) tcp: bool,
    pub(crate) local: SocketAddr,
    pub(crate) peer: Option<SocketAddr>,
    /// As the RFC spells it.
    pub(crate) state: &'static str,
    pub(crate) program: Option<Program>,
}

impl AgentLink {
    /// Inside a runtime.
    pub(super) fn new(channel: Channel, agent: u32) -> io::Result<Self> {
        channel.set_nonblocking()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: a `Channel` owns its socket, always names the same one, and is not taken out.
        let channel = unsafe { AsyncFd::register_with_interest(channel, interest) }?;
        Ok(Self {
            agent,
            channel: Arc::new(channel),
            questions: Arc::default(),
        })
    }

    /// The agent's process id.
    pub(crate) fn agent(&self) -> u32 {
        self.agent
    }

    /// Tells the agent something.
    pub(super) async fn tell(&self, message: &ToAgent) -> io::Result<()> {
        self.channel
            .async_io(Interest::WRITABLE, |channel| channel.send(message, &[]))
            .await
    }

    /// What the agent says next, other than answers about holders, which go to those who asked.
    /// `None`: the agent is gone.
    pub(super) async fn next(&self) -> io::Result<Option<FromAgent>> {
        loop {
            let received = self
                .channel
                .async_io(Interest::READABLE, |channel| channel.receive())
                .await?;
            match received {
                Some((FromAgent::Holder { id, program }, _)) => {
                    if let Some(asker) = self.questions().waiting.remove(&id) {
                        // Whoever asked may have given up.
                        let _ = asker.send(program);
                    }
                }
                Some((FromAgent::Sockets { id, sockets, more }, _)) => {
                    self.collect(id, sockets, more);
                }
                other => return Ok(other.map(|(message, _)| message)),
            }
        }
    }

    fn collect(&self, id: u64, sockets: Vec<Seen>, more: bool) {
        let mut questions = self.questions();
        if let Some((all, _)) = questions.collecting.get_mut(&id) {
            all.extend(sockets);
        }
        if !more && let Some((all, asker)) = questions.collecting.remove(&id) {
            // Whoever asked may have given up.
            let _ = asker.send(all);
        }
    }

    /// Sockets that never reach the relay. `None`: the agent is gone.
    pub(crate) async fn sockets(&self, wanted: Wanted) -> Option<Vec<InsideSocket>> {
        let (asker, answer) = oneshot::channel();
        let id = {
            let mut questions = self.questions();
            questions.next += 1;
            let id = questions.next;
            questions.collecting.insert(id, (Vec::new(), asker));
            id
        };
        if self.tell(&ToAgent::Sockets { id, wanted }).await.is_err() {
            self.questions().collecting.remove(&id);
        }
        let seen = answer.await.ok()?;
        Some(seen.into_iter().map(InsideSocket::from).collect())
    }

    /// `pid`, none of ours, starts programs in the run's namespaces.
    pub(crate) async fn joined(&self, pid: u32) -> io::Result<()> {
        self.tell(&ToAgent::Joined { pid }).await
    }

    fn questions(&self) -> std::sync::MutexGuard<'_, Questions> {
        self.questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, tcp: bool, inner: SocketAddr, outer: SocketAddr) -> Option<Holder> {
        let (asker, answer) = oneshot::channel();
        let id = {
            let mut questions = self.questions();
            questions.next += 1;
            let id = questions.next;
            questions.waiting.insert(id, asker);
            id
        };
        let question = ToAgent::Holder {
            id,
            tcp,
            inner,
            outer,
        };
        if self.tell(&question).await.is_err() {
            self.questions().waiting.remove(&id);
        }
        answer.await.ok().flatten()
    }
}

impl HolderLookup for AgentLink {
    fn holder(
        &self,
        protocol: Protocol,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> BoxFuture<'_, Option<Program>> {
        Box::pin(async move {
            let holder = self.ask(is_tcp(protocol), inner, outer).await?;
            Some(program(holder))
        })
    }
}

/// An [`AgentLink`] that comes once the agent has set up: before CMD starts, nobody asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateLink(Arc<OnceLock<AgentLink>>);

impl LateLink {
    /// The link, once it is there.
    pub(crate) fn get(&self) -> Option<&AgentLink> {
        self.0.get()
    }

    /// Here it is.
    pub(crate) fn set(&self, link: AgentLink) {
        // Set once.
        let _ = self.0.set(link);
    }
}

impl HolderLookup for LateLink {
    fn holder(
        &self,
        protocol: Protocol,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> BoxFuture<'_, Option<Program>> {
        match self.0.get() {
            Some(link) => link.holder(protocol, inner, outer),
            None => Box::pin(std::future::ready(None)),
        }
    }
}

impl From<Seen> for InsideSocket {
    fn from(seen: Seen) -> Self {
        Self {
            tcp: seen.tcp,
            local: seen.local,
            peer: seen.peer,
            state: state(seen.tcp, seen.state),
            program: seen.program.map(program),
        }
    }
}

/// A state of `tcp_states.h`, in the RFC's spelling.
fn state(tcp: bool, state: u8) -> &'static str {
    if !tcp {
        return "open";
    }
    match state {
        1 => "ESTABLISHED",
        2 => "SYN-SENT",
        3 | 12 => "SYN-RECEIVED",
        4 => "FIN-WAIT-1",
        5 => "FIN-WAIT-2",
        6 => "TIME-WAIT",
        8 => "CLOSE-WAIT",
        9 => "LAST-ACK",
        10 => "LISTEN",
        11 => "CLOSING",
        _ => "CLOSED",
    }
}

/// A holder as the gateway has it.
pub(super) fn program(holder: Holder) -> Program {
    Program {
        pid: holder.pid,
        name: holder.name.into(),
    }
}
