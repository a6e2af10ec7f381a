//! ICMP echo to the outside, through the host's unprivileged ping sockets (icmp(7)): one for
//! each inside source and identifier, as each `ping` is.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::{Domain, SockRef, Socket, Type};
use switchboard::{IncomingEcho, Unreachable};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::context::{Context, Ends};
use crate::destination::{self, Destination};
use crate::observer::{Ending, Flow, Happening, Refused, Transport};
use crate::outside::{
    QueuedError, read_error_queue, refused, refused_by, unspecified_of, want_errors,
};
use crate::policy::Verdict;

/// A `ping` that says nothing for this long is over.
const IDLE: Duration = Duration::from_secs(60);

/// Requests of one `ping` that wait for an answer; the oldest is forgotten.
const UNANSWERED_MAX: usize = 128;

/// Requests that wait for their task; a flood loses what is beyond.
const QUEUE: usize = 32;

/// Type, code, checksum, identifier and sequence number (RFC 792).
const ECHO_HEADER: usize = 8;

/// Whose pings: source, identifier and the family by its destination.
type PingKey = (IpAddr, u16);

/// Passes echo requests to the tasks of their pings.
pub(crate) struct EchoRelay {
    context: Arc<Context>,
    pings: HashMap<PingKey, mpsc::Sender<IncomingEcho>>,
}

impl EchoRelay {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            pings: HashMap::new(),
        }
    }

    /// Takes one request.
    pub(crate) fn take(&mut self, echo: IncomingEcho, tasks: &mut JoinSet<()>) {
        let request = echo.request();
        let key = (request.source, request.identifier);
        let mut echo = echo;
        if let Some(ping) = self.pings.get(&key) {
            match ping.try_send(echo) {
                Ok(()) => return,
                // A flood: what is beyond the queue is lost, as on any network.
                Err(mpsc::error::TrySendError::Full(_)) => return,
                Err(mpsc::error::TrySendError::Closed(back)) => echo = back,
            }
        }
        self.pings.retain(|_, ping| !ping.is_closed());
        if self.pings.len() >= self.context.config.limits.echo_requests {
            let why = Refused::LimitReached("pings");
            return echo.refuse(destination::unreachable_of(&why), None);
        }
        let (sender, requests) = mpsc::channel(QUEUE);
        self.pings.insert(key, sender);
        tasks.spawn(ping(self.context.clone(), echo, requests));
    }
}

/// One `ping`, from its first request to its silence.
async fn ping(
    context: Arc<Context>,
    first: IncomingEcho,
    mut requests: mpsc::Receiver<IncomingEcho>,
) {
    let started = Instant::now();
    let request = first.request();
    let ends = Ends {
        from: SocketAddr::new(request.source, request.identifier),
        to: SocketAddr::new(request.destination, 0),
    };
    let flow = context.flow(Transport::Echo, ends);
    context.tell(&Happening::FlowOpening { flow: flow.clone() });
    let host = match reach(&context, &flow) {
        Ok(Some(host)) => host,
        // Nobody answers there.
        Ok(None) => return context.tell_unanswered(flow, started.elapsed()),
        Err(why) => {
            if !why.is_silence_by_rule() {
                first.refuse(destination::unreachable_of(&why), why.by());
            }
            return context.tell_refused(&flow, why, started.elapsed());
        }
    };
    context.tell(&Happening::FlowConnected {
        flow: flow.clone(),
        outside: None,
        elapsed: started.elapsed(),
    });
    let mut ping = Ping {
        context,
        host,
        flow,
        unanswered: Vec::new(),
        hop_limit: None,
        octets: (0, 0),
    };
    ping.request(first).await;
    ping.run(&mut requests).await;
    ping.context.tell(&Happening::FlowEnded {
        flow: ping.flow.clone(),
        how: Ending::Finished,
        received: ping.octets.0,
        sent: ping.octets.1,
        elapsed: started.elapsed(),
    });
}

/// A ping socket of the host for this flow; `None` where nobody says a word.
fn reach(context: &Context, flow: &Flow) -> Result<Option<UdpSocket>, Refused> {
    if let Verdict::Refuse { how, why } = context.policy.flow(flow) {
        return Err(Refused::Policy { how, why });
    }
    match destination::destination(&context.config, Transport::Echo, flow.to) {
        Destination::Outside(to) => match open(to) {
            Ok(host) => Ok(Some(host)),
            Err(error) => Err(refused(&error, None)),
        },
        Destination::Refused(why) => Err(why),
        Destination::Silent => Ok(None),
    }
}

fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let protocol = match to {
        SocketAddr::V4(_) => socket2::Protocol::ICMPV4,
        SocketAddr::V6(_) => socket2::Protocol::ICMPV6,
    };
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(protocol))?;
    want_errors(&socket, to, true)?;
    socket.bind(&unspecified_of(to).into())?;
    UdpSocket::from_std(socket.into())
}

