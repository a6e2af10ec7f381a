//! A connection of the host, or the true reason why there is none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::observer::Refused;
use crate::outside::{read_error_queue, refused, refused_by, want_errors};

/// Connects the host to `to`; after `wait` it counts as not answering.
pub(crate) async fn connect(to: SocketAddr, wait: Duration) -> Result<TcpStream, Refused> {
    let stream = begin(to).map_err(|error| refused(&error, None))?;
    settle(&stream, to, wait).await?;
    Ok(stream)
}

/// The same; `watch` is shown the socket while nobody has answered yet.
pub(crate) async fn connect_watched(
    to: SocketAddr,
    wait: Duration,
    watch: impl FnOnce(&Arc<TcpStream>),
) -> Result<Arc<TcpStream>, Refused> {
    let stream = Arc::new(begin(to).map_err(|error| refused(&error, None))?);
    watch(&stream);
    settle(&stream, to, wait).await?;
    Ok(stream)
}

/// Waits for the far side's answer.
async fn settle(stream: &TcpStream, to: SocketAddr, wait: Duration) -> Result<(), Refused> {
    match tokio::time::timeout(wait, stand(stream, to)).await {
        Ok(Ok(())) => {
            // From here on ICMP errors are hints, not verdicts (RFC 5461 section 2).
            let _ = want_errors(stream, to, false);
            Ok(())
        }
        Ok(Err(error)) => Err(why(stream, &error)),
        Err(_) => Err(Refused::TimedOut),
    }
}

fn begin(to: SocketAddr) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(socket2::Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    want_errors(&socket, to, true)?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

/// Waits until the connection stands. Asking again is how `connect(2)` says what came of it, and
/// to the own machine it stands by then as a rule: its kernel answers while it is being asked.
async fn stand(stream: &TcpStream, to: SocketAddr) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let to = to.into();
    let ask = || match socket.connect(&to) {
        Err(error) if error.raw_os_error() == Some(libc::EALREADY) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        said => said,
    };
    match ask() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            stream.async_io(Interest::WRITABLE, ask).await
        }
        said => said,
    }
}

/// The error queue knows more than the error number: which ICMP error, and from whom.
fn why(stream: &TcpStream, error: &io::Error) -> Refused {
    while let Ok(queued) = read_error_queue(stream) {
        if let Some(said) = queued.why {
            return refused_by(said, queued.offender);
        }
    }
    refused(error, None)
}
