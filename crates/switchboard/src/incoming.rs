//! Flows to any address: wait for one, then accept it, refuse it, or answer it unreachable.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use switchboard_core::{
    EchoRequest, FlowId, Incoming, Refusal, TcpOptions, UdpOptions, Unreachable,
};

use crate::errors::SocketError;
use crate::net::TcpStream;
use crate::network::Net;
use crate::shard::{Shard, WaitOn};
use crate::udp_flow::UdpFlow;
use crate::waiters::{EITHER_SIDE, READ_SIDE, Ticket};

/// The flows that no socket of a network claims: made by [`Net::incoming`].
pub struct IncomingFlows {
    net: Net,
    /// Its own place among those who wait: several may exist, each with a task.
    place: Option<Ticket>,
}

impl fmt::Debug for IncomingFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingFlows").finish_non_exhaustive()
    }
}

impl IncomingFlows {
    pub(crate) fn new(net: Net) -> Self {
        net.home().call(|shard, _, _| shard.add_taker());
        Self { net, place: None }
    }

    /// The next flow; `None` once the network has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<IncomingFlow> {
        let net = &self.net;
        net.home()
            .wait(WaitOn::Incoming, READ_SIDE, |shard, _| attempt(net, shard))
            .await
            .ok()
    }

    /// As [`next`](Self::next); the last task that called is woken.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<IncomingFlow>> {
        let net = &self.net;
        net.home()
            .poll_at(
                cx,
                WaitOn::Incoming,
                READ_SIDE,
                &mut self.place,
                |shard, _| attempt(net, shard),
            )
            .map(Result::ok)
    }
}

impl Drop for IncomingFlows {
    fn drop(&mut self) {
        self.net.home().call(|shard, now, woken| {
            if let Some(place) = self.place
                && let Some(waiters) = shard.waiters(WaitOn::Incoming)
            {
                waiters.deregister(place, woken);
            }
            shard.remove_taker(now);
        });
    }
}

fn attempt(net: &Net, shard: &mut Shard) -> Poll<io::Result<IncomingFlow>> {
    let flow = match shard.next_incoming() {
        Some(Incoming::Tcp {
            id,
            remote,
            local,
            hop_limit,
            traffic_class,
        }) => IncomingFlow::Tcp(IncomingTcp {
            flow: Flow::new(net, id, remote, local),
            hop_limit,
            traffic_class,
        }),
        Some(Incoming::Udp { id, remote, local }) => IncomingFlow::Udp(IncomingUdp {
            flow: Flow::new(net, id, remote, local),
        }),
        None => match shard.stack.receive_echo() {
            Some(request) => IncomingFlow::Echo(IncomingEcho {
                net: net.clone(),
                request,
            }),
            None => return Poll::Pending,
        },
    };
    Poll::Ready(Ok(flow))
}

/// A flow that waits for a verdict.
#[derive(Debug)]
pub enum IncomingFlow {
    /// Somebody opens a connection.
    Tcp(IncomingTcp),
    /// Somebody sends a datagram, the first of its source.
    Udp(IncomingUdp),
    /// Somebody pings.
    Echo(IncomingEcho),
}

/// What both kinds of flow have; refused when it is dropped.
struct Flow {
    net: Net,
    id: FlowId,
    remote: SocketAddr,
    local: SocketAddr,
    has_verdict: bool,
}