struct Ping {
    context: Arc<Context>,
    host: UdpSocket,
    flow: Arc<Flow>,
    /// Oldest first.
    unanswered: Vec<IncomingEcho>,
    hop_limit: Option<u8>,
    /// Received and sent.
    octets: (u64, u64),
}

impl Ping {
    async fn run(&mut self, requests: &mut mpsc::Receiver<IncomingEcho>) {
        // The longest payload that an IP packet carries.
        let mut buffer = vec![0; 65_535];
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.request(request).await,
                    None => return,
                },
                ready = self.host.ready(Interest::READABLE | Interest::ERROR) => {
                    let Ok(ready) = ready else { return };
                    if ready.is_error() {
                        self.errors();
                    }
                    if ready.is_readable() {
                        self.answers(&mut buffer);
                    }
                },
                () = tokio::time::sleep(IDLE) => return,
            }
        }
    }

    async fn request(&mut self, echo: IncomingEcho) {
        let request = echo.request();
        let to = SocketAddr::new(request.destination, 0);
        let to = match destination::destination(&self.context.config, Transport::Echo, to) {
            Destination::Outside(to) => to,
            Destination::Silent => return,
            Destination::Refused(why) => {
                return echo.refuse(destination::unreachable_of(&why), why.by());
            }
        };
        // One hop of the request's life is spent here; the stack has answered what had one.
        let hops = request.hop_limit.saturating_sub(1).max(1);
        if self.hop_limit != Some(hops) {
            let socket = SockRef::from(&self.host);
            let _ = match to {
                SocketAddr::V4(_) => socket.set_ttl_v4(hops.into()),
                SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops.into()),
            };
            self.hop_limit = Some(hops);
        }
        let message = message(to, request.sequence, &request.payload);
        for _ in 0..2 {
            match self.host.send_to(&message, to).await {
                Ok(_) => {
                    self.octets.1 += message.len() as u64;
                    if self.unanswered.len() >= UNANSWERED_MAX {
                        self.unanswered.remove(0);
                    }
                    return self.unanswered.push(echo);
                }
                Err(error) => {
                    // The error of an earlier request, told in passing: once more.
                    if self.errors() == 0 {
                        let why = refused(&error, None);
                        echo.refuse(destination::unreachable_of(&why), None);
                        return self.tell(to, why);
                    }
                }
            }
        }
    }

    fn answers(&mut self, buffer: &mut [u8]) {
        while let Ok((len, _from)) = self.host.try_recv_from(buffer) {
            let Some(answer) = buffer.get(..len) else {
                return;
            };
            let Some(sequence) = sequence(answer) else {
                continue;
            };
            self.octets.0 += len as u64;
            if let Some(echo) = self.unanswered(sequence) {
                let payload = answer.get(ECHO_HEADER..).unwrap_or_default();
                echo.reply(Bytes::copy_from_slice(payload));
            }
        }
    }

    fn errors(&mut self) -> usize {
        let mut count = 0;
        while count < UNANSWERED_MAX {
            let host = &self.host;
            match host.try_io(Interest::ERROR, || read_error_queue(host)) {
                Ok(error) => self.error(&error),
                Err(_) => break,
            }
            count += 1;
        }
        count
    }

    fn error(&mut self, error: &QueuedError) {
        let why = error.why.unwrap_or(Unreachable::Host);
        let Some(sequence) = sequence(&error.quoted) else {
            return;
        };
        if let Some(echo) = self.unanswered(sequence) {
            let to = SocketAddr::new(echo.request().destination, 0);
            echo.refuse(why, error.offender);
            self.tell(to, refused_by(why, error.offender));
        }
    }

    fn unanswered(&mut self, sequence: u16) -> Option<IncomingEcho> {
        let is_it = |echo: &IncomingEcho| echo.request().sequence == sequence;
        let at = self.unanswered.iter().rposition(is_it)?;
        Some(self.unanswered.remove(at))
    }

    fn tell(&self, to: SocketAddr, why: Refused) {
        let flow = self.flow.clone();
        self.context
            .tell(&Happening::DatagramRefused { flow, to, why });
    }
}

/// An echo request as a ping socket takes it: the host writes identifier and checksum.
fn message(to: SocketAddr, sequence: u16, payload: &[u8]) -> Vec<u8> {
    // RFC 792: 8; RFC 4443 section 4.1: 128.
    let kind = if to.is_ipv4() { 8 } else { 128 };
    let [high, low] = sequence.to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, 0, 0, high, low];
    message.extend_from_slice(payload);
    message
}

fn sequence(message: &[u8]) -> Option<u16> {
    let octets = message.get(6..ECHO_HEADER)?;
    Some(u16::from_be_bytes(octets.try_into().ok()?))
}
