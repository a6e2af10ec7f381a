//! `--explain`: each conversation as the six steps, on stderr, when its outcome is known.
//!
//! What happens comes from the gateway as values; [`story`] turns it into text. A task of its
//! own prints, so that a slow terminal holds up nobody's packets.

mod story;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use switchboard_gateway::{
    Flow, FlowNumber, HandshakeRecorder, Happening, HostAddress, Observer, Program, Transport,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::localhost::host_listens;
use crate::say;
use story::{Found, Story};

/// Happenings that may wait to be told. A program that opens sockets faster than a terminal
/// scrolls is told about in part, and the gap is said.
const WAITING_MAX: usize = 4096;

/// How long after a connection stands it is told: the program's ACK belongs to the story. Any
/// other outcome is told at once, before the program complains of it.
const PAUSE: Duration = Duration::from_millis(4);

/// How long the name of the program is waited for.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Names remembered: address to what the directory said.
const FOUND_MAX: usize = 1024;

/// A name that does not exist is asked for twice, A and AAAA, and sometimes again, and a
/// localhost that does not answer too: told once in this time.
const ONCE: Duration = Duration::from_secs(5);

/// Connections remembered that wait for an answer; beyond it, what never got one goes untold.
const OPENING_MAX: usize = 1024;

/// Something to tell, and when it happened.
#[derive(Debug)]
enum News {
    Happening(Instant, Happening),
    LoopbackRefused(Instant, u16, Option<Program>),
    End,
}

/// Hears what happens; never waits.
pub(super) struct Listener {
    sender: Sender<News>,
    missed: Arc<AtomicU64>,
}

/// The task that prints.
pub(super) struct Explainer {
    listener: Arc<Listener>,
    task: JoinHandle<()>,
}

impl Explainer {
    /// Starts it on the current runtime. `own` are the addresses of our services.
    pub(super) fn start(recorder: HandshakeRecorder, own: Own) -> Self {
        let (sender, receiver) = channel(WAITING_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let teller = Teller {
            story: Story::new(recorder, own),
            found: HashMap::new(),
            unknown: VecDeque::new(),
            unanswered: VecDeque::new(),
            opening: BTreeMap::new(),
            missed: missed.clone(),
            has_gaps: false,
        };
        Self {
            listener: Arc::new(Listener { sender, missed }),
            task: tokio::spawn(teller.run(receiver)),
        }
    }

    /// For the gateway.
    pub(super) fn listener(&self) -> Arc<Listener> {
        self.listener.clone()
    }

    /// `program` called its own localhost at `port`, where nobody listens.
    pub(super) fn loopback_refused(&self, port: u16, program: Option<Program>) {
        let news = News::LoopbackRefused(Instant::now(), port, program);
        self.listener.hear(news);
    }

    /// Prints what waits. Nothing that happens later is told.
    pub(super) async fn finish(self) {
        let _ = self.listener.sender.send(News::End).await;
        let last = tokio::time::timeout(Duration::from_secs(1), self.task);
        let _ = last.await;
    }
}

/// Addresses of our own services.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own {
    pub(super) dns: HostAddress,
    pub(super) builtin: HostAddress,
}

impl Listener {
    fn hear(&self, news: News) {
        if self.sender.try_send(news).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Observer for Listener {
    fn observe(&self, happening: &Happening) {
        if !matches!(happening, Happening::FlowHeld { .. }) {
            let news = News::Happening(Instant::now(), happening.clone());
            self.hear(news);
        }
    }
}

struct Teller {
    story: Story,
    /// What the directory said of an address, most lately.
    found: HashMap<IpAddr, Found>,
    /// Names that were told to have no address, oldest first.
    unknown: VecDeque<(Instant, Arc<str>)>,
    /// Ports of localhost that were told to have nobody, oldest first: a program tries both
    /// families.
    unanswered: VecDeque<(Instant, u16)>,
    /// Flows that wait for an answer, in the order in which they began.
    opening: BTreeMap<FlowNumber, (Instant, Arc<Flow>)>,
    missed: Arc<AtomicU64>,
    /// Whether anything was ever missed: it may have been the answer to one of `opening`.
    has_gaps: bool,
}

impl News {
    /// Whether the program is about to say a word of its own about it.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Happening(_, happening) => matches!(
                happening,
                Happening::FlowRefused { .. }
                    | Happening::FlowAbandoned { .. }
                    | Happening::DatagramRefused { .. }
            ),
            Self::LoopbackRefused(..) => true,
            Self::End => false,
        }
    }
}

/// News in their order.
struct Inbox {
    receiver: Receiver<News>,
    /// Received, and not yet to be told.
    waiting: VecDeque<News>,
}

