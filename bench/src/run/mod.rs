//! `bench run`: rootless networks side by side.

mod launcher;
pub(crate) mod server;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use self::launcher::Launcher;
use self::server::Server;
use crate::load::{Kind, Report, seconds_of};
use crate::table::{Figures, Table};

/// How to run it.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Rounds; each runs every network once for every figure.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Only networks whose name contains this (may be given again).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only these figures.
    #[arg(long, value_name = "FIGURE", value_enum)]
    figure: Vec<Figure>,
    /// The program under test; beside this one unless named.
    #[arg(long, value_name = "PATH")]
    switchboard: Option<PathBuf>,
    #[command(flatten)]
    output: crate::Output,
}

/// What is measured.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Out,
    In,
    Exchange,
    Connect,
    Start,
}

const FIGURES: [Figure; 5] = [
    Figure::Out,
    Figure::In,
    Figure::Exchange,
    Figure::Connect,
    Figure::Start,
];

impl Figure {
    fn title(self) -> &'static str {
        match self {
            Self::Out => "TCP out of the program, 1 flow, Mbit/s",
            Self::In => "TCP into it, 1 flow, Mbit/s",
            Self::Exchange => "TCP request/response per s",
            Self::Connect => "connect, 1 byte, close per s",
            Self::Start => "start-up of `true`, ms",
        }
    }

    fn kind(self) -> Option<Kind> {
        match self {
            Self::Out => Some(Kind::Out),
            Self::In => Some(Kind::In),
            Self::Exchange => Some(Kind::Exchange),
            Self::Connect => Some(Kind::Connect),
            Self::Start => None,
        }
    }
}

/// What one run gave: the figure, and for bulk the helper's CPU seconds per 10^9 octets.
type Measured = (f64, Option<f64>);

struct Bench {
    server: Server,
    /// This program, where everybody can run it.
    load: PathBuf,
    /// For what the programs say.
    directory: PathBuf,
    seconds: f64,
}

pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    let directory = std::env::temp_dir().join(format!("switchboard-bench-{}", std::process::id()));
    std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let result = run_in(flags, &directory);
    // Nothing to be done about a copy that stays.
    let _ = std::fs::remove_dir_all(&directory);
    result
}

fn run_in(flags: &Flags, directory: &std::path::Path) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let switchboard = flags
        .switchboard
        .clone()
        .unwrap_or_else(|| own.with_file_name("switchboard"));
    let copy = |program: &PathBuf| launcher::copy_for_everybody(program, directory);
    let bench = Bench {
        server: server::start().map_err(|error| format!("no server: {error}"))?,
        load: copy(&own).map_err(|error| format!("{}: {error}", own.display()))?,
        directory: directory.to_owned(),
        seconds: flags.seconds,
    };
    let switchboard = copy(&switchboard).unwrap_or(switchboard);
    let launchers = launchers(flags, switchboard);
    let names: Vec<String> = launchers.iter().map(Launcher::name).collect();
    let figures: Vec<Figure> = FIGURES
        .into_iter()
        .filter(|figure| flags.figure.is_empty() || flags.figure.contains(figure))
        .collect();

    let mut table = Table::new(&names);
    for figure in figures {
        let (mut values, mut cpu) = (Figures::new(&names), Figures::new(&names));
        for round in 0..flags.rounds {
            for turn in 0..launchers.len() {
                // Forth and back, so that nobody always comes after the same one.
                let turn = if round % 2 == 0 {
                    turn
                } else {
                    launchers.len() - 1 - turn
                };
                eprint!(
                    "\r\x1b[K{}: round {} of {}, {}",
                    figure.title(),
                    round + 1,
                    flags.rounds,
                    names[turn]
                );
                match bench.measure(figure, &launchers[turn]) {
                    Ok((value, helper)) => {
                        values.push(turn, value);
                        helper.into_iter().for_each(|helper| cpu.push(turn, helper));
                    }
                    Err(error) => eprintln!("\r\x1b[K{}, {}: {error}", figure.title(), names[turn]),
                }
            }
        }
        eprint!("\r\x1b[K");
        table.push(figure.title(), values);
        if !cpu.is_empty() {
            table.push("  helper's CPU, s per GB", cpu);
        }
    }
    println!("{}", table.render("switchboard"));
    match &flags.output.json {
        Some(path) => table.write_json(path, "switchboard"),
        None => Ok(()),
    }
}

