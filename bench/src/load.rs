//! The program that is run inside each network: it loads one TCP server outside and prints
//! what it saw as one line of JSON.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::run::server::touch;

/// Octets of one write or read.
pub(crate) const CHUNK: usize = 128 * 1024;

/// How long anything may stand still before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do, to whom, how long.
#[derive(clap::Args)]
pub(crate) struct Flags {
    kind: Kind,
    server: SocketAddr,
    /// Seconds.
    #[arg(long)]
    seconds: f64,
}

/// Which load.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Send as fast as possible on one connection.
    Out,
    /// Receive as fast as possible on one connection.
    In,
    /// One octet there, one back, again and again.
    Exchange,
    /// Connect, one octet there, one back, close, again and again.
    Connect,
}

impl Kind {
    /// The octet that tells the server.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Out => b'o',
            Self::In => b'i',
            Self::Exchange => b'e',
            Self::Connect => b'c',
        }
    }
}

/// What the load saw.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Octets, exchanges or connections.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// CPU time of the load itself.
    pub(crate) cpu_seconds: f64,
}

pub(crate) fn run(flags: &Flags) -> io::Result<()> {
    let time = Duration::from_secs_f64(flags.seconds);
    let mut report = match flags.kind {
        Kind::Out => send(flags.server, time)?,
        Kind::In => receive(flags.server, time)?,
        Kind::Exchange => exchange(flags.server, time)?,
        Kind::Connect => connect_often(flags.server, time)?,
    };
    report.cpu_seconds = cpu_seconds()?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Opens a connection and says what it is for.
fn open(server: SocketAddr, kind: Kind, time: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = vec![kind.code()];
    request.extend((time.as_millis() as u32).to_be_bytes());
    stream.write_all(&request)?;
    Ok(stream)
}

fn send(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let mut stream = open(server, Kind::Out, time)?;
    let chunk = vec![0x5a; CHUNK];
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        match stream.write(&chunk) {
            Ok(len) => count += len as u64,
            // The server has seen enough.
            Err(error) if is_closed(&error) => break,
            Err(error) => return Err(error),
        }
    }
    // What was received counts, not what was written: the server tells.
    let _ = stream.shutdown(Shutdown::Write);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    Ok(report(count, start))
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn receive(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let mut stream = open(server, Kind::In, time)?;
    let mut chunk = vec![0; CHUNK];
    let (mut count, mut touched) = (0, 0_u64);
    let start = Instant::now();
    while start.elapsed() < time {
        match stream.read(&mut chunk)? {
            0 => break,
            len => {
                touched = touched.wrapping_add(touch(&chunk[..len]));
                count += len as u64;
            }
        }
    }
    std::hint::black_box(touched);
    Ok(report(count, start))
}

fn exchange(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let mut stream = open(server, Kind::Exchange, time)?;
    let start = Instant::now();
    let mut count = 0;
    let mut octet = [1];
    while start.elapsed() < time {
        stream.write_all(&octet)?;
        stream.read_exact(&mut octet)?;
        count += 1;
    }
    Ok(report(count, start))
}

fn connect_often(server: SocketAddr, time: Duration) -> io::Result<Report> {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < time {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[Kind::Connect.code()])?;
        stream.read_exact(&mut [0])?;
        count += 1;
    }
    Ok(report(count, start))
}

fn report(count: u64, start: Instant) -> Report {
    Report {
        count,
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: 0.0,
    }
}

/// CPU time that this process has used.
fn cpu_seconds() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok(seconds_of(usage))
}

pub(crate) fn seconds_of(usage: nix::sys::resource::Usage) -> f64 {
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}
