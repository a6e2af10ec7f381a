//! The server's side, in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;

use super::Tally;
use super::flow::{Fate, Flow, REQUEST};
use crate::run::poller::Poller;

/// Destination ports.
const PORTS: usize = 8;

pub(super) struct Outside {
    pub(super) ports: Vec<u16>,
    tally: Arc<Mutex<Tally>>,
}

impl Outside {
    pub(super) fn tally(&self) -> Tally {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.clone()
    }
}

struct Line {
    stream: TcpStream,
    /// Known once the request is there.
    flow: Option<Flow>,
    got: Vec<u8>,
}

struct Server {
    listeners: Vec<TcpListener>,
    poller: Poller,
    lines: Vec<Option<Line>>,
    free: Vec<usize>,
    tally: Arc<Mutex<Tally>>,
}

/// How a line went on.
enum Step {
    Goes,
    Whole(Flow),
    Kill,
    /// The other side's reset, as it was to be.
    Killed,
}

pub(super) fn start() -> io::Result<Outside> {
    let poller = Poller::new()?;
    let (mut listeners, mut ports) = (Vec::new(), Vec::new());
    for key in 0..PORTS {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        rustix::net::listen(&listener, 4_096)?;
        listener.set_nonblocking(true)?;
        ports.push(listener.local_addr()?.port());
        poller.add(&listener, key as u64, EventFlags::IN)?;
        listeners.push(listener);
    }
    let tally = Arc::new(Mutex::new(Tally::default()));
    let mut server = Server {
        listeners,
        poller,
        lines: Vec::new(),
        free: Vec::new(),
        tally: Arc::clone(&tally),
    };
    thread::spawn(move || {
        if let Err(error) = server.run() {
            eprintln!("bench: the server broke: {error}");
        }
    });
    Ok(Outside { ports, tally })
}

impl Server {
    fn run(&mut self) -> io::Result<()> {
        loop {
            for (key, _) in self.poller.wait(None)? {
                match (key as usize).checked_sub(PORTS) {
                    None => self.accept(key as usize)?,
                    Some(at) => self.serve(at),
                }
            }
        }
    }

    fn accept(&mut self, listener: usize) -> io::Result<()> {
        // An error is that nobody waits any more, or that there are no descriptors, which the
        // caller sees.
        while let Ok((stream, _)) = self.listeners[listener].accept() {
            stream.set_nonblocking(true)?;
            let at = self.free.pop().unwrap_or(self.lines.len());
            if at == self.lines.len() {
                self.lines.push(None);
            }
            self.poller
                .add(&stream, (PORTS + at) as u64, EventFlags::IN)?;
            self.lines[at] = Some(Line {
                stream,
                flow: None,
                got: Vec::new(),
            });
            self.note(|tally| tally.opened += 1);
        }
        Ok(())
    }

    fn note(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn serve(&mut self, at: usize) {
        let Some(line) = self.lines[at].as_mut() else {
            return;
        };
        match hear(line) {
            Ok(Step::Goes) => return,
            Ok(Step::Whole(flow)) => self.note(|tally| {
                tally.whole += 1;
                tally.octets_out += flow.out as u64;
                tally.octets_in += flow.back as u64;
            }),
            Ok(Step::Kill) => {
                let set = sockopt::set_socket_linger(&line.stream, Some(Duration::ZERO));
                self.note(|tally| match set {
                    Ok(()) => tally.killed_outside += 1,
                    Err(_) => tally.wrong("cannot kill"),
                });
            }
            Ok(Step::Killed) => self.note(|tally| tally.killed_inside += 1),
            Err(error) => self.note(|tally| tally.wrong(&error.to_string())),
        }
        self.lines[at] = None;
        self.free.push(at);
    }
}

fn hear(line: &mut Line) -> io::Result<Step> {
    let mut octets = [0; 8_192];
    let len = match line.stream.read(&mut octets) {
        Ok(len) => len,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Goes),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {
            return match line.flow {
                Some(flow) if flow.fate == Fate::KilledInside => Ok(Step::Killed),
                _ => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    line.got.extend(&octets[..len]);
    if line.flow.is_none()
        && let Some([b'l', a, b, c, d]) = line.got.first_chunk::<REQUEST>()
    {
        let flow = Flow::of(u32::from_be_bytes([*a, *b, *c, *d]));
        line.stream.write_all(&Flow::octets(flow.back))?;
        line.flow = Some(flow);
    }
    let wanted = line.flow.map(|flow| (flow, REQUEST + flow.out));
    match wanted {
        Some((flow, wanted)) if line.got.len() >= wanted => {
            if line.got[REQUEST..wanted] != Flow::octets(flow.out)[..] {
                return Err(io::Error::other("other octets"));
            }
            match (flow.fate, &line.got[wanted..], len) {
                (Fate::KilledOutside, b"!", _) => Ok(Step::Kill),
                (Fate::Order, b"", 0) => Ok(Step::Whole(flow)),
                (_, b"", 1..) => Ok(Step::Goes),
                (fate, _, 0) => Err(io::Error::other(format!("{fate:?} ends too soon"))),
                _ => Err(io::Error::other("more than was to come")),
            }
        }
        _ if len == 0 => Err(io::Error::other("ends before all has come")),
        _ => Ok(Step::Goes),
    }
}
