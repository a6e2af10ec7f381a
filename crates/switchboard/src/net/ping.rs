//! `PingSocket`: ICMP echo, as Linux's datagram sockets of protocol ICMP.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::Poll;

use bytes::Bytes;
use switchboard_core::{
    EchoReply, Instant, PacketError, PacketMeta, PacketOptions, PacketSendError, PingId,
    ReceiveError,
};
use tokio::io::{Interest, Ready};

use super::packet::{bound, not_sent, returned};
use super::readiness::Handle;
use crate::errors::SocketError;
use crate::network::Net;
use crate::shard::{Shard, ShardCell, WaitOn};
use crate::waiters::{READ_SIDE, WRITE_SIDE};

/// A socket that sends ICMP echo requests and receives the answers to them, and the errors that
/// they drew: what `ping` and `traceroute` are made of.
///
/// It speaks IPv4 or IPv6, whichever it is bound to. Its identifier is the port of its
/// [`local_addr`](Self::local_addr).
///
/// ```
/// # use std::net::IpAddr;
/// # use switchboard::device::{Offloads, pipe};
/// # use switchboard::{Net, net::PingSocket};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// # let (a, b) = pipe::pair(1500, Offloads::default(), 256);
/// # let net = Net::builder().address("10.0.0.1/24".parse().unwrap()).build(a)?;
/// # let _far = Net::builder().address("10.0.0.2/24".parse().unwrap()).build(b)?;
/// let socket = PingSocket::bind_on(&net, "0.0.0.0:0".parse().unwrap())?;
/// let target: IpAddr = "10.0.0.2".parse().unwrap();
/// socket.send_to(1, b"are you there?".as_slice().into(), target).await?;
/// let reply = socket.recv().await?;
/// assert_eq!((reply.sequence, reply.meta.remote), (1, target));
/// assert_eq!(&reply.payload[..], b"are you there?");
/// # Ok(())
/// # }
/// ```
///
/// A traceroute is the same with [`PacketMeta::hop_limit`] one, two, three: each router answers
/// with an error, which [`recv`](Self::recv) returns with the router's address inside
/// ([`SocketError::Returned`]).
pub struct PingSocket {
    net: Net,
    id: PingId,
}

impl fmt::Debug for PingSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PingSocket");
        if let Ok(local) = self.local_addr() {
            debug.field("local", &local);
        }
        debug.finish_non_exhaustive()
    }
}

/// Making and connecting.
impl PingSocket {
    /// Binds to an address of the ambient network; the port is the identifier of its requests, 0
    /// picks one. `0.0.0.0:0` and `[::]:0` say no more than the family.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network, `AddrInUse`, `AddrNotAvailable`.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        Self::bind_on(&Net::try_current()?, local)
    }

    /// As [`bind`](Self::bind), with the network named.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_on(net: &Net, local: SocketAddr) -> io::Result<Self> {
        Self::bind_with(net, local, &PacketOptions::default())
    }

    /// Binds with options.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(net: &Net, local: SocketAddr, options: &PacketOptions) -> io::Result<Self> {
        let id = net.home().call(|shard, _, _| {
            shard.check()?;
            bound(local, shard.stack.call_ping_bind(local, options))
        })?;
        let net = net.clone();
        Ok(Self { net, id })
    }

    /// Hears `remote` only from now on; [`send`](Self::send) goes there. An unspecified address
    /// ends that.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`.
    pub fn connect(&self, remote: IpAddr) -> io::Result<()> {
        self.shard().call(|shard, _, _| {
            shard.check()?;
            let connected = shard.stack.call_ping_connect(self.id, remote);
            connected.map_err(|why| SocketError::Packet(why).into())
        })
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    fn handle(&self) -> Handle<'_> {
        Handle::new(self.shard(), WaitOn::Ping(self.id))
    }

    /// Where it is bound; the port is its identifier.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = self.shard().ask(|shard| shard.stack.ping_local(self.id));
        local.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<IpAddr> {
        let remote = self.shard().ask(|shard| shard.stack.ping_remote(self.id));
        let remote = remote.map_err(|_| SocketError::NoSuchSocket)?;
        Ok(remote.ok_or(SocketError::NotConnected)?)
    }

    /// Its options.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<PacketOptions> {
        let options = self.shard().ask(|shard| shard.stack.ping_options(self.id));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Changes its options.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &PacketOptions) -> io::Result<()> {
        let set = self
            .shard()
            .call(|shard, _, _| shard.stack.set_ping_options(self.id, options));
        set.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// Attempts, under the lock.
impl PingSocket {
    fn attempt_send(
        &self,
        shard: &mut Shard,
        now: Instant,
        sequence: u16,
        payload: &Bytes,
        meta: Option<PacketMeta>,
    ) -> Poll<io::Result<()>> {
        shard.check()?;
        let (stack, payload) = (&mut shard.stack, payload.clone());
        match stack.call_ping_send(now, self.id, sequence, payload, meta) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(PacketSendError::WouldBlock) => Poll::Pending,
            Err(why) => Poll::Ready(Err(not_sent(why))),
        }
    }

    fn attempt_recv(&self, shard: &mut Shard) -> Poll<io::Result<EchoReply>> {
        match shard.stack.call_ping_receive(self.id) {
            Ok(reply) => return Poll::Ready(Ok(reply)),
            Err(ReceiveError::NoSuchSocket) => {
                return Poll::Ready(Err(SocketError::NoSuchSocket.into()));
            }
            Err(_) => {}
        }
        match shard.stack.take_ping_error(self.id) {
            Ok(Some(error)) => Poll::Ready(Err(returned(&error))),
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(Err(SocketError::NoSuchSocket.into())),
        }
    }
}

