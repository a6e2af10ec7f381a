//! What can be typed. Help, man page and completion come from these definitions.
//!
//! A flag is here only when it works.

pub(crate) mod attach;
pub(crate) mod dns;
pub(crate) mod pasta;
pub(crate) mod ports;

use std::ffi::OsString;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

pub(crate) use dns::DnsFlag;

use crate::cmd::links::NAMES;
use crate::run::LinkKind;
use crate::{DONE, FAILED, RUN_FAILED, WRONG_USAGE, say};
use ports::{LocalPorts, PublishFlag};

/// A socket is one exact endpoint of a conversation: address, port and protocol.
/// Switchboard is that layer, whole, in user space. Put any program on it, without
/// root and without changing it: see and redirect its sockets.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, max_term_width = 80)]
#[command(disable_help_subcommand = true, subcommand_required = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program on a network of its own, whose other end is Switchboard.
    Run(RunFlags),
    /// Open a page and tell the six steps of that conversation, with its real packets.
    Open(OpenFlags),
    /// Show what a socket is, in eight offline stops.
    Tour(TourFlags),
    /// List the sockets of a run, with the program that holds each.
    Sockets(SocketsFlags),
    /// Change a run that is under way.
    Set(SetFlags),
    /// Show every socket of a run, live.
    Top(TopFlags),
    /// Say what this machine lacks for `run`, with the exact fix.
    Doctor(DoctorFlags),
    /// Give a network namespace that exists already a link whose other end is Switchboard.
    Attach(attach::AttachFlags),
    /// Stand in for slirp4netns.
    #[command(hide = true)]
    Slirp4netns(attach::SlirpFlags),
    /// Stand in for pasta.
    #[command(hide = true, display_name = "pasta")]
    #[command(override_usage = "pasta [OPTION]... [COMMAND [ARG]...]
       pasta [OPTION]... PID
       pasta [OPTION]... --netns PATH|NAME")]
    #[command(about = "Switchboard as pasta: a user-space network for a network namespace.")]
    Pasta(pasta::PastaFlags),
    /// Stand in for passt.
    #[command(
        hide = true,
        display_name = "passt",
        override_usage = "passt [OPTION]..."
    )]
    #[command(about = "Switchboard as passt: a user-space network for a QEMU guest.")]
    Passt(pasta::PastaFlags),
    /// Make links by whose names other programs call Switchboard instead: slirp4netns, pasta,
    /// passt.
    InstallLinks(attach::LinksFlags),
    /// Print the manual page: of the whole, or of one command.
    #[command(hide = true)]
    Man(ManFlags),
    /// Print a shell's completion script.
    #[command(hide = true)]
    Completion(CompletionFlags),
}

/// Flags of `run`, in the groups of its help.
#[derive(Args, Debug)]
#[command(override_usage = "switchboard run [FLAGS] -- CMD [ARGS]")]
#[command(
    after_help = "Exit code: the program's own; 128 + n if signal n ended it; 127 not \
found, 126 not executable; 125 when Switchboard itself could not."
)]
pub(crate) struct RunFlags {
    #[command(flatten, next_help_heading = "See")]
    pub(crate) see: SeeFlags,

    #[command(flatten, next_help_heading = "Reach")]
    pub(crate) reach: ReachFlags,

    #[command(flatten, next_help_heading = "Guard")]
    pub(crate) guard: GuardFlags,

    #[command(flatten, next_help_heading = "The program")]
    pub(crate) program: ProgramFlags,
}

#[derive(Args, Debug)]
pub(crate) struct GuardFlags {
    /// Let the program have at most so many connections and UDP sockets at once; more are
    /// refused, and counted
    #[arg(long, value_name = "NUMBER", value_parser = parse_count)]
    pub(crate) max_flows: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct SeeFlags {
    /// Tell each conversation as six steps on stderr: why does it not connect?
    #[arg(long)]
    pub(crate) explain: bool,

    /// Record every packet to a pcapng file, with the program and the name in its comment
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Keep all but errors away from stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReachFlags {
    /// Make ports of this machine the program's: 80, 8080:80, 8000-8010, 0.0.0.0:8080:80,
    /// 5353:53/udp; 127.0.0.1 unless an address is given. `auto`: whatever TCP port the program
    /// listens on, for as long as it does
    #[arg(
        short = 'p',
        long = "publish",
        value_name = "[ADDR:]PORTS[:PORTS][/udp]|auto"
    )]
    #[arg(value_parser = ports::parse_publish)]
    pub(crate) publish: Vec<PublishFlag>,

