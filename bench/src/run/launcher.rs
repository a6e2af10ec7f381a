//! The networks that are measured: how each starts a program, and how that program reaches
//! the host's loopback.

use std::ffi::OsString;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::running::Running;

/// One way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On the host itself.
    Kernel,
    Switchboard,
    /// Likewise, over a veth pair instead of a TUN.
    SwitchboardVeth,
    /// pasta; packets go through its tap device.
    PastaTap,
    /// pasta; the program's loopback is spliced to the host's.
    PastaSpliced,
    Slirp4netns,
    /// tun2proxy before microsocks.
    Tun2proxy,
}

#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) kind: Kind,
    /// The launcher's own program; empty for the kernel.
    pub(crate) path: PathBuf,
}

/// slirp4netns's, in the order's directory.
pub(crate) const API_SOCKET: &str = "api.sock";

/// What is to be run.
pub(crate) struct Order<'a> {
    pub(crate) program: &'a [OsString],
    /// Of the link; the launcher's default if nothing is said.
    pub(crate) mtu: Option<u32>,
    /// Ports of the host's loopback that must be within reach.
    pub(crate) tcp: &'a [u16],
    pub(crate) udp: &'a [u16],
    /// A TCP port of the host that is the program's, and the address (any, of either family).
    /// slirp4netns is told by its API socket, [`API_SOCKET`].
    pub(crate) publish: Option<SocketAddr>,
    /// IPv6 even where it is not the launcher's default.
    pub(crate) v6: bool,
    /// For what it says.
    pub(crate) directory: &'a Path,
}

impl Launcher {
    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Kernel => "bare kernel",
            Kind::Switchboard => "switchboard",
            Kind::SwitchboardVeth => "switchboard veth",
            Kind::PastaTap => "pasta, tap",
            Kind::PastaSpliced => "pasta, spliced",
            Kind::Slirp4netns => "slirp4netns",
            Kind::Tun2proxy => "tun2proxy",
        }
    }

    /// Where the host is, seen from inside.
    pub(crate) fn host(&self) -> Option<Ipv4Addr> {
        match self.kind {
            Kind::Kernel | Kind::PastaSpliced => Some(Ipv4Addr::LOCALHOST),
            Kind::Switchboard | Kind::SwitchboardVeth | Kind::Slirp4netns => {
                Some(Ipv4Addr::new(10, 0, 2, 2))
            }
            // The gateway of the host's default route stands for the host.
            Kind::PastaTap => default_gateway(),
            Kind::Tun2proxy => own_address(),
        }
    }

    pub(crate) fn spawn(&self, order: &Order<'_>) -> io::Result<Running> {
        let program = Path::new(&order.program[0]);
        if self.kind == Kind::Slirp4netns {
            return self.spawn_slirp4netns(order);
        }
        let proxy = match self.kind {
            Kind::Tun2proxy => Some(start_proxy()?),
            _ => None,
        };
        let mut command = unprivileged();
        self.describe(
            &mut command,
            order,
            proxy.as_ref().map_or(0, |proxy| proxy.1),
        );
        command.args(order.program);
        let bare = self.kind == Kind::Kernel;
        let mut running = Running::spawn(&mut command, program, bare, order.directory)?;
        running.beside = proxy.map(|proxy| proxy.0);
        Ok(running)
    }

    /// The launcher's own words, up to the program's.
    fn describe(&self, command: &mut Command, order: &Order<'_>, proxy: u16) {
        let mtu = order.mtu.map(|mtu| mtu.to_string());
        match self.kind {
            Kind::Kernel | Kind::Slirp4netns => return,
            Kind::Switchboard => {
                command
                    .arg(&self.path)
                    .args(["run", "-q", "--host-loopback"]);
            }
            Kind::SwitchboardVeth => {
                let words = ["run", "-q", "--host-loopback", "--link", "veth"];
                command.arg(&self.path).args(words);
            }
            Kind::PastaTap | Kind::PastaSpliced => {
                command.arg(&self.path).args(["--quiet", "--config-net"]);
            }
            Kind::Tun2proxy => {
                // Its own `--setup` takes the proxy on the host's loopback for a loop.
                command
                    .arg(&self.path)
                    .args(["--unshare", "--tun", "tun0", "-v", "off"]);
                command.args(["--max-sessions", "20000"]);
                command.args(["--proxy", &format!("socks5://127.0.0.1:{proxy}")]);
            }
        }
        if let Some(mtu) = mtu {
            command.args(["--mtu", &mtu]);
        }
        if self.kind == Kind::PastaSpliced {
            command.args(["-T", &list(order.tcp)]);
            command.args(["-U", &list(order.udp)]);
        }
        if let Some(at) = order.publish {
            let port = at.port();
            match self.kind {
                Kind::Switchboard | Kind::SwitchboardVeth => {
                    command.args(["-p", &format!("{at}:{port}")])
                }
                _ => command.args(["-t", &port.to_string()]),
            };
        }
        command.arg("--");
        if self.kind == Kind::Tun2proxy {
            let script = format!(
                "until ip link show tun0 >/dev/null 2>&1; do sleep 0.05; done; \
                 ip address add 10.0.0.33/24 dev tun0 && ip link set tun0 mtu {} up && \
                 ip route add default dev tun0 && exec \"$@\"",
                order.mtu.unwrap_or(1_500)
            );
            command.args(["sh", "-c", &script, "sh"]);
        }
    }

    /// slirp4netns joins a namespace that somebody else has made; the program starts once the
    /// device is there.
    fn spawn_slirp4netns(&self, order: &Order<'_>) -> io::Result<Running> {
        let mut inside = unprivileged();
        inside
            .args(["unshare", "--user", "--map-root-user", "--net"])
            .args(["sh", "-c", "read go && exec \"$@\"", "sh"])
            .args(order.program);
        let program = Path::new(&order.program[0]);
        let mut running = Running::spawn(&mut inside, program, true, order.directory)?;
        running.beside = Some(attach(&self.path, order, running.id())?);
        running.tell("go").map_err(io::Error::other)?;
        Ok(running)
    }
}

