//! Buildings with desks: hosts of a simulated world, called directly.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use switchboard_sim::impair::Partition;
use switchboard_sim::stack::{
    Config, ConnectError, ListenerId, Lost, ReceiveError, Refusal, Shutdown, SocketEntry, State,
    TcpId, TcpOptions, UdpId, UdpOptions, Unreachable,
};
use switchboard_sim::trace::Rung;
use switchboard_sim::{Conditions, Failure, HostId, Seed, World, host};

/// How long a packet is on the way.
pub(super) const ONE_WAY: Duration = Duration::from_millis(10);
/// Long enough for anything that is going to happen soon.
const SOON: Duration = Duration::from_millis(100);
/// The caller's building.
pub(super) const CALLER: &str = "10.0.0.1";

/// A caller and the buildings it can reach.
pub(super) struct Office {
    world: World,
    caller: HostId,
    buildings: Vec<(IpAddr, HostId)>,
    desks: Vec<(ListenerId, HostId, &'static str)>,
}

/// How a call ended.
pub(super) enum Answer {
    /// Somebody answered, and said this.
    Said(String),
    /// This went wrong.
    Failed(Lost),
    /// Nothing happened in all that time.
    Silence,
}

/// A call that was made, and may still stand.
pub(super) struct Call {
    /// The caller's end.
    pub(super) id: TcpId,
    /// Our endpoint.
    pub(super) near: SocketAddr,
    /// How it ended.
    pub(super) answer: Answer,
}

impl Office {
    /// The caller at [`CALLER`], and these buildings.
    pub(super) fn new(seed: Seed, buildings: &[&str]) -> Self {
        let mut world = World::new(seed);
        let own = format!("{CALLER}/24");
        let caller = world.host("caller", host::config(&[&own]));
        let mut office = Self {
            world,
            caller,
            buildings: Vec::new(),
            desks: Vec::new(),
        };
        for building in buildings {
            let address = format!("{building}/24");
            let host = office.world.host(building, host::config(&[&address]));
            office.world.link(caller, host, &Conditions::delay(ONE_WAY));
            if let Ok(address) = building.parse() {
                office.buildings.push((address, host));
            }
        }
        office
    }

    fn building(&self, address: IpAddr) -> Option<HostId> {
        let found = self.buildings.iter().find(|(own, _)| *own == address);
        found.map(|(_, host)| *host)
    }

    /// Somebody sits at that desk and says `greeting` to whoever calls over TCP.
    pub(super) fn desk(&mut self, at: SocketAddr, greeting: &'static str) {
        let Some(host) = self.building(at.ip()) else {
            return;
        };
        let listener = self.world.call(host, |stack, _| {
            stack.call_tcp_listen(at, 1024, &TcpOptions::default())
        });
        if let Ok(listener) = listener {
            self.desks.push((listener, host, greeting));
        }
    }

    /// Somebody waits for notes at that desk.
    pub(super) fn letter_box(&mut self, at: SocketAddr) -> Option<UdpId> {
        let host = self.building(at.ip())?;
        self.world
            .call(host, |stack, _| {
                stack.call_udp_bind(at, &UdpOptions::default())
            })
            .ok()
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, time: Duration) -> Result<(), Box<Failure>> {
        let end = self.world.now() + time;
        self.world.run_until(end)
    }

    /// Starts a call; the line may or may not be put through.
    pub(super) fn dial(&mut self, to: SocketAddr) -> Result<TcpId, ConnectError> {
        self.world.call(self.caller, |stack, now| {
            stack.call_tcp_connect(now, None, to, &TcpOptions::default())
        })
    }

    /// The same, where a call that cannot even start would break a promise.
    pub(super) fn dial_or_fail(&mut self, to: SocketAddr) -> Result<TcpId, Box<Failure>> {
        self.dial(to)
            .map_err(|error| self.world.fail(format!("calling {to}: {error:?}")))
    }

    /// What became of a connection that failed.
    pub(super) fn error_of(&mut self, id: TcpId) -> Option<Lost> {
        self.world
            .call(self.caller, |stack, _| stack.take_tcp_error(id))
            .ok()
            .flatten()
    }

    /// Our end of a call, and what was said to us.
    pub(super) fn hear(&mut self, id: TcpId) -> (Option<SocketAddr>, String) {
        self.world.call(self.caller, |stack, now| {
            let near = stack.tcp_endpoints(id).ok().map(|(near, _)| near);
            let heard = stack.call_tcp_receive(now, id, usize::MAX);
            let heard = heard.map_or(String::new(), |heard| {
                String::from_utf8_lossy(&heard).into_owned()
            });
            (near, heard)
        })
    }

    /// Cuts the lines from the caller to every building.
    pub(super) fn cut(&mut self, partition: Partition) {
        for (_, host) in &self.buildings {
            self.world.conditions_mut(self.caller, *host).partition = partition;
        }
    }

    /// A machine on the way to everywhere else.
    pub(super) fn router(&mut self, address: &str) -> HostId {
        let own = format!("{address}/24");
        let config = Config {
            any_address: true,
            ..host::config(&[&own])
        };
        let router = self.world.host("router", config);
        let line = Conditions::delay(ONE_WAY);
        self.world.link(self.caller, router, &line);
        router
    }

    /// The router turns everything away that waits there: no route to that machine.
    pub(super) fn turn_away(&mut self, router: HostId) {
        for flow in self.world.take_incoming(router) {
            let _ = self.world.call(router, |stack, now| {
                stack.refuse(
                    now,
                    flow,
                    Refusal::Unreachable {
                        why: Unreachable::Host,
                        offender: None,
                    },
                )
            });
        }
    }