impl Inbox {
    async fn next(&mut self) -> Option<News> {
        match self.waiting.pop_front() {
            Some(news) => Some(news),
            None => self.receiver.recv().await,
        }
    }

    /// Waits for what belongs to the story of a connection that has stood since `at`, until it
    /// `is_whole`; not while anything behind it has to be told at once.
    async fn pause(&mut self, at: Instant, is_whole: impl Fn() -> bool) {
        // Not a pause for each: what has waited long enough is told at once.
        let mut until = at + PAUSE;
        while self.waiting.len() < WAITING_MAX && !self.waiting.iter().any(News::is_urgent) {
            tokio::select! {
                biased;
                news = self.receiver.recv() => match news {
                    Some(news) => self.waiting.push_back(news),
                    None => return,
                },
                () = sleep_until(until) => {
                    if is_whole() || until >= at + PAUSE_MAX {
                        return;
                    }
                    until += PAUSE;
                }
            }
        }
    }
}

impl Teller {
    async fn run(mut self, receiver: Receiver<News>) {
        let mut inbox = Inbox {
            receiver,
            waiting: VecDeque::new(),
        };
        while let Some(news) = inbox.next().await {
            if let News::Happening(at, Happening::FlowConnected { flow, .. }) = &news {
                inbox.pause(*at, || flow.is_holder_known()).await;
            }
            let missed = self.missed.swap(0, Ordering::Relaxed);
            self.has_gaps |= missed > 0;
            let ended = matches!(news, News::End);
            let text = match news {
                News::Happening(at, happening) => self.tell(at, &happening),
                News::LoopbackRefused(at, port, program) => self.localhost(at, port, program),
                News::End => None,
            };
            if let Some(text) = text {
                say::block(&text);
            }
            if missed > 0 {
                say::block(&format!("| ({missed} happenings more than can be told)\n"));
            }
            if ended {
                return self.tell_unanswered();
            }
        }
    }

    fn tell(&mut self, at: Instant, happening: &Happening) -> Option<String> {
        match happening {
            Happening::Resolved { .. } => self.resolved(at, happening),
            Happening::FlowOpening { flow } => {
                // A datagram waits for no answer that we would see.
                let waits = flow.transport == Transport::Tcp && !self.has_gaps;
                if waits && self.opening.len() < OPENING_MAX {
                    self.opening.insert(flow.number, (at, flow.clone()));
                }
                None
            }
            Happening::FlowConnected { flow, .. }
            | Happening::FlowRefused { flow, .. }
            | Happening::FlowAbandoned { flow, .. }
            | Happening::DatagramRefused { flow, .. }
            | Happening::FlowEnded { flow, .. } => {
                self.opening.remove(&flow.number);
                let found = self.found.get(&flow.to.ip());
                self.story.flow(flow, happening, found)
            }
            Happening::FlowHeld { .. } => None,
        }
    }

    /// At the end of the run: whoever had no answer until now has stopped waiting. After a gap
    /// nobody can say who had none.
    fn tell_unanswered(mut self) {
        if self.has_gaps {
            return;
        }
        for (_, (at, flow)) in std::mem::take(&mut self.opening) {
            let found = self.found.get(&flow.to.ip());
            let elapsed = at.elapsed();
            let abandoned = Happening::FlowAbandoned {
                flow: flow.clone(),
                elapsed,
            };
            if let Some(text) = self.story.flow(&flow, &abandoned, found) {
                say::block(&text);
            }
        }
    }

    fn localhost(&mut self, at: Instant, port: u16, program: Option<Program>) -> Option<String> {
        self.unanswered.retain(|(told, _)| at - *told < ONCE);
        if self.unanswered.iter().any(|(_, told)| *told == port) {
            return None;
        }
        self.unanswered.push_back((at, port));
        let host_has = host_listens(port);
        Some(self.story.localhost(port, program.as_ref(), host_has))
    }

    /// Remembers what was found, and tells of a name that was not.
    fn resolved(&mut self, at: Instant, happening: &Happening) -> Option<String> {
        let Happening::Resolved {
            name, resolution, ..
        } = happening
        else {
            return None;
        };
        if let Some((addresses, found)) = Found::of(happening) {
            if self.found.len() >= FOUND_MAX {
                self.found.clear();
            }
            for address in addresses {
                self.found.insert(*address, found.clone());
            }
            return None;
        }
        self.unknown.retain(|(told, _)| at - *told < ONCE);
        if self.unknown.iter().any(|(_, told)| told == name) {
            return None;
        }
        let text = self.story.unknown_name(happening, resolution)?;
        self.unknown.push_back((at, name.clone()));
        Some(text)
    }
}

#[cfg(test)]
mod tests;
