//! Very many connections that do nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use super::{Kind, Report, say};
use crate::run::limits::raise_open_files;
use crate::run::poller::Poller;

/// Calls that may be under way at once: fewer than the shortest accept queue.
const AT_ONCE: usize = 100;

/// No call and no answer for so long ends the attempt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Obeys lines: `open N` opens until there are N, `send` sends an octet on each, whatever
/// else is said or no line ends.
pub(super) fn run(
    servers: &[SocketAddr],
    commands: &mut impl Iterator<Item = io::Result<String>>,
) -> io::Result<()> {
    raise_open_files();
    let mut streams = Vec::new();
    while let Some(command) = commands.next().transpose()? {
        let start = Instant::now();
        match command.split_once(' ') {
            Some(("open", wanted)) => {
                let wanted = wanted.parse().map_err(io::Error::other)?;
                open(servers, wanted, &mut streams)?;
            }
            None if command == "send" => {
                for stream in &streams {
                    rustix::net::send(stream, &[1], rustix::net::SendFlags::empty())?;
                }
            }
            _ => break,
        }
        let report = Report::new(streams.len() as u64, start.elapsed());
        say(&serde_json::to_string(&report)?)?;
    }
    // Resets: ten thousand TIME-WAITs would take the next one's ports.
    for stream in &streams {
        sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Opens connections until there are `wanted`, or nothing moves any more.
fn open(servers: &[SocketAddr], wanted: usize, streams: &mut Vec<TcpStream>) -> io::Result<()> {
    let poller = Poller::new()?;
    let mut calling: Vec<Option<TcpStream>> = Vec::new();
    let mut under_way = 0;
    // What fails is not tried again for ever: one in ten may.
    let mut tries = wanted - streams.len().min(wanted) + wanted / 10;
    while streams.len() < wanted {
        while under_way < AT_ONCE && streams.len() + under_way < wanted && tries > 0 {
            tries -= 1;
            let server = servers[calling.len() % servers.len()];
            let call = TcpStream::from(start_call(server)?);
            let key = calling.len() as u64;
            poller.add(&call, key, EventFlags::OUT | EventFlags::ONESHOT)?;
            calling.push(Some(call));
            under_way += 1;
        }
        let events = poller.wait(Some(PATIENCE))?;
        if events.is_empty() {
            break;
        }
        for (key, _) in events {
            let Some(call) = calling[key as usize].take() else {
                continue;
            };
            under_way -= 1;
            if sockopt::socket_error(&call)?.is_ok() {
                poller.remove(&call)?;
                rustix::net::send(&call, &hold(), rustix::net::SendFlags::empty())?;
                streams.push(call);
            }
        }
    }
    Ok(())
}

/// A call that is under way, on a socket that does not block.
pub(crate) fn start_call(server: SocketAddr) -> io::Result<OwnedFd> {
    let family = match server.is_ipv4() {
        true => AddressFamily::INET,
        false => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if server.ip() == Ipv4Addr::LOCALHOST {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// The request: hold the line.
fn hold() -> [u8; 5] {
    [Kind::Idle.code(), 0, 0, 0, 0]
}
