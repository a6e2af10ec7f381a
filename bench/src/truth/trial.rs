//! All rows for one launcher.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::addresses::{HOST4, HOST6, INBOUND_PORT, ROUTER4, ROUTER6, SERVER4, server};
use super::probe::Answer;
use super::rows::{ALONE, PROBED, Row};
use super::{Column, probe_words};
use crate::load::READY;
use crate::run::launcher::{API_SOCKET, Kind, Order};
use crate::run::running::Running;

/// How long a launcher may take to start, and one row of the probe.
const PATIENCE: Duration = Duration::from_secs(30);

/// A helper that grows by less than this while nobody reads holds no more than buffers.
const FLAT: u64 = 16 << 20;

/// What each row was answered, by its key.
pub(super) type Answers = HashMap<&'static str, String>;

pub(super) fn run(column: &Column, wanted: &[String], directory: &Path) -> Answers {
    let is_wanted =
        |row: &&Row| wanted.is_empty() || wanted.iter().any(|part| row.key.contains(part));
    let trial = Trial { column, directory };
    let probed: Vec<&Row> = PROBED.iter().filter(is_wanted).collect();
    let mut answers = Answers::new();
    if !probed.is_empty() {
        // What was answered before it broke stays.
        if let Err(error) = trial.probe(&probed, &mut answers) {
            for row in &probed {
                answers.entry(row.key).or_insert_with(|| error.clone());
            }
        }
    }
    for row in ALONE.iter().filter(is_wanted) {
        let answer = match row.key {
            "stall" => trial.stall(),
            "inbound-v4" => trial.inbound(HOST4.into()),
            "inbound-v6" => trial.inbound(HOST6.into()),
            _ => trial.exit_codes(),
        };
        answers.insert(row.key, answer.unwrap_or_else(|error| error));
    }
    answers
}

struct Trial<'a> {
    column: &'a Column,
    directory: &'a Path,
}

impl Trial<'_> {
    fn spawn(&self, program: &[OsString], publish: Option<SocketAddr>) -> Result<Running, String> {
        let order = Order {
            program,
            mtu: None,
            tcp: &[],
            udp: &[],
            publish,
            v6: true,
            directory: self.directory,
        };
        let spawned = self.column.launcher.spawn(&order);
        spawned.map_err(|error| error.to_string())
    }

    /// The probe's words: what it finds where inside this launcher, and what it is to do.
    fn words(&self, rows: &[&str]) -> Result<Vec<OsString>, String> {
        let mut words = probe_words(self.directory)?;
        let slirp6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
        let ours6 = Ipv6Addr::new(0xfd5b, 2, 0, 0, 0, 0, 0, 2);
        let inside: (IpAddr, Option<IpAddr>, IpAddr) = match self.column.launcher.kind {
            Kind::Kernel => (HOST4.into(), Some(HOST6.into()), SERVER4.into()),
            Kind::Switchboard | Kind::SwitchboardVeth => {
                (GATEWAY.into(), Some(ours6.into()), DIRECTORY.into())
            }
            Kind::Slirp4netns => (GATEWAY.into(), Some(slirp6.into()), DIRECTORY.into()),
            // The gateway stands for the host.
            _ => (ROUTER4.into(), Some(ROUTER6.into()), SERVER4.into()),
        };
        let (host4, host6, dns) = inside;
        words.push(format!("--host4={host4}").into());
        if let Some(host6) = host6 {
            words.push(format!("--host6={host6}").into());
        }
        words.push(format!("--dns={dns}").into());
        words.extend(rows.iter().map(OsString::from));
        Ok(words)
    }

    fn probe(&self, rows: &[&Row], answers: &mut Answers) -> Result<(), String> {
        let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
        let mut running = self.spawn(&self.words(&keys)?, None)?;
        while answers.len() < rows.len() {
            let line = running.line(PATIENCE)?;
            let Ok(answer) = serde_json::from_str::<Answer>(&line) else {
                continue;
            };
            if let Some(row) = rows.iter().find(|row| row.key == answer.row) {
                answers.insert(row.key, answer.answer);
            }
        }
        // Whether it passes the end on is another row.
        let _ = running.end(Duration::from_secs(2));
        Ok(())
    }

    /// Whether the writer is held up, and the helper's memory is not what holds the octets.
    fn stall(&self) -> Result<String, String> {
        let mut running = self.spawn(&self.words(&["stall"])?, None)?;
        wait_until_ready(&mut running)?;
        let before = running.helper().resident();
        running.tell("go")?;
        let said = running.line(PATIENCE)?;
        let after = running.helper().resident();
        let grown = after.saturating_sub(before);
        let word = said.split(' ').next().unwrap_or_default().to_owned();
        running.tell("end")?;
        let _ = running.end(Duration::from_secs(2));
        Ok(match grown {
            0..FLAT => format!("{word}, memory flat"),
            _ => format!("{word}, helper grows by {} MiB", grown >> 20),
        })
    }

    /// Whom the program sees when the server, a machine outside, calls the host's port.
    fn inbound(&self, host: IpAddr) -> Result<String, String> {
        let any: IpAddr = match host {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let publish = SocketAddr::new(any, INBOUND_PORT);
        let mut running = self.spawn(&self.words(&["listen"])?, Some(publish))?;
        wait_until_ready(&mut running)?;
        if self.column.launcher.kind == Kind::Slirp4netns {
            if host.is_ipv6() {
                return Ok("no such forward".into());
            }
            publish_by_api(&self.directory.join(API_SOCKET))?;
        }
        let called = call(SocketAddr::new(host, INBOUND_PORT));
        let answer = called.map_err(|error| error.to_string())?;
        running.tell("end")?;
        let _ = running.end(Duration::from_secs(2));
        Ok(answer)
    }

    fn exit_codes(&self) -> Result<String, String> {
        let mut codes = Vec::new();
        for script in ["exit 42", "kill -KILL $$"] {
            let program = ["sh", "-c", script].map(OsString::from);
            let status = self.spawn(&program, None)?.end(PATIENCE)?;
            // As a shell says it.
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            codes.push(status.code().or(signal.map(|signal| 128 + signal)));
        }
        let words = codes.iter().map(|code| match code {
            Some(code) => code.to_string(),
            None => "none".into(),
        });
        Ok(words.collect::<Vec<_>>().join(" and "))
    }
}

/// The gateway and the directory of our network and of slirp4netns's.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const DIRECTORY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

fn wait_until_ready(running: &mut Running) -> Result<(), String> {
    while running.line(PATIENCE)? != READY {}
    Ok(())
}

/// Has the server call; what it heard. A forward may take a moment to stand.
fn call(address: SocketAddr) -> std::io::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let mut stream = TcpStream::connect_timeout(&server(false), PATIENCE)?;
        stream.write_all(format!("call {address}\n").as_bytes())?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        if said.parse::<IpAddr>().is_ok() || Instant::now() > deadline {
            return Ok(said);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

fn publish_by_api(socket: &Path) -> Result<(), String> {
    let request = serde_json::json!({
        "execute": "add_hostfwd",
        "arguments": {
            "proto": "tcp",
            "host_addr": "0.0.0.0",
            "host_port": INBOUND_PORT,
            "guest_port": INBOUND_PORT,
        },
    });
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(request.to_string().as_bytes())?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok::<String, std::io::Error>(said)
    };
    match ask() {
        Ok(said) if said.contains("return") => Ok(()),
        Ok(said) => Err(said),
        Err(error) => Err(error.to_string()),
    }
}