impl Flow {
    fn new(net: &Net, id: FlowId, remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            net: net.clone(),
            id,
            remote,
            local,
            has_verdict: false,
        }
    }

    fn refuse(&mut self, how: Refusal) {
        if self.has_verdict {
            return;
        }
        self.has_verdict = true;
        let shard = self.net.shard(self.id.shard());
        shard.call(|shard, now, woken| {
            // An error says that the flow is gone already: refused, in effect.
            let _ = shard.stack.refuse(now, self.id, how);
            shard.forget_flow(self.id, woken);
        });
    }

    fn accept<T>(
        &mut self,
        accept: impl FnOnce(
            &mut Shard,
            switchboard_core::Instant,
        ) -> Result<T, switchboard_core::AcceptError>,
    ) -> io::Result<T> {
        let shard = self.net.shard(self.id.shard());
        let accepted = shard.call(|shard, now, woken| {
            shard.check()?;
            let accepted = accept(shard, now).map_err(SocketError::Accept)?;
            shard.forget_flow(self.id, woken);
            Ok::<_, io::Error>(accepted)
        })?;
        self.has_verdict = true;
        Ok(accepted)
    }

    fn is_pending(&self) -> bool {
        let shard = self.net.shard(self.id.shard());
        shard.ask(|shard| shard.is_pending(self.id))
    }

    async fn gone(&self) {
        let shard = self.net.shard(self.id.shard());
        // The network's end is the flow's end too.
        let _ = shard
            .wait(WaitOn::Flow(self.id), EITHER_SIDE, |shard, _| {
                if shard.is_pending(self.id) {
                    Poll::Pending
                } else {
                    Poll::Ready(Ok(()))
                }
            })
            .await;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.refuse(Refusal::Reset);
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("remote", &self.remote)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// A connection that somebody opens; they have had no answer yet. Dropped: refused with a reset.
#[derive(Debug)]
pub struct IncomingTcp {
    flow: Flow,
    hop_limit: u8,
    traffic_class: u8,
}

impl IncomingTcp {
    /// Who calls.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.flow.remote
    }

    /// Whom they call.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.flow.local
    }

    /// TTL or hop limit of the SYN, as it arrived.
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        self.hop_limit
    }

    /// DSCP and ECN octet of the SYN.
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        self.traffic_class
    }

    /// Answers the call. The stream is there at once; reading and writing wait for the handshake.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`: the caller gave up; `OutOfMemory`: the limit of connections is
    /// reached; the network has ended.
    pub fn accept(self) -> io::Result<TcpStream> {
        let options = self.flow.net.tcp_options();
        self.accept_with(options)
    }

    /// As [`accept`](Self::accept), with options.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_with(mut self, options: TcpOptions) -> io::Result<TcpStream> {
        let id = self.flow.id;
        let accepted = self
            .flow
            .accept(|shard, now| shard.stack.accept_tcp(now, id, &options))?;
        let Flow {
            net, remote, local, ..
        } = &self.flow;
        Ok(TcpStream::new(net.clone(), accepted, *local, *remote))
    }

    /// Turns the call away: with a reset, an ICMP error, or silently.
    pub fn refuse(mut self, how: Refusal) {
        self.flow.refuse(how);
    }

    /// Whether the caller has given up: the flow was reset or has expired.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.flow.is_pending()
    }

    /// Waits until the caller has given up. Cancel safe.
    pub async fn expired(&self) {
        self.flow.gone().await;
    }

    /// The network that it came by.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.flow.net
    }
}

/// The first datagram of a source that no socket of ours claims. Dropped: answered with ICMP
/// port unreachable.
#[derive(Debug)]
pub struct IncomingUdp {
    flow: Flow,
}

impl IncomingUdp {
    /// Who sends.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.flow.remote
    }

    /// Where the first datagram goes.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.flow.local
    }

    /// Takes every datagram of this source, whatever its destination, that no bound socket
    /// claims. Those that came already can be received at once.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted`: the flow has expired; `OutOfMemory`: the limit of sockets is reached;
    /// the network has ended.
    pub fn accept(self) -> io::Result<UdpFlow> {
        self.accept_with(UdpOptions::default())
    }

    /// As [`accept`](Self::accept), with options.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_with(mut self, options: UdpOptions) -> io::Result<UdpFlow> {
        let id = self.flow.id;
        let accepted = self
            .flow
            .accept(|shard, now| shard.stack.accept_udp(now, id, &options))?;
        Ok(UdpFlow::new(
            self.flow.net.clone(),
            accepted,
            self.flow.remote,
        ))
    }

    /// Turns the datagram away: with an ICMP error, or silently.
    pub fn refuse(mut self, how: Refusal) {
        self.flow.refuse(how);
    }

    /// Whether the flow has expired.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.flow.is_pending()
    }

    /// The network that it came by.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.flow.net
    }
}

/// A ping to an address that is not ours. Dropped: never answered.
pub struct IncomingEcho {
    net: Net,
    request: EchoRequest,
}

impl fmt::Debug for IncomingEcho {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IncomingEcho").field(&self.request).finish()
    }
}

impl IncomingEcho {
    /// Who pings whom, with what.
    #[must_use]
    pub fn request(&self) -> &EchoRequest {
        &self.request
    }

    /// Answers, as the pinged address. `payload` is what came back from there: normally the
    /// request's.
    pub fn reply(self, payload: Bytes) {
        self.net.home().call(|shard, now, _| {
            shard.stack.reply_echo(now, &self.request, payload);
        });
    }

    /// Answers with an ICMP error from `offender`; `None`: from our first address of that family.
    pub fn refuse(self, why: Unreachable, offender: Option<IpAddr>) {
        self.net.home().call(|shard, now, _| {
            shard.stack.refuse_echo(now, &self.request, why, offender);
        });
    }
}
