//! As many octets as can be, on one connection or many, in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use super::{CHUNK, Kind, PATIENCE, Report};
use crate::run::poller::Poller;
use crate::run::server::touch;

/// How long the rest of what was written may take to arrive.
const DRAIN: Duration = Duration::from_secs(2);

/// Opens a connection and says what it is for.
pub(super) fn open(server: SocketAddr, kind: Kind, time: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = vec![kind.code()];
    request.extend((time.as_millis() as u32).to_be_bytes());
    stream.write_all(&request)?;
    Ok(stream)
}

fn open_all(
    server: SocketAddr,
    kind: Kind,
    flows: usize,
    time: Duration,
    interest: EventFlags,
) -> io::Result<(Vec<TcpStream>, Poller)> {
    let poller = Poller::new()?;
    let mut streams = Vec::with_capacity(flows);
    for at in 0..flows {
        let stream = open(server, kind, time)?;
        stream.set_nonblocking(true)?;
        poller.add(&stream, at as u64, interest)?;
        streams.push(stream);
    }
    Ok((streams, poller))
}

/// The server counts what arrives; the time here lasts until it has everything.
pub(super) fn send(server: SocketAddr, flows: usize, time: Duration) -> io::Result<Report> {
    let start = Instant::now();
    let (mut streams, poller) = open_all(server, Kind::Out, flows, time, EventFlags::OUT)?;
    let chunk = vec![0x5a; CHUNK];
    let mut count = 0;
    while start.elapsed() < time {
        for (at, _) in poller.wait(Some(time.saturating_sub(start.elapsed())))? {
            match streams[at as usize].write(&chunk) {
                Ok(len) => count += len as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    for stream in &streams {
        stream.shutdown(Shutdown::Write)?;
    }
    // The server closes what has come to its end.
    for stream in &mut streams {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(DRAIN))?;
        match stream.read(&mut [0; 64]) {
            // What is still on its way then is lost for the count.
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
    Ok(Report::new(count, start.elapsed()))
}

pub(super) fn receive(server: SocketAddr, flows: usize, time: Duration) -> io::Result<Report> {
    let start = Instant::now();
    let (mut streams, poller) = open_all(server, Kind::In, flows, time, EventFlags::IN)?;
    let mut chunk = vec![0; CHUNK];
    let (mut count, mut touched) = (0, 0_u64);
    while start.elapsed() < time {
        for (at, _) in poller.wait(Some(time.saturating_sub(start.elapsed())))? {
            match streams[at as usize].read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    touched = touched.wrapping_add(touch(&chunk[..len]));
                    count += len as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    std::hint::black_box(touched);
    Ok(Report::new(count, start.elapsed()))
}