/// Sending and receiving.
impl PingSocket {
    /// Sends an echo request to `remote`. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`, `InvalidInput` for what is too long, `PermissionDenied` for a
    /// broadcast that was not allowed.
    pub async fn send_to(&self, sequence: u16, payload: Bytes, remote: IpAddr) -> io::Result<()> {
        self.send_message(sequence, payload, Some(PacketMeta::to(remote)))
            .await
    }

    /// Sends an echo request to whom the socket is connected. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NotConnected`, as [`send_to`](Self::send_to), or the ICMP error that an earlier request
    /// drew.
    pub async fn send(&self, sequence: u16, payload: Bytes) -> io::Result<()> {
        self.send_message(sequence, payload, None).await
    }

    /// Sends an echo request with all that shall go with it: hop limit, traffic class, ...
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(
        &self,
        sequence: u16,
        payload: Bytes,
        meta: Option<PacketMeta>,
    ) -> io::Result<()> {
        self.handle()
            .wait(WRITE_SIDE, |shard, now| {
                self.attempt_send(shard, now, sequence, &payload, meta)
            })
            .await
    }

    /// As [`send_message`](Self::send_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_message(
        &self,
        sequence: u16,
        payload: Bytes,
        meta: Option<PacketMeta>,
    ) -> io::Result<()> {
        self.handle()
            .once(|shard, now| self.attempt_send(shard, now, sequence, &payload, meta))
    }

    /// Receives the next answer. Cancel safe.
    ///
    /// # Errors
    ///
    /// The ICMP error that a request drew, once each: [`SocketError::Returned`] inside says who
    /// sent it. The network has ended.
    pub async fn recv(&self) -> io::Result<EchoReply> {
        self.handle()
            .wait(READ_SIDE, |shard, _| self.attempt_recv(shard))
            .await
    }

    /// As [`recv`](Self::recv), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv(&self) -> io::Result<EchoReply> {
        self.handle().once(|shard, _| self.attempt_recv(shard))
    }

    /// The next ICMP error that one of its requests drew, with the number of that request.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<PacketError>> {
        let taken = self
            .shard()
            .call(|shard, _, _| shard.stack.take_ping_error(self.id));
        taken.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Waits until one of `interest` can be done. Others may be faster: be ready for
    /// `WouldBlock` afterwards.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.handle().ready(interest).await
    }

    /// Waits until an answer or an error can be received.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a request can be sent.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }
}

impl Drop for PingSocket {
    fn drop(&mut self) {
        self.handle().release(|shard, _| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_ping_close(self.id);
        });
    }
}
