//! UDP: one host socket for each inside source, datagrams and errors both ways.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use socket2::{Domain, SockRef, Socket, Type};
use switchboard::device::host_socket::{MtuDiscovery, set_mtu_discovery};
use switchboard::{IncomingUdp, Refusal, UdpFlow, UdpMeta, Unreachable};
use switchboard_wire::Protocol;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

use crate::context::{Context, Ends};
use crate::destination::{self, Destination, seen_inside};
use crate::mapping::Mapping;
use crate::observer::{Ending, Flow, Happening, Refused, Transport};
use crate::outside::chunk::ChunkPool;
use crate::outside::{
    HOST_MTU, QueuedError, mtu_discovery, read_error_queue, refused, refused_by, unspecified_of,
    want_errors,
};
use crate::policy::Verdict;
use crate::registry::{LiveRow, SocketState};
use crate::tcp_relay::ended_state;

/// Octets that the host may keep of datagrams that we have not read yet: a burst of large
/// ones, as a reply of many fragments is.
const HOST_BUFFER: usize = 1 << 20;

/// Takes the datagrams of one inside source from the first to the last.
pub(crate) async fn relay(context: Arc<Context>, pool: ChunkPool, incoming: IncomingUdp) {
    let started = Instant::now();
    let ends = Ends {
        from: incoming.remote(),
        to: incoming.local(),
    };
    let flow = context.flow(Transport::Udp, ends);
    context.tell(&Happening::FlowOpening { flow: flow.clone() });
    let mut row = context
        .registry
        .add_flow(&flow, Protocol::Udp, SocketState::Open);
    let refusal = match admit(&context, &flow) {
        Err(refusal) => refusal,
        Ok(()) => match open(ends.to) {
            Err(error) => Some(refused(&error, None)),
            Ok(host) => {
                let Ok(inside) = incoming.accept() else {
                    row.forget();
                    return context.tell_unanswered(flow, started.elapsed());
                };
                let elapsed = started.elapsed();
                let relay = Relay::new(context, pool, (inside, host), (flow, row));
                return relay.run(elapsed).await;
            }
        },
    };
    context.holder_grace(&flow).await;
    let Some(why) = refusal else {
        row.forget();
        incoming.refuse(Refusal::Silent);
        return context.tell_unanswered(flow, started.elapsed());
    };
    row.refuse(ended_state(&why), &why);
    incoming.refuse(destination::refusal(&why));
    context.tell_refused(&flow, why, started.elapsed());
}

/// Whether the first datagram may go out. `Err(None)`: no, and nobody says a word.
fn admit(context: &Context, flow: &Flow) -> Result<(), Option<Refused>> {
    // The program answers a caller of a forwarded port.
    if context.forwards.knows(flow.from, flow.to) {
        return Ok(());
    }
    if let Verdict::Refuse { how, why } = context.policy.flow(flow) {
        return Err(Some(Refused::Policy { how, why }));
    }
    match destination::destination(&context.config, Transport::Udp, flow.to) {
        Destination::Outside(_) => Ok(()),
        Destination::Refused(why) => Err(Some(why)),
        Destination::Silent => Err(None),
    }
}

/// An unconnected socket of the host, of the family of `to`.
fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(socket2::Protocol::UDP))?;
    want_errors(&socket, to, true)?;
    // As much as the host lets us have.
    let _ = socket.set_recv_buffer_size(HOST_BUFFER);
    let _ = socket.set_send_buffer_size(HOST_BUFFER);
    socket.bind(&unspecified_of(to).into())?;
    UdpSocket::from_std(socket.into())
}

/// What of a datagram's header is set on the host's socket, and changed only where it differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    hop_limit: Option<u8>,
    traffic_class: u8,
    mtu_discovery: Option<MtuDiscovery>,
}

/// How the error queue is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    /// Where the runtime has heard that there is something, and until there is nothing.
    WhenReady,
    /// A call has just failed: the runtime hears of it later.
    AsItIs,
}

/// Which datagrams the error queue told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Nothing,
    /// Those that left before.
    Earlier,
    /// Also the one that was being sent, which did not leave: why.
    ThisOne(Unreachable),
}

struct Relay {
    context: Arc<Context>,
    pool: ChunkPool,
    inside: UdpFlow,
    host: UdpSocket,
    flow: Arc<Flow>,
    row: LiveRow,
    mapping: Mapping,
    header: Header,
    /// A datagram that the host had no room for.
    waiting: Option<(Bytes, UdpMeta)>,
    turn: usize,
}

