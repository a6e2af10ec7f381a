//! The program's side: it opens, checks what it gets, and ends the oldest.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;

use super::Tally;
use super::flow::{Fate, Flow};
use crate::load::READY;
use crate::load::flows::start_call;
use crate::run::limits::raise_open_files;
use crate::run::poller::Poller;

#[derive(clap::Args)]
pub(crate) struct Flags {
    #[arg(required = true)]
    servers: Vec<SocketAddr>,
    #[arg(long)]
    flows: usize,
    #[arg(long)]
    rate: u32,
    #[arg(long)]
    seconds: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    /// It wants `back` octets.
    Reading,
    Whole,
    /// What it waits for is its end.
    Ending,
}

struct Line {
    stream: TcpStream,
    flow: Flow,
    number: u32,
    state: State,
    got: Vec<u8>,
}

struct Inside {
    servers: Vec<SocketAddr>,
    poller: Poller,
    /// By number, which is the key of the poller.
    lines: Vec<Option<Line>>,
    /// Those that are to end, the oldest first.
    standing: VecDeque<u32>,
    living: usize,
    tally: Tally,
}

/// Without all flows open, or all gone, after so long something is wrong.
const PATIENCE: Duration = Duration::from_secs(20);

const TICK: Duration = Duration::from_millis(5);

pub(crate) fn run(flags: &Flags) -> io::Result<()> {
    raise_open_files();
    println!("{READY}");
    io::stdout().flush()?;
    io::stdin().read_line(&mut String::new())?;
    let mut inside = Inside {
        servers: flags.servers.clone(),
        poller: Poller::new()?,
        lines: Vec::new(),
        standing: VecDeque::new(),
        living: 0,
        tally: Tally::default(),
    };
    let start = Instant::now();
    while inside.standing.len() < flags.flows && start.elapsed() < PATIENCE * 5 {
        while inside.living - inside.standing.len() < 100 && inside.living < flags.flows {
            inside.open()?;
        }
        inside.turn()?;
    }
    println!("{} stand", inside.standing.len());
    io::stdout().flush()?;
    let (start, mut due) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(flags.seconds.into()) {
        let now = (start.elapsed().as_secs_f64() * f64::from(flags.rate)) as u64;
        for _ in due..now {
            inside.end_oldest();
            inside.open()?;
        }
        due = now;
        inside.turn()?;
    }
    let start = Instant::now();
    while inside.living > 0 && start.elapsed() < PATIENCE * 2 {
        for _ in 0..100 {
            inside.end_oldest();
        }
        inside.turn()?;
    }
    if inside.living > 0 {
        let left = inside.living;
        inside.tally.wrong(&format!("{left} flows do not end"));
    }
    println!("{}", serde_json::to_string(&inside.tally)?);
    io::stdout().flush()?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

impl Inside {
    fn open(&mut self) -> io::Result<()> {
        let number = self.lines.len() as u32;
        let server = self.servers[number as usize % self.servers.len()];
        let stream = TcpStream::from(start_call(server)?);
        self.poller.add(&stream, number.into(), EventFlags::OUT)?;
        self.lines.push(Some(Line {
            stream,
            flow: Flow::of(number),
            number,
            state: State::Calling,
            got: Vec::new(),
        }));
        self.living += 1;
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        for (key, _) in self.poller.wait(Some(TICK))? {
            let Some(line) = self.lines[key as usize].as_mut() else {
                continue;
            };
            let before = line.state;
            let result = match before {
                State::Calling => call_stands(line, &self.poller),
                State::Reading | State::Whole | State::Ending => hear(line),
            };
            let number = line.number;
            match result {
                Ok(false) if line.state == before => {}
                Ok(false) if before == State::Calling => self.tally.opened += 1,
                Ok(false) => self.standing.push_back(number),
                Ok(true) => self.gone(number, None),
                Err(error) => self.gone(number, Some(error)),
            }
        }
        Ok(())
    }

    /// Ends the flow that has stood longest, as it is to end.
    fn end_oldest(&mut self) {
        let Some(number) = self.standing.pop_front() else {
            return;
        };
        let Some(line) = self.lines[number as usize].as_mut() else {
            return;
        };
        line.state = State::Ending;
        let result = match line.flow.fate {
            Fate::Order => line.stream.shutdown(Shutdown::Write),
            Fate::KilledOutside => line.stream.write_all(b"!"),
            Fate::KilledInside => {
                let set = sockopt::set_socket_linger(&line.stream, Some(Duration::ZERO));
                self.lines[number as usize] = None;
                self.living -= 1;
                self.tally.killed_inside += 1;
                set.map_err(io::Error::from)
            }
        };
        if let Err(error) = result {
            self.tally.wrong(&format!("cannot end: {}", error.kind()));
        }
    }

    /// Its end was seen.
    fn gone(&mut self, number: u32, error: Option<io::Error>) {
        let Some(line) = self.lines[number as usize].take() else {
            return;
        };
        self.living -= 1;
        let reset = error.as_ref().map(io::Error::kind) == Some(ErrorKind::ConnectionReset);
        match (line.state, line.flow.fate, &error) {
            (State::Ending, Fate::Order, None) => {
                self.tally.whole += 1;
                self.tally.octets_out += line.flow.out as u64;
                self.tally.octets_in += line.flow.back as u64;
            }
            (State::Ending, Fate::KilledOutside, Some(_)) if reset => {
                self.tally.killed_outside += 1;
            }
            (state, fate, error) => {
                let when = match state {
                    State::Calling => "while calling",
                    State::Reading => "while reading",
                    State::Whole => "before its time",
                    State::Ending => "at its end",
                };
                let what = error
                    .as_ref()
                    .map_or("its end".into(), |error| error.kind().to_string());
                self.tally.wrong(&format!("{fate:?} {when}: {what}"));
                self.standing.retain(|standing| *standing != number);
            }
        }
    }
}

/// Says what the flow is, and sends all that it has to send.
fn call_stands(line: &mut Line, poller: &Poller) -> io::Result<bool> {
    sockopt::socket_error(&line.stream)??;
    let mut octets = vec![b'l'];
    octets.extend(line.number.to_be_bytes());
    octets.extend(Flow::octets(line.flow.out));
    line.stream.write_all(&octets)?;
    line.state = State::Reading;
    poller.change(&line.stream, line.number.into(), EventFlags::IN)?;
    Ok(false)
}

/// Takes what came; whether it was the end.
fn hear(line: &mut Line) -> io::Result<bool> {
    let mut octets = [0; 4_096];
    let len = match line.stream.read(&mut octets) {
        Ok(0) => return Ok(true),
        Ok(len) => len,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    };
    line.got.extend(&octets[..len]);
    if line.got.len() > line.flow.back {
        return Err(io::Error::other("more than was sent"));
    }
    if line.got.len() == line.flow.back && line.state == State::Reading {
        if line.got != Flow::octets(line.flow.back) {
            return Err(io::Error::other("other octets"));
        }
        line.state = State::Whole;
    }
    Ok(false)
}
