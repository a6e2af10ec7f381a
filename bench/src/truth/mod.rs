//! `bench truth`: what a program is told by its network, under each launcher and on the bare
//! kernel. The outside is made of namespaces; no packet leaves the machine.
//!
//! Three processes, one in the other: the one that was started; one that is root of a user
//! namespace of its own and makes the outside; and one that is an ordinary user there and
//! runs the launchers, as users do.

pub(crate) mod addresses;
mod dns;
mod errno;
mod outside;
pub(crate) mod pattern;
pub(crate) mod probe;
mod report;
mod rows;
pub(crate) mod server;
mod trial;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::errno::errno_name;
use crate::run::launcher::{self, Kind, Launcher};
use crate::run::{Programs, in_directory};

#[derive(clap::Args)]
pub(crate) struct Flags {
    /// Only launchers whose name contains this (may be given again); the bare kernel is always
    /// there
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only rows whose key contains this (may be given again)
    #[arg(long, value_name = "KEY")]
    row: Vec<String>,
    #[command(flatten)]
    programs: Programs,
    #[command(flatten)]
    output: crate::Output,
    /// Which of the three processes this is
    #[arg(long, hide = true, value_enum, default_value_t = Stage::First)]
    stage: Stage,
    /// For what everybody writes
    #[arg(long, hide = true)]
    directory: Option<PathBuf>,
    /// KIND:NAME:PATH
    #[arg(long, hide = true)]
    column: Vec<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    Root,
    User,
}

/// A launcher with the name of its column.
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) launcher: Launcher,
}

pub(crate) fn run(flags: &Flags) -> Result<(), String> {
    let directory = || flags.directory.clone().ok_or("no directory was named");
    if flags.stage != Stage::First {
        // Whoever stops the first one stops all.
        let signal = Some(rustix::process::Signal::KILL);
        let set = rustix::process::set_parent_process_death_signal(signal);
        set.map_err(|error| error.to_string())?;
    }
    match flags.stage {
        Stage::First => in_directory("switchboard-truth", |directory| first(flags, directory)),
        Stage::Root => {
            let directory = directory()?;
            let outside = outside::make(&directory)?;
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]);
            again(flags, &mut command, Stage::User, &directory, &flags.column)?;
            drop(outside);
            Ok(())
        }
        Stage::User => {
            let columns = flags.column.iter().map(|text| Column::parse(text));
            let columns: Option<Vec<Column>> = columns.collect();
            report::run(&columns.ok_or("what column?")?, &flags.row, &directory()?)
        }
    }
}

fn first(flags: &Flags, directory: &Path) -> Result<(), String> {
    // As root the rest runs as somebody else, who writes here too.
    let everybody = std::fs::Permissions::from_mode(0o777);
    let opened = std::fs::set_permissions(directory, everybody);
    opened.map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let copied = launcher::copy_for_everybody(&own, directory);
    copied.map_err(|error| format!("{}: {error}", own.display()))?;
    let columns = columns(flags, directory)?;
    let mut command = unprivileged();
    command.args([
        "unshare",
        "--user",
        "--map-root-user",
        "--net",
        "--mount",
        "--",
    ]);
    let result = again(flags, &mut command, Stage::Root, directory, &columns);
    if let Some(path) = &flags.output.json {
        let copied = std::fs::copy(directory.join(report::JSON), path);
        copied.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    result
}

/// Runs this program again behind the words of `command`.
fn again(
    flags: &Flags,
    command: &mut Command,
    stage: Stage,
    directory: &Path,
    columns: &[String],
) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let copy = directory.join(own.file_name().unwrap_or_default());
    let stage = clap::ValueEnum::to_possible_value(&stage);
    let stage = stage.map_or_else(String::new, |stage| stage.get_name().to_owned());
    command.arg(copy).args(["truth", "--stage", &stage]);
    command.arg("--directory").arg(directory);
    for (flag, values) in [("--column", columns), ("--row", &flags.row[..])] {
        for value in values {
            command.args([flag, value]);
        }
    }
    let status = command.status().map_err(|error| error.to_string())?;
    match status.code() {
        Some(0) => Ok(()),
        // It has said why.
        _ => Err("not all of it is true".into()),
    }
}

/// As root, an ordinary user who may open the TUN's device, for whom nothing else is changed.
fn unprivileged() -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new("env");
    }
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200 && cd / && \
                  exec setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\"";
    command.args(["--mount", "--", "sh", "-c", script, "sh"]);
    command
}

/// Those that are there and wanted, each as KIND:NAME:PATH.
fn columns(flags: &Flags, directory: &Path) -> Result<Vec<String>, String> {
    let switchboard = flags.programs.find(Kind::Switchboard, directory)?;
    let mut columns = vec![
        (Kind::Kernel, "bare kernel".to_owned(), PathBuf::new()),
        (
            Kind::Switchboard,
            "switchboard".to_owned(),
            switchboard.unwrap_or_default(),
        ),
    ];
    for (kind, name, named) in [
        (Kind::PastaTap, "pasta", &flags.programs.pasta),
        (
            Kind::Slirp4netns,
            "slirp4netns",
            &flags.programs.slirp4netns,
        ),
    ] {
        let mut paths: Vec<PathBuf> = launcher::in_path(name).into_iter().collect();
        if named.is_some() {
            paths.extend(flags.programs.find(kind, directory)?);
        }
        if paths.is_empty() {
            eprintln!("SKIPPED: {name} is not here");
        }
        columns.extend(paths.into_iter().enumerate().map(|(at, path)| {
            // Two builds may say the same of themselves.
            let which = if at == 0 { "" } else { ", named" };
            let name = format!("{name}{}{which}", version(&path)).replace(':', ".");
            (kind, name, path)
        }));
    }
    columns.retain(|(kind, name, _)| {
        *kind == Kind::Kernel
            || flags.only.is_empty()
            || flags.only.iter().any(|only| name.contains(only))
    });
    let word = |(kind, name, path): &(Kind, String, PathBuf)| {
        let word = KINDS
            .iter()
            .find(|(_, one)| one == kind)
            .map_or("", |(word, _)| word);
        format!("{word}:{name}:{}", path.display())
    };
    Ok(columns.iter().map(word).collect())
}

const KINDS: [(&str, Kind); 4] = [
    ("kernel", Kind::Kernel),
    ("switchboard", Kind::Switchboard),
    ("pasta", Kind::PastaTap),
    ("slirp4netns", Kind::Slirp4netns),
];

/// What it says of its version, with a space before it; nothing if that has no number.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let said = said.unwrap_or_default();
    let mut words = said.lines().next().unwrap_or_default().split(' ');
    let number = words.find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()));
    number.map_or_else(String::new, |number| format!(" {number}"))
}

impl Column {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (kind, name, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (_, kind) = KINDS.into_iter().find(|(word, _)| *word == kind)?;
        Some(Self {
            name: name.to_owned(),
            launcher: Launcher {
                kind,
                path: path.into(),
            },
        })
    }
}

/// This program, as the launchers run it.
pub(crate) fn probe_words(directory: &Path) -> Result<Vec<OsString>, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let copy = directory.join(own.file_name().unwrap_or_default());
    Ok(vec![copy.into(), "probe".into()])
}
