//! Asking the host's servers.
//!
//! Messages are passed on as they are, EDNS and all (RFC 5625 section 4.3); only the
//! identifier is ours, and random as the port is (RFC 5452 section 4): nobody inside can
//! predict what an answer from outside must look like.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message::{self, HEADER_LEN};
use crate::limits::Limits;
use crate::registry::lock;

/// A server that did not answer is asked last for this long.
const DEMOTED: Duration = Duration::from_secs(30);

/// Longest message (RFC 1035 section 4.2.2).
pub(super) const MESSAGE_MAX: usize = 65_535;

/// What a question is asked over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// What came of asking all servers.
#[derive(Debug)]
pub(super) enum Asked {
    /// This server answered this.
    Answer(SocketAddr, Vec<u8>),
    /// Nobody answered in time.
    NoAnswer,
    /// Every server is out of reach, and was known to be at once.
    NoServer,
}

/// Remembers which servers did not answer of late.
#[derive(Default)]
pub(super) struct Upstream {
    demoted: Mutex<Vec<(SocketAddr, Instant)>>,
}

impl Upstream {
    /// Asks one server after the other until one answers.
    pub(super) async fn ask(
        &self,
        servers: Vec<SocketAddr>,
        over: Over,
        query: &[u8],
        limits: &Limits,
    ) -> Asked {
        let deadline = tokio::time::Instant::now() + limits.dns_wait;
        let mut silent = false;
        let mut failed = Vec::new();
        // Servers that are silent get a second round; those that said no do not.
        for _round in 0..2 {
            for server in self.in_order(&servers) {
                if failed.contains(&server) {
                    continue;
                }
                let asking = ask_one(server, over, query);
                let until = deadline.min(tokio::time::Instant::now() + limits.dns_server_wait);
                match tokio::time::timeout_at(until, asking).await {
                    Ok(Ok(answer)) => {
                        self.promote(server);
                        return Asked::Answer(server, answer);
                    }
                    Ok(Err(error)) => {
                        tracing::debug!(%server, %error, "DNS server out of reach");
                        failed.push(server);
                        self.demote(server);
                    }
                    Err(_) => {
                        tracing::debug!(%server, "DNS server silent");
                        silent = true;
                        self.demote(server);
                    }
                }
                if tokio::time::Instant::now() >= deadline {
                    return Asked::NoAnswer;
                }
            }
            if !silent {
                return Asked::NoServer;
            }
        }
        Asked::NoAnswer
    }

    fn in_order(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut demoted = lock(&self.demoted);
        demoted.retain(|(_, since)| since.elapsed() < DEMOTED);
        let is_demoted = |server| demoted.iter().any(|(other, _)| *other == server);
        let mut servers = servers.to_vec();
        servers.sort_by_key(|server| is_demoted(*server));
        servers
    }

    fn demote(&self, server: SocketAddr) {
        let mut demoted = lock(&self.demoted);
        demoted.retain(|(other, _)| *other != server);
        demoted.push((server, Instant::now()));
    }

    fn promote(&self, server: SocketAddr) {
        lock(&self.demoted).retain(|(other, _)| *other != server);
    }
}

/// The answer of one server. Waits for ever: the caller knows how long is too long.
async fn ask_one(server: SocketAddr, over: Over, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut question = query.to_vec();
    let id = random_id()?;
    message::set_id(&mut question, id);
    let mut answer = match over {
        Over::Udp => ask_udp(server, &question).await,
        Over::Tcp => ask_tcp(server, &question).await,
    }?;
    message::set_id(&mut answer, message::id(query).unwrap_or(0));
    Ok(answer)
}

async fn ask_udp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: only this server is heard, and its port unreachable is an error here.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; MESSAGE_MAX];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..len).unwrap_or_default();
        // Anything else is forged, or late for somebody who had the port before.
        if message::is_answer_to(answer, question) {
            return Ok(answer.to_vec());
        }
    }
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let len = u16::try_from(question.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write: some servers read length and message as one segment (RFC 7766 section 8).
    let mut framed = len.to_be_bytes().to_vec();
    framed.extend_from_slice(question);
    stream.write_all(&framed).await?;
    loop {
        let len = usize::from(stream.read_u16().await?);
        if len < HEADER_LEN {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut answer = vec![0; len];
        stream.read_exact(&mut answer).await?;
        if message::is_answer_to(&answer, question) {
            return Ok(answer);
        }
    }
}

fn random_id() -> io::Result<u16> {
    let mut octets = [0; 2];
    getrandom::fill(&mut octets).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u16::from_be_bytes(octets))
}
