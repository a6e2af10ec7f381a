//! Ports in and out of a namespace as pasta forwards them: those that were named, and those that
//! are listened to at the other side, looked for once a second.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use switchboard_gateway::{Forward, Gateway, HostAddress, InsideListener};
use switchboard_wire::Protocol;

use super::insider::Insider;
use super::listening::{Listener, Listening, Reach};
use super::ports::{Ports, Range, is_in};

/// How often it is looked who listens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is forwarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WaysSpec {
    /// From this machine into the namespace.
    pub(crate) tcp: Ports,
    pub(crate) udp: Ports,
    /// From the namespace's loopback to this machine's.
    pub(crate) tcp_out: Ports,
}

impl WaysSpec {
    /// Whether sockets have to be made inside, or looked for there.
    pub(crate) fn need_insider(&self) -> bool {
        let is_auto = |ports: &Ports| matches!(ports, Ports::Auto { .. });
        is_auto(&self.tcp) || is_auto(&self.udp) || self.tcp_out != Ports::None
    }
}

/// The ways that are open.
pub(super) struct Ways {
    spec: WaysSpec,
    gateway: Arc<Gateway>,
    insider: Option<Arc<Insider>>,
    /// Ports of this machine that we listen to, with what listens.
    opened: HashMap<(Protocol, u16), Vec<SocketAddr>>,
    /// Those of them that were found, not named.
    found: BTreeSet<(Protocol, u16)>,
    /// TCP ports inside that we listen to.
    inside: HashMap<u16, Vec<InsideListener>>,
}

impl Ways {
    pub(super) fn new(
        spec: WaysSpec,
        gateway: Arc<Gateway>,
        insider: Option<Arc<Insider>>,
    ) -> Self {
        Self {
            spec,
            gateway,
            insider,
            opened: HashMap::new(),
            found: BTreeSet::new(),
            inside: HashMap::new(),
        }
    }

