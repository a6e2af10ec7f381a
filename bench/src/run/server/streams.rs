//! Connections that receive, send, or do nothing, however many, in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::event::epoll::EventFlags;

use super::{Counts, touch};
use crate::load::{CHUNK, Kind};
use crate::run::poller::Poller;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    /// It has not said so yet.
    Unknown,
    Sink,
    Source,
    Hold,
}

struct Connection {
    stream: TcpStream,
    task: Task,
}

struct Streams {
    listeners: Vec<TcpListener>,
    poller: Poller,
    connections: Vec<Option<Connection>>,
    /// Places that are free.
    free: Vec<usize>,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    counts: Arc<Counts>,
    /// As many octets each held connection has got.
    prodded: u64,
}

/// How often the thread looks whether it is to send an octet on each connection.
const TURN: Duration = Duration::from_millis(50);

/// Serves in a thread of its own from now on.
pub(super) fn start(listeners: Vec<TcpListener>, counts: Arc<Counts>) -> io::Result<()> {
    let poller = Poller::new()?;
    for (key, listener) in listeners.iter().enumerate() {
        listener.set_nonblocking(true)?;
        poller.add(listener, key as u64, EventFlags::IN)?;
    }
    let mut streams = Streams {
        listeners,
        poller,
        connections: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; CHUNK],
        chunk: vec![0x5a; CHUNK],
        counts,
        prodded: 0,
    };
    thread::spawn(move || {
        if let Err(error) = streams.run() {
            eprintln!("bench: the server broke: {error}");
        }
    });
    Ok(())
}

impl Streams {
    fn run(&mut self) -> io::Result<()> {
        loop {
            // Without connections there is nobody to prod.
            let idle = self.connections.len() == self.free.len();
            let events = self.poller.wait((!idle).then_some(TURN))?;
            for (key, _) in events {
                match (key as usize).checked_sub(self.listeners.len()) {
                    None => self.accept(key as usize)?,
                    Some(at) => self.serve(at),
                }
            }
            self.prod();
        }
    }

    fn accept(&mut self, listener: usize) -> io::Result<()> {
        loop {
            let stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // Out of descriptors: the caller sees how many are served.
                Err(_) => return Ok(()),
            };
            stream.set_nonblocking(true)?;
            let at = self.free.pop().unwrap_or(self.connections.len());
            if at == self.connections.len() {
                self.connections.push(None);
            }
            let key = (self.listeners.len() + at) as u64;
            self.poller.add(&stream, key, EventFlags::IN)?;
            let task = Task::Unknown;
            self.connections[at] = Some(Connection { stream, task });
        }
    }

    fn serve(&mut self, at: usize) {
        let Some(connection) = self.connections[at].as_mut() else {
            return;
        };
        let result = match connection.task {
            Task::Unknown => begin(connection, &self.counts).and_then(|()| {
                let key = (self.listeners.len() + at) as u64;
                let interest = match connection.task {
                    Task::Source => EventFlags::OUT,
                    // What comes on a held line stays unread.
                    Task::Hold => EventFlags::RDHUP,
                    Task::Unknown | Task::Sink => EventFlags::IN,
                };
                self.poller.change(&connection.stream, key, interest)
            }),
            Task::Sink => sink(&mut connection.stream, &mut self.buffer, &self.counts),
            Task::Source => connection.stream.write(&self.chunk).map(drop),
            Task::Hold => Err(ErrorKind::UnexpectedEof.into()),
        };
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(()) => {}
            Err(_) => {
                if connection.task == Task::Hold {
                    self.counts.held.fetch_sub(1, Ordering::Relaxed);
                }
                self.connections[at] = None;
                self.free.push(at);
            }
        }
    }

    /// Gives each connection that is held an octet if that was asked for.
    fn prod(&mut self) {
        let wanted = Counts::of(&self.counts.prods);
        if wanted == self.prodded {
            return;
        }
        self.prodded = wanted;
        for connection in self.connections.iter_mut().flatten() {
            if connection.task == Task::Hold {
                // Of one that breaks there will be an event.
                let _ = connection.stream.write(&[1]);
            }
        }
    }
}

fn begin(connection: &mut Connection, counts: &Counts) -> io::Result<()> {
    let mut request = [0; 5];
    connection.stream.read_exact(&mut request)?;
    let kind = |kind: Kind| request[0] == kind.code();
    connection.task = if kind(Kind::Out) {
        Task::Sink
    } else if kind(Kind::In) {
        Task::Source
    } else if kind(Kind::Idle) {
        Counts::add(&counts.held, 1);
        Task::Hold
    } else {
        return Err(ErrorKind::InvalidData.into());
    };
    Ok(())
}

fn sink(stream: &mut TcpStream, buffer: &mut [u8], counts: &Counts) -> io::Result<()> {
    match stream.read(buffer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        len => {
            std::hint::black_box(touch(&buffer[..len]));
            Counts::add(&counts.octets, len as u64);
            Ok(())
        }
    }
}