    /// Make ports of the program's localhost this machine's: 5432, 8000-8010
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    #[arg(value_parser = ports::parse_local_ports)]
    pub(crate) localhost: Vec<LocalPorts>,

    /// Let the gateway's address (10.0.2.2) stand for this machine's 127.0.0.1 and ::1
    #[arg(long)]
    pub(crate) host_loopback: bool,

    /// Ask these directories (DNS) instead of those of this machine's resolver configuration;
    /// corp=10.0.0.2: for names that end in corp only
    #[arg(long, value_name = "[SUFFIX=]ADDR[:PORT]", value_delimiter = ',')]
    #[arg(value_parser = dns::parse)]
    pub(crate) dns: Vec<DnsFlag>,

    /// The program's network; default 10.0.2.0/24, or another where this machine uses that
    #[arg(long, value_name = "CIDR", value_parser = parse_net)]
    pub(crate) net: Option<(Ipv4Addr, u8)>,

    /// What the program's link is made of; a veth pair needs no /dev/net/tun, and is taken by
    /// itself where there is none
    #[arg(long, value_name = "LINK", value_enum)]
    pub(crate) link: Option<LinkKind>,

    /// Largest packet of the program's link, in octets
    #[arg(long, value_name = "OCTETS", default_value_t = 65_520)]
    #[arg(value_parser = clap::value_parser!(u32).range(1280..=65_535))]
    pub(crate) mtu: u32,
}

impl ReachFlags {
    /// Whether the program's listeners are published by themselves.
    pub(crate) fn publishes_auto(&self) -> bool {
        self.publish.contains(&PublishFlag::Auto)
    }
}

#[derive(Args, Debug)]
pub(crate) struct ProgramFlags {
    /// A name by which `sockets`, `set` and `--join` find this run
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) name: Option<String>,

    /// Run CMD in the network of a run that is under way, for as long as that run lasts
    #[arg(long, value_name = "PID|NAME", value_parser = parse_which)]
    #[arg(conflicts_with_all = ["explain", "record", "publish", "localhost", "host_loopback"])]
    #[arg(conflicts_with_all = ["dns", "net", "mtu", "link", "map_root", "name", "max_flows"])]
    pub(crate) join: Option<Which>,

    /// Show the program uid 0 and gid 0 instead of the caller's
    #[arg(long)]
    pub(crate) map_root: bool,

    /// Keep the network until the last process that CMD left behind has ended
    #[arg(long)]
    pub(crate) wait: bool,

    /// The program and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<OsString>,
}

/// Flags of `open`.
#[derive(Args, Debug)]
pub(crate) struct OpenFlags {
    /// What to open: `http://HOST[:PORT]/PATH`
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Print the page itself to stdout, even on a terminal
    #[arg(long)]
    pub(crate) body: bool,

    /// How long a call may ring, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = parse_seconds)]
    pub(crate) timeout: Duration,
}

/// Flags of `tour`.
#[derive(Args, Debug)]
pub(crate) struct TourFlags {
    /// One stop only
    #[arg(value_name = "STOP")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=crate::cmd::tour::LAST_STOP))]
    pub(crate) stop: Option<u64>,

    /// Where the simulated line's luck comes from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Flags of `sockets`.
#[derive(Args, Debug)]
pub(crate) struct SocketsFlags {
    /// Of which run; not needed while there is only one
    #[arg(value_name = "PID|NAME", value_parser = parse_which)]
    pub(crate) run: Option<Which>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `set`.
#[derive(Args, Debug)]
#[command(override_usage = "switchboard set [PID|NAME] -p +8080:80 -p -8081:81 ...")]
pub(crate) struct SetFlags {
    /// Which run; not needed while there is only one
    #[arg(value_name = "PID|NAME", value_parser = parse_which)]
    pub(crate) run: Option<Which>,

    /// Publish ports (+8080:80), or take them back (-8080:80), as `-p` of `run` has them
    #[arg(
        short = 'p',
        long = "publish",
        value_name = "+PORTS|-PORTS",
        required = true
    )]
    #[arg(allow_hyphen_values = true, value_parser = ports::checked_change)]
    pub(crate) publish: Vec<String>,
}

