//! `TcpStream`: one conversation. Step 6 of a packet's path: octets become an application's.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use switchboard_core::{
    Instant, Lost, Readiness, ReceiveError, SendError, Shutdown, State, TcpId, TcpInfo, TcpOptions,
};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};

use super::split::{ReadHalf, WriteHalf};
use super::split_owned::{self, OwnedReadHalf, OwnedWriteHalf};
use crate::errors::{self, SocketError};
use crate::net::addr::{ToSocketAddrs, targets, try_each};
use crate::network::Net;
use crate::shard::{Shard, ShardCell, Side, WaitOn};
use crate::waiters::{EITHER_SIDE, READ_SIDE, WRITE_SIDE};

/// [`tokio::net::TcpStream`] over a [`Net`].
///
/// Dropping it closes in order: what was written is still sent, then FIN. Unread data at that
/// moment is lost to the application, so the peer gets a reset instead, as on host sockets.
///
/// Beyond tokio's methods: reading and writing [`Bytes`](bytes::Bytes) without a copy
/// ([`read_chunk`](Self::read_chunk), [`write_chunk`](Self::write_chunk)), [`info`](Self::info),
/// [`set_options`](Self::set_options) and [`abort`](Self::abort).
pub struct TcpStream {
    net: Net,
    id: TcpId,
    local: SocketAddr,
    remote: SocketAddr,
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

/// A connection that is being opened; aborted if nobody waits for it any more.
struct Opening<'a> {
    shard: &'a ShardCell,
    id: Option<TcpId>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shard.call(|shard, now, _| {
                // A stale handle means that it is gone already.
                let _ = shard.stack.call_tcp_abort(now, id);
            });
        }
    }
}

/// Opens a connection and waits until it stands.
pub(crate) async fn connect_on(
    net: &Net,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    options: &TcpOptions,
) -> io::Result<TcpStream> {
    let shard = net.home();
    let id = shard.call(|shard, now, _| {
        shard.check()?;
        let connect = shard.stack.call_tcp_connect(now, local, remote, options);
        connect.map_err(|why| io::Error::from(SocketError::Connect { remote, why }))
    })?;
    let mut opening = Opening {
        shard,
        id: Some(id),
    };
    let (local, remote) = shard
        .wait(WaitOn::Tcp(id), WRITE_SIDE, |shard, _| {
            attempt_connected(shard, id, remote)
        })
        .await?;
    opening.id = None;
    Ok(TcpStream::new(net.clone(), id, local, remote))
}

/// Whether the connection stands; its endpoints then.
fn attempt_connected(
    shard: &mut Shard,
    id: TcpId,
    remote: SocketAddr,
) -> Poll<io::Result<(SocketAddr, SocketAddr)>> {
    let stack = &mut shard.stack;
    match stack.take_tcp_error(id) {
        Ok(None) => {}
        Ok(Some(lost)) => return Poll::Ready(Err(errors::lost(remote, lost))),
        Err(_) => return Poll::Ready(Err(SocketError::NoSuchSocket.into())),
    }
    match stack.tcp_readiness(id) {
        Ok(ready) if ready.contains(Readiness::CONNECTED) => {}
        _ => return Poll::Pending,
    }
    let endpoints = stack.tcp_endpoints(id);
    Poll::Ready(endpoints.map_err(|_| SocketError::NoSuchSocket.into()))
}

/// Making and closing.
impl TcpStream {
    pub(crate) fn new(net: Net, id: TcpId, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            net,
            id,
            local,
            remote,
        }
    }

    /// Connects to `addr` over the ambient network; of several addresses the first that answers.
    /// Dropping the future gives the attempt up.
    ///
    /// # Errors
    ///
    /// `NotFound` without an ambient network; `ConnectionRefused`, `HostUnreachable`,
    /// `NetworkUnreachable`, `TimedOut`, `AddrNotAvailable` and others, as host sockets have them.
    /// [`SocketError::of`] tells more.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::connect_on(&Net::try_current()?, addr).await
    }

    /// As [`connect`](Self::connect), with the network named.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_on<A: ToSocketAddrs>(net: &Net, addr: A) -> io::Result<Self> {
        let options = net.tcp_options();
        let targets = targets(&addr);
        try_each(net, targets, async |remote| {
            connect_on(net, None, remote, &options).await
        })
        .await
    }

    /// Resets the connection, now: the peer gets RST, what was not sent is forgotten.
    pub fn abort(self) {
        self.call(|shard, now| {
            // A stale handle means that it is gone already.
            let _ = shard.stack.call_tcp_abort(now, self.id);
        });
    }

    /// Borrows the two halves.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        (ReadHalf(self), WriteHalf(self))
    }

    /// Two halves that may live in different tasks. Dropping the write half ends the stream in
    /// that direction (FIN).
    #[must_use]
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split_owned::split(self)
    }
}

