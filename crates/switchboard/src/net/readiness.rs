//! What all types of sockets share: attempts under the lock, waiting, and readiness in tokio's
//! words.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use switchboard_core::{Instant, NoSuchSocket, Readiness};
use tokio::io::{Interest, Ready};

use crate::errors::SocketError;
use crate::shard::{Shard, ShardCell, Side, WaitOn};
use crate::waiters::{EITHER_SIDE, READ_SIDE, WRITE_SIDE};

/// One socket's way into its shard.
#[derive(Clone, Copy)]
pub(crate) struct Handle<'a> {
    cell: &'a ShardCell,
    on: WaitOn,
}

/// Attempts.
impl<'a> Handle<'a> {
    pub(crate) fn new(cell: &'a ShardCell, on: WaitOn) -> Self {
        Self { cell, on }
    }

    /// Makes attempts until one is `Ready`; see [`ShardCell::wait`].
    pub(crate) async fn wait<T>(
        self,
        wants: Readiness,
        attempt: impl FnMut(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        self.cell.wait(self.on, wants, attempt).await
    }

    /// One attempt of a `poll_*` method; see [`ShardCell::poll`].
    pub(crate) fn poll<T>(
        self,
        cx: &mut Context<'_>,
        side: Side,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.cell.poll(cx, self.on, side, attempt)
    }

    /// One attempt of a `try_*` method: `Pending` is `WouldBlock`.
    pub(crate) fn once<T>(
        self,
        attempt: impl FnOnce(&mut Shard, Instant) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        match self.cell.poll_once(attempt) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// The socket is dropped: whoever waits for it is woken, as its place may have another owner
    /// next, and `close` lets go of it.
    pub(crate) fn release(self, close: impl FnOnce(&mut Shard, Instant)) {
        self.cell.call(|shard, now, woken| {
            if let Some(waiters) = shard.waiters(self.on) {
                waiters.wake_all(woken);
            }
            close(shard, now);
        });
    }
}

/// Readiness.
impl Handle<'_> {
    pub(crate) async fn ready(self, interest: Interest) -> io::Result<Ready> {
        let found = self.wait_ready(interest).await?;
        Ok(found.ready)
    }

    pub(crate) fn poll_ready(
        self,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<()>> {
        let side = if interest.is_readable() {
            Side::Read
        } else {
            Side::Write
        };
        let found = self.poll(cx, side, |shard, _| find(shard, self.on, interest));
        found.map_ok(drop)
    }

    pub(crate) fn try_io<R>(
        self,
        interest: Interest,
        f: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let found = self.once(|shard, _| find(shard, self.on, interest))?;
        let result = f();
        if is_would_block(&result) {
            self.record_stale(found);
        }
        result
    }

    pub(crate) async fn async_io<R>(
        self,
        interest: Interest,
        mut f: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let found = self.wait_ready(interest).await?;
            let result = f();
            if !is_would_block(&result) {
                return result;
            }
            self.record_stale(found);
        }
    }

    async fn wait_ready(self, interest: Interest) -> io::Result<Found> {
        let wants = match (interest.is_readable(), interest.is_writable()) {
            (true, false) => READ_SIDE,
            (false, true) => WRITE_SIDE,
            _ => EITHER_SIDE,
        };
        self.wait(wants, |shard, _| find(shard, self.on, interest))
            .await
    }

    /// What was found is not so, says the caller's function. Until there is news of the socket it
    /// is not ready, or `async_io` of a function that waits for something else would spin.
    fn record_stale(self, found: Found) {
        self.cell.call(|shard, _, _| {
            if let Some(waiters) = shard.waiters(self.on) {
                waiters.record_stale(found.ready, found.news);
            }
        });
    }
}

/// What was ready, and when.
struct Found {
    ready: Ready,
    /// How often the socket had had news then.
    news: u32,
}

fn is_would_block<R>(result: &io::Result<R>) -> bool {
    matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// What can be done without waiting, of what `interest` asks for.
fn find(shard: &mut Shard, on: WaitOn, interest: Interest) -> Poll<io::Result<Found>> {
    let Ok(now) = readiness(shard, on) else {
        return Poll::Ready(Err(SocketError::NoSuchSocket.into()));
    };
    let (stale, news) = shard.waiters(on).map_or((Ready::EMPTY, 0), |waiters| {
        (waiters.stale(), waiters.news())
    });
    let is_stream = matches!(on, WaitOn::Tcp(_));
    let ready = to_ready(now, interest, is_stream) - stale;
    if ready.is_empty() {
        await_room(shard, on, interest);
        return Poll::Pending;
    }
    Poll::Ready(Ok(Found { ready, news }))
}

/// What is true of a socket now.
pub(crate) fn readiness(shard: &Shard, on: WaitOn) -> Result<Readiness, NoSuchSocket> {
    match on {
        WaitOn::Tcp(id) => shard.stack.tcp_readiness(id),
        WaitOn::Udp(id) => shard.stack.udp_readiness(id),
        WaitOn::Ping(id) => shard.stack.ping_readiness(id),
        WaitOn::Raw(id) => shard.stack.raw_readiness(id),
        WaitOn::Listener(_) | WaitOn::Flow(_) | WaitOn::Incoming | WaitOn::End => Err(NoSuchSocket),
    }
}

/// Whoever waits for room without having tried to send is told of it too.
fn await_room(shard: &mut Shard, on: WaitOn, interest: Interest) {
    if let WaitOn::Tcp(id) = on
        && interest.is_writable()
    {
        // A stale handle was found out before.
        let _ = shard.stack.call_tcp_await_room(id);
    }
}

/// Our readiness in tokio's words. An error ends a stream; a datagram socket's is about one of
/// many packets, and is told to the next call in either direction.
pub(crate) fn to_ready(now: Readiness, interest: Interest, is_stream: bool) -> Ready {
    let failed = now.contains(Readiness::ERROR);
    let gone = now.contains(Readiness::CLOSED) || failed && is_stream;
    let mut ready = Ready::EMPTY;
    if interest.is_readable() {
        if gone || failed || now.intersects(Readiness::READABLE | Readiness::READ_CLOSED) {
            ready |= Ready::READABLE;
        }
        if gone || now.contains(Readiness::READ_CLOSED) {
            ready |= Ready::READ_CLOSED;
        }
    }
    if interest.is_writable() {
        if gone || failed || now.intersects(Readiness::WRITABLE | Readiness::WRITE_CLOSED) {
            ready |= Ready::WRITABLE;
        }
        // Linux hangs up when both directions are shut down, not when ours is (`tcp_poll`).
        if gone || now.contains(Readiness::WRITE_CLOSED | Readiness::READ_CLOSED) {
            ready |= Ready::WRITE_CLOSED;
        }
    }
    if interest.is_error() && now.contains(Readiness::ERROR) {
        ready |= Ready::ERROR;
    }
    ready
}
