//! The directory's own ports: UDP and TCP 53 on the stack.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard::net::{TcpListener, TcpStream, UdpSocket};
use switchboard::{Net, UdpMeta};
use switchboard_wire::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Directory, Question};
use crate::clients::Clients;
use crate::context::Context;
use crate::visit::Visit;

/// The port of the directory (RFC 1035 section 4.2).
const PORT: u16 = 53;

/// A client over TCP that asks nothing for this long is hung up on (RFC 7766 section 6.2.3
/// leaves the time to us).
const TCP_IDLE: Duration = Duration::from_secs(30);

/// The directory with its ports open.
pub(crate) struct Service {
    directory: Arc<Directory>,
    udp: Vec<UdpSocket>,
    tcp: Vec<TcpListener>,
    questions: Arc<Semaphore>,
}

impl Service {
    pub(crate) async fn bind(net: &Net, context: &Arc<Context>) -> io::Result<Self> {
        let mut service = Self {
            questions: Arc::new(Semaphore::new(context.config.limits.dns_questions)),
            directory: Arc::new(Directory::new(context.clone())),
            udp: Vec::new(),
            tcp: Vec::new(),
        };
        for address in context.config.dns.addresses() {
            let endpoint = SocketAddr::new(address, PORT);
            service.udp.push(net.udp_bind(endpoint).await?);
            service.tcp.push(net.tcp_listen(endpoint).await?);
        }
        Ok(service)
    }

    pub(crate) fn start(self, tasks: &mut JoinSet<()>) {
        for socket in self.udp {
            let (directory, questions) = (self.directory.clone(), self.questions.clone());
            tasks.spawn(async move {
                if let Err(error) = serve_udp(directory, socket, questions).await {
                    tracing::debug!(%error, "the directory is closed");
                }
            });
        }
        for listener in self.tcp {
            let (directory, questions) = (self.directory.clone(), self.questions.clone());
            tasks.spawn(async move {
                if let Err(error) = serve_tcp(directory, listener, questions).await {
                    tracing::debug!(%error, "the directory is closed");
                }
            });
        }
    }
}

async fn serve_udp(
    directory: Arc<Directory>,
    socket: UdpSocket,
    questions: Arc<Semaphore>,
) -> io::Result<()> {
    let local = socket.local_addr()?;
    let clients = Arc::new(Clients::new(directory.context.clone(), local));
    let socket = Arc::new(socket);
    let mut tasks = JoinSet::new();
    loop {
        let (message, meta) = socket.recv_message().await?;
        while tasks.try_join_next().is_some() {}
        // Beyond the bound a question is lost, and asked again.
        let Ok(permit) = questions.clone().try_acquire_owned() else {
            tracing::warn!(client = %meta.remote, "too many questions at once");
            continue;
        };
        let (directory, socket, clients) = (directory.clone(), socket.clone(), clients.clone());
        tasks.spawn(async move {
            answer_udp(&directory, &socket, &clients, (message, meta)).await;
            drop(permit);
        });
    }
}

async fn answer_udp(
    directory: &Directory,
    socket: &UdpSocket,
    clients: &Clients,
    (message, meta): (Bytes, UdpMeta),
) {
    let flow = clients.asks(meta.remote, message.len());
    let question = Question {
        message: &message,
        client: Endpoint::udp(meta.remote),
        directory: Endpoint::udp(meta.local),
        flow: &flow,
    };
    let Some(answer) = directory.answer(question).await else {
        return;
    };
    clients.answered(meta.remote, answer.len());
    let meta = UdpMeta {
        local: meta.local,
        ..UdpMeta::to(meta.remote)
    };
    if let Err(error) = socket.send_message(answer.into(), Some(meta)).await {
        tracing::debug!(client = %meta.remote, %error, "an answer was lost");
    }
}

async fn serve_tcp(
    directory: Arc<Directory>,
    listener: TcpListener,
    questions: Arc<Semaphore>,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let mut tasks = JoinSet::new();
    loop {
        let (stream, remote) = listener.accept().await?;
        while tasks.try_join_next().is_some() {}
        let Ok(permit) = questions.clone().try_acquire_owned() else {
            continue;
        };
        let directory = directory.clone();
        tasks.spawn(async move {
            let visit = Visit::begin(&directory.context, remote, local);
            let talk = talk(&directory, stream, &visit);
            if let Err(error) = talk.await {
                tracing::trace!(%remote, %error, "a client of the directory hung up");
            }
            drop(permit);
        });
    }
}

/// Answers one client's questions in turn, until it hangs up.
async fn talk(directory: &Directory, mut stream: TcpStream, visit: &Visit) -> io::Result<()> {
    let _ = stream.set_nodelay(true);
    loop {
        let len = match tokio::time::timeout(TCP_IDLE, stream.read_u16()).await {
            Ok(len) => usize::from(len?),
            Err(_) => return Ok(()),
        };
        let mut message = vec![0; len];
        match tokio::time::timeout(TCP_IDLE, stream.read_exact(&mut message)).await {
            Ok(read) => read?,
            Err(_) => return Ok(()),
        };
        let question = Question {
            message: &message,
            client: Endpoint::tcp(visit.flow.from),
            directory: Endpoint::tcp(visit.flow.to),
            flow: &visit.flow,
        };
        let Some(answer) = directory.answer(question).await else {
            return Ok(());
        };
        let len = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut framed = len.to_be_bytes().to_vec();
        framed.extend_from_slice(&answer);
        stream.write_all(&framed).await?;
        visit.look_at(&stream);
    }
}
