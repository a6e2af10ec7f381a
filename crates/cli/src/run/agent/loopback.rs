//! The program's own localhost, which never reaches the device: listeners for `--localhost`,
//! and an eye on calls that nobody answered.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Domain, SockAddr, SockFilter, Socket, Type};

use crate::run::message::{During as _, SetupError, Step};
use crate::run::plan::LocalPort;

/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`: without it loopback shows each packet twice.
const PACKET_IGNORE_OUTGOING: i32 = 23;
/// Loopback is the first interface of every network namespace.
const LOOPBACK_INDEX: i32 = 1;
/// Octets of a packet that are looked at: both headers without options.
const HEADERS_MAX: usize = 128;

/// Listens on 127.0.0.1 and, where there is IPv6, on ::1.
pub(super) fn listen(local: LocalPort) -> Result<Vec<OwnedFd>, SetupError> {
    let LocalPort { tcp, port } = local;
    let tried = format!("listen on the program's localhost:{port}");
    let bind = |address: IpAddr| -> io::Result<OwnedFd> {
        let address = SocketAddr::new(address, port);
        Ok(match tcp {
            true => TcpListener::bind(address)?.into(),
            false => UdpSocket::bind(address)?.into(),
        })
    };
    let v4 = bind(Ipv4Addr::LOCALHOST.into());
    let mut listeners = vec![v4.during(Step::Localhost, &tried)?];
    listeners.extend(bind(Ipv6Addr::LOCALHOST.into()));
    Ok(listeners)
}

/// Sees resets that answer a first segment on loopback: somebody called, and nobody was there.
pub(super) struct RefusedCalls(Socket);

/// A call on loopback that nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefusedCall {
    pub(super) caller: SocketAddr,
    pub(super) called: SocketAddr,
}

impl RefusedCalls {
    /// A packet socket on loopback with a filter, so that the agent sleeps through all else.
    pub(super) fn watch() -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, None)?;
        socket.attach_filter(&filter())?;
        ignore_outgoing(&socket)?;
        socket.set_nonblocking(true)?;
        socket.bind(&loopback_address())?;
        Ok(Self(socket))
    }

    /// The next one; `None` when there is none now.
    pub(super) fn next(&self) -> Option<RefusedCall> {
        let mut packet = [0; HEADERS_MAX];
        loop {
            let len = rustix::io::read(&self.0, &mut packet).ok()?;
            if let Some(call) = refused_call(&packet[..len.min(HEADERS_MAX)]) {
                return Some(call);
            }
        }
    }
}

impl std::os::fd::AsFd for RefusedCalls {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Passes TCP segments with RST and ACK whose sequence number is zero: the reset of a first
/// segment (RFC 9293 section 3.10.7.1).
fn filter() -> [SockFilter; 18] {
    const LOAD_OCTET: u16 = 0x30;
    const LOAD_OCTET_AT_X: u16 = 0x50;
    const LOAD_WORD_AT_X: u16 = 0x40;
    const X_IS_HEADER_LEN: u16 = 0xb1;
    const X_IS: u16 = 0x01;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP: u16 = 0x05;
    const RETURN: u16 = 0x06;
    let step = |code, yes, no, k| SockFilter::new(code, yes, no, k);
    [
        // 0: which version of IP?
        step(LOAD_OCTET, 0, 0, 0),
        step(AND, 0, 0, 0xf0),
        step(JUMP_IF_EQUAL, 0, 4, 0x40),
        // 3: version 4: is it TCP? X = octets of its header.
        step(LOAD_OCTET, 0, 0, 9),
        step(JUMP_IF_EQUAL, 0, 12, 6),
        step(X_IS_HEADER_LEN, 0, 0, 0),
        step(JUMP, 0, 0, 4),
        // 7: version 6: the same, 40 octets where nothing extends the header.
        step(JUMP_IF_EQUAL, 0, 9, 0x60),
        step(LOAD_OCTET, 0, 0, 6),
        step(JUMP_IF_EQUAL, 0, 7, 6),
        step(X_IS, 0, 0, 40),
        // 11: RST and ACK, sequence number 0?
        step(LOAD_OCTET_AT_X, 0, 0, 13),
        step(AND, 0, 0, 0x14),
        step(JUMP_IF_EQUAL, 0, 3, 0x14),
        step(LOAD_WORD_AT_X, 0, 0, 4),
        step(JUMP_IF_EQUAL, 0, 1, 0),
        // 16: pass; 17: do not.
        step(RETURN, 0, 0, HEADERS_MAX as u32),
        step(RETURN, 0, 0, 0),
    ]
}

fn refused_call(packet: &[u8]) -> Option<RefusedCall> {
    let (source, destination, segment) = match packet.first()? >> 4 {
        4 => {
            let at = |at: usize| packet.get(at..at + 4)?.try_into().ok().map(<[u8; 4]>::into);
            let header_len = usize::from(packet[0] & 0xf) * 4;
            let source: Ipv4Addr = at(12)?;
            let destination: Ipv4Addr = at(16)?;
            (source.into(), destination.into(), packet.get(header_len..)?)
        }
        6 => {
            let at = |at: usize| {
                packet
                    .get(at..at + 16)?
                    .try_into()
                    .ok()
                    .map(<[u8; 16]>::into)
            };
            let source: Ipv6Addr = at(8)?;
            let destination: Ipv6Addr = at(24)?;
            (IpAddr::from(source), destination.into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            segment.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    // Whoever sent the reset was called.
    Some(RefusedCall {
        called: SocketAddr::new(source, port(0)?),
        caller: SocketAddr::new(destination, port(2)?),
    })
}

fn ignore_outgoing(socket: &Socket) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the option's value is an `int`, which lives for the whole call.
    let result = unsafe {
        libc::setsockopt(
            std::os::fd::AsRawFd::as_raw_fd(socket),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            std::ptr::from_ref(&yes).cast(),
            mem::size_of_val(&yes) as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `packet(7)`: all protocols of the loopback interface.
fn loopback_address() -> SockAddr {
    let all = u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be();
    // SAFETY: `sockaddr_ll` is plain data; all zeros is a value of it, and it fits into
    // `sockaddr_storage`, whose alignment is at least its own.
    let (_, address) = unsafe {
        SockAddr::try_init(|storage, len| {
            let address = storage.cast::<libc::sockaddr_ll>();
            (*address).sll_family = libc::AF_PACKET as libc::sa_family_t;
            (*address).sll_protocol = all;
            (*address).sll_ifindex = LOOPBACK_INDEX;
            *len = mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }
    .unwrap_or_else(|_: io::Error| unreachable!("the closure above returns Ok"));
    address
}
