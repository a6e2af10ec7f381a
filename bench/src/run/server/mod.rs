//! The server outside, on the host's loopback: sinks, sources and lines that are held in one
//! thread each, echoes, and datagrams.

mod datagrams;
mod streams;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Ports for connections that are held: ten thousand on one would run out of ports of the
/// caller when they come again.
const HELD_PORTS: usize = 8;

/// A running server; it lives as long as the process.
pub(crate) struct Server {
    /// Bulk loads.
    pub(crate) bulk: u16,
    /// Exchanges on connections that last.
    pub(crate) echo: u16,
    /// Connections of one octet each way, served one after the other.
    pub(crate) short: u16,
    /// Connections that are held.
    pub(crate) held: Vec<u16>,
    /// Datagrams that are counted.
    pub(crate) sink: u16,
    /// Datagrams for whoever asks.
    pub(crate) source: u16,
    pub(crate) counts: Arc<Counts>,
}

/// What the server has seen so far.
#[derive(Default)]
pub(crate) struct Counts {
    /// Octets that the sink of bulk loads received.
    pub(crate) octets: AtomicU64,
    /// Connections that are held now.
    pub(crate) held: AtomicU64,
    /// Datagrams received.
    pub(crate) datagrams: AtomicU64,
    /// Datagrams that the last request for them sent.
    pub(crate) datagrams_sent: AtomicU64,
    /// Raised to make each connection that is held get an octet.
    pub(crate) prods: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

impl Server {
    pub(crate) fn tcp_ports(&self) -> Vec<u16> {
        let mut ports = vec![self.bulk, self.echo, self.short];
        ports.extend(&self.held);
        ports
    }

    pub(crate) fn udp_ports(&self) -> Vec<u16> {
        vec![self.sink, self.source]
    }
}

/// Starts the server, on the loopback and on `also`.
pub(crate) fn start(also: Option<Ipv4Addr>) -> io::Result<Server> {
    let counts = Arc::new(Counts::default());
    let (bulk, bulk_port) = listen(also)?;
    streams::start(bulk, Arc::clone(&counts))?;
    let (mut held, mut held_ports) = (Vec::new(), Vec::new());
    for _ in 0..HELD_PORTS {
        let (listeners, port) = listen(also)?;
        held.extend(listeners);
        held_ports.push(port);
    }
    streams::start(held, Arc::clone(&counts))?;
    let (echoes, echo_port) = listen(also)?;
    for listener in echoes {
        thread::spawn(move || serve_echo(&listener));
    }
    let (shorts, short_port) = listen(also)?;
    for listener in shorts {
        thread::spawn(move || serve_short(&listener));
    }
    Ok(Server {
        bulk: bulk_port,
        echo: echo_port,
        short: short_port,
        held: held_ports,
        sink: datagrams::start_sink(Arc::clone(&counts))?,
        source: datagrams::start_source(Arc::clone(&counts))?,
        counts,
    })
}

/// Listeners with room for many calls at once: whatever is slow then is not the server.
fn listen(also: Option<Ipv4Addr>) -> io::Result<(Vec<TcpListener>, u16)> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    if let Some(address) = also {
        listeners.push(TcpListener::bind((address, port))?);
    }
    for listener in &listeners {
        rustix::net::listen(listener, 4096)?;
    }
    Ok((listeners, port))
}

fn serve_short(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        // One that breaks is the client's to report.
        let _ = answer_one(stream);
    }
}

fn serve_echo(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        thread::spawn(move || echo(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // What the connection is for; here it is known.
    stream.read_exact(&mut [0; 5])?;
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
