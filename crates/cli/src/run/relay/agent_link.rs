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
use crate::run::message::{FromAgent, Holder, ToAgent, is_tcp};

/// Shared by everybody in the relay who asks the agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentLink {
    channel: Arc<AsyncFd<Channel>>,
    questions: Arc<Mutex<Questions>>,
}

#[derive(Debug, Default)]
struct Questions {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<Holder>>>,
}

impl AgentLink {
    /// Inside a runtime.
    pub(super) fn new(channel: Channel) -> io::Result<Self> {
        channel.set_nonblocking()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: a `Channel` owns its socket, always names the same one, and is not taken out.
        let channel = unsafe { AsyncFd::register_with_interest(channel, interest) }?;
        Ok(Self {
            channel: Arc::new(channel),
            questions: Arc::default(),
        })
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
                other => return Ok(other.map(|(message, _)| message)),
            }
        }
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

/// A holder as the gateway has it.
pub(super) fn program(holder: Holder) -> Program {
    Program {
        pid: holder.pid,
        name: holder.name.into(),
    }
}