/// The way into the stack.
impl TcpStream {
    fn shard(&self) -> &ShardCell {
        self.net.shard(self.id.shard())
    }

    pub(super) fn call<T>(&self, call: impl FnOnce(&mut Shard, Instant) -> T) -> T {
        self.shard().call(|shard, now, _| call(shard, now))
    }

    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        side: Side,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.shard().poll(cx, WaitOn::Tcp(self.id), side, attempt)
    }

    pub(super) async fn wait<T>(
        &self,
        wants: Readiness,
        attempt: impl FnMut(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let shard = self.shard();
        shard.wait(WaitOn::Tcp(self.id), wants, attempt).await
    }

    pub(super) fn id(&self) -> TcpId {
        self.id
    }

    /// What a receive that failed means to the caller. An error is told once; afterwards the
    /// stream is at its end, as on host sockets.
    pub(super) fn received<T>(
        &self,
        shard: &mut Shard,
        error: ReceiveError,
        end_of_stream: T,
    ) -> Poll<io::Result<T>> {
        Poll::Ready(match error {
            ReceiveError::WouldBlock => return Poll::Pending,
            ReceiveError::NoSuchSocket => Err(SocketError::NoSuchSocket.into()),
            ReceiveError::Lost(_) => match shard.stack.take_tcp_error(self.id) {
                Ok(Some(lost)) => Err(errors::lost(self.remote, lost)),
                _ => Ok(end_of_stream),
            },
        })
    }

    /// What a send that failed means to the caller. An error is told once; afterwards the pipe
    /// is broken, as on host sockets.
    pub(super) fn sent<T>(&self, shard: &mut Shard, error: SendError) -> Poll<io::Result<T>> {
        Poll::Ready(Err(match error {
            SendError::WouldBlock => return Poll::Pending,
            SendError::Lost(_) => match shard.stack.take_tcp_error(self.id) {
                // Linux: a reset after the peer's FIN is EPIPE, else ECONNRESET.
                Ok(Some(Lost::Reset)) if is_at_end(shard, self.id) => {
                    SocketError::SendClosed.into()
                }
                Ok(Some(lost)) => errors::lost(self.remote, lost),
                _ => SocketError::SendClosed.into(),
            },
            error => errors::send(self.remote, error),
        }))
    }

    fn attempt_read_slice(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match shard.stack.call_tcp_receive_slice(now, self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.received(shard, error, 0),
        }
    }

    fn attempt_peek(&self, shard: &mut Shard, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match shard.stack.call_tcp_peek(self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.received(shard, error, 0),
        }
    }

    /// Appends what is there to `buf`, chunk by chunk: nothing is zeroed before it is written.
    fn attempt_read_buf(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &mut impl BufMut,
        max: usize,
    ) -> Poll<io::Result<usize>> {
        let mut count = 0;
        while count < max {
            match shard.stack.call_tcp_receive(now, self.id, max - count) {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => {
                    buf.put_slice(&chunk);
                    count += chunk.len();
                }
                Err(_) if count > 0 => break,
                Err(error) => return self.received(shard, error, 0),
            }
        }
        Poll::Ready(Ok(count))
    }

    fn attempt_write(
        &self,
        shard: &mut Shard,
        now: Instant,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        shard.check()?;
        match shard.stack.call_tcp_send_slice(now, self.id, buf) {
            Ok(count) => Poll::Ready(Ok(count)),
            Err(error) => self.sent(shard, error),
        }
    }

    fn attempt_write_vectored(
        &self,
        shard: &mut Shard,
        now: Instant,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        shard.check()?;
        let mut count = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match shard.stack.call_tcp_send_slice(now, self.id, buf) {
                Ok(sent) => {
                    count += sent;
                    if sent < buf.len() {
                        break;
                    }
                }
                Err(_) if count > 0 => break,
                Err(error) => return self.sent(shard, error),
            }
        }
        Poll::Ready(Ok(count))
    }

    /// What can be done without waiting, of what `interest` asks for.
    fn attempt_ready(&self, shard: &mut Shard, interest: Interest) -> Poll<io::Result<Ready>> {
        let Ok(now) = shard.stack.tcp_readiness(self.id) else {
            return Poll::Ready(Err(SocketError::NoSuchSocket.into()));
        };
        let ready = to_ready(now, interest);
        if ready.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Ok(ready))
    }
}

