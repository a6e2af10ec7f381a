//! What a program learns from its datagrams.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::net::sockopt;

use super::super::addresses::{CLOSED_PORT, narrow, server};
use super::super::errno_name;

const PATIENCE: Duration = Duration::from_secs(2);

fn open(to: SocketAddr) -> io::Result<UdpSocket> {
    let any = match to.is_ipv4() {
        true => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        false => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Tries three times: a datagram may be lost, and the first large one may tell the path's MTU.
pub(super) fn echo(v6: bool, len: usize) -> io::Result<String> {
    let socket = open(server(v6))?;
    let sent: Vec<u8> = (0..len).map(|at| (at * 7 % 251) as u8).collect();
    let mut buffer = vec![0; 65_536];
    for _ in 0..3 {
        socket.send(&sent)?;
        match socket.recv(&mut buffer) {
            Ok(len) if buffer[..len] == sent => return Ok(format!("{len} there and back")),
            Ok(_) => return Ok("another datagram".into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok("lost".into())
}

pub(super) fn closed(v6: bool) -> io::Result<String> {
    let mut to = server(v6);
    to.set_port(CLOSED_PORT);
    refusal(to)
}

/// What a socket is told after a datagram that nobody takes.
pub(super) fn refusal(to: SocketAddr) -> io::Result<String> {
    let socket = open(to)?;
    socket.send(b"anybody?")?;
    match socket.recv(&mut [0; 8]) {
        Ok(_) => Ok("an answer".into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok("silent".into()),
        Err(error) => Ok(errno_name(&error)),
    }
}

/// As many sockets at once; how many got their own datagram back.
pub(super) fn flows(v6: bool, count: usize) -> io::Result<String> {
    let mut sockets = Vec::new();
    for number in 0..count {
        let socket = open(server(v6))?;
        socket.send(&(number as u32).to_be_bytes())?;
        sockets.push(socket);
    }
    let mut answered = 0;
    for (number, socket) in sockets.iter().enumerate() {
        let mut answer = [0; 4];
        if answered < number {
            // Somebody was silent already: the others are not waited for as long.
            socket.set_read_timeout(Some(PATIENCE / 10))?;
        }
        let heard = socket.recv(&mut answer).is_ok();
        answered += usize::from(heard && answer == (number as u32).to_be_bytes());
    }
    Ok(format!("{answered} of {count}"))
}

/// Datagrams that must not be cut, on a path that is narrower than the link.
pub(super) fn path_mtu(v6: bool) -> io::Result<String> {
    let socket = open(narrow(v6))?;
    if v6 {
        sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::DO)?;
    } else {
        sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::DO)?;
    }
    let mut told = None;
    for _ in 0..4 {
        match socket.send(&[7; 1_440]) {
            Err(error) => {
                told = Some(errno_name(&error));
                break;
            }
            // Either way of learning it counts: here, or at the next send.
            Ok(_) => {
                socket.set_read_timeout(Some(Duration::from_millis(300)))?;
                match socket.recv(&mut [0; 2_000]) {
                    Err(error) if error.kind() != ErrorKind::WouldBlock => {
                        told = Some(errno_name(&error));
                        break;
                    }
                    _ => {}
                }
            }
        }
    }
    let mtu = match v6 {
        true => sockopt::ipv6_mtu(&socket)?,
        false => sockopt::ip_mtu(&socket)?,
    };
    let told = told.unwrap_or_else(|| "nothing said".into());
    Ok(format!("{told}, path MTU {mtu}"))
}
