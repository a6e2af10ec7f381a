//! `-p`: TCP callers of the host's port become callers of the program.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;
use switchboard::net::TcpStream as InsideStream;
use switchboard_wire::Protocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Closing, Forward, Shared};
use crate::context::Ends;
use crate::destination::caller_inside;
use crate::observer::{Happening, Refused, Transport};
use crate::outside::refused;
use crate::registry::SocketState;
use crate::tcp_relay::{self, Legs, Relayed};

/// Pause after an error of `accept` that will not go away by itself (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Callers that may wait in the host's own queue; it cuts that to `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

pub(super) async fn open(
    shared: Shared,
    forward: Forward,
    closing: Closing,
) -> io::Result<SocketAddr> {
    let socket = super::bind(socket2::Type::STREAM, forward.listen)?;
    // Its connections inherit it: an octet sent as urgent comes in line, not beside it.
    socket.set_out_of_band_inline(true)?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let bound = listener.local_addr()?;
    let net = shared.net.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = accept_all(shared, listener, forward.target, closing) => {}
            _ = net.closed() => {}
        }
    });
    Ok(bound)
}

async fn accept_all(
    shared: Shared,
    listener: TcpListener,
    target: SocketAddr,
    mut closing: Closing,
) {
    let limits = &shared.context.config.limits;
    let pending = Arc::new(Semaphore::new(limits.forward_pending));
    // Dropped with this future: no flow outlives the network.
    let mut tasks = JoinSet::new();
    loop {
        // Callers beyond the bound wait in the host's own backlog.
        let next = async {
            let permit = pending.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let next = tokio::select! {
            next = next => next,
            _ = &mut closing.close => break,
        };
        match next {
            (Ok(permit), Ok((stream, caller))) => {
                while tasks.try_join_next().is_some() {}
                let shared = shared.clone();
                tasks.spawn(async move {
                    let call = Call {
                        stream,
                        caller,
                        target,
                    };
                    call.relay(shared, permit).await;
                });
            }
            // Nobody closes the semaphore.
            (Err(_), _) => return,
            (Ok(_), Err(error)) => {
                tracing::debug!(%error, "a forwarded port cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Whoever closed it may have gone.
    let _ = closing.closed.send(());
    while tasks.join_next().await.is_some() {}
}

struct Call {
    stream: TcpStream,
    caller: SocketAddr,
    target: SocketAddr,
}

impl Call {
    async fn relay(self, shared: Shared, permit: tokio::sync::OwnedSemaphorePermit) {
        let started = Instant::now();
        let context = &shared.context;
        if let Some(dial) = &context.loopback_dial
            && self.caller.ip().to_canonical().is_loopback()
        {
            let caller = (self.stream, self.caller);
            let port = self.target.port();
            return super::inside::relay_in(context.clone(), dial.clone(), caller, port).await;
        }
        let from = self.seen_from(&shared);
        let ends = Ends {
            from,
            to: self.target,
        };
        let flow = context.inward_flow(Transport::Tcp, ends);
        context.tell(&Happening::FlowOpening { flow: flow.clone() });
        let mut row = context
            .registry
            .add_flow(&flow, Protocol::Tcp, SocketState::SynSent);
        let inside = self.connect(&shared, from).await;
        drop(permit);
        match inside {
            Ok(inside) => {
                context.holders.look_up(&flow);
                let _ = self.stream.set_nodelay(true);
                let legs = Legs {
                    inside,
                    outside: Arc::new(self.stream),
                };
                let elapsed = started.elapsed();
                Relayed::begin(context, shared.pool.clone(), legs, (flow, row, elapsed))
                    .run(context)
                    .await;
            }
            Err(error) => {
                flow.set_holder(None);
                // The host has accepted already; a reset is the closest to a refusal.
                let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
                let why = match error.kind() {
                    io::ErrorKind::ConnectionRefused => Refused::NobodyThere,
                    io::ErrorKind::TimedOut => Refused::TimedOut,
                    _ => refused(&error, None),
                };
                row.refuse(tcp_relay::ended_state(&why), &why);
                context.tell_refused(&flow, why, started.elapsed());
            }
        }
    }

    /// The caller's own address, as far as it means the same inside.
    fn seen_from(&self, shared: &Shared) -> SocketAddr {
        let config = &shared.context.config;
        let from = caller_inside(config, self.caller);
        if from.is_ipv4() == self.target.is_ipv4() {
            return from;
        }
        let gateway = config.gateway.of_family(self.target.ip());
        SocketAddr::new(gateway.unwrap_or(from.ip()), from.port())
    }

    async fn connect(&self, shared: &Shared, from: SocketAddr) -> io::Result<InsideStream> {
        let options = tcp_relay::inside_options();
        let connect = |from| {
            let net = shared.net.clone();
            async move {
                net.tcp_connect_with(Some(from), self.target, &options)
                    .await
            }
        };
        match connect(from).await {
            // The same caller's last connection lingers there: another port will do.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                connect(SocketAddr::new(from.ip(), 0)).await
            }
            result => result,
        }
    }
}
