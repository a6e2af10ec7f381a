//! A process of ours that stays in the namespace, where sockets have to be made there: on its
//! loopback, which never reaches the link. It reads nothing of a stranger's, and ends with the
//! relay.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};

use serde::{Deserialize, Serialize};
use switchboard_gateway::{BoxFuture, LoopbackDial};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Mutex;

use super::listening::Listening;
use crate::run::agent::descriptors;
use crate::run::channel::Channel;

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
enum Question {
    /// Who listens there?
    Listening,
    /// Listeners on loopback at this port, please.
    Listen { port: u16 },
    /// A connection to loopback at this port, please.
    Connect { port: u16, v6: bool },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Listening(Listening),
    /// Carries one or two.
    Sockets,
    /// An error number.
    Refused(i32),
}

/// Its whole life.
pub(super) fn serve(channel: &Channel) {
    // What was inherited is the caller's.
    descriptors::close_all_but(&[channel]);
    while let Ok(Some((question, _))) = channel.receive::<Question>() {
        let (answer, sockets) = answer(&question);
        let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        if channel.send(&answer, &sockets).is_err() {
            return;
        }
    }
}

fn answer(question: &Question) -> (Answer, Vec<OwnedFd>) {
    let sockets = match question {
        Question::Listening => return (Answer::Listening(Listening::read()), Vec::new()),
        Question::Listen { port } => listen(*port),
        Question::Connect { port, v6 } => connect(*port, *v6).map(|socket| vec![socket]),
    };
    match sockets {
        Ok(sockets) => (Answer::Sockets, sockets),
        Err(error) => (
            Answer::Refused(error.raw_os_error().unwrap_or(libc::EIO)),
            Vec::new(),
        ),
    }
}

/// 127.0.0.1, and ::1 where there is IPv6.
fn listen(port: u16) -> io::Result<Vec<OwnedFd>> {
    let open = |at: SocketAddr| TcpListener::bind(at).map(OwnedFd::from);
    let mut sockets = vec![open((Ipv4Addr::LOCALHOST, port).into())?];
    sockets.extend(open((Ipv6Addr::LOCALHOST, port).into()));
    Ok(sockets)
}

/// Begun: whoever has it sees how it ends.
fn connect(port: u16, v6: bool) -> io::Result<OwnedFd> {
    let to: SocketAddr = match v6 {
        false => (Ipv4Addr::LOCALHOST, port).into(),
        true => (Ipv6Addr::LOCALHOST, port).into(),
    };
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(to),
        socket2::Type::STREAM,
        None,
    )?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        connected => connected?,
    }
    Ok(socket.into())
}

/// The relay's end.
#[derive(Debug)]
pub(super) struct Insider(Mutex<AsyncFd<Channel>>);

impl Insider {
    /// Inside a runtime.
    pub(super) fn new(channel: Channel) -> io::Result<Self> {
        channel.set_nonblocking()?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: a `Channel` owns its socket, always names the same one, and is not taken out.
        let channel = unsafe { AsyncFd::register_with_interest(channel, interest) }?;
        Ok(Self(Mutex::new(channel)))
    }

    /// One question at a time: the answers come in order.
    async fn ask(&self, question: &Question) -> io::Result<(Answer, Vec<OwnedFd>)> {
        let channel = self.0.lock().await;
        let send = |channel: &Channel| channel.send(question, &[]);
        channel.async_io(Interest::WRITABLE, send).await?;
        let receive = |channel: &Channel| channel.receive();
        let answer = channel.async_io(Interest::READABLE, receive).await?;
        match answer {
            Some((Answer::Refused(errno), _)) => Err(io::Error::from_raw_os_error(errno)),
            Some(answer) => Ok(answer),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Who listens inside.
    pub(super) async fn listening(&self) -> io::Result<Listening> {
        match self.ask(&Question::Listening).await? {
            (Answer::Listening(listening), _) => Ok(listening),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Listeners on the inside's loopback.
    pub(super) async fn listen(&self, port: u16) -> io::Result<Vec<OwnedFd>> {
        Ok(self.ask(&Question::Listen { port }).await?.1)
    }

    /// A connection to the inside's loopback that is being made.
    async fn connect(&self, port: u16, v6: bool) -> io::Result<OwnedFd> {
        let (_, mut sockets) = self.ask(&Question::Connect { port, v6 }).await?;
        sockets
            .pop()
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl LoopbackDial for Insider {
    fn dial(&self, port: u16, v6: bool) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move { Ok(TcpStream::from(self.connect(port, v6).await?)) })
    }
}
