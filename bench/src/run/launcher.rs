//! The networks that are measured: how each starts a program, and how that program reaches
//! the host's loopback.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// One way to run a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    /// On the host itself.
    Kernel,
    Switchboard(PathBuf),
    /// pasta; packets go through its tap device.
    PastaTap {
        gateway: Ipv4Addr,
    },
    /// pasta; the program's loopback is spliced to the host's.
    PastaSpliced,
    Slirp4netns {
        mtu: u32,
    },
}

impl Launcher {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Kernel => "bare kernel".into(),
            Self::Switchboard(_) => "switchboard".into(),
            Self::PastaTap { .. } => "pasta, tap".into(),
            Self::PastaSpliced => "pasta, spliced".into(),
            Self::Slirp4netns { mtu } => format!("slirp4netns {mtu}"),
        }
    }

    /// Where the host's loopback is, seen from inside.
    pub(crate) fn host(&self) -> Ipv4Addr {
        match self {
            Self::Kernel | Self::PastaSpliced => Ipv4Addr::LOCALHOST,
            Self::Switchboard(_) | Self::Slirp4netns { .. } => Ipv4Addr::new(10, 0, 2, 2),
            Self::PastaTap { gateway } => *gateway,
        }
    }

    /// Whether its program is there.
    pub(crate) fn is_installed(&self) -> bool {
        match self {
            Self::Kernel => true,
            Self::Switchboard(path) => path.exists(),
            Self::PastaTap { .. } | Self::PastaSpliced => in_path("pasta"),
            Self::Slirp4netns { .. } => in_path("slirp4netns"),
        }
    }

    /// Runs `program` and waits for it, at most `patience`; `ports` of the host's loopback
    /// must be within reach.
    pub(crate) fn run(
        &self,
        program: &[OsString],
        ports: &[u16],
        directory: &Path,
        patience: Duration,
    ) -> io::Result<Output> {
        if let Self::Slirp4netns { mtu } = self {
            return run_slirp4netns(*mtu, program, directory, patience);
        }
        let mut command = unprivileged();
        match self {
            Self::Kernel | Self::Slirp4netns { .. } => {}
            Self::Switchboard(path) => {
                command.arg(path).args(["run", "--host-loopback", "--"]);
            }
            Self::PastaTap { .. } => {
                command.args(["pasta", "--quiet", "--config-net", "--"]);
            }
            Self::PastaSpliced => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                command.args([
                    "pasta",
                    "--quiet",
                    "--config-net",
                    "-T",
                    &ports.join(","),
                    "--",
                ]);
            }
        }
        command.args(program).stdin(Stdio::null());
        let said = Said::new(directory, &mut command)?;
        said.wait(command.spawn()?, patience)
    }
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).exists())
}

/// A command that runs what follows as an ordinary user: as root all of these would be
/// something else.
fn unprivileged() -> Command {
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.current_dir("/");
        command
    } else {
        Command::new("env")
    }
}

/// slirp4netns joins a namespace that somebody else has made; the program starts once the
/// device is there.
fn run_slirp4netns(
    mtu: u32,
    program: &[OsString],
    directory: &Path,
    patience: Duration,
) -> io::Result<Output> {
    let mut inside = unprivileged();
    inside
        .args(["unshare", "--user", "--map-root-user", "--net"])
        .args(["sh", "-c", "read go && exec \"$@\"", "sh"])
        .args(program)
        .stdin(Stdio::piped());
    let said = Said::new(directory, &mut inside)?;
    let mut inside = inside.spawn()?;
    let result = attach_slirp4netns(mtu, &mut inside);
    let output = said.wait(inside, patience);
    let mut helper = result?;
    // It ends by itself when the namespace does; this is for when it does not.
    helper.kill()?;
    helper.wait()?;
    output
}

fn attach_slirp4netns(mtu: u32, inside: &mut Child) -> io::Result<Child> {
    wait_for_namespace(inside.id())?;
    let script = format!(
        "exec slirp4netns --configure --mtu={mtu} --ready-fd=3 {} tap0 3>&1 >/dev/null 2>&1",
        inside.id()
    );
    let mut helper = unprivileged();
    helper.args(["sh", "-c", &script]).stdout(Stdio::piped());
    let mut helper = helper.spawn()?;
    let mut ready = [0];
    let stdout = helper.stdout.as_mut();
    stdout.map_or(Ok(()), |stdout| stdout.read_exact(&mut ready))?;
    if let Some(mut stdin) = inside.stdin.take() {
        stdin.write_all(b"go\n")?;
    }
    Ok(helper)
}

/// Until `pid` has a network of its own, and an identity map.
fn wait_for_namespace(pid: u32) -> io::Result<()> {
    let own = std::fs::read_link("/proc/self/ns/net")?;
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        let net = std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let map = std::fs::read_to_string(format!("/proc/{pid}/gid_map")).unwrap_or_default();
        if net.is_ok_and(|net| net != own) && map.split_whitespace().nth(2) == Some("1") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::other("no new namespace within 2 s"))
}

/// Files for what a program says. Pipes would not do: a helper that outlives the program
/// would hold them open.
struct Said {
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Said {
    fn new(directory: &Path, command: &mut Command) -> io::Result<Self> {
        let said = Self {
            stdout: directory.join("stdout"),
            stderr: directory.join("stderr"),
        };
        command.stdout(File::create(&said.stdout)?);
        command.stderr(File::create(&said.stderr)?);
        Ok(said)
    }

    /// Waits for `child`, at most `patience`.
    fn wait(&self, mut child: Child, patience: Duration) -> io::Result<Output> {
        let deadline = Instant::now() + patience;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other(format!("took over {patience:?}")));
            }
            thread::sleep(Duration::from_micros(200));
        };
        Ok(Output {
            status,
            stdout: std::fs::read(&self.stdout)?,
            stderr: std::fs::read(&self.stderr)?,
        })
    }
}

/// A copy that an ordinary user may run, wherever the original lies.
pub(crate) fn copy_for_everybody(program: &Path, directory: &Path) -> io::Result<PathBuf> {
    let copy = directory.join(program.file_name().unwrap_or_default());
    std::fs::copy(program, &copy)?;
    Ok(copy)
}

/// The gateway of the host's default route, which stands for the host in pasta's network.
pub(crate) fn default_gateway() -> Option<Ipv4Addr> {
    let routes = std::fs::read_to_string("/proc/net/route").ok()?;
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "00000000", gateway, ..] = *fields else {
            return None;
        };
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        // In the machine's order: the octets lie in memory as on the wire.
        Some(Ipv4Addr::from(gateway.to_ne_bytes()))
    })
}