    /// Opens what was named, and what is listened to already.
    ///
    /// # Errors
    ///
    /// None of the ports that a specification names can be had; the text says why.
    pub(super) async fn open(&mut self) -> io::Result<()> {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            if let Ports::These(ranges) = self.inward(protocol).clone() {
                for range in ranges {
                    self.open_range(protocol, &range).await?;
                }
            }
        }
        if let Ports::These(ranges) = self.spec.tcp_out.clone() {
            for range in ranges {
                self.open_range_inside(&range).await?;
            }
        }
        self.look().await;
        Ok(())
    }

    fn inward(&self, protocol: Protocol) -> &Ports {
        match protocol {
            Protocol::Tcp => &self.spec.tcp,
            Protocol::Udp => &self.spec.udp,
        }
    }

    async fn open_range(&mut self, protocol: Protocol, range: &Range) -> io::Result<()> {
        let mut failed = None;
        let mut any = false;
        for (port, target) in range.pairs() {
            match self.open_port(protocol, range.listen, port, target).await {
                Ok(()) => any = true,
                Err(error) => failed = failed.or(Some((port, error))),
            }
        }
        match failed {
            Some((port, error)) if !any => {
                let option = match protocol {
                    Protocol::Tcp => "-t",
                    Protocol::Udp => "-u",
                };
                Err(refused(option, range, port, &error))
            }
            _ => Ok(()),
        }
    }

    /// At one address, or at all: then one family is enough.
    async fn open_port(
        &mut self,
        protocol: Protocol,
        listen: Option<IpAddr>,
        port: u16,
        target: u16,
    ) -> io::Result<()> {
        let program = self.gateway.config().program;
        let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let mut bound = Vec::new();
        for listen in listens(listen, program) {
            let Some(inside) = program.of_family(listen).or(program.addresses().next()) else {
                continue;
            };
            let forward = Forward {
                protocol,
                listen: SocketAddr::new(listen, port),
                target: SocketAddr::new(inside, target),
            };
            match self.gateway.forward(forward).await {
                Ok(at) => bound.push(at),
                Err(error) => failed = error,
            }
        }
        if bound.is_empty() {
            return Err(failed);
        }
        self.opened
            .entry((protocol, port))
            .or_default()
            .extend(bound);
        Ok(())
    }

    async fn open_range_inside(&mut self, range: &Range) -> io::Result<()> {
        let mut failed = None;
        let mut any = false;
        for (port, target) in range.pairs() {
            match self.open_inside(port, target).await {
                Ok(()) => any = true,
                Err(error) => failed = failed.or(Some((port, error))),
            }
        }
        match failed {
            Some((port, error)) if !any => Err(refused("-T", range, port, &error)),
            _ => Ok(()),
        }
    }

    async fn open_inside(&mut self, port: u16, target: u16) -> io::Result<()> {
        let insider = self.insider.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        for socket in insider.listen(port).await? {
            let listener = TcpListener::from(socket);
            let served = self.gateway.serve_inside_listener(listener, target)?;
            self.inside.entry(port).or_default().push(served);
        }
        Ok(())
    }

    /// Opens and closes as others do, for ever.
    pub(super) async fn keep(mut self) {
        let is_auto = |ports: &Ports| matches!(ports, Ports::Auto { .. });
        let all = [&self.spec.tcp, &self.spec.udp, &self.spec.tcp_out];
        if !all.into_iter().any(is_auto) {
            return std::future::pending().await;
        }
        let mut clock = tokio::time::interval(LOOK_EVERY);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        clock.tick().await;
        loop {
            clock.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            self.look_inside(protocol).await;
        }
        self.look_outside().await;
    }

    /// What is listened to inside appears on this machine.
    async fn look_inside(&mut self, protocol: Protocol) {
        let Ports::Auto { excluded } = self.inward(protocol).clone() else {
            return;
        };
        let Some(insider) = self.insider.clone() else {
            return;
        };
        let Ok(listening) = insider.listening().await else {
            return;
        };
        let ours = &self.inside;
        let wanted: BTreeSet<u16> = of(&listening, protocol)
            .filter(|known| known.reach != Reach::Loopback)
            .map(|known| known.port)
            .filter(|port| !is_in(&excluded, *port))
            .filter(|port| protocol == Protocol::Udp || !ours.contains_key(port))
            .collect();
        let gone: Vec<_> = self.found.iter().copied().collect();
        for (of_protocol, port) in gone {
            if of_protocol == protocol && !wanted.contains(&port) {
                self.close(protocol, port).await;
            }
        }
        for port in wanted {
            if self.opened.contains_key(&(protocol, port)) {
                continue;
            }
            // Somebody of this machine may have it: then it is theirs.
            if self.open_port(protocol, None, port, port).await.is_ok() {
                self.found.insert((protocol, port));
            }
        }
    }

    async fn close(&mut self, protocol: Protocol, port: u16) {
        self.found.remove(&(protocol, port));
        for bound in self.opened.remove(&(protocol, port)).unwrap_or_default() {
            self.gateway.close_forward(protocol, bound).await;
        }
    }

    /// What is listened to on this machine appears on the inside's loopback.
    async fn look_outside(&mut self) {
        let Ports::Auto { excluded } = self.spec.tcp_out.clone() else {
            return;
        };
        let ours = &self.opened;
        let wanted: BTreeSet<u16> = Listening::read()
            .tcp
            .iter()
            .filter(|known| known.reach != Reach::Address)
            .map(|known| known.port)
            .filter(|port| !ours.contains_key(&(Protocol::Tcp, *port)) && !is_in(&excluded, *port))
            .collect();
        self.inside.retain(|port, served| {
            let stays = wanted.contains(port);
            if !stays {
                served.iter().for_each(InsideListener::close);
            }
            stays
        });
        for port in wanted {
            if !self.inside.contains_key(&port) {
                // A program inside may have it: then it is that program's.
                let _ = self.open_inside(port, port).await;
            }
        }
    }
}

fn of(listening: &Listening, protocol: Protocol) -> impl Iterator<Item = &Listener> {
    match protocol {
        Protocol::Tcp => listening.tcp.iter(),
        Protocol::Udp => listening.udp.iter(),
    }
}

/// Where to listen; at every address of the families that the inside has, unless one is named.
fn listens(listen: Option<IpAddr>, program: HostAddress) -> Vec<IpAddr> {
    let any = [
        program.v4.map(|_| IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        program.v6.map(|_| IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
    ];
    match listen {
        Some(listen) => vec![listen],
        None => any.into_iter().flatten().collect(),
    }
}

/// In pasta's words: callers show them.
fn refused(option: &str, range: &Range, port: u16, error: &io::Error) -> io::Error {
    let text = error.to_string();
    let why = text.split(" (os error").next().unwrap_or(&text);
    let spec = &range.spec;
    io::Error::new(
        error.kind(),
        format!("Failed to bind port {port} ({why}) for option '{option} {spec}'"),
    )
}
