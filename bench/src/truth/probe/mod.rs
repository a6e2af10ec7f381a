//! The program that each launcher runs: it tries one thing after the other and says what it
//! was told.

mod icmp;
mod names;
mod tcp;
mod udp;

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::addresses::{INBOUND_PORT, Nowhere};
use super::errno_name;
use crate::load::READY;

/// How long one thing may take.
const PATIENCE: Duration = Duration::from_secs(25);

#[derive(clap::Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    inside: Inside,
    /// Rows by their keys; `listen` and `stall` stand alone.
    #[arg(required = true)]
    rows: Vec<String>,
}

/// What differs inside the launchers.
#[derive(clap::Args, Clone, Debug)]
struct Inside {
    /// Where the host is.
    #[arg(long)]
    host4: Option<IpAddr>,
    #[arg(long)]
    host6: Option<IpAddr>,
    /// The name server.
    #[arg(long)]
    dns: IpAddr,
}

/// What was found out.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) row: String,
    pub(crate) answer: String,
}

pub(crate) fn run(flags: &Flags) -> io::Result<()> {
    match &flags.rows[..] {
        [row] if row == "listen" => tcp::listen(INBOUND_PORT),
        [row] if row == "stall" => tcp::stall(),
        rows => say(rows, &flags.inside),
    }
}

fn say(rows: &[String], inside: &Inside) -> io::Result<()> {
    for row in rows {
        let (sender, receiver) = channel();
        let (task, inside) = (row.clone(), inside.clone());
        // One that hangs is left behind.
        thread::spawn(move || {
            let answer = probe(&task, &inside);
            sender.send(answer.unwrap_or_else(|error| errno_name(&error)))
        });
        let answer = receiver.recv_timeout(PATIENCE);
        let answer = Answer {
            row: row.clone(),
            answer: answer.unwrap_or_else(|_| "hangs".into()),
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", serde_json::to_string(&answer)?)?;
        stdout.flush()?;
    }
    // Threads that hang do not keep the process.
    std::process::exit(0);
}

/// Says that it is there.
fn ready() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{READY}")?;
    stdout.flush()
}

fn probe(row: &str, inside: &Inside) -> io::Result<String> {
    let v6 = row.ends_with("-v6");
    let key = row.trim_end_matches("-v6").trim_end_matches("-v4");
    let pick = |nowhere: Nowhere| if v6 { nowhere.v6() } else { nowhere.v4() };
    match key {
        "half-close-client" => tcp::half_close_by_client(v6),
        "half-close-server" => tcp::half_close_by_server(v6),
        "closed-port" => tcp::closed_port(v6),
        "no-route" => tcp::refusal(pick(Nowhere::NoRoute)),
        "prohibited" => tcp::refusal(pick(Nowhere::Prohibited)),
        "unreachable" => tcp::refusal(pick(Nowhere::Unreachable)),
        "filtered" => tcp::refusal(pick(Nowhere::Filtered)),
        "black-hole" => tcp::refusal(pick(Nowhere::BlackHole)),
        "tcp" => tcp::whole(v6, false, 1 << 20),
        "reset-server" => tcp::reset_by_server(v6),
        "reset-client" => tcp::reset_by_client(v6),
        "urgent-out" => tcp::urgent_out(v6),
        "urgent-in" => tcp::urgent_in(v6),
        "bulk" => tcp::whole(v6, false, 48 << 20),
        "narrow-tcp" => tcp::whole(v6, true, 4 << 20),
        "udp-60000" => udp::echo(v6, 60_000),
        "udp-65507" => udp::echo(v6, 65_507),
        "udp-closed" => udp::closed(v6),
        "udp-flows" => udp::flows(v6, 500),
        "narrow-udp" => udp::path_mtu(v6),
        "udp-unreachable" => udp::refusal(pick(Nowhere::Unreachable)),
        "ping-host" => icmp::ping(if v6 { inside.host6 } else { inside.host4 }, 56),
        "ping-beyond" => icmp::ping(Some(super::addresses::server(v6).ip()), 4_000),
        "traceroute" => icmp::traceroute(v6, [inside.host4, inside.host6]),
        "dns-udp" => names::udp(resolver(inside)),
        "dns-tcp" => names::tcp(resolver(inside)),
        "dns-edns" => names::edns(resolver(inside)),
        "dns-truncated" => names::truncated(resolver(inside)),
        "resolver" => Ok(names::resolve("known.example")),
        "resolver-search" => Ok(names::resolve("known")),
        "resolver-hosts" => Ok(names::resolve("inhosts.example")),
        "resolver-localhost" => Ok(names::resolve("localhost")),
        "resolver-none" => Ok(names::resolve("nosuch.example")),
        _ => Err(io::Error::other(format!("no such row: {row}"))),
    }
}

fn resolver(inside: &Inside) -> SocketAddr {
    SocketAddr::new(inside.dns, 53)
}
