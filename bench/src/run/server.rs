//! The server outside: a sink, a source, an echo, on the host's loopback.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{CHUNK, Kind, Report};

/// How much longer than it was told the server counts what a sender is behind with.
const GRACE: Duration = Duration::from_millis(200);

/// A running server.
pub(crate) struct Server {
    /// For connections that last.
    pub(crate) port: u16,
    /// For connections of one octet each way, served one after the other without threads.
    pub(crate) short_port: u16,
    /// What its sink received, a report for each connection.
    pub(crate) received: Receiver<Report>,
}

/// Starts the server; it lives as long as the process.
pub(crate) fn start() -> io::Result<Server> {
    let (sender, received) = channel();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || serve(&listener, &sender));
    let short = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let short_port = short.local_addr()?.port();
    thread::spawn(move || {
        for stream in short.incoming().flatten() {
            let _ = answer_one(stream);
        }
    });
    Ok(Server {
        port,
        short_port,
        received,
    })
}

fn serve(listener: &TcpListener, reports: &Sender<Report>) {
    for stream in listener.incoming().flatten() {
        let reports = reports.clone();
        // A connection that breaks is the client's to report.
        thread::spawn(move || serve_one(stream, &reports));
    }
}

fn serve_one(mut stream: TcpStream, reports: &Sender<Report>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut request = [0; 5];
    stream.read_exact(&mut request)?;
    let [kind, millis @ ..] = request;
    let time = Duration::from_millis(u32::from_be_bytes(millis).into());
    if kind == Kind::Out.code() {
        // There is nobody to tell once the bench has ended.
        let _ = reports.send(sink(&mut stream, time)?);
    } else if kind == Kind::In.code() {
        source(&mut stream, time)?;
    } else {
        echo(&mut stream)?;
    }
    Ok(())
}

fn sink(stream: &mut TcpStream, time: Duration) -> io::Result<Report> {
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut chunk = vec![0; CHUNK];
    let (mut count, mut touched) = (0, 0_u64);
    let start = Instant::now();
    while start.elapsed() < time + GRACE {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => {
                touched = touched.wrapping_add(touch(&chunk[..len]));
                count += len as u64;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    std::hint::black_box(touched);
    Ok(Report {
        count,
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: 0.0,
    })
}

fn source(stream: &mut TcpStream, time: Duration) -> io::Result<()> {
    let chunk = vec![0x5a; CHUNK];
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let start = Instant::now();
    // Until the client has seen enough and closes, or something went wrong.
    while start.elapsed() < time + Duration::from_secs(5) {
        stream.write_all(&chunk)?;
    }
    Ok(())
}

fn echo(stream: &mut TcpStream) -> io::Result<()> {
    let mut octets = [0; 512];
    loop {
        match stream.read(&mut octets)? {
            0 => return Ok(()),
            len => stream.write_all(&octets[..len])?,
        }
    }
}

fn answer_one(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut octet = [0];
    stream.read_exact(&mut octet)?;
    stream.write_all(&octet)
}

/// Looks at every octet, as whoever asked for them would.
pub(crate) fn touch(octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<8>();
    let sum = words.iter().fold(0, |sum: u64, word| {
        sum.wrapping_add(u64::from_ne_bytes(*word))
    });
    rest.iter()
        .fold(sum, |sum, octet| sum.wrapping_add(u64::from(*octet)))
}