/// Whether the peer's stream was whole and has been read.
fn is_at_end(shard: &mut Shard, id: TcpId) -> bool {
    matches!(shard.stack.call_tcp_peek(id, &mut [0]), Ok(0))
}

/// Our readiness in tokio's words.
pub(crate) fn to_ready(now: Readiness, interest: Interest) -> Ready {
    let gone = now.intersects(Readiness::ERROR | Readiness::CLOSED);
    let mut ready = Ready::EMPTY;
    if interest.is_readable() {
        if gone || now.intersects(Readiness::READABLE | Readiness::READ_CLOSED) {
            ready |= Ready::READABLE;
        }
        if gone || now.contains(Readiness::READ_CLOSED) {
            ready |= Ready::READ_CLOSED;
        }
    }
    if interest.is_writable() {
        if gone || now.intersects(Readiness::WRITABLE | Readiness::WRITE_CLOSED) {
            ready |= Ready::WRITABLE;
        }
        if gone || now.contains(Readiness::WRITE_CLOSED) {
            ready |= Ready::WRITE_CLOSED;
        }
    }
    if now.contains(Readiness::ERROR) && (interest.is_error() || !ready.is_empty()) {
        ready |= Ready::ERROR;
    }
    ready
}

/// `Pending` in the words of the `try_*` methods.
pub(crate) fn now_or_never<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Reading and writing, by tokio's names.
impl TcpStream {
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

    /// Waits until something can be read: octets, the end of the stream, or an error.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.ready(Interest::READABLE).await.map(drop)
    }

    /// Waits until something can be written, or an error is to be learnt.
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
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ready = self.poll(cx, Side::Write, |shard, _| {
            self.attempt_ready(shard, Interest::WRITABLE)
        });
        ready.map_ok(drop)
    }

    /// Reads what is there, or says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, or why the connection was lost.
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        now_or_never(self.poll_once(|shard, now| self.attempt_read_slice(shard, now, buf)))
    }

    /// As [`try_read`](Self::try_read), into several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        now_or_never(self.poll_once(|shard, now| {
            let mut count = 0;
            for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
                match shard.stack.call_tcp_receive_slice(now, self.id, buf) {
                    Ok(read) => {
                        count += read;
                        if read < buf.len() {
                            break;
                        }
                    }
                    Err(_) if count > 0 => break,
                    Err(error) => return self.received(shard, error, 0),
                }
            }
            Poll::Ready(Ok(count))
        }))
    }

    /// As [`try_read`](Self::try_read), appending to `buf`.
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    pub fn try_read_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        let max = buf.chunk_mut().len();
        now_or_never(self.poll_once(|shard, now| self.attempt_read_buf(shard, now, buf, max)))
    }

    /// Writes what there is room for, or says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `WouldBlock`, `BrokenPipe` after [`shutdown`](tokio::io::AsyncWriteExt::shutdown), or why
    /// the connection was lost.
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        now_or_never(self.poll_once(|shard, now| self.attempt_write(shard, now, buf)))
    }

    /// As [`try_write`](Self::try_write), from several buffers.
    ///
    /// # Errors
    ///
    /// As [`try_write`](Self::try_write).
    pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        now_or_never(self.poll_once(|shard, now| self.attempt_write_vectored(shard, now, bufs)))
    }

    pub(super) fn poll_once<T>(
        &self,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.shard().poll_once(attempt)
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
        now_or_never(self.poll_once(|shard, _| self.attempt_ready(shard, interest)))?;
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Copies what will be read next, and leaves it to be read.
    ///
    /// # Errors
    ///
    /// Why the connection was lost.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.wait(READ_SIDE, |shard, _| self.attempt_peek(shard, buf))
            .await
    }

    /// As [`peek`](Self::peek); the last task that called is woken.
    ///
    /// # Errors
    ///
    /// As [`peek`](Self::peek).
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = buf.initialize_unfilled();
        let count = ready!(self.poll(cx, Side::Read, |shard, _| {
            self.attempt_peek(shard, unfilled)
        }))?;
        buf.advance(count);
        Poll::Ready(Ok(count))
    }

    pub(super) fn poll_read_here(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let max = buf.remaining();
        if max == 0 {
            return Poll::Ready(Ok(()));
        }
        if buf.initialized().len() < buf.capacity() {
            let read = self.poll(cx, Side::Read, |shard, now| {
                self.attempt_read_buf(shard, now, buf, max)
            });
            return read.map_ok(drop);
        }
        // Nothing is left to zero, so it is one call of the stack.
        let unfilled = buf.initialize_unfilled();
        let count = ready!(self.poll(cx, Side::Read, |shard, now| {
            self.attempt_read_slice(shard, now, unfilled)
        }))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write_here(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, Side::Write, |shard, now| {
            self.attempt_write(shard, now, buf)
        })
    }

    pub(super) fn poll_write_vectored_here(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, Side::Write, |shard, now| {
            self.attempt_write_vectored(shard, now, bufs)
        })
    }

    /// Ends the stream in this direction: FIN after what is queued. A second time does nothing.
    /// [`AsyncWriteExt::shutdown`](tokio::io::AsyncWriteExt::shutdown) for those who share the
    /// stream.
    ///
    /// # Errors
    ///
    /// `NotConnected`: the connection is gone; the network has ended.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.call(|shard, now| {
            shard.check()?;
            let shutdown = shard.stack.call_tcp_shutdown(now, self.id, Shutdown::Write);
            match shutdown {
                Ok(()) | Err(SendError::Closed | SendError::WouldBlock) => Ok(()),
                // Linux: ENOTCONN.
                Err(SendError::NoSuchSocket | SendError::Lost(_)) => {
                    Err(SocketError::NotConnected.into())
                }
            }
        })
    }
}

