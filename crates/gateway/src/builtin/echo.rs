//! Echo on port 7 (RFC 862): what comes is sent back, over TCP and over UDP.

use std::io;
use std::sync::Arc;

use switchboard::UdpMeta;
use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::listening;
use crate::clients::Clients;
use crate::context::Context;
use crate::visit::Visit;

/// Octets taken at once.
const CHUNK: usize = 64 << 10;

pub(super) async fn serve_tcp(context: Arc<Context>, listener: TcpListener) {
    let _row = listening(&context, &listener);
    let places = Arc::new(Semaphore::new(context.config.limits.builtin_connections));
    let mut tasks = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, remote)) = listener.accept().await else {
            return;
        };
        while tasks.try_join_next().is_some() {}
        let context = context.clone();
        tasks.spawn(async move {
            if let Err(error) = echo(&context, stream).await {
                tracing::trace!(%remote, %error, "an echo was cut off");
            }
            drop(place);
        });
    }
}

async fn echo(context: &Arc<Context>, mut stream: TcpStream) -> io::Result<()> {
    let (remote, local) = (stream.peer_addr()?, stream.local_addr()?);
    let visit = Visit::begin(context, remote, local);
    stream.set_nodelay(true)?;
    loop {
        // The very octets that came go back: no copy, and no more is taken than is given.
        let chunk = stream.read_chunk(CHUNK).await?;
        if chunk.is_empty() {
            return stream.shutdown().await;
        }
        stream.write_all_chunk(chunk).await?;
        visit.look_at(&stream);
    }
}

pub(super) async fn serve_udp(context: Arc<Context>, socket: UdpSocket) {
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let clients = Clients::new(context, local);
    while let Ok((payload, meta)) = socket.recv_message().await {
        // RFC 862 as it is would let two echo services talk for ever (CVE-1999-0103).
        if meta.remote.port() < 1024 {
            continue;
        }
        clients.asks(meta.remote, payload.len());
        clients.answered(meta.remote, payload.len());
        let meta = UdpMeta {
            local: meta.local,
            ..UdpMeta::to(meta.remote)
        };
        if let Err(error) = socket.try_send_message(payload, Some(meta)) {
            tracing::trace!(client = %meta.remote, %error, "an echo was lost");
        }
    }
}
