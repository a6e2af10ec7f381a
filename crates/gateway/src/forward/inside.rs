//! `--localhost`: a listener on the program's own loopback, whose callers reach the host's.
//!
//! Both ends are kernel sockets (loopback inside never reaches the device), so the octets are
//! copied; the end of each direction and resets are passed on.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use switchboard_wire::Protocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::context::{Context, Ends};
use crate::observer::{Ending, Happening, Transport};
use crate::registry::SocketState;
use crate::tcp_relay::{connect, ended_state};

/// Octets moved at once, each way: the sweet spot of loopback copies.
const BUFFER: usize = 64 << 10;

/// Pause after an error of `accept` that will not go away by itself (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) fn serve_inside(
    context: Arc<Context>,
    listener: std::net::TcpListener,
    target: SocketAddr,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(context.config.limits.tcp_flows));
    tokio::spawn(async move {
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
                        relay(context, stream, (caller, target)).await;
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
    Ok(())
}

async fn relay(
    context: Arc<Context>,
    mut inside: TcpStream,
    (caller, target): (SocketAddr, SocketAddr),
) {
    let started = Instant::now();
    let to = inside.local_addr().unwrap_or(target);
    let flow = context.flow(Transport::Tcp, Ends { from: caller, to });
    context.tell(&Happening::FlowOpening { flow: flow.clone() });
    let mut row = context
        .registry
        .add_flow(&flow, Protocol::Tcp, SocketState::SynSent);
    let mut outside = match connect(target, context.config.limits.connect_wait).await {
        Ok(outside) => outside,
        Err(why) => {
            context.holder_grace(&flow).await;
            let _ = SockRef::from(&inside).set_linger(Some(Duration::ZERO));
            row.end_as(ended_state(&why));
            return context.tell_refused(&flow, why, started.elapsed());
        }
    };
    let stood = Instant::now();
    let _ = inside.set_nodelay(true);
    context.tell(&Happening::FlowConnected {
        flow: flow.clone(),
        outside: outside.local_addr().ok(),
        elapsed: started.elapsed(),
    });
    row.set_state(SocketState::Established);
    let copied =
        tokio::io::copy_bidirectional_with_sizes(&mut inside, &mut outside, BUFFER, BUFFER).await;
    let how = match copied {
        Ok((sent, received)) => {
            row.set_octets(received, sent);
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
