//! `--localhost` for datagrams: a socket on the program's own loopback, whose callers reach the
//! host's. Each caller has a socket of its own outside, so that answers find their way.
//!
//! A port that nobody holds outside is silent inside: a socket cannot send ICMP errors.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard_wire::Protocol;
use tokio::net::UdpSocket;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::context::{Context, Ends};
use crate::observer::{Ending, Flow, Happening, Refused, Transport};
use crate::outside::refused;
use crate::registry::{LiveRow, SocketState, lock};

/// The longest datagram (RFC 768).
const DATAGRAM_MAX: usize = 65_535;

/// Who calls, and the host's socket that speaks for each.
type Callers = Arc<Mutex<HashMap<SocketAddr, Arc<Caller>>>>;

pub(crate) fn serve_inside_datagrams(
    context: Arc<Context>,
    permits: Arc<Semaphore>,
    socket: std::net::UdpSocket,
    port: u16,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let service = Service {
        inside: Arc::new(UdpSocket::from_std(socket)?),
        context,
        permits,
        port,
        callers: Callers::default(),
    };
    tokio::spawn(service.run());
    Ok(())
}

struct Service {
    inside: Arc<UdpSocket>,
    context: Arc<Context>,
    permits: Arc<Semaphore>,
    port: u16,
    callers: Callers,
}

/// One caller inside.
struct Caller {
    host: UdpSocket,
    flow: Arc<Flow>,
    row: LiveRow,
    /// When it last sent something.
    last: Mutex<Instant>,
    since: Instant,
}

impl Service {
    async fn run(self) {
        let mut room = vec![0; DATAGRAM_MAX];
        // Dropped with this future: no caller outlives the run.
        let mut answers = JoinSet::new();
        loop {
            let Ok((len, from)) = self.inside.recv_from(&mut room).await else {
                // An error of an answer that was sent: it is gone by having been told.
                continue;
            };
            while answers.try_join_next().is_some() {}
            let known = lock(&self.callers).get(&from).cloned();
            let caller = match known {
                Some(caller) => caller,
                None => match self.welcome(from, &mut answers).await {
                    Some(caller) => caller,
                    None => continue,
                },
            };
            caller.send(&self.context, room.get(..len).unwrap_or_default());
        }
    }

    /// A new caller; `None`: the host has no socket for it, or it would be one too many.
    async fn welcome(&self, from: SocketAddr, answers: &mut JoinSet<()>) -> Option<Arc<Caller>> {
        let to = self.inside.local_addr().ok()?;
        let context = &self.context;
        let flow = context.flow(Transport::Udp, Ends { from, to });
        context.tell(&Happening::FlowOpening { flow: flow.clone() });
        let began = Instant::now();
        let mut row = context
            .registry
            .add_flow(&flow, Protocol::Udp, SocketState::Open);
        let permit = self.permits.clone().try_acquire_owned();
        let opened = match permit {
            Ok(permit) => self.open(to).await.map(|host| (host, permit)),
            Err(_) => Err(Refused::LimitReached("connections to --localhost")),
        };
        let (host, permit) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                row.refuse(SocketState::Refused, &why);
                context.tell_refused(&flow, why, began.elapsed());
                return None;
            }
        };
        context.tell(&Happening::FlowConnected {
            flow: flow.clone(),
            outside: host.local_addr().ok(),
            elapsed: began.elapsed(),
        });
        let caller = Arc::new(Caller {
            host,
            flow,
            row,
            last: Mutex::new(began),
            since: began,
        });
        lock(&self.callers).insert(from, caller.clone());
        let answer = Answers {
            context: context.clone(),
            inside: self.inside.clone(),
            callers: self.callers.clone(),
            caller: caller.clone(),
            from,
        };
        answers.spawn(answer.run(permit));
        Some(caller)
    }

    /// A socket of the host that talks to its loopback, in the caller's family.
    async fn open(&self, to: SocketAddr) -> Result<UdpSocket, Refused> {
        let loopback: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let open = async {
            let host = UdpSocket::bind(SocketAddr::new(loopback, 0)).await?;
            host.connect(SocketAddr::new(loopback, self.port)).await?;
            // Until the runtime knows that it is, a new socket cannot be sent from at once.
            host.writable().await?;
            Ok(host)
        };
        open.await.map_err(|error: io::Error| refused(&error, None))
    }
}

impl Caller {
    /// Sends a datagram outside. What the host has no room for is lost, as on any network.
    fn send(&self, context: &Context, datagram: &[u8]) {
        *lock(&self.last) = Instant::now();
        // A queued error of an earlier datagram fails this call and is then gone: once more.
        for _ in 0..2 {
            match self.host.try_send(datagram) {
                Ok(len) => return self.row.add_sent(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.tell_refused(context, &error),
            }
        }
    }

    fn tell_refused(&self, context: &Context, error: &io::Error) {
        context.tell(&Happening::DatagramRefused {
            flow: self.flow.clone(),
            to: self.flow.to,
            why: refused(error, None),
        });
    }
}

/// What the host answers to one caller.
struct Answers {
    context: Arc<Context>,
    inside: Arc<UdpSocket>,
    callers: Callers,
    caller: Arc<Caller>,
    from: SocketAddr,
}

impl Answers {
    /// Until the caller has been silent for as long as a mapping lives.
    async fn run(self, permit: OwnedSemaphorePermit) {
        let mut room = vec![0; DATAGRAM_MAX];
        loop {
            let idle = lock(&self.caller.last).elapsed();
            let Some(left) = self.life().checked_sub(idle).filter(|left| !left.is_zero()) else {
                break;
            };
            match tokio::time::timeout(left, self.caller.host.recv(&mut room)).await {
                Err(_) => {}
                Ok(Ok(len)) => {
                    let answer = room.get(..len).unwrap_or_default();
                    if self.inside.try_send_to(answer, self.from).is_ok() {
                        self.caller.row.add_received(len);
                    }
                }
                Ok(Err(error)) => self.caller.tell_refused(&self.context, &error),
            }
        }
        lock(&self.callers).remove(&self.from);
        drop(permit);
        let (received, sent) = self.caller.row.octets();
        self.context.tell(&Happening::FlowEnded {
            flow: self.caller.flow.clone(),
            how: Ending::Finished,
            received,
            sent,
            elapsed: self.caller.since.elapsed(),
        });
    }

    fn life(&self) -> Duration {
        let limits = &self.context.config.limits;
        match self.caller.flow.to.port() {
            53 => limits.udp_idle_dns,
            _ => limits.udp_idle,
        }
    }
}
