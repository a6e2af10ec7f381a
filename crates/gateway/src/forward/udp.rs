//! `-p` for datagrams: each caller of the host's port seems to be a caller inside.
//!
//! What the program answers leaves as a datagram of its own: it comes to the relay as a flow
//! of the program's endpoint, which asks here whether the destination is one of our callers.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use switchboard::UdpMeta;
use switchboard::net::UdpSocket as InsideSocket;
use switchboard_wire::Protocol;
use tokio::net::UdpSocket;

use super::{Closer, Closing, Forward, Shared};
use crate::destination::caller_inside;
use crate::outside::chunk::ChunkPool;
use crate::registry::lock;

/// Callers of one forward that are remembered at once; one not heard of for longest makes
/// room.
const CALLERS_MAX: usize = 4096;

/// A caller that sends nothing for this long is forgotten (RFC 4787 REQ-5).
const CALLER_IDLE: Duration = Duration::from_secs(300);

/// All forwards that are open.
#[derive(Default)]
pub(crate) struct Forwards {
    /// Those of datagrams, by the endpoint inside that they lead to.
    by_target: Mutex<HashMap<SocketAddr, Arc<UdpForward>>>,
    /// What ends each, by where it listens.
    pub(super) closers: Mutex<HashMap<(Protocol, SocketAddr), Closer>>,
}

impl Forwards {
    /// Sends what `target` says to `caller` out of the port that the caller called. `None`:
    /// `caller` is none of ours, or nothing is forwarded to `target`.
    pub(crate) fn answer(
        &self,
        target: SocketAddr,
        caller: SocketAddr,
        payload: &[u8],
    ) -> Option<io::Result<usize>> {
        let forward = lock(&self.by_target).get(&target)?.clone();
        let outside = lock(&forward.callers).get(&caller)?.outside;
        Some(forward.host.try_send_to(payload, outside))
    }

    /// `forward` leads to `target` no more, unless a later one does.
    fn forget(&self, target: SocketAddr, forward: &Arc<UdpForward>) {
        let mut by_target = lock(&self.by_target);
        if by_target
            .get(&target)
            .is_some_and(|known| Arc::ptr_eq(known, forward))
        {
            by_target.remove(&target);
        }
    }

    /// Whether `caller` is one that `target` may answer.
    pub(crate) fn knows(&self, target: SocketAddr, caller: SocketAddr) -> bool {
        let by_target = lock(&self.by_target);
        by_target
            .get(&target)
            .is_some_and(|forward| lock(&forward.callers).contains_key(&caller))
    }
}

struct UdpForward {
    host: UdpSocket,
    callers: Mutex<HashMap<SocketAddr, Caller>>,
}

struct Caller {
    outside: SocketAddr,
    last: Instant,
}

pub(super) async fn open(
    shared: Shared,
    forward: Forward,
    mut closing: Closing,
) -> io::Result<SocketAddr> {
    let socket = super::bind(socket2::Type::DGRAM, forward.listen)?;
    let host = UdpSocket::from_std(socket.into())?;
    let bound = host.local_addr()?;
    let gateway = shared.context.config.gateway;
    let Some(gateway) = gateway.of_family(forward.target.ip()) else {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    };
    // Any socket of ours can send as the caller; this one never receives.
    let inside = shared.net.udp_bind(SocketAddr::new(gateway, 0)).await?;
    let udp = Arc::new(UdpForward {
        host,
        callers: Mutex::default(),
    });
    let forwards = &shared.context.forwards;
    lock(&forwards.by_target).insert(forward.target, udp.clone());
    let net = shared.net.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = receive_all(&shared, &udp, (&inside, forward.target)) => {}
            _ = &mut closing.close => {}
            _ = net.closed() => {}
        }
        shared.context.forwards.forget(forward.target, &udp);
        drop(udp);
        // Whoever closed it may have gone.
        let _ = closing.closed.send(());
    });
    Ok(bound)
}

async fn receive_all(
    shared: &Shared,
    forward: &UdpForward,
    (inside, target): (&InsideSocket, SocketAddr),
) {
    let pool: &ChunkPool = &shared.pool;
    loop {
        if forward.host.readable().await.is_err() {
            return;
        }
        let Ok((payload, outside)) = pool.datagram(|room| forward.host.try_recv_from(room)) else {
            continue;
        };
        let caller = forward.remember(shared, outside, target);
        let meta = UdpMeta {
            local: caller,
            ..UdpMeta::to(target)
        };
        if let Err(error) = inside.try_send_message(payload, Some(meta)) {
            tracing::trace!(%error, %outside, "a forwarded datagram was lost");
        }
    }
}

impl UdpForward {
    /// The endpoint that `outside` has inside.
    fn remember(&self, shared: &Shared, outside: SocketAddr, target: SocketAddr) -> SocketAddr {
        let config = &shared.context.config;
        let mut caller = caller_inside(config, outside);
        if caller.is_ipv4() != target.is_ipv4() {
            let gateway = config.gateway.of_family(target.ip());
            caller.set_ip(gateway.unwrap_or(caller.ip()));
        }
        let now = Instant::now();
        let mut callers = lock(&self.callers);
        if callers.len() >= CALLERS_MAX && !callers.contains_key(&caller) {
            callers.retain(|_, caller| caller.last + CALLER_IDLE > now);
            let oldest = callers.iter().min_by_key(|(_, caller)| caller.last);
            if let Some(oldest) = oldest.map(|(oldest, _)| *oldest)
                && callers.len() >= CALLERS_MAX
            {
                callers.remove(&oldest);
            }
        }
        let last = now;
        callers.insert(caller, Caller { outside, last });
        caller
    }
}
