//! Asking name servers over the network's own sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use hickory_proto::op::ResponseCode;
use switchboard_core::UdpOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::config::DnsConfig;
use super::message::{Answer, Question, Reply};
use super::{NameError, ServerFailure};
use crate::net::UdpSocket;
use crate::net::tcp::stream::connect_on;
use crate::network::Net;

/// Messages that are not the answer before we ask over TCP, where nobody can guess. RFC 5452
/// section 9.3 wants to see such an attack; one that is late is none.
const STRANGERS_MAX: usize = 8;

/// Where identifiers come from.
pub(super) trait Ids: Sync {
    fn next(&self) -> u16;
}

/// Asks one server after the other until one answers; those that are silent again, as often as
/// `config` says.
pub(super) async fn ask(
    net: &Net,
    ids: &dyn Ids,
    config: &DnsConfig,
    question: &Question,
) -> Result<Answer, NameError> {
    let start = Instant::now();
    let mut silent = config.servers.clone();
    let mut failed = None;
    for _attempt in 0..config.attempts {
        let mut still_silent = Vec::new();
        for server in silent {
            let asking = ask_one(net, ids, question, server);
            match timeout(config.timeout, asking).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(why)) => {
                    tracing::debug!(%server, ?why, name = %question.name, "DNS server cannot help");
                    failed = Some(NameError::Failed { server, why });
                }
                Err(_) => {
                    tracing::debug!(%server, name = %question.name, "DNS server silent");
                    still_silent.push(server);
                }
            }
        }
        silent = still_silent;
        if silent.is_empty() {
            break;
        }
    }
    match failed {
        Some(failed) if silent.is_empty() => Err(failed),
        None if config.servers.is_empty() => Err(NameError::NobodyToAsk),
        _ => Err(NameError::TimedOut {
            servers: config.servers.clone(),
            waited: start.elapsed(),
        }),
    }
}

/// The answer of one server. Waits for ever: the caller knows how long is too long.
async fn ask_one(
    net: &Net,
    ids: &dyn Ids,
    question: &Question,
    server: SocketAddr,
) -> Result<Answer, ServerFailure> {
    let mut with_edns = true;
    loop {
        let id = ids.next();
        let query = question.message(id, with_edns);
        let query = Bytes::from(query.ok_or(ServerFailure::Nonsense)?);
        let mut reply = over_udp(net, question, id, server, query.clone()).await;
        if matches!(reply, Ok(Reply::Truncated)) {
            // RFC 7766 section 5: what does not fit is asked for over TCP.
            reply = over_tcp(net, question, id, server, &query).await;
        }
        match reply.map_err(|error| ServerFailure::Unreachable(error.kind()))? {
            Reply::Answer(answer) => return Ok(answer),
            // RFC 6891 section 7: it may not know EDNS.
            Reply::Code(ResponseCode::FormErr | ResponseCode::NotImp) if with_edns => {
                with_edns = false;
            }
            Reply::Code(code) => return Err(ServerFailure::Code(code.into())),
            Reply::Nonsense | Reply::Truncated | Reply::NotOurs => {
                return Err(ServerFailure::Nonsense);
            }
        }
    }
}

/// Asks in a datagram, from a port of its own that nobody could foretell (RFC 5452 section 9.2).
async fn over_udp(
    net: &Net,
    question: &Question,
    id: u16,
    server: SocketAddr,
    query: Bytes,
) -> io::Result<Reply> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind_with(net, (any, 0).into(), &UdpOptions::default())?;
    // Connected: this server alone is heard, and its port unreachable is an error here.
    socket.connect(server).await?;
    socket.send_message(query, None).await?;
    for _ in 0..STRANGERS_MAX {
        let (octets, _) = socket.recv_message().await?;
        match question.read(&octets, id, server, true) {
            Reply::NotOurs => {}
            reply => return Ok(reply),
        }
    }
    tracing::debug!(%server, name = %question.name, "answers to what nobody asked: TCP instead");
    Ok(Reply::Truncated)
}

/// Asks over a connection (RFC 7766).
async fn over_tcp(
    net: &Net,
    question: &Question,
    id: u16,
    server: SocketAddr,
    query: &[u8],
) -> io::Result<Reply> {
    let mut stream = connect_on(net, None, server, &net.tcp_options()).await?;
    let len = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // Length and message in one write (RFC 7766 section 8).
    stream
        .write_all(&[&len.to_be_bytes(), query].concat())
        .await?;
    loop {
        let mut octets = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut octets).await?;
        match question.read(&octets, id, server, false) {
            Reply::NotOurs => {}
            reply => return Ok(reply),
        }
    }
}
