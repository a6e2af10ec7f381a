//! The ladder language: one real stack against a peer written by hand.
//!
//! ```text
//! # Only a RST that acknowledges our SYN refuses us (RFC 9293 section 3.10.7.3).
//!    0ms  app  connect
//!    0ms  ->   SYN      seq=0
//!   10ms  <-   RST      seq=0
//!   20ms  <-   RST|ACK  seq=0     ack=1
//!   20ms  app  refused
//! ```
//!
//! A line is a time, who acts, and what. `->` is the stack under test, `<-` the peer, `app`
//! the application. Times count from the beginning; a line without one happens with the line
//! above it. Numbers count from each side's initial sequence number. `<-` lines and the
//! application's calls are inputs; `->` lines and what the application hears are claims. Of a
//! segment only what is written is claimed, but a segment or a piece of news that is not
//! written at all is a mismatch: silence is a claim. `#` starts a comment, `set` lines at the
//! top configure the stack.
//!
//! | Line | Means |
//! |---|---|
//! | `app connect` | opens to the peer's port 80 |
//! | `app connect fast`, `app connect fast N` | the same with Fast Open: without text, or N octets of which all go with the SYN |
//! | `app connect fast N takes M` | of which only M go |
//! | `app listen`, `app accept` | on our port 80; the peer calls from port 40000 |
//! | `app send N` | hands over N octets, all of which are taken |
//! | `app send N takes M` | of which only M are taken |
//! | `app recv N` | reads exactly N octets, which are the right ones |
//! | `app recv nothing`, `app recv eof` | there is nothing to read; the stream has ended |
//! | `app shutdown`, `app close`, `app abort` | half-close, let go, RST |
//! | `app bind PORT`, `app sendto N`, `app recvfrom N` | UDP, to and from the peer's port 53 |
//! | `app set NAME=VALUE` | changes an option of the connection |
//! | `app connected`, `refused`, `reset`, `timed out`, `unreachable WHY`, `acceptable` | it hears this |
//! | `app state STATE` | the connection is in that state |
//! | `<- SYN seq=0 ...` | the peer's segment, as `wire::line` has it; `win=` defaults to 65535 |
//! | `<- port=40001 SYN seq=0` | the same from another port |
//! | `<- bad-checksum ACK ...` | the same, damaged on the way |
//! | `<- icmp WHY from ADDRESS [mtu=N] [seq=N]` | an error about the last packet that we sent |
//! | `<- udp PORT > PORT len=N` | a datagram |
//! | `end` | nothing happens until then |
//! | `idle` | and nothing ever will: no deadline is left |

mod parse;
mod report;
mod run;
mod settings;

use std::path::Path;

use switchboard_wire::Instant;
use switchboard_wire::line::TcpLine;

pub use report::Mismatch;

/// A script that was read.
#[derive(Clone, Debug)]
pub struct Script {
    /// Where it comes from, for whoever reads a mismatch.
    name: String,
    settings: settings::Settings,
    /// Comments and `set` lines in front of the first line.
    head: Vec<String>,
    items: Vec<Item>,
    /// Comments behind the last line.
    tail: Vec<String>,
}

/// One line.
#[derive(Clone, Debug)]
struct Item {
    at: Instant,
    step: Step,
    /// The line as it was written.
    source: String,
    /// Comments and empty lines in front of it.
    comments: Vec<String>,
}

/// What a line does or claims.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// The application calls, or looks.
    Call(Call),
    /// The peer, or somebody on the way, sends.
    Peer(Peer),
    /// Until then nothing happens.
    End,
    /// No deadline is left.
    Idle,
    /// Claim: the application hears this.
    News(String),
    /// Claim: we send this.
    Sent(Sent),
}

/// What the application does.
#[derive(Clone, Debug, PartialEq)]
enum Call {
    Connect,
    FastOpen { octets: usize, taken: usize },
    Listen { backlog: usize },
    Accept,
    Send { octets: usize, taken: usize },
    Receive(usize),
    ReceiveNothing,
    ReceiveEnd,
    Shutdown(switchboard_core::Shutdown),
    Close,
    Abort,
    Unlisten,
    Bind(u16),
    SendTo(usize),
    ReceiveFrom(usize),
    Set(String),
    State(String),
}

/// What comes from outside.
#[derive(Clone, Debug, PartialEq)]
enum Peer {
    Segment {
        port: Option<u16>,
        is_damaged: bool,
        line: TcpLine,
    },
    Icmp {
        why: switchboard_core::Unreachable,
        from: std::net::IpAddr,
        seq: Option<u32>,
    },
    Datagram {
        from: u16,
        to: u16,
        len: usize,
    },
}

/// What we send.
#[derive(Clone, Debug, PartialEq)]
enum Sent {
    Segment {
        port: Option<u16>,
        line: TcpLine,
    },
    /// Anything else, compared word for word.
    Other(String),
}

impl Script {
    /// Reads a script. `name` is where it comes from.
    ///
    /// # Errors
    ///
    /// The first line that is none, with its number.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        parse::script(name, text)
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// What happened beside what was claimed.
    pub fn run(&self) -> Result<(), Box<Mismatch>> {
        let actual = run::run(self);
        report::compare(self, &actual)
    }
}

/// Runs the script in a file. With `UPDATE_LADDERS=1` in the environment a mismatch rewrites
/// the file into what happened.
///
/// # Errors
///
/// The mismatch, or why there is no script, in words.
pub fn run_file(path: &Path) -> Result<(), String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let script = Script::parse(&name, &text)?;
    match script.run() {
        Ok(()) => Ok(()),
        Err(mismatch) => {
            if std::env::var_os("UPDATE_LADDERS").is_some_and(|value| value == "1") {
                std::fs::write(path, mismatch.rewritten())
                    .map_err(|error| format!("{name}: {error}"))?;
            }
            Err(mismatch.to_string())
        }
    }
}

/// Runs a script in a test.
///
/// # Panics
///
/// With both ladders, if something else happened than the script claims.
#[track_caller]
pub fn ladder(text: &str) {
    let script = Script::parse("ladder", text).unwrap_or_else(|error| panic!("{error}"));
    if let Err(mismatch) = script.run() {
        panic!("{mismatch}");
    }
}

#[cfg(test)]
mod tests;