fn launchers(flags: &Flags, switchboard: PathBuf) -> Vec<Launcher> {
    let mut launchers = vec![Launcher::Kernel, Launcher::Switchboard(switchboard)];
    if let Some(gateway) = launcher::default_gateway() {
        launchers.push(Launcher::PastaTap { gateway });
    } else {
        eprintln!("skipped: pasta's tap needs a default route on the host");
    }
    launchers.push(Launcher::PastaSpliced);
    launchers.push(Launcher::Slirp4netns { mtu: 1_500 });
    launchers.push(Launcher::Slirp4netns { mtu: 65_520 });
    launchers.retain(|launcher| {
        let name = launcher.name();
        if !launcher.is_installed() {
            eprintln!("skipped: {name} is not here");
            return false;
        }
        flags.only.is_empty() || flags.only.iter().any(|only| name.contains(only))
    });
    launchers
}

impl Bench {
    fn measure(&self, figure: Figure, launcher: &Launcher) -> Result<Measured, String> {
        match figure.kind() {
            None => self.start_up(launcher),
            Some(kind) => self.load(kind, launcher),
        }
    }

    fn start_up(&self, launcher: &Launcher) -> Result<Measured, String> {
        let program = [OsString::from("true")];
        let ports = [self.server.port, self.server.short_port];
        let start = Instant::now();
        let output = launcher.run(&program, &ports, &self.directory, Duration::from_secs(10));
        let took = start.elapsed();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok((took.as_secs_f64() * 1e3, None))
        } else {
            Err(complaint(&output))
        }
    }

    fn load(&self, kind: Kind, launcher: &Launcher) -> Result<Measured, String> {
        let port = match kind {
            Kind::Connect => self.server.short_port,
            Kind::Out | Kind::In | Kind::Exchange => self.server.port,
        };
        let server = format!("{}:{port}", launcher.host());
        let name = format!("{kind:?}").to_lowercase();
        let seconds = format!("--seconds={}", self.seconds);
        let mut program: Vec<OsString> = vec![self.load.clone().into()];
        program.extend(["load".into(), name.into(), server.into(), seconds.into()]);
        let ports = [self.server.port, self.server.short_port];
        let patience = Duration::from_secs_f64(self.seconds) + Duration::from_secs(12);

        while self.server.received.try_recv().is_ok() {}
        let before = children_cpu()?;
        let output = launcher
            .run(&program, &ports, &self.directory, patience)
            .map_err(|error| error.to_string())?;
        let cpu = children_cpu()? - before;
        let said = String::from_utf8_lossy(&output.stdout);
        let report = said
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str::<Report>(line).ok());
        let (true, Some(mut report)) = (output.status.success(), report) else {
            return Err(complaint(&output));
        };
        let own_cpu = report.cpu_seconds;
        if kind == Kind::Out {
            let told = self.server.received.recv_timeout(Duration::from_secs(2));
            report = told.map_err(|_| "the server has received nothing")?;
        }
        let rate = report.count as f64 / report.seconds;
        if !matches!(kind, Kind::Out | Kind::In) {
            return Ok((rate, None));
        }
        let helper = match launcher {
            Launcher::Kernel => 0.0,
            _ => (cpu - own_cpu).max(0.0) / (report.count as f64 / 1e9),
        };
        Ok((rate * 8.0 / 1e6, Some(helper)))
    }
}

/// CPU time of all children that have ended.
fn children_cpu() -> Result<f64, String> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| error.to_string())?;
    Ok(seconds_of(usage))
}

/// What a program that failed said last.
fn complaint(output: &std::process::Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().rev().find(|line| !line.trim().is_empty());
    format!("{}: {}", output.status, last.unwrap_or("(no word)"))
}
