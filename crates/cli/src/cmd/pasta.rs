//! The stand-ins for pasta and passt: called by those names, with their options.
//!
//! The order of a start: what we cannot do is refused ([`refuse`]), the inside's addresses are
//! chosen ([`network`]), the process goes to the background, and then it is served as every
//! attached namespace is.

mod network;
mod refuse;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::attach::background::{Background, PidFile};
use crate::attach::descriptors::take;
use crate::attach::guest::Guest;
use crate::attach::log::Log;
use crate::attach::ports::Ports;
use crate::attach::spawn::{Ended, Spawned};
use crate::attach::ways::WaysSpec;
use crate::attach::{self, Calls, Plan, Target};
use crate::flags::pasta::PastaFlags;
use crate::{DONE, FAILED, say};
use network::Inside;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For a network namespace.
    Pasta,
    /// For a guest.
    Passt,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Pasta => "pasta",
            Self::Passt => "passt",
        }
    }
}

/// Serves it; the exit code.
pub(crate) fn main(flags: &PastaFlags, mode: Mode) -> u8 {
    let served = match mode {
        Mode::Pasta => pasta(flags),
        Mode::Passt => passt(flags),
    };
    match served {
        Ok(code) => code,
        Err(why) => {
            say::error(format_args!("{}: {why}", mode.name()));
            FAILED
        }
    }
}

/// What is in the way, for a person.
type Why = Box<dyn std::error::Error>;

/// Whose namespace.
enum Whose {
    There(Target, Option<PathBuf>),
    /// A new one's, with this program in it.
    Ours {
        program: CString,
        argv: Vec<CString>,
    },
}

fn pasta(flags: &PastaFlags) -> Result<u8, Why> {
    refuse::refuse(flags, Mode::Pasta)?;
    let whose = whose(flags)?;
    let is_ours = matches!(whose, Whose::Ours { .. });
    if flags.quiet || (is_ours && !flags.debug) {
        say::be_quiet();
    }
    let ways = ways(flags, Mode::Pasta)?;
    let inside = Inside::choose(flags, Mode::Pasta)?;
    let files = Files::open(flags)?;
    let background = match flags.foreground || is_ours {
        true => None,
        false => Some(Background::begin()?),
    };
    let (target, file, mut spawned) = match whose {
        Whose::There(target, file) => (target, file, None),
        Whose::Ours { program, argv } => {
            let spawned = Spawned::begin(&program, &argv);
            let spawned = spawned.map_err(attach::AttachError::SetUp)?;
            let target = Target::process(spawned.pid(), None);
            (target, None, Some(spawned))
        }
    };
    let plan = Plan {
        target,
        ifname: inside.ifname(flags),
        station: flags.namespace.ns_mac_addr,
        link: flags.namespace.config_net.then(|| inside.link(flags)),
        served: inside.served(flags, Mode::Pasta),
        stays: ways.need_insider() || flags.namespace.host_lo_to_ns_lo,
    };
    let calls = Calls {
        child: spawned.as_ref().map(Spawned::pid),
        file: file.filter(|_| !flags.namespace.no_netns_quit),
        ways,
        loopback_to_loopback: flags.namespace.host_lo_to_ns_lo,
        ..files.calls(flags)
    };
    let log = files.log;
    let standing = || {
        log.line(format_args!(
            "pasta: {} in the namespace: {inside}",
            plan.ifname
        ));
        if let Some(spawned) = &mut spawned {
            spawned.go_on()?;
        }
        ready(files.pid, background)
    };
    attach::run(&plan, calls, standing)?;
    match spawned.map(Spawned::wait).transpose()? {
        None => Ok(DONE),
        Some(Ended::Code(code)) => Ok(code),
        Some(Ended::NotStarted(errno)) => {
            Err(format!("Failed to start command or shell: {}", errno.desc()).into())
        }
    }
}

fn passt(flags: &PastaFlags) -> Result<u8, Why> {
    // Before anything is opened: the number is the caller's.
    let connected = flags.guest.fd.map(take).transpose()?;
    refuse::refuse(flags, Mode::Passt)?;
    if flags.quiet {
        say::be_quiet();
    }
    let ways = ways(flags, Mode::Passt)?;
    let inside = Inside::choose(flags, Mode::Passt)?;
    let files = Files::open(flags)?;
    let (guest, at) = match connected {
        Some(fd) => (Guest::Connected(fd), None),
        None => {
            let (guest, at) = Guest::listen(flags.guest.socket.as_deref(), flags.guest.one_off)?;
            (guest, Some(at))
        }
    };
    let background = match flags.foreground {
        true => None,
        false => Some(Background::begin()?),
    };
    let calls = Calls {
        ways,
        ..files.calls(flags)
    };
    let log = files.log;
    let standing = || {
        log.line(format_args!("passt: the guest's network: {inside}"));
        if let Some(at) = &at {
            log.line(format_args!(
                "passt: UNIX domain socket bound at {}",
                at.display()
            ));
        }
        ready(files.pid, background)
    };
    attach::run_guest(&inside.served(flags, Mode::Passt), guest, calls, standing)?;
    Ok(DONE)
}

