//! `sock_diag(7)`: asking the kernel of this network namespace about its sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with,
};

const NLMSG_HEADER_LEN: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;
/// `sizeof(struct inet_diag_msg)`.
const DIAG_MSG_LEN: usize = 72;
/// Where `idiag_inode` is in it.
const INODE_AT: usize = 68;
/// TCP states of sockets that a program has closed and whose last data is on its way:
/// FIN-WAIT-1, LAST-ACK and CLOSING, as bits of `tcp_states.h`.
const CLOSED_UNSENT: u32 = 1 << 4 | 1 << 9 | 1 << 11;
/// Listeners, as a bit of `tcp_states.h`.
pub(super) const LISTEN: u32 = 1 << 10;
/// Every state.
pub(super) const ANY_STATE: u32 = u32::MAX;
/// A dump's answers come in pieces of at most this many octets.
const ANSWER_MAX: usize = 32 * 1024;

/// A socket that a dump showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dumped {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// As `tcp_states.h` has it.
    pub(super) state: u8,
    /// 0: no process holds it any more.
    pub(super) inode: u32,
}

/// A socket that asks.
#[derive(Debug)]
pub(super) struct SockDiag {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl SockDiag {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        Ok(Self {
            socket,
            buffer: vec![0; ANSWER_MAX],
        })
    }

    /// The inode of the one socket that a flow from `inner` to `outer` belongs to.
    pub(super) fn inode(
        &mut self,
        tcp: bool,
        inner: SocketAddr,
        outer: SocketAddr,
    ) -> io::Result<Option<u32>> {
        // An exact query of UDP has source and destination the other way round, for history's
        // sake: it is answered as a received packet is looked up.
        let (protocol, from, to) = match tcp {
            true => (libc::IPPROTO_TCP, inner, outer),
            false => (libc::IPPROTO_UDP, outer, inner),
        };
        self.ask(&request(
            protocol,
            u32::MAX,
            NLM_F_REQUEST,
            Some((from, to)),
        ))?;
        let received = self.receive()?;
        let mut inode = None;
        messages(&self.buffer[..received], |kind, body| {
            if kind == SOCK_DIAG_BY_FAMILY {
                inode = number_at(body, INODE_AT).filter(|inode| *inode != 0);
            }
        });
        Ok(inode)
    }

    /// How many TCP sockets no process holds any more while they still have data to send.
    pub(super) fn closed_unsent(&mut self) -> io::Result<usize> {
        let mut count = 0;
        self.dump(true, CLOSED_UNSENT, |body| {
            if number_at(body, INODE_AT) == Some(0) {
                count += 1;
            }
        })?;
        Ok(count)
    }

    /// Shows every socket that is in one of `states`. A dump of listeners alone walks the
    /// kernel's table of listeners, and no connection.
    pub(super) fn sockets(
        &mut self,
        tcp: bool,
        states: u32,
        mut show: impl FnMut(Dumped),
    ) -> io::Result<()> {
        self.dump(tcp, states, |body| {
            if let Some(dumped) = dumped(body) {
                show(dumped);
            }
        })
    }

    /// Shows each `struct inet_diag_msg` of both families.
    fn dump(&mut self, tcp: bool, states: u32, mut show: impl FnMut(&[u8])) -> io::Result<()> {
        let protocol = match tcp {
            true => libc::IPPROTO_TCP,
            false => libc::IPPROTO_UDP,
        };
        for family in [libc::AF_INET, libc::AF_INET6] {
            let mut request = request(protocol, states, NLM_F_REQUEST | NLM_F_DUMP, None);
            request[NLMSG_HEADER_LEN] = u8::try_from(family).unwrap_or(0);
            self.ask(&request)?;
            let mut done = false;
            while !done {
                let received = self.receive()?;
                done = received == 0;
                messages(&self.buffer[..received], |kind, body| match kind {
                    NLMSG_DONE | NLMSG_ERROR => done = true,
                    SOCK_DIAG_BY_FAMILY => show(body),
                    _ => {}
                });
            }
        }
        Ok(())
    }

    fn ask(&self, request: &[u8]) -> io::Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        sendto(&self.socket, request, SendFlags::empty(), &kernel)?;
        Ok(())
    }

    fn receive(&mut self) -> io::Result<usize> {
        let (received, _) = rustix::io::retry_on_intr(|| {
            recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())
        })?;
        Ok(received)
    }
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` (`linux/inet_diag.h`).
fn request(
    protocol: i32,
    states: u32,
    flags: u16,
    tuple: Option<(SocketAddr, SocketAddr)>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NLMSG_HEADER_LEN + 56);
    bytes.extend(72_u32.to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    let is_v4 = tuple.is_none_or(|(from, _)| from.is_ipv4());
    let family = if is_v4 { libc::AF_INET } else { libc::AF_INET6 };
    bytes.push(u8::try_from(family).unwrap_or(0));
    bytes.push(u8::try_from(protocol).unwrap_or(0));
    bytes.extend([0, 0]);
    bytes.extend(states.to_ne_bytes());
    match tuple {
        Some((from, to)) => {
            bytes.extend(from.port().to_be_bytes());
            bytes.extend(to.port().to_be_bytes());
            bytes.extend(address(from.ip()));
            bytes.extend(address(to.ip()));
        }
        None => bytes.extend([0; 36]),
    }
    // Any interface; INET_DIAG_NOCOOKIE.
    bytes.extend([0; 4]);
    bytes.extend([0xff; 8]);
    bytes
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            octets
        }
    }
}

/// `struct inet_diag_msg` (`linux/inet_diag.h`).
fn dumped(body: &[u8]) -> Option<Dumped> {
    let port = |at: usize| {
        let two = body.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(two))
    };
    let address = |at: usize| -> Option<IpAddr> {
        match i32::from(*body.first()?) {
            libc::AF_INET => {
                let octets: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
                Some(octets.into())
            }
            libc::AF_INET6 => {
                let octets: [u8; 16] = body.get(at..at + 16)?.try_into().ok()?;
                Some(octets.into())
            }
            _ => None,
        }
    };
    Some(Dumped {
        local: SocketAddr::new(address(8)?, port(4)?),
        peer: SocketAddr::new(address(24)?, port(6)?),
        state: *body.get(1)?,
        inode: number_at(body, INODE_AT)?,
    })
}

/// Shows each message of an answer, its kind and its body.
fn messages(mut bytes: &[u8], mut show: impl FnMut(u16, &[u8])) {
    while let Some(len) = number_at(bytes, 0).map(|len| len as usize) {
        let Some(message) = bytes.get(..len).filter(|_| len >= NLMSG_HEADER_LEN) else {
            return;
        };
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let body = &message[NLMSG_HEADER_LEN..];
        if kind != SOCK_DIAG_BY_FAMILY || body.len() >= DIAG_MSG_LEN {
            show(kind, body);
        }
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(four.try_into().ok()?))
}