fn list(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(",")
}

/// A command that runs what follows as an ordinary user: as root all of these would be
/// something else.
pub(crate) fn unprivileged() -> Command {
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.current_dir("/");
        command
    } else {
        Command::new("env")
    }
}

/// Starts slirp4netns on the network of `pid` and waits until it is ready.
fn attach(slirp4netns: &Path, order: &Order<'_>, pid: u32) -> io::Result<Child> {
    wait_for_namespace(pid)?;
    let mut flags = String::from("--configure");
    if let Some(mtu) = order.mtu {
        flags.push_str(&format!(" --mtu={mtu}"));
    }
    if order.v6 {
        flags.push_str(" --enable-ipv6");
    }
    if order.publish.is_some() {
        let socket = order.directory.join(API_SOCKET);
        // That of the run before is in the way.
        let _ = std::fs::remove_file(&socket);
        flags.push_str(&format!(" --api-socket={}", socket.display()));
    }
    let script = format!(
        "exec {} {flags} --ready-fd=3 {pid} tap0 3>&1 >/dev/null 2>&1",
        slirp4netns.display()
    );
    let mut helper = unprivileged();
    helper.args(["sh", "-c", &script]).stdout(Stdio::piped());
    let mut helper = helper.spawn()?;
    let mut ready = [0];
    let stdout = helper.stdout.as_mut();
    stdout.map_or(Ok(()), |stdout| stdout.read_exact(&mut ready))?;
    if order.v6 {
        wait_for_v6(pid);
    }
    Ok(helper)
}

/// Until the namespace of `pid` has an IPv6 address that router advertisements gave it, and
/// that is nobody else's; not for ever, some have none.
fn wait_for_v6(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(4);
    while Instant::now() < deadline {
        let text = std::fs::read_to_string(format!("/proc/{pid}/net/if_inet6"));
        let text = text.unwrap_or_default();
        // Address, index, length, scope (0 is global), flags (0x40 is tentative), name.
        let stands = text.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, _, "00", flags, _] = fields[..] else {
                return false;
            };
            u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 0x40 == 0)
        });
        if stands {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Until `pid` has a network of its own, and an identity map.
pub(crate) fn wait_for_namespace(pid: u32) -> io::Result<()> {
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

/// A SOCKS5 server on the loopback, and its port.
fn start_proxy() -> io::Result<(Child, u16)> {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = free.local_addr()?.port();
    drop(free);
    let child = unprivileged()
        .args(["microsocks", "-i", "127.0.0.1", "-p", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok((child, port)),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// `name` in the directories of `PATH`, and where administrators' programs are.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|directory| directory.join(name))
        .find(|path| path.exists())
}

/// A copy that an ordinary user may run, wherever the original lies.
pub(crate) fn copy_for_everybody(program: &Path, directory: &Path) -> io::Result<PathBuf> {
    let name = program.file_name().unwrap_or_default();
    let copy = directory.join(name);
    std::fs::copy(program, &copy)?;
    // pasta runs the one beside it where the processor has AVX2.
    let mut faster = name.to_owned();
    faster.push(".avx2");
    let faster_program = program.with_file_name(&faster);
    if faster_program.exists() {
        std::fs::copy(faster_program, directory.join(faster))?;
    }
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

/// The host's own address towards its default route. Connecting a datagram socket sends
/// nothing.
pub(crate) fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((default_gateway()?, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) => Some(address),
        std::net::IpAddr::V6(_) => None,
    }
}