/// Files that are opened while we may.
struct Files {
    pid: Option<PidFile>,
    log: Arc<Log>,
}

impl Files {
    fn open(flags: &PastaFlags) -> std::io::Result<Self> {
        let log = match &flags.log_file {
            Some(path) => Log::to_file(path, flags.log_size, flags.debug)?,
            None => Log::to_stderr(flags.debug),
        };
        Ok(Self {
            pid: flags.pid.as_deref().map(PidFile::create).transpose()?,
            log: Arc::new(log),
        })
    }

    fn calls(&self, flags: &PastaFlags) -> Calls {
        Calls {
            record: flags.pcap.clone(),
            log: Some(self.log.clone()),
            ..Calls::default()
        }
    }
}

fn ready(pid: Option<PidFile>, background: Option<Background>) -> std::io::Result<()> {
    if let Some(pid) = pid {
        pid.write()?;
    }
    match background {
        Some(background) => background.enter(),
        None => Ok(()),
    }
}

/// `-t`, `-u` and `-T`.
fn ways(flags: &PastaFlags, mode: Mode) -> Result<WaysSpec, Why> {
    let default = match mode {
        Mode::Pasta => Ports::Auto { excluded: vec![] },
        Mode::Passt => Ports::None,
    };
    let read = |specs: &[String]| Ports::parse(specs, default.clone());
    let ways = WaysSpec {
        tcp: read(&flags.tcp_ports)?,
        udp: read(&flags.udp_ports)?,
        tcp_out: read(&flags.namespace.tcp_ns)?,
    };
    let is_auto = |ports: &Ports| matches!(ports, Ports::Auto { .. });
    if mode == Mode::Passt && (is_auto(&ways.tcp) || is_auto(&ways.udp)) {
        return Err("auto and 'all but' need a namespace to look into: name the ports".into());
    }
    Ok(ways)
}

/// PID, `--netns`, or a command.
fn whose(flags: &PastaFlags) -> Result<Whose, Why> {
    let namespace = &flags.namespace;
    let userns = match namespace.netns_only {
        true => None,
        false => namespace.userns.clone(),
    };
    if let Some(netns) = &namespace.netns {
        if !flags.words.is_empty() {
            return Err("Both --netns and PID or command given".into());
        }
        return Ok(named(&netns_path(netns), userns));
    }
    let pid = match &flags.words[..] {
        [word] => word.to_str().and_then(|word| word.parse::<u32>().ok()),
        _ => None,
    };
    if let Some(pid) = pid {
        let target = match namespace.netns_only {
            true => Target::network_of(pid),
            false => Target::process(pid, userns),
        };
        return Ok(Whose::There(target, None));
    }
    if userns.is_some() {
        return Err("--userns requires --netns or PID".into());
    }
    Ok(command(&flags.words))
}

/// A namespace's file. One of a process ends with that process.
fn named(path: &Path, userns: Option<PathBuf>) -> Whose {
    let of_process = path.strip_prefix("/proc").ok().and_then(|rest| {
        let pid = rest.strip_suffix_ns_net()?;
        Some(Target::path_of(path, userns.clone(), pid))
    });
    match of_process {
        Some(target) => Whose::There(target, None),
        None => Whose::There(Target::path(path, userns), Some(path.to_owned())),
    }
}

/// `PID/ns/net` of `/proc`.
trait ProcessOf {
    fn strip_suffix_ns_net(&self) -> Option<u32>;
}

impl ProcessOf for Path {
    fn strip_suffix_ns_net(&self) -> Option<u32> {
        self.to_str()?.strip_suffix("/ns/net")?.parse().ok()
    }
}

/// ip-netns(8): a name is a file of /run/netns.
fn netns_path(named: &Path) -> PathBuf {
    match named.as_os_str().as_bytes().contains(&b'/') {
        true => named.to_owned(),
        false => Path::new("/run/netns").join(named),
    }
}

/// The command, or the caller's shell as a login shell.
fn command(words: &[OsString]) -> Whose {
    // Arguments come from execve(2), so none of them has a NUL inside.
    let c = |text: &[u8]| CString::new(text).unwrap_or_default();
    match words {
        [] => {
            let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
            let shell = shell.unwrap_or_else(|| "/bin/sh".into());
            let name = Path::new(&shell).file_name().unwrap_or(&shell);
            let arg0 = [b"-", name.as_bytes()].concat();
            Whose::Ours {
                program: c(shell.as_bytes()),
                argv: vec![c(&arg0)],
            }
        }
        [program, ..] => Whose::Ours {
            program: c(program.as_bytes()),
            argv: words.iter().map(|word| c(word.as_bytes())).collect(),
        },
    }
}
