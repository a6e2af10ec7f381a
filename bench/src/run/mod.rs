//! `bench run`: rootless networks side by side.

mod figure;
pub(crate) mod helper;
pub(crate) mod launcher;
pub(crate) mod limits;
mod measure;
pub(crate) mod poller;
pub(crate) mod running;
pub(crate) mod server;
mod verdict;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use self::figure::{Figure, Group};
use self::launcher::{Kind, Launcher};
use self::measure::Bench;
use crate::plot;
use crate::table::{Figures, Table};

/// How to run it.
#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Rounds; each runs every network once for every figure
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each load
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// One round of half a second, and fewer figures: shows that all of it works, and no figure
    /// that means anything
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
    quick: bool,
    /// Only networks whose name contains this (may be given again)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only these figures
    #[arg(long, value_name = "FIGURE", value_enum, value_delimiter = ',')]
    figure: Vec<Group>,
    /// Draw the ratios to this file, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    programs: Programs,
    #[command(flatten)]
    output: crate::Output,
}

/// Which builds are run.
#[derive(clap::Args)]
pub(crate) struct Programs {
    /// The program under test; beside this one unless named
    #[arg(long, value_name = "PATH")]
    pub(crate) switchboard: Option<PathBuf>,
    /// Another pasta than the one in the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) pasta: Option<PathBuf>,
    /// Another slirp4netns than the one in the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) slirp4netns: Option<PathBuf>,
    /// Another tun2proxy than the one in the PATH
    #[arg(long, value_name = "PATH")]
    pub(crate) tun2proxy: Option<PathBuf>,
}

/// The column under test.
const OURS: &str = "switchboard";

pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    in_directory("switchboard-bench", |directory| run_in(flags, directory))
}

/// Runs `work` with a directory that everybody may read and that is gone afterwards.
pub(crate) fn in_directory<T>(
    name: &str,
    work: impl FnOnce(&Path) -> Result<T, String>,
) -> Result<T, String> {
    let directory = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let result = work(&directory);
    // Nothing to be done about a copy that stays.
    let _ = std::fs::remove_dir_all(&directory);
    result
}

fn run_in(flags: &Flags, directory: &Path) -> Result<(), String> {
    limits::raise_open_files();
    let launchers = launchers(flags, directory)?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let load = launcher::copy_for_everybody(&own, directory);
    // A proxy calls by an address that is nobody's loopback.
    let also = launchers.iter().find(|one| one.kind == Kind::Tun2proxy);
    let also = also.and_then(Launcher::host);
    let bench = Bench {
        server: server::start(also).map_err(|error| format!("no server: {error}"))?,
        load: load.map_err(|error| format!("{}: {error}", own.display()))?,
        directory: directory.to_owned(),
        seconds: if flags.quick { 0.5 } else { flags.seconds },
    };
    let mut figures = figure::all(flags.quick);
    figures.retain(|figure| flags.figure.is_empty() || flags.figure.contains(&figure.group()));
    let rounds = if flags.quick { 1 } else { flags.rounds };
    let names: Vec<String> = launchers.iter().map(|one| one.name().to_owned()).collect();
    let mut table = Table::new(&names);
    for figure in figures {
        for (row, values) in figure
            .rows()
            .into_iter()
            .zip(turns(&bench, figure, &launchers, rounds))
        {
            if !values.is_empty() {
                table.push(row, values);
            }
        }
    }
    println!("{}\n", table.render(OURS));
    println!("{}", verdict::render(&table, OURS));
    if let Some(path) = &flags.plot {
        plot::write(&table, OURS, path)?;
    }
    match &flags.output.json {
        Some(path) => table.write_json(path, OURS),
        None => Ok(()),
    }
}

/// Measures a figure everywhere, `rounds` times; the values of each of its rows.
fn turns(bench: &Bench, figure: Figure, launchers: &[Launcher], rounds: usize) -> Vec<Figures> {
    let names: Vec<String> = launchers.iter().map(|one| one.name().to_owned()).collect();
    let mut values: Vec<Figures> = figure.rows().iter().map(|_| Figures::new(&names)).collect();
    let rounds = rounds.min(figure.rounds());
    for round in 0..rounds {
        for turn in 0..launchers.len() {
            // Forth and back, so that nobody always comes after the same one.
            let turn = match round % 2 {
                0 => turn,
                _ => launchers.len() - 1 - turn,
            };
            let launcher = &launchers[turn];
            if !figure.fits(launcher.kind) {
                continue;
            }
            let what = format!("{}, {}", figure.title(), launcher.name());
            progress(&format!("round {} of {rounds}: {what}", round + 1));
            match bench.measure(figure, launcher) {
                Ok(measured) => {
                    for (values, value) in values.iter_mut().zip(measured) {
                        value.into_iter().for_each(|value| values.push(turn, value));
                    }
                }
                Err(error) => {
                    progress("");
                    eprintln!("{what}: {error}");
                }
            }
        }
    }
    progress("");
    values
}

/// One line that is written over, for whoever watches.
pub(crate) fn progress(line: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{line}");
    }
}

/// What is there and wanted.
fn launchers(flags: &Flags, directory: &Path) -> Result<Vec<Launcher>, String> {
    let mut launchers = Vec::new();
    for kind in [
        Kind::Kernel,
        Kind::Switchboard,
        Kind::SwitchboardVeth,
        Kind::PastaTap,
        Kind::PastaSpliced,
        Kind::Slirp4netns,
        Kind::Tun2proxy,
    ] {
        let mut launcher = Launcher {
            kind,
            path: PathBuf::new(),
        };
        let name = launcher.name();
        if !flags.only.is_empty() && !flags.only.iter().any(|only| name.contains(only)) {
            continue;
        }
        match flags.programs.find(kind, directory)? {
            Some(_) if kind == Kind::Tun2proxy && launcher::in_path("microsocks").is_none() => {
                eprintln!("SKIPPED: {name} needs microsocks, which is not here");
            }
            Some(_) if launcher.host().is_none() => {
                eprintln!("SKIPPED: {name} needs a default route on the host");
            }
            Some(path) => {
                launcher.path = path;
                launchers.push(launcher);
            }
            None => eprintln!("SKIPPED: {name} is not here"),
        }
    }
    Ok(launchers)
}

impl Programs {
    /// Where a launcher's program is, for everybody to run; nothing if it is not installed.
    ///
    /// # Errors
    ///
    /// One that was named cannot be read.
    pub(crate) fn find(&self, kind: Kind, directory: &Path) -> Result<Option<PathBuf>, String> {
        let (named, name) = match kind {
            Kind::Kernel => return Ok(Some(PathBuf::new())),
            Kind::Switchboard | Kind::SwitchboardVeth => (&self.switchboard, "switchboard"),
            Kind::PastaTap | Kind::PastaSpliced => (&self.pasta, "pasta"),
            Kind::Slirp4netns => (&self.slirp4netns, "slirp4netns"),
            Kind::Tun2proxy => (&self.tun2proxy, "tun2proxy-bin"),
        };
        let beside = || {
            let own = std::env::current_exe().ok()?;
            Some(own.with_file_name("switchboard"))
        };
        let named = match kind {
            Kind::Switchboard | Kind::SwitchboardVeth => named.clone().or_else(beside),
            _ => named.clone(),
        };
        match named {
            Some(path) => launcher::copy_for_everybody(&path, directory)
                .map(Some)
                .map_err(|error| format!("{}: {error}", path.display())),
            None => Ok(launcher::in_path(name)),
        }
    }
}
