//! `UdpSocket`: messages, no guarantee.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use switchboard_core::{
    BindError, Instant, ReceiveError, UdpError, UdpId, UdpMeta, UdpOptions, UdpSendError,
};
use tokio::io::{Interest, ReadBuf, Ready};

use crate::errors::SocketError;
use crate::net::addr::{ToSocketAddrs, resolve, targets, try_each};
use crate::net::tcp::stream_support::{now_or_never, to_hops, to_ready};
use crate::network::Net;
use crate::shard::{Shard, ShardCell, Side, WaitOn};
use crate::waiters::{EITHER_SIDE, READ_SIDE, WRITE_SIDE};

/// [`tokio::net::UdpSocket`] over a [`Net`].
///
/// Beyond tokio's methods: datagrams as [`Bytes`] with all that came with them
/// ([`recv_message`](Self::recv_message), [`send_message`](Self::send_message)).
pub struct UdpSocket {
    net: Net,
    id: UdpId,
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("UdpSocket");
        if let Ok(local) = self.local_addr() {
            debug.field("local", &local);
        }
        debug.finish_non_exhaustive()
    }
}

/// Making and connecting.
impl UdpSocket {
    /// Binds to `addr` of the ambient network; port 0 picks one.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network, `AddrInUse`, `AddrNotAvailable`.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::bind_on(&Net::try_current()?, addr).await
    }

    /// As [`bind`](Self::bind), with the network named.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let options = net.udp_options();
        let targets = targets(&addr);
        try_each(net, targets, async |local| {
            Self::bind_with(net, local, &options)
        })
        .await
    }

    /// Binds with options.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(net: &Net, local: SocketAddr, options: &UdpOptions) -> io::Result<Self> {
        let id = net.home().call(|shard, _, _| {
            shard.check()?;
            let bound = shard.stack.call_udp_bind(local, options);
            bound.map_err(|why: BindError| io::Error::from(SocketError::Bind { local, why }))
        })?;
        let net = net.clone();
        Ok(Self { net, id })
    }

    /// Sends to and receives from this endpoint alone from now on. Of several addresses the first
    /// that has a route.
    ///
    /// # Errors
    ///
    /// `NetworkUnreachable`, and what looking up the name brings.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let targets = targets(&addr);
        try_each(&self.net, targets, async |remote| {
            self.shard().call(|shard, _, _| {
                shard.check()?;
                let connected = shard.stack.call_udp_connect(self.id, remote);
                connected.map_err(|why| io::Error::from(SocketError::Datagram(why)))
            })
        })
        .await
    }

    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    /// Where it is bound, with the port that was picked.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let local = self.shard().ask(|shard| shard.stack.udp_local(self.id));
        local.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let remote = self.shard().ask(|shard| shard.stack.udp_remote(self.id));
        let remote = remote.map_err(|_| SocketError::NoSuchSocket)?;
        Ok(remote.ok_or(SocketError::NotConnected)?)
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// One attempt each, under the lock.
impl UdpSocket {
    fn attempt_recv(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        match shard.stack.call_udp_receive(self.id) {
            Ok(received) => Poll::Ready(Ok(received)),
            Err(error) => self.not_received(shard, error),
        }
    }

