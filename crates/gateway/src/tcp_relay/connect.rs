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

/// What the program's SYN said in its IP header, as far as it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
}

impl Header {
    /// Of a program whose SYN we have not seen: nothing to carry on.
    const UNSEEN: Self = Self {
        hop_limit: HOP_LIMIT_DEFAULT,
        traffic_class: 0,
    };
}

/// What a system sends where nobody has asked for anything (RFC 1700; Linux): no wish to carry on.
const HOP_LIMIT_DEFAULT: u8 = 64;
/// The bits of the traffic class that are the transport's (RFC 3168 section 5).
const ECN: u8 = 0b11;

/// Connects the host to `to`; after `wait` it counts as not answering.
pub(crate) async fn connect(to: SocketAddr, wait: Duration) -> Result<TcpStream, Refused> {
    let stream = begin(to, Header::UNSEEN).map_err(|error| refused(&error, None))?;
    settle(&stream, to, wait).await?;
    Ok(stream)
}

/// The same; `watch` is shown the socket while nobody has answered yet.
pub(crate) async fn connect_watched(
    to: SocketAddr,
    header: Header,
    wait: Duration,
    watch: impl FnOnce(&Arc<TcpStream>),
) -> Result<Arc<TcpStream>, Refused> {
    let stream = Arc::new(begin(to, header).map_err(|error| refused(&error, None))?);
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

fn begin(to: SocketAddr, header: Header) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(to), kind, Some(socket2::Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    // Or an octet sent as urgent would be missing from what is read.
    socket.set_out_of_band_inline(true)?;
    want_errors(&socket, to, true)?;
    set_header(&socket, to, header);
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

/// For as long as the connection lives: what the program changes later is not seen. None of it is
/// worth losing the connection for.
fn set_header(socket: &Socket, to: SocketAddr, header: Header) {
    if header.hop_limit != HOP_LIMIT_DEFAULT {
        // One hop is spent here; 1 was answered by the stack.
        let hops = u32::from(header.hop_limit.saturating_sub(1).max(1));
        let _ = match to {
            SocketAddr::V4(_) => socket.set_ttl_v4(hops),
            SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops),
        };
    }
    let class = u32::from(header.traffic_class & !ECN);
    if class != 0 {
        let _ = match to {
            SocketAddr::V4(_) => socket.set_tos_v4(class),
            SocketAddr::V6(_) => socket.set_tclass_v6(class),
        };
    }
}

/// Waits until the connection stands. Asking again is how `connect(2)` says what came of it, and
/// to the own machine it stands by then as a rule: its kernel answers while it is being asked.
async fn stand(stream: &TcpStream, to: SocketAddr) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let to = to.into();
    let ask = || match socket.connect(&to) {
        Err(error) => match error.raw_os_error() {
            Some(libc::EALREADY) => Err(io::ErrorKind::WouldBlock.into()),
            // Its answer was taken by the first call already.
            Some(libc::EISCONN) => Ok(()),
            _ => Err(error),
        },
        Ok(()) => Ok(()),
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