/// Flags of `top`.
#[derive(Args, Debug)]
pub(crate) struct TopFlags {
    /// Of which run; not needed while there is only one
    #[arg(value_name = "PID|NAME", value_parser = parse_which)]
    pub(crate) run: Option<Which>,
}

/// Flags of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorFlags {
    /// Print an AppArmor profile that lets this command make user namespaces
    #[arg(long)]
    pub(crate) apparmor_profile: bool,
}

/// Flags of `man`.
#[derive(Args, Debug)]
pub(crate) struct ManFlags {
    /// The command; without one, the whole
    pub(crate) command: Option<String>,
}

/// Flags of `completion`.
#[derive(Args, Debug)]
pub(crate) struct CompletionFlags {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

/// At least one of something.
fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a number from 1 on".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// Which run is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// That of this relay.
    Pid(u32),
    /// That which was started with `--name`.
    Name(String),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "with process id {pid}"),
            Self::Name(name) => write!(f, "named {name}"),
        }
    }
}

/// A process id, or a name.
fn parse_which(text: &str) -> Result<Which, String> {
    match text.parse() {
        Ok(pid) => Ok(Which::Pid(pid)),
        Err(_) => parse_name(text).map(Which::Name),
    }
}

/// A run's name: a file is called by it, and it must not look like a process id.
fn parse_name(text: &str) -> Result<String, String> {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if begins && text.len() <= NAME_MAX && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name begins with a letter and has letters, digits, '-', '_' and '.', at most {NAME_MAX}"
    ))
}

/// Octets of a run's name.
const NAME_MAX: usize = 32;

/// Seconds, from a tenth of one to an hour.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("write seconds, from 0.1 to 3600".to_owned()),
    }
}

/// An IPv4 network with room for the host number 100.
fn parse_net(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let usage = || "write an IPv4 network, as 10.0.2.0/24".to_owned();
    let (address, len) = text.split_once('/').ok_or_else(usage)?;
    let address: Ipv4Addr = address.parse().map_err(|_| usage())?;
    let len: u8 = len.parse().map_err(|_| usage())?;
    if !(8..=25).contains(&len) {
        return Err("the network needs between 8 and 25 bits of prefix".to_owned());
    }
    let network = u32::from(address) & (u32::MAX << (32 - len));
    Ok((Ipv4Addr::from(network), len))
}

/// The words of the command line. Called by the name of a program that it stands in for, this
/// one's command of that name comes first.
pub(crate) fn command_line() -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let called = words.first().map(Path::new).and_then(Path::file_name);
    let name = called.and_then(|called| called.to_str());
    if let Some(name) = name.filter(|name| NAMES.contains(name)) {
        words.insert(1, name.to_owned().into());
    }
    words
}

/// Tells a person what is wrong with the command line, or prints the help that was asked for.
/// Returns the exit code.
pub(crate) fn report(error: &clap::Error) -> u8 {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let _ = error.print();
        return DONE;
    }
    let command = command_line().into_iter().nth(1).unwrap_or_default();
    let command = command.to_string_lossy();
    let help = match &*command {
        "run" | "open" | "tour" | "sockets" | "set" | "top" | "doctor" | "attach"
        | "install-links" => {
            format!("switchboard {command} --help")
        }
        name if NAMES.contains(&name) => format!("{name} --help"),
        _ => "switchboard --help".to_owned(),
    };
    let said = match &*command {
        "pasta" | "passt" => unrecognized(&command, error),
        _ => None,
    };
    if let Some(said) = said {
        // No more on that line: callers look for it.
        eprintln!("{said}");
    } else {
        say::error(format_args!("{} (see {help})", one_line(error)));
    }
    if command == "run" {
        RUN_FAILED
    } else if NAMES.contains(&&*command) {
        FAILED
    } else {
        WRONG_USAGE
    }
}

/// An option that is not known, in the words of getopt(3).
fn unrecognized(command: &str, error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};

    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(option) if option.starts_with("--") => {
            Some(format!("{command}: unrecognized option '{option}'"))
        }
        ContextValue::String(option) => {
            let letter = option.trim_start_matches('-');
            Some(format!("{command}: invalid option -- '{letter}'"))
        }
        _ => None,
    }
}

/// clap's complaint without its usage paragraph, on one line.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return "which command? try: switchboard run -- curl http://switchboard.internal/"
            .to_owned();
    }
    let text = error.to_string();
    let said = text.split("\n\n").next().unwrap_or(&text);
    let said = said.strip_prefix("error: ").unwrap_or(said);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