    fn attempt_peek(&self, shard: &mut Shard) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        match shard.stack.call_udp_peek(self.id) {
            Ok(peeked) => Poll::Ready(Ok(peeked)),
            Err(error) => self.not_received(shard, error),
        }
    }

    /// Nothing was received: perhaps an earlier datagram drew an error (RFC 1122 section 4.1.3.3).
    fn not_received<T>(&self, shard: &mut Shard, error: ReceiveError) -> Poll<io::Result<T>> {
        match (error, shard.stack.take_udp_error(self.id)) {
            (ReceiveError::NoSuchSocket, _) | (_, Err(_)) => {
                Poll::Ready(Err(SocketError::NoSuchSocket.into()))
            }
            (_, Ok(Some(error))) => Poll::Ready(Err(returned(error))),
            (_, Ok(None)) => Poll::Pending,
        }
    }

    fn attempt_send(
        &self,
        shard: &mut Shard,
        now: Instant,
        payload: &Bytes,
        meta: Option<UdpMeta>,
    ) -> Poll<io::Result<()>> {
        shard.check()?;
        let sent = shard
            .stack
            .call_udp_send(now, self.id, payload.clone(), meta);
        Poll::Ready(match sent {
            Ok(()) => Ok(()),
            Err(UdpSendError::WouldBlock) => return Poll::Pending,
            Err(UdpSendError::Unreachable(why)) => {
                // Told once, with who said it where that is known.
                Err(match shard.stack.take_udp_error(self.id) {
                    Ok(Some(error)) => returned(error),
                    _ => SocketError::Datagram(UdpSendError::Unreachable(why)).into(),
                })
            }
            Err(why) => Err(SocketError::Datagram(why).into()),
        })
    }

    fn attempt_ready(&self, shard: &mut Shard, interest: Interest) -> Poll<io::Result<Ready>> {
        let Ok(now) = shard.stack.udp_readiness(self.id) else {
            return Poll::Ready(Err(SocketError::NoSuchSocket.into()));
        };
        let ready = to_ready(now, interest);
        if ready.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(ready))
    }

    async fn wait<T>(
        &self,
        wants: switchboard_core::Readiness,
        attempt: impl FnMut(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let shard = self.shard();
        shard.wait(WaitOn::Udp(self.id), wants, attempt).await
    }

    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        side: Side,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.shard().poll(cx, WaitOn::Udp(self.id), side, attempt)
    }

    fn once<T>(
        &self,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        now_or_never(self.shard().poll_once(attempt))
    }
}

/// An ICMP error that one of our datagrams drew.
fn returned(error: UdpError) -> io::Error {
    SocketError::Returned {
        remote: error.remote,
        why: error.why,
        offender: error.offender,
    }
    .into()
}

/// Copies what fits; the rest of a datagram is lost, as on host sockets.
fn copy(payload: &[u8], buf: &mut [u8]) -> usize {
    let count = payload.len().min(buf.len());
    buf[..count].copy_from_slice(&payload[..count]);
    count
}

/// Copies what fits.
fn copy_to_buf(payload: &[u8], buf: &mut ReadBuf<'_>) {
    let count = payload.len().min(buf.remaining());
    buf.put_slice(&payload[..count]);
}

/// Appends what fits.
fn append(payload: &[u8], buf: &mut impl BufMut) -> usize {
    let count = payload.len().min(buf.chunk_mut().len());
    buf.put_slice(&payload[..count]);
    count
}

/// Receiving.
impl UdpSocket {
    /// Receives a datagram into `buf`; what does not fit is lost. Cancel safe.
    ///
    /// # Errors
    ///
    /// On a connected socket the ICMP error that an earlier datagram drew, once:
    /// `ConnectionRefused`, `HostUnreachable`, ... The network has ended.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.recv_from(buf).await?.0)
    }

    /// As [`recv`](Self::recv), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.recv_message().await?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`recv`](Self::recv), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.recv_buf_from(buf).await?.0)
    }

    /// As [`recv_from`](Self::recv_from), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.recv_message().await?;
        Ok((append(&payload, buf), meta.remote))
    }

    /// A datagram without a copy, with all that came with it: who sent it, to which of our
    /// addresses, hop limit, traffic class. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_message(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.wait(READ_SIDE, |shard, _| self.attempt_recv(shard))
            .await
    }

    /// As [`recv_message`](Self::recv_message); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_message(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Bytes, UdpMeta)>> {
        self.poll(cx, Side::Read, |shard, _| self.attempt_recv(shard))
    }

    /// As [`recv_message`](Self::recv_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_message(&self) -> io::Result<(Bytes, UdpMeta)> {
        self.once(|shard, _| self.attempt_recv(shard))
    }

    /// As [`recv`](Self::recv); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buf).map_ok(drop)
    }

    /// As [`recv_from`](Self::recv_from); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let (payload, meta) = ready!(self.poll_recv_message(cx))?;
        copy_to_buf(&payload, buf);
        Poll::Ready(Ok(meta.remote))
    }

    /// As [`recv`](Self::recv), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// As [`recv_from`](Self::recv_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.try_recv_message()?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`recv_buf`](Self::recv_buf), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// As [`recv_buf_from`](Self::recv_buf_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.try_recv_message()?;
        Ok((append(&payload, buf), meta.remote))
    }
}

