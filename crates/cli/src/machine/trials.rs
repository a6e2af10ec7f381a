//! What can be found out by trying only.

use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::run::{Plan, SetupError, Step, relay};

/// How long a directory may take to answer.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(2);

/// What came of trying.
#[derive(Clone, Debug)]
pub(crate) struct Trials {
    /// All that `run` does before it starts CMD, in the same code.
    pub(crate) setup: Result<Setup, SetupError>,
    pub(crate) names: Names,
    /// Whether there is a way to the rest of the IPv6 world.
    pub(crate) outside_v6: bool,
    /// Whether a ping socket can be had.
    pub(crate) ping: bool,
}

/// A set-up that stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// What a TUN was refused with, where a veth pair takes its place.
    pub(crate) instead_of: Option<SetupError>,
}

/// Whether the host's directory answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Answered { server: IpAddr, elapsed: Duration },
    Silent { server: IpAddr },
    NoServer,
}

impl Trials {
    /// Tries everything. While the process has one thread: the set-up forks.
    pub(crate) fn make() -> Self {
        Self {
            setup: try_setup(),
            names: try_names(),
            outside_v6: has_way_v6(),
            ping: has_ping_socket(),
        }
    }
}

fn try_setup() -> Result<Setup, SetupError> {
    let plan = Plan::trial().map_err(|error| SetupError {
        step: Step::Process,
        errno: 0,
        tried: error.to_string(),
    })?;
    let mut setup = relay::begin(&plan)?;
    let stands = setup.wait_until_ready(&plan);
    let instead_of = setup.instead_of().cloned();
    setup.reap();
    stands.map(|()| Setup { instead_of })
}

/// Whether the set-up got as far as `what` and beyond.
pub(crate) fn was_reached(what: &str, trials: &Trials) -> bool {
    let Err(error) = &trials.setup else {
        return true;
    };
    let order = |step| match step {
        Step::Process | Step::Join => 0,
        Step::UserNamespace | Step::UserMap => 1,
        Step::NetworkNamespace => 2,
        Step::MountNamespace => 3,
        Step::TunOpen | Step::TunAttach | Step::Veth => 4,
        Step::Link => 5,
        Step::Files | Step::Localhost => 6,
    };
    let at = match what {
        "user namespace" => 1,
        "network namespace" => 2,
        _ => 4,
    };
    order(error.step) > at
}

/// Asks the host's servers in turn for the name servers of the root (RFC 1035 section 4.1), which
/// every resolver knows.
fn try_names() -> Names {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next() == Some("nameserver"))
            .then(|| words.next()?.split('%').next()?.parse().ok())
            .flatten()
    });
    let mut silent = Names::NoServer;
    for server in servers.take(3) {
        let begun = Instant::now();
        if ask(server).is_some() {
            return Names::Answered {
                server,
                elapsed: begun.elapsed(),
            };
        }
        if silent == Names::NoServer {
            silent = Names::Silent { server };
        }
    }
    silent
}

fn ask(server: IpAddr) -> Option<()> {
    // Number, recursion desired, one question: the root, type NS, class IN.
    const QUESTION: [u8; 17] = [
        0x5b, 0x5b, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1,
    ];
    let any: IpAddr = match server {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.set_read_timeout(Some(DIRECTORY_TIMEOUT)).ok()?;
    socket.connect(SocketAddr::new(server, 53)).ok()?;
    socket.send(&QUESTION).ok()?;
    let mut answer = [0; 512];
    let len = socket.recv(&mut answer).ok()?;
    (len >= 12 && answer[..2] == QUESTION[..2]).then_some(())
}

/// Whether this kernel speaks IPv6 at all.
pub(crate) fn has_ipv6() -> bool {
    std::path::Path::new("/proc/sys/net/ipv6").exists()
}

/// Whether the kernel has a route and a source address for an address of the IPv6 world.
/// Nothing is sent: connecting a datagram socket only looks the route up.
pub(crate) fn has_way_v6() -> bool {
    // RFC 3849: a documentation prefix, which nothing but a default route covers.
    let elsewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    socket.is_ok_and(|socket| socket.connect((elsewhere, 9)).is_ok())
}

fn has_ping_socket() -> bool {
    Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)).is_ok()
}
