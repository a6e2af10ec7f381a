//! From a set-up namespace to the end of CMD.

use std::fmt;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::agent_link::{AgentLink, program};
use crate::run::channel::Channel;
use crate::run::link::LinkEnd;
use crate::run::message::{Ending, FromAgent, Passed, SetupError, ToAgent};
use crate::run::plan::Plan;
use crate::run::signals::Signals;
use switchboard_gateway::Program;

/// Namespaces that stand, with an agent inside that waits for the word to start CMD.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(super) agent: u32,
    pub(super) channel: Channel,
    pub(super) link: Option<LinkEnd>,
    /// What a TUN was refused with, where something else takes its place.
    pub(super) instead_of: Option<SetupError>,
    pub(super) locals: Vec<LocalSocket>,
    pub(super) warnings: Vec<String>,
}

/// A socket on the program's loopback, with the port of the host's that it stands for.
#[derive(Debug)]
pub(crate) enum LocalSocket {
    Tcp(u16, TcpListener),
    Udp(u16, UdpSocket),
}

impl Setup {
    /// Our end of the program's link, once.
    pub(crate) fn take_link(&mut self) -> Option<LinkEnd> {
        self.link.take()
    }

    /// What a TUN was refused with, where something else takes its place.
    pub(crate) fn instead_of(&self) -> Option<&SetupError> {
        self.instead_of.as_ref()
    }

    /// What listens inside for `--localhost`.
    pub(crate) fn take_locals(&mut self) -> Vec<LocalSocket> {
        std::mem::take(&mut self.locals)
    }

    /// What a person should know before CMD starts.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Waits until everything stands.
    ///
    /// # Errors
    ///
    /// What the machine refused.
    pub(crate) fn wait_until_ready(&mut self, plan: &Plan) -> Result<(), SetupError> {
        super::talk_through(self, plan, super::Stage::Ready)
    }

    /// Lets the agent go, without having started anything.
    pub(crate) fn reap(self) {
        drop(self.channel);
        super::reap(self.agent);
    }

    /// Inside a runtime: ready to start CMD.
    ///
    /// # Errors
    ///
    /// The runtime cannot watch the channel or the signals.
    pub(crate) fn into_start(self) -> io::Result<Start> {
        let signals = Signals::passed_on()?;
        // SAFETY: `Signals` owns its descriptor, always names the same one, and is not taken
        // out.
        let signals = unsafe { AsyncFd::register_with_interest(signals, Interest::READABLE) }?;
        Ok(Start {
            agent: self.agent,
            link: AgentLink::new(self.channel, self.agent)?,
            signals,
        })
    }
}

/// How CMD's part of a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// CMD ended by itself; pass this exit code on.
    Program(u8),
    /// A signal ended CMD; pass this exit code on.
    Killed(u8),
    /// `execve(2)` refused, with this error number.
    NotStarted(i32),
    /// The agent is gone.
    AgentLost,
}

/// Something about CMD that others may want to know.
#[derive(Debug)]
pub(crate) enum News {
    /// A program called its own localhost where nobody listens.
    LoopbackRefused { port: u16, program: Option<Program> },
}

/// A program about to be started, and then its guardian.
pub(crate) struct Start {
    agent: u32,
    link: AgentLink,
    signals: AsyncFd<Signals>,
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("agent", &self.agent).finish()
    }
}

impl Start {
    /// For whoever looks for holders of sockets.
    pub(crate) fn link(&self) -> AgentLink {
        self.link.clone()
    }

    /// Has a file removed when the run is over, however it ends.
    ///
    /// # Errors
    ///
    /// The channel to the agent failed.
    pub(crate) async fn remove_at_end(&self, path: PathBuf) -> io::Result<()> {
        self.link.tell(&ToAgent::RemoveAtEnd(path)).await
    }

    /// Starts CMD and stays with it: signals are passed on, a stop is shared, and with `wait`
    /// its orphans are waited for too.
    ///
    /// # Errors
    ///
    /// The channel to the agent failed.
    pub(crate) async fn run(&self, wait: bool, mut tell: impl FnMut(News)) -> io::Result<Ended> {
        self.link.tell(&ToAgent::Start).await?;
        let mut ended = None;
        loop {
            tokio::select! {
                signal = self.signals.async_io(Interest::READABLE, next_signal) => {
                    let signal = signal?;
                    // By SIGCONT the agent says that CMD goes on after a stop.
                    if signal.sender != self.agent {
                        self.link.tell(&ToAgent::Signal(signal)).await?;
                    }
                }
                message = self.link.next() => match message? {
                    None => return Ok(ended.unwrap_or(Ended::AgentLost)),
                    Some(FromAgent::NotStarted { errno }) => return Ok(Ended::NotStarted(errno)),
                    Some(FromAgent::LoopbackRefused { port, program: holder }) => {
                        let program = holder.map(program);
                        tell(News::LoopbackRefused { port, program });
                    }
                    Some(FromAgent::Ended(ending)) => {
                        ended = Some(Ended::of(ending));
                        if !wait {
                            return Ok(Ended::of(ending));
                        }
                    }
                    Some(FromAgent::AllEnded) => {
                        if let Some(ended) = ended {
                            return Ok(ended);
                        }
                    }
                    Some(_) => {}
                },
            }
        }
    }

    /// Ends the run: what CMD left behind loses the network. Does not wait for the agent's own
    /// end, which takes the kernel tens of milliseconds: nobody's zombie, because whoever
    /// inherits it reaps it.
    pub(crate) async fn finish(self) {
        if self.link.tell(&ToAgent::End).await.is_ok() {
            // Its end of the channel closes once it has tidied up.
            while let Ok(Some(_)) = self.link.next().await {}
        }
    }

    /// After CMD: how many sockets no process holds any more while they still have data to
    /// send.
    ///
    /// # Errors
    ///
    /// The channel to the agent failed.
    pub(crate) async fn unsent(&self) -> io::Result<usize> {
        self.link.tell(&ToAgent::Unsent).await?;
        loop {
            match self.link.next().await? {
                None => return Ok(0),
                Some(FromAgent::Unsent { sockets }) => return Ok(sockets),
                Some(_) => {}
            }
        }
    }
}

impl Ended {
    fn of(ending: Ending) -> Self {
        let code = ending.exit_code();
        if ending.is_signal() {
            Self::Killed(code)
        } else {
            Self::Program(code)
        }
    }
}

fn next_signal(signals: &Signals) -> io::Result<Passed> {
    signals
        .next()?
        .ok_or_else(|| io::ErrorKind::WouldBlock.into())
}