/// Looking without taking.
impl UdpSocket {
    /// Copies the next datagram, and leaves it to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.peek_from(buf).await?.0)
    }

    /// As [`peek`](Self::peek), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self
            .wait(READ_SIDE, |shard, _| self.attempt_peek(shard))
            .await?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// The next datagram's sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.peek_from(&mut []).await?.1)
    }

    /// As [`peek`](Self::peek); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_peek_from(cx, buf).map_ok(drop)
    }

    /// As [`peek_from`](Self::peek_from); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let peeked = self.poll(cx, Side::Read, |shard, _| self.attempt_peek(shard));
        let (payload, meta) = ready!(peeked)?;
        copy_to_buf(&payload, buf);
        Poll::Ready(Ok(meta.remote))
    }

    /// As [`peek_sender`](Self::peek_sender); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut ReadBuf::new(&mut []))
    }

    /// As [`peek`](Self::peek), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// As [`peek_from`](Self::peek_from), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (payload, meta) = self.once(|shard, _| self.attempt_peek(shard))?;
        Ok((copy(&payload, buf), meta.remote))
    }

    /// As [`peek_sender`](Self::peek_sender), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`recv`](Self::recv).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }
}

/// Sending.
impl UdpSocket {
    /// Sends a datagram to whom the socket is connected. Cancel safe.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `InvalidInput` for what is too long, `NetworkUnreachable`, or what an
    /// earlier datagram drew, as [`recv`](Self::recv).
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let payload = Bytes::copy_from_slice(buf);
        self.send_message(payload, None).await?;
        Ok(buf.len())
    }

    /// Sends a datagram to `addr`, its first address if it is a name.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let found = resolve(&self.net, targets(&addr)).await?;
        let Some(&remote) = found.first() else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "the name has no address to send to",
            ));
        };
        let payload = Bytes::copy_from_slice(buf);
        self.send_message(payload, Some(UdpMeta::to(remote)))
            .await?;
        Ok(buf.len())
    }

    /// Sends a datagram without a copy, with all that shall go with it: to whom, from which
    /// address, hop limit, traffic class. `None`: to whom the socket is connected.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_message(&self, payload: Bytes, meta: Option<UdpMeta>) -> io::Result<()> {
        self.wait(WRITE_SIDE, |shard, now| {
            self.attempt_send(shard, now, &payload, meta)
        })
        .await
    }

    /// As [`send_message`](Self::send_message), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_message(&self, payload: Bytes, meta: Option<UdpMeta>) -> io::Result<()> {
        self.once(|shard, now| self.attempt_send(shard, now, &payload, meta))
    }

    /// As [`send`](Self::send); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let payload = Bytes::copy_from_slice(buf);
        let sent = self.poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, &payload, None)
        });
        sent.map_ok(|()| buf.len())
    }

    /// As [`send_to`](Self::send_to); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let payload = Bytes::copy_from_slice(buf);
        let sent = self.poll(cx, Side::Write, |shard, now| {
            self.attempt_send(shard, now, &payload, Some(UdpMeta::to(target)))
        });
        sent.map_ok(|()| buf.len())
    }

    /// As [`send`](Self::send), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.try_send_message(Bytes::copy_from_slice(buf), None)?;
        Ok(buf.len())
    }

    /// As [`send_to`](Self::send_to), or `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or as [`send`](Self::send).
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.try_send_message(Bytes::copy_from_slice(buf), Some(UdpMeta::to(target)))?;
        Ok(buf.len())
    }
}