impl Relay {
    fn new(
        context: Arc<Context>,
        pool: ChunkPool,
        (inside, host): (UdpFlow, UdpSocket),
        (flow, row): (Arc<Flow>, LiveRow),
    ) -> Self {
        let limits = &context.config.limits;
        Self {
            mapping: Mapping::new(context.config.udp_filtering, limits),
            turn: limits.turn_datagrams,
            pool,
            inside,
            host,
            flow,
            row,
            header: Header::default(),
            waiting: None,
            context,
        }
    }

    async fn run(mut self, elapsed: std::time::Duration) {
        let stood = Instant::now();
        self.context.tell(&Happening::FlowConnected {
            flow: self.flow.clone(),
            outside: self.host.local_addr().ok(),
            elapsed,
        });
        let how = loop {
            let interest = match self.waiting {
                None => Interest::READABLE | Interest::ERROR,
                Some(_) => Interest::READABLE | Interest::ERROR | Interest::WRITABLE,
            };
            let expires = tokio::time::Instant::from_std(self.mapping.expires());
            tokio::select! {
                ready = self.host.ready(interest) => match ready {
                    Ok(ready) => self.host_ready(ready),
                    Err(error) => break Ending::HostFailed(error.kind()),
                },
                datagram = self.inside.recv(), if self.waiting.is_none() => match datagram {
                    Ok(datagram) => self.turn_out(datagram),
                    // The network has ended.
                    Err(_) => break Ending::Finished,
                },
                () = tokio::time::sleep_until(expires) => break Ending::Finished,
            }
        };
        let (received, sent) = self.row.octets();
        self.context.tell(&Happening::FlowEnded {
            flow: self.flow.clone(),
            how,
            received,
            sent,
            elapsed: stood.elapsed(),
        });
    }

    /// Sends a datagram, and those that are behind it, up to a turn's share.
    fn turn_out(&mut self, first: (Bytes, UdpMeta)) {
        let mut next = Some(first);
        for _ in 0..self.turn {
            let Some((payload, meta)) = next.take() else {
                return;
            };
            if !self.send(payload, meta) {
                return;
            }
            next = self.inside.try_recv().ok();
        }
        if let Some((payload, meta)) = next {
            self.send(payload, meta);
        }
    }

    /// Sends one datagram outside. False: the host has no room, and the datagram waits.
    fn send(&mut self, payload: Bytes, meta: UdpMeta) -> bool {
        let forwards = &self.context.forwards;
        if let Some(answered) = forwards.answer(self.flow.from, meta.local, &payload) {
            // A datagram that the host has no room for is lost, as on any network.
            if let Ok(len) = answered {
                self.row.add_sent(len);
            }
            self.mapping.keep();
            return true;
        }
        let to = match destination::destination(&self.context.config, Transport::Udp, meta.local) {
            Destination::Outside(to) => to,
            Destination::Silent => return true,
            Destination::Refused(why) => {
                self.refuse(&meta, why);
                return true;
            }
        };
        if let Err(why) = self.permit(&meta) {
            self.refuse(&meta, why);
            return true;
        }
        self.set_header(&meta, payload.len(), to);
        self.mapping.sent(to);
        // A queued error of an earlier datagram fails this call and is then gone: once more.
        for _ in 0..2 {
            match self.host.try_send_to(&payload, to) {
                Ok(_) => {
                    self.row.add_sent(payload.len());
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = Some((payload, meta));
                    return false;
                }
                Err(error) => match self.drain_errors(Queue::AsItIs) {
                    Drained::Nothing => {
                        self.refuse_for(&meta, &error);
                        return true;
                    }
                    Drained::ThisOne(too_big) => {
                        let _ = self.inside.refuse(&meta, too_big, None);
                        return true;
                    }
                    Drained::Earlier => {}
                },
            }
        }
        true
    }

    /// Another destination than the flow's own is asked for on its own.
    fn permit(&self, meta: &UdpMeta) -> Result<(), Refused> {
        if meta.local == self.flow.to {
            return Ok(());
        }
        match self.context.permits(&self.flow, meta.local) {
            Verdict::Pass => Ok(()),
            Verdict::Refuse { how, why } => Err(Refused::Policy { how, why }),
        }
    }

