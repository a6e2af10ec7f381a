//! The program that is run inside each network. It says `ready`, waits for a line, loads the
//! server outside, says what it saw as one line of JSON, and stays until it is told to go: so
//! whoever measures can look at the helper before, after, and while nothing happens.

mod bulk;
pub(crate) mod datagrams;
pub(crate) mod flows;
mod small;

use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Octets of one write or read.
pub(crate) const CHUNK: usize = 128 * 1024;

/// How long anything may stand still before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do, to whom, how long.
#[derive(clap::Args)]
pub(crate) struct Flags {
    kind: Kind,
    /// Of the server; several ports are taken in turn.
    #[arg(required = true)]
    servers: Vec<SocketAddr>,
    /// Seconds.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Connections of a bulk load.
    #[arg(long, default_value_t = 1)]
    flows: usize,
    /// Octets of a datagram.
    #[arg(long, default_value_t = 1400)]
    size: usize,
    /// Datagrams per second; 0 is as many as can be.
    #[arg(long, default_value_t = 0)]
    pace: u32,
}

/// Which load.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Send as fast as possible.
    Out,
    /// Receive as fast as possible.
    In,
    /// One octet there, one back, again and again.
    Exchange,
    /// Connect, one octet there, one back, close, again and again.
    Connect,
    /// Exchanges beside a connection that sends.
    LatencyOut,
    /// Exchanges beside a connection that receives.
    LatencyIn,
    /// Send datagrams.
    DatagramsOut,
    /// Receive datagrams.
    DatagramsIn,
    /// Connections that do nothing, as many as are asked for, one line after the other.
    Idle,
}

impl Kind {
    /// The octet that tells the server what a connection is for.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Out => b'o',
            Self::In => b'i',
            Self::Exchange => b'e',
            Self::Connect => b'c',
            Self::Idle => b'h',
            Self::LatencyOut | Self::LatencyIn | Self::DatagramsOut | Self::DatagramsIn => b'?',
        }
    }
}

/// What the load saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Octets, exchanges, connections or datagrams.
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// Of small exchanges, microseconds: 50, 90 and 99 of a hundred were done by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percentiles: Option<[f64; 3]>,
}

impl Report {
    fn new(count: u64, took: Duration) -> Self {
        Self {
            count,
            seconds: took.as_secs_f64(),
            percentiles: None,
        }
    }
}

/// The line that says that the load is there.
pub(crate) const READY: &str = "ready";

pub(crate) fn run(flags: &Flags) -> io::Result<()> {
    let server = flags.servers[0];
    let time = Duration::from_secs_f64(flags.seconds);
    let mut commands = io::stdin().lock().lines();
    say(READY)?;
    if flags.kind == Kind::Idle {
        return flows::run(&flags.servers, &mut commands);
    }
    wait(&mut commands);
    let report = match flags.kind {
        Kind::Out => bulk::send(server, flags.flows, time)?,
        Kind::In => bulk::receive(server, flags.flows, time)?,
        Kind::Exchange => small::exchange(server, time)?,
        Kind::Connect => small::connect_often(server, time)?,
        Kind::LatencyOut | Kind::LatencyIn => small::under_load(&flags.servers, flags.kind, time)?,
        Kind::DatagramsOut => datagrams::send(server, flags.size, flags.pace, time)?,
        Kind::DatagramsIn => datagrams::receive(server, flags.size, flags.pace, time)?,
        Kind::Idle => unreachable!("was run above"),
    };
    say(&serde_json::to_string(&report)?)?;
    wait(&mut commands);
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// For a line, or the end of all lines.
fn wait(commands: &mut impl Iterator<Item = io::Result<String>>) {
    let _ = commands.next();
}
