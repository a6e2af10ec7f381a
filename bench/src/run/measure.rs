//! One figure of one network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::figure::{Direction, Figure};
use super::helper::Helper;
use super::launcher::{Kind, Launcher, Order};
use super::running::Running;
use super::server::{Counts, Server};
use crate::load::{READY, Report};

/// How long a launcher may take to start, and anything to end.
const PATIENCE: Duration = Duration::from_secs(12);

/// How long opening very many flows may take.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// What is on its way when a load ends has this long to arrive.
const SETTLE: Duration = Duration::from_millis(300);

/// Starts of a program for one value.
const STARTS: usize = 9;

pub(crate) struct Bench {
    pub(crate) server: Server,
    /// This program, where everybody can run it.
    pub(crate) load: PathBuf,
    /// For what the programs say.
    pub(crate) directory: PathBuf,
    pub(crate) seconds: f64,
}

/// A value for each row of the figure.
type Values = Vec<Option<f64>>;

impl Bench {
    pub(crate) fn measure(&self, figure: Figure, launcher: &Launcher) -> Result<Values, String> {
        match figure {
            Figure::Start => self.start_up(launcher),
            Figure::Idle { flows } => self.idle(flows, launcher),
            _ => self.load(figure, launcher),
        }
    }

    /// The median of several starts, milliseconds. The bare kernel makes the namespaces, too.
    fn start_up(&self, launcher: &Launcher) -> Result<Values, String> {
        let words: &[&str] = match launcher.kind {
            Kind::Kernel => &["unshare", "--user", "--map-root-user", "--net", "true"],
            _ => &["true"],
        };
        let program: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut took = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            let start = Instant::now();
            let running = self.spawn(launcher, &program, None)?;
            let status = running.end(PATIENCE)?;
            took.push(start.elapsed().as_secs_f64() * 1e3);
            if !status.success() {
                return Err(status.to_string());
            }
        }
        took.sort_by(f64::total_cmp);
        Ok(vec![Some(took[STARTS / 2])])
    }

    fn spawn(
        &self,
        launcher: &Launcher,
        program: &[OsString],
        mtu: Option<u32>,
    ) -> Result<Running, String> {
        let order = Order {
            program,
            mtu,
            tcp: &self.server.tcp_ports(),
            udp: &self.server.udp_ports(),
            publish: None,
            v6: false,
            directory: &self.directory,
        };
        launcher.spawn(&order).map_err(|error| error.to_string())
    }

    /// Starts the load of `figure`; it is ready then, and so is the helper.
    fn begin(&self, figure: Figure, launcher: &Launcher) -> Result<(Running, Helper), String> {
        let host = launcher.host().ok_or("the host has no address there")?;
        let server = &self.server;
        let ports = match figure {
            Figure::Bulk { .. } => vec![server.bulk],
            Figure::Exchange | Figure::Start => vec![server.echo],
            Figure::Connect => vec![server.short],
            Figure::Latency(_) => vec![server.bulk, server.echo],
            Figure::Idle { .. } => server.held.clone(),
            Figure::Datagrams { direction, .. } => vec![match direction {
                Direction::Out => server.sink,
                Direction::In => server.source,
            }],
        };
        let (flows, mtu) = match figure {
            Figure::Bulk { flows, mtu, .. } => (flows, mtu),
            _ => (1, None),
        };
        let size = match figure {
            Figure::Datagrams { size, .. } => size,
            _ => 1,
        };
        let kind = clap::ValueEnum::to_possible_value(&figure.load());
        let kind = kind.map_or_else(String::new, |kind| kind.get_name().to_owned());
        let mut program: Vec<OsString> = vec![self.load.clone().into(), "load".into(), kind.into()];
        program.extend(ports.iter().map(|port| format!("{host}:{port}").into()));
        for (flag, value) in [
            ("seconds", self.seconds.to_string()),
            ("flows", flows.to_string()),
            ("size", size.to_string()),
            ("pace", figure.pace().to_string()),
        ] {
            program.push(format!("--{flag}={value}").into());
        }
        let mut running = self.spawn(launcher, &program, mtu)?;
        // A launcher may talk before.
        while running.line(PATIENCE)? != READY {}
        let helper = running.helper();
        Ok((running, helper))
    }

    fn load(&self, figure: Figure, launcher: &Launcher) -> Result<Values, String> {
        let (mut running, helper) = self.begin(figure, launcher)?;
        let counts = &self.server.counts;
        let octets = Counts::of(&counts.octets);
        let datagrams = Counts::of(&counts.datagrams);
        let before = helper.cpu();
        running.tell("go")?;
        let patience = Duration::from_secs_f64(self.seconds) + PATIENCE;
        let report = next_report(&mut running, patience)?;
        let cpu = helper.cpu() - before;
        let rate = report.count as f64 / report.seconds;
        let each = cpu * 1e6 / report.count.max(1) as f64;
        let values = match figure {
            Figure::Bulk { direction, .. } => {
                let count = match direction {
                    Direction::Out => Counts::of(&counts.octets) - octets,
                    Direction::In => report.count,
                } as f64;
                if count == 0.0 {
                    return Err("nothing arrived".into());
                }
                let bits = count * 8.0 / 1e6 / report.seconds;
                vec![Some(bits), Some(cpu / (count / 1e9))]
            }
            Figure::Exchange => {
                let then = helper.cpu();
                thread::sleep(Duration::from_secs(1));
                let after = (helper.cpu() - then) * 1e3;
                vec![Some(rate), Some(each), Some(after)]
            }
            Figure::Connect => vec![Some(rate), Some(each)],
            Figure::Latency(_) => {
                let percentiles = report.percentiles.ok_or("no exchange came back")?;
                percentiles.map(Some).into()
            }
            Figure::Datagrams {
                direction,
                size,
                paced,
            } => {
                thread::sleep(SETTLE);
                let (sent, received) = match direction {
                    Direction::Out => (report.count, Counts::of(&counts.datagrams) - datagrams),
                    Direction::In => (Counts::of(&counts.datagrams_sent), report.count),
                };
                let loss = 100.0 * (1.0 - received as f64 / sent.max(1) as f64);
                let bits = received as f64 * size as f64 * 8.0 / 1e6 / report.seconds;
                match paced {
                    true => vec![Some(loss)],
                    false => vec![Some(bits), Some(loss)],
                }
            }
            Figure::Idle { .. } | Figure::Start => Vec::new(),
        };
        // Some launchers stay when their program ends; they are stopped then.
        let _ = running.end(Duration::from_millis(500));
        Ok(values)
    }

    /// What the helper needs for flows that do nothing, and when each holds an unread octet
    /// on both sides.
    fn idle(&self, flows: usize, launcher: &Launcher) -> Result<Values, String> {
        let (mut running, helper) = self.begin(Figure::Idle { flows }, launcher)?;
        let mib = |octets: u64| octets as f64 / f64::from(1 << 20);
        let nothing = helper.resident();
        running.tell("open 1000")?;
        let first = next_report(&mut running, LONG_PATIENCE)?;
        thread::sleep(SETTLE);
        let few = helper.resident();
        let mut took = first.seconds;
        let mut opened = first.count;
        if flows > 1_000 {
            running.tell(&format!("open {flows}"))?;
            let rest = next_report(&mut running, LONG_PATIENCE)?;
            took += rest.seconds;
            opened = rest.count;
        }
        thread::sleep(SETTLE);
        // Those that stand at both ends.
        let opened = opened.min(Counts::of(&self.server.counts.held));
        let many = helper.resident();
        Counts::add(&self.server.counts.prods, 1);
        running.tell("send")?;
        next_report(&mut running, PATIENCE)?;
        thread::sleep(Duration::from_secs(2));
        let unread = helper.resident();
        let is_kernel = launcher.kind == Kind::Kernel;
        let memory = |value: f64| (!is_kernel).then_some(value);
        let each = |more: u64, than: u64| {
            (more as f64 - than as f64).max(0.0) / 1024.0 / opened.max(1) as f64
        };
        running.tell("end")?;
        let _ = running.end(PATIENCE);
        self.wait_for_nobody();
        Ok(vec![
            Some(opened as f64),
            Some(took),
            memory(mib(nothing)),
            memory(mib(few)),
            memory(mib(many)),
            memory(each(many, nothing)),
            memory(each(unread, many)),
        ])
    }

    /// Until the server has seen the end of all that it held.
    fn wait_for_nobody(&self) {
        let deadline = Instant::now() + PATIENCE;
        while Counts::of(&self.server.counts.held) > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn next_report(running: &mut Running, patience: Duration) -> Result<Report, String> {
    loop {
        let line = running.line(patience)?;
        if let Ok(report) = serde_json::from_str(&line) {
            return Ok(report);
        }
    }
}