/// Readiness.
impl UdpSocket {
    /// Waits until one of `interest` can be done. Others may be faster: be ready for
    /// `WouldBlock` afterwards.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let wants = match (interest.is_readable(), interest.is_writable()) {
            (true, false) => READ_SIDE,
            (false, true) => WRITE_SIDE,
            _ => EITHER_SIDE,
        };
        self.wait(wants, |shard, _| self.attempt_ready(shard, interest))
            .await
    }

    /// Waits until a datagram or an error can be received.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until a datagram can be sent.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.ready(Interest::WRITABLE).await.map(drop)
    }

    /// As [`readable`](Self::readable); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.poll(cx, Side::Read, |shard, _| {
            self.attempt_ready(shard, Interest::READABLE)
        });
        ready.map_ok(drop)
    }

    /// As [`writable`](Self::writable); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.poll(cx, Side::Write, |shard, _| {
            self.attempt_ready(shard, Interest::WRITABLE)
        });
        ready.map_ok(drop)
    }

    /// Runs `f`, which uses the `try_*` methods, if `interest` is ready; else `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or what `f` returns.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        self.once(|shard, _| self.attempt_ready(shard, interest))?;
        f()
    }

    /// Runs `f`, which uses the `try_*` methods, until it says something else than `WouldBlock`.
    ///
    /// # Errors
    ///
    /// What `f` returns, or the network's end.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match f() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Takes the pending error, once (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = self
            .shard()
            .call(|shard, _, _| shard.stack.take_udp_error(self.id));
        match error {
            Ok(error) => Ok(error.map(returned)),
            Err(_) => Err(SocketError::NoSuchSocket.into()),
        }
    }
}

/// Options.
impl UdpSocket {
    /// Every option of the socket.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn options(&self) -> io::Result<UdpOptions> {
        let options = self.shard().ask(|shard| shard.stack.udp_options(self.id));
        options.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Sets every option of the socket.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_options(&self, options: &UdpOptions) -> io::Result<()> {
        self.change(|current| *current = *options)
    }

    fn change(&self, change: impl FnOnce(&mut UdpOptions)) -> io::Result<()> {
        self.shard()
            .call(|shard, _, _| {
                let mut options = shard.stack.udp_options(self.id)?;
                change(&mut options);
                shard.stack.set_udp_options(self.id, &options)
            })
            .map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whether datagrams to a broadcast address may be sent.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn broadcast(&self) -> io::Result<bool> {
        Ok(self.options()?.broadcast)
    }

    /// Lets datagrams to a broadcast address be sent.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.change(|options| options.broadcast = on)
    }

    /// IPv4 TTL or IPv6 hop limit, in hops.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn ttl(&self) -> io::Result<u32> {
        let of_stack = self.shard().ask(|shard| shard.stack.config().hop_limit);
        Ok(self.options()?.hop_limit.unwrap_or(of_stack).into())
    }

    /// Sets the IPv4 TTL or IPv6 hop limit, 1 to 255 hops.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another number; the socket is gone.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        let hops = to_hops(ttl)?;
        self.change(|options| options.hop_limit = Some(hops))
    }

    /// DSCP and ECN of IPv4 packets.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tos_v4(&self) -> io::Result<u32> {
        Ok(self.options()?.traffic_class.into())
    }

    /// Sets DSCP and ECN of IPv4 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        let class = u8::try_from(tos).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
        self.change(|options| options.traffic_class = class)
    }

    /// DSCP and ECN of IPv6 packets.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Sets DSCP and ECN of IPv6 packets, 0 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a larger number; the socket is gone.
    pub fn set_tclass_v6(&self, class: u32) -> io::Result<()> {
        self.set_tos_v4(class)
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.shard().call(|shard, _, woken| {
            if let Some(waiters) = shard.waiters(WaitOn::Udp(self.id)) {
                // The place may have another owner next.
                waiters.wake_all(woken);
            }
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_udp_close(self.id);
        });
    }
}