    /// One hop of the datagram's life is spent here; its class and DF go on.
    fn set_header(&mut self, meta: &UdpMeta, len: usize, to: SocketAddr) {
        let wanted = Header {
            // 1 was answered by the stack, which is the router that the datagram met here.
            hop_limit: meta.hop_limit.map(|hops| hops.saturating_sub(1).max(1)),
            traffic_class: meta.traffic_class.unwrap_or(0),
            mtu_discovery: Some(mtu_discovery(to, meta.dont_fragment, len)),
        };
        if wanted == self.header {
            return;
        }
        let socket = SockRef::from(&self.host);
        // None of these is worth losing the datagram for.
        if wanted.hop_limit != self.header.hop_limit
            && let Some(hops) = wanted.hop_limit
        {
            let _ = match to {
                SocketAddr::V4(_) => socket.set_ttl_v4(hops.into()),
                SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops.into()),
            };
        }
        if wanted.traffic_class != self.header.traffic_class {
            let class = u32::from(wanted.traffic_class);
            let _ = match to {
                SocketAddr::V4(_) => socket.set_tos_v4(class),
                SocketAddr::V6(_) => socket.set_tclass_v6(class),
            };
        }
        if wanted.mtu_discovery != self.header.mtu_discovery
            && let Some(discovery) = wanted.mtu_discovery
        {
            let _ = set_mtu_discovery(&self.host, to.is_ipv6(), discovery);
        }
        self.header = wanted;
    }

    fn host_ready(&mut self, ready: Ready) {
        if ready.is_error() {
            self.drain_errors(Queue::WhenReady);
        }
        if ready.is_readable() {
            self.turn_in();
        }
        if ready.is_writable()
            && let Some((payload, meta)) = self.waiting.take()
        {
            self.send(payload, meta);
        }
    }

    /// Takes what came from outside, up to a turn's share.
    fn turn_in(&mut self) {
        for _ in 0..self.turn {
            let host = &self.host;
            match self.pool.datagram(|room| host.try_recv_from(room)) {
                Ok((payload, from)) => self.receive(payload, from),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The error of an earlier datagram, told in passing: the queue has all of it.
                Err(_) => {
                    if self.drain_errors(Queue::WhenReady) == Drained::Nothing {
                        return;
                    }
                }
            }
        }
    }

    fn receive(&mut self, payload: Bytes, from: SocketAddr) {
        if !self.mapping.admits(from) {
            tracing::debug!(%from, to = %self.flow.from, "datagram from a stranger dropped");
            return;
        }
        let len = payload.len();
        let meta = UdpMeta {
            local: seen_inside(&self.context.config, from),
            ..UdpMeta::to(self.flow.from)
        };
        match self.inside.try_send(payload, meta) {
            Ok(()) => self.row.add_received(len),
            // UDP: what has no room is lost, and the stack counts it.
            Err(error) => tracing::trace!(%error, to = %self.flow.from, "datagram lost"),
        }
    }

    /// Tells the program what became of its datagrams; says of which.
    fn drain_errors(&mut self, queue: Queue) -> Drained {
        let mut drained = Drained::Nothing;
        for _ in 0..self.turn {
            let host = &self.host;
            let error = match queue {
                Queue::AsItIs => read_error_queue(host),
                Queue::WhenReady => host.try_io(Interest::ERROR, || read_error_queue(host)),
            };
            let Ok(error) = error else { break };
            // Of an unconnected socket this machine's own error does not say which port.
            if let Some(why) = error.did_not_leave() {
                drained = Drained::ThisOne(why);
                continue;
            }
            self.pass_on(&error);
            if drained == Drained::Nothing {
                drained = Drained::Earlier;
            }
        }
        drained
    }

    fn pass_on(&self, error: &QueuedError) {
        let Some(destination) = error.destination else {
            return;
        };
        let local = seen_inside(&self.context.config, destination);
        let meta = UdpMeta {
            local,
            ..UdpMeta::to(self.flow.from)
        };
        let Some(why) = error.why else {
            let error = io::Error::from_raw_os_error(error.errno);
            return self.refuse_for(&meta, &error);
        };
        // The host's own loopback answers with its own address: inside that is the gateway.
        let offender = error.offender.map(|by| {
            let by = SocketAddr::new(by, 0);
            seen_inside(&self.context.config, by).ip()
        });
        let _ = self.inside.refuse(&meta, why, offender);
        self.tell_refused(local, refused_by(why, offender));
    }

    /// A call failed without anybody's ICMP.
    fn refuse_for(&self, meta: &UdpMeta, error: &io::Error) {
        if error.raw_os_error() == Some(libc::EMSGSIZE) {
            // Longer than the host's link, and must not be cut there.
            let too_big = Unreachable::TooBig { mtu: HOST_MTU };
            let _ = self.inside.refuse(meta, too_big, None);
            return;
        }
        self.refuse(meta, refused(error, None));
    }

    fn refuse(&self, meta: &UdpMeta, why: Refused) {
        if !why.is_silence_by_rule() {
            let said = destination::unreachable_of(&why);
            let _ = self.inside.refuse(meta, said, why.by());
        }
        self.tell_refused(meta.local, why);
    }

    fn tell_refused(&self, to: SocketAddr, why: Refused) {
        self.context.tell(&Happening::DatagramRefused {
            flow: self.flow.clone(),
            to,
            why,
        });
    }
}