/// What is known of the connection.
impl TcpStream {
    /// Our endpoint.
    ///
    /// # Errors
    ///
    /// None; tokio's signature.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    /// The peer's endpoint.
    ///
    /// # Errors
    ///
    /// None; tokio's signature. It is told after a reset too.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.remote)
    }

    /// Takes the pending error, once (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.call(|shard, _| match shard.stack.take_tcp_error(self.id) {
            Ok(lost) => Ok(lost.map(|lost| errors::lost(self.remote, lost))),
            Err(_) => Err(SocketError::NoSuchSocket.into()),
        })
    }

    /// State, round trip, windows, resends: what `ss -i` shows.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn info(&self) -> io::Result<TcpInfo> {
        let info = self.shard().ask(|shard| shard.stack.tcp_info(self.id));
        info.map_err(|_| SocketError::NoSuchSocket.into())
    }

    /// Whether the peer will send no more: its FIN has arrived, or the connection is gone. What
    /// arrived before can still be read.
    #[must_use]
    pub fn peer_closed(&self) -> bool {
        const GONE: Readiness = Readiness::READ_CLOSED
            .union(Readiness::ERROR)
            .union(Readiness::CLOSED);
        let ready = self.shard().ask(|shard| shard.stack.tcp_readiness(self.id));
        ready.is_ok_and(|ready| ready.intersects(GONE))
    }

    /// Waits until the connection has ended: both directions are done and acknowledged, or it
    /// was reset, timed out or aborted. What arrived before can still be read.
    ///
    /// # Errors
    ///
    /// The network has ended.
    pub async fn closed(&self) -> io::Result<()> {
        const ENDED: Readiness = Readiness::ERROR.union(Readiness::CLOSED);
        self.wait(ENDED, |shard, _| match shard.stack.tcp_readiness(self.id) {
            Ok(ready) if !ready.intersects(ENDED) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        })
        .await
    }

    /// The connection's state.
    #[must_use]
    pub fn state(&self) -> State {
        self.info().map_or(State::Closed, |info| info.state)
    }

    /// The network that it belongs to.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.shard().call(|shard, now, woken| {
            if let Some(waiters) = shard.waiters(WaitOn::Tcp(self.id)) {
                // The place may have another owner next.
                waiters.wake_all(woken);
            }
            // A stale handle means that it is gone already, by `abort`.
            let _ = shard.stack.call_tcp_close(now, self.id);
        });
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_read_here(cx, buf)
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_here(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored_here(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}
