//! Datagrams, paced or as many as can be.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, Report};

/// How often a pacer looks at the clock.
const TICK: Duration = Duration::from_micros(500);

/// A receiver ends when nothing came for so long.
const SILENCE: Duration = Duration::from_millis(300);

pub(super) fn send(
    server: SocketAddr,
    size: usize,
    pace: u32,
    time: Duration,
) -> io::Result<Report> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let start = Instant::now();
    let count = paced(&vec![0x5a; size], pace, time, |octets| socket.send(octets))?;
    Ok(Report::new(count, start.elapsed()))
}

/// Sends `octets` again and again for `time`; how often it was accepted.
pub(crate) fn paced(
    octets: &[u8],
    pace: u32,
    time: Duration,
    mut send: impl FnMut(&[u8]) -> io::Result<usize>,
) -> io::Result<u64> {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        let due = match pace {
            0 => count + 64,
            pace => (start.elapsed().as_secs_f64() * f64::from(pace)) as u64,
        };
        while count < due {
            match send(octets) {
                Ok(_) => count += 1,
                // A queue on the way is full: what is sent then is lost, and counts.
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => count += 1,
                Err(error) => return Err(error),
            }
        }
        if pace > 0 {
            thread::sleep(TICK);
        }
    }
    Ok(count)
}

pub(super) fn receive(
    server: SocketAddr,
    size: usize,
    pace: u32,
    time: Duration,
) -> io::Result<Report> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    roomy(&socket)?;
    let mut request = Vec::new();
    for number in [size as u32, pace, time.as_millis() as u32] {
        request.extend(number.to_be_bytes());
    }
    socket.send(&request)?;
    socket.set_read_timeout(Some(time + SILENCE))?;
    let mut buffer = vec![0; 65_536];
    let start = Instant::now();
    let mut count = 0;
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => count += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
        if count == 1 {
            socket.set_read_timeout(Some(SILENCE))?;
        }
    }
    Ok(Report::new(count, start.elapsed()))
}

/// As large a receive buffer as an ordinary user gets.
pub(crate) fn roomy(socket: &UdpSocket) -> io::Result<()> {
    rustix::net::sockopt::set_socket_recv_buffer_size(socket, 8 << 20)?;
    Ok(())
}