    /// Calls a desk that begins to speak and then cuts the line; what was heard, and the error.
    pub(super) fn call_and_be_cut_off(
        &mut self,
        desk: SocketAddr,
        words: &'static str,
    ) -> Result<(String, Option<Lost>), Box<Failure>> {
        self.desk(desk, words);
        let id = self.dial_or_fail(desk)?;
        self.wait(SOON)?;
        let callee = self
            .desks
            .last()
            .map(|(listener, host, _)| (*listener, *host));
        let accepted = callee.and_then(|(listener, host)| {
            self.world.call(host, |stack, now| {
                let accepted = stack.call_tcp_accept(now, listener).ok().flatten()?;
                let _ = stack.call_tcp_send_slice(now, accepted.id, words.as_bytes());
                Some((accepted.id, host))
            })
        });
        self.wait(SOON)?;
        let (_, heard) = self.hear(id);
        if let Some((callee, host)) = accepted {
            let _ = self
                .world
                .call(host, |stack, now| stack.call_tcp_abort(now, callee));
        }
        self.wait(SOON)?;
        Ok((heard, self.error_of(id)))
    }

    /// Everybody at a desk answers who has called.
    pub(super) fn answer_callers(&mut self) -> usize {
        let mut answered = 0;
        for (listener, host, greeting) in &self.desks {
            answered += self.world.call(*host, |stack, now| {
                let mut answered = 0;
                while let Ok(Some(accepted)) = stack.call_tcp_accept(now, *listener) {
                    let said = stack.call_tcp_send_slice(now, accepted.id, greeting.as_bytes());
                    answered += usize::from(said.is_ok());
                    let _ = stack.call_tcp_shutdown(now, accepted.id, Shutdown::Write);
                }
                answered
            });
        }
        answered
    }

    /// Calls, hears what is said, hangs up.
    pub(super) fn call(&mut self, to: SocketAddr) -> Result<Call, Box<Failure>> {
        let id = match self.dial(to) {
            Ok(id) => id,
            Err(error) => {
                let why = format!("calling {to}: {error:?}");
                return Err(self.world.fail(why));
            }
        };
        self.wait(SOON)?;
        self.answer_callers();
        self.wait(SOON)?;
        let (near, heard) = self.world.call(self.caller, |stack, now| {
            let near = stack.tcp_endpoints(id).map(|(near, _)| near);
            (near, stack.call_tcp_receive(now, id, usize::MAX))
        });
        let near = near.unwrap_or(SocketAddr::new(CALLER.parse().unwrap_or(to.ip()), 0));
        let answer = match heard {
            Ok(heard) => Answer::Said(String::from_utf8_lossy(&heard).into_owned()),
            Err(ReceiveError::Lost(why)) => Answer::Failed(why),
            Err(ReceiveError::WouldBlock | ReceiveError::NoSuchSocket) => Answer::Silence,
        };
        Ok(Call { id, near, answer })
    }

    /// Hangs up.
    pub(super) fn hang_up(&mut self, call: &Call) -> Result<(), Box<Failure>> {
        let id = call.id;
        let _ = self
            .world
            .call(self.caller, |stack, now| stack.call_tcp_close(now, id));
        self.wait(SOON)
    }

    /// Sends one note from a new datagram socket; returns its endpoint.
    pub(super) fn note(&mut self, to: SocketAddr, text: &'static str) -> Result<(), Box<Failure>> {
        let local = SocketAddr::new(CALLER.parse().unwrap_or(to.ip()), 0);
        self.world.call(self.caller, |stack, now| {
            if let Ok(id) = stack.call_udp_bind(local, &UdpOptions::default())
                && stack.call_udp_connect(id, to).is_ok()
            {
                let _ = stack.call_udp_send(now, id, Bytes::from_static(text.as_bytes()), None);
            }
        });
        self.wait(SOON)
    }

    /// The notes in a letter box.
    pub(super) fn letters(&mut self, at: SocketAddr, letter_box: UdpId) -> Vec<String> {
        let Some(host) = self.building(at.ip()) else {
            return Vec::new();
        };
        self.world.call(host, |stack, _| {
            let mut letters = Vec::new();
            while let Ok((text, _)) = stack.call_udp_receive(letter_box) {
                letters.push(String::from_utf8_lossy(&text).into_owned());
            }
            letters
        })
    }

    /// The sockets of a building.
    pub(super) fn sockets(&self, building: IpAddr) -> Vec<SocketEntry> {
        self.building(building)
            .map(|host| self.world.host_of(host).stack().sockets().collect())
            .unwrap_or_default()
    }

    /// Sockets of the caller in that state.
    pub(super) fn callers_in(&self, state: State) -> usize {
        let stack = self.world.host_of(self.caller).stack();
        stack
            .sockets()
            .filter(|entry| entry.state == Some(state))
            .count()
    }

    /// The packets so far, as the caller saw them.
    pub(super) fn rungs(&self) -> Vec<Rung> {
        self.world.trace().rungs(0)
    }
}

/// One packet as a line of the tour: `   10 ms  ->  SYN ...`.
pub(super) fn packet_line(rung: &Rung) -> String {
    let arrow = if rung.is_outgoing { "->" } else { "<-" };
    let at = rung.at.as_millis();
    let line = format!("{at:>5} ms  {arrow}  {:<45} {}", rung.line, rung.remark);
    line.trim_end().to_owned()
}

/// An endpoint that is written in this source.
pub(super) fn endpoint(text: &str) -> SocketAddr {
    text.parse()
        .unwrap_or_else(|_| unreachable!("{text} is an address and a port"))
}
