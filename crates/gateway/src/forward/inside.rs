//! `--localhost`: a listener on the program's own loopback, whose callers reach the host's.
//!
//! Both ends are kernel sockets (loopback inside never reaches the device), so the octets are
//! copied; the end of each direction and resets are passed on.
//!
//! The one way where a caller's SYN is answered before the outside stands: the kernel inside
//! does that itself. Where nobody is there outside, the caller hears a reset right after.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use socket2::SockRef;
use switchboard_wire::Protocol;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{InsideListener, LoopbackDial};
use crate::context::{Context, Ends};
use crate::observer::{Ending, Flow, Happening, Refused, Transport};
use crate::registry::{LiveRow, SocketState};
use crate::tcp_relay::{connect, ended_state};

/// Octets moved at once, each way: the sweet spot of loopback copies.
const BUFFER: usize = 64 << 10;

/// Pause after an error of `accept` that will not go away by itself (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn serve_inside(
    context: Arc<Context>,
    permits: Arc<Semaphore>,
    listener: std::net::TcpListener,
    port: u16,
) -> io::Result<InsideListener> {
    listener.set_nonblocking(true)?;
    SockRef::from(&listener).set_out_of_band_inline(true)?;
    let listener = TcpListener::from_std(listener)?;
    let serving = tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, caller)) => {
                    while tasks.try_join_next().is_some() {}
                    let context = context.clone();
                    tasks.spawn(async move {
                        relay(context, stream, caller, port).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "the inside's localhost cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
    Ok(InsideListener(serving.abort_handle()))
}

/// The host's loopback at `port`: IPv6 where nobody is there in IPv4, as programs try both.
async fn reach(port: u16, wait: Duration) -> Result<TcpStream, Refused> {
    match connect((Ipv4Addr::LOCALHOST, port).into(), wait).await {
        Err(Refused::NobodyThere) => connect((Ipv6Addr::LOCALHOST, port).into(), wait)
            .await
            // What a host without IPv6 says of it is not the reason.
            .map_err(|_| Refused::NobodyThere),
        answered => answered,
    }
}

async fn relay(context: Arc<Context>, inside: TcpStream, caller: SocketAddr, port: u16) {
    let started = Instant::now();
    let to = inside.local_addr();
    let to = to.unwrap_or((Ipv4Addr::LOCALHOST, port).into());
    let flow = context.flow(Transport::Tcp, Ends { from: caller, to });
    context.tell(&Happening::FlowOpening { flow: flow.clone() });
    let mut row = context
        .registry
        .add_flow(&flow, Protocol::Tcp, SocketState::SynSent);
    let outside = match reach(port, context.config.limits.connect_wait).await {
        Ok(outside) => outside,
        Err(why) => {
            context.holder_grace(&flow).await;
            let _ = SockRef::from(&inside).set_linger(Some(Duration::ZERO));
            row.refuse(ended_state(&why), &why);
            return context.tell_refused(&flow, why, started.elapsed());
        }
    };
    let _ = inside.set_nodelay(true);
    let ends = (outside.local_addr().ok(), started);
    copy(&context, (flow, row), (inside, outside), ends).await;
}

/// A caller of the host's loopback reaches the inside's: both are kernel sockets here too.
pub(super) async fn relay_in(
    context: Arc<Context>,
    dial: Arc<dyn LoopbackDial>,
    (outside, caller): (TcpStream, SocketAddr),
    port: u16,
) {
    let started = Instant::now();
    let to = (Ipv4Addr::LOCALHOST, port).into();
    let flow = context.inward_flow(Transport::Tcp, Ends { from: caller, to });
    context.tell(&Happening::FlowOpening { flow: flow.clone() });
    let row = context
        .registry
        .add_flow(&flow, Protocol::Tcp, SocketState::SynSent);
    let inside = match dialled(&*dial, port, false).await {
        Err(_) => dialled(&*dial, port, true).await,
        inside => inside,
    };
    match inside {
        Ok(inside) => {
            context.holders.look_up(&flow);
            let _ = outside.set_nodelay(true);
            copy(&context, (flow, row), (inside, outside), (None, started)).await;
        }
        Err(error) => {
            flow.set_holder(None);
            // The host has accepted already; a reset is the closest to a refusal.
            let _ = SockRef::from(&outside).set_linger(Some(Duration::ZERO));
            let why = crate::outside::refused(&error, None);
            let mut row = row;
            row.end_as(ended_state(&why));
            context.tell_refused(&flow, why, started.elapsed());
        }
    }
}

/// A connection to the inside's loopback that stands.
async fn dialled(dial: &dyn LoopbackDial, port: u16, v6: bool) -> io::Result<TcpStream> {
    let stream = dial.dial(port, v6).await?;
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    stream.writable().await?;
    match stream.take_error()? {
        None => Ok(stream),
        Some(refused) => Err(refused),
    }
}

/// Copies between both kernel sockets until both have said goodbye, and tells of it.
async fn copy(
    context: &Context,
    (flow, mut row): (Arc<Flow>, LiveRow),
    (mut inside, mut outside): (TcpStream, TcpStream),
    (local, started): (Option<SocketAddr>, Instant),
) {
    let stood = Instant::now();
    context.tell(&Happening::FlowConnected {
        flow: flow.clone(),
        outside: local,
        elapsed: started.elapsed(),
    });
    row.set_state(SocketState::Established);
    let mut down = Counted(&mut inside, |octets| row.add_received(octets));
    let mut up = Counted(&mut outside, |octets| row.add_sent(octets));
    let copied = tokio::io::copy_bidirectional_with_sizes(&mut down, &mut up, BUFFER, BUFFER).await;
    let how = match copied {
        Ok(_) => {
            row.end_as(SocketState::TimeWait);
            Ending::Finished
        }
        Err(error) => {
            // Whichever side was cut off, the other one hears of it as a reset.
            for stream in [&inside, &outside] {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
            row.end_as(SocketState::Reset);
            match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ending::ResetOutside,
                kind => Ending::HostFailed(kind),
            }
        }
    };
    let (received, sent) = row.octets();
    context.tell(&Happening::FlowEnded {
        flow,
        how,
        received,
        sent,
        elapsed: stood.elapsed(),
    });
}

/// Counts what is written to a stream as it goes: an error would take the copy's own count
/// with it.
struct Counted<'a, F>(&'a mut TcpStream, F);

impl<F: Unpin> AsyncRead for Counted<'_, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, room)
    }
}

impl<F: Fn(usize) + Unpin> AsyncWrite for Counted<'_, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.0).poll_write(cx, octets))?;
        (self.1)(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
