//! FEATURES section 10, bug 14: one connection after another to one address and port.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::{Readiness, TcpId, TcpOptions};
use switchboard_sim::app::{App, Context, Plan, Server, Wake};
use switchboard_sim::pattern::Direction;
use switchboard_sim::scenario::{pair, server_endpoint};
use switchboard_sim::trace::Keep;
use switchboard_sim::{Conditions, Seed, World};
use switchboard_wire::Instant;

/// More than there are ephemeral ports, in less than a TIME-WAIT.
const CONNECTIONS: u32 = 40_000;

/// Connects, closes first, and connects again as soon as the peer has closed too.
struct Caller {
    remote: SocketAddr,
    left: u32,
    current: Option<TcpId>,
}

impl Caller {
    fn connect(&mut self, cx: &mut Context<'_>) {
        let options = TcpOptions::default();
        match cx
            .stack
            .call_tcp_connect(cx.now, None, self.remote, &options)
        {
            Ok(id) => {
                cx.owners.tcp.insert(id, cx.me);
                self.current = Some(id);
            }
            Err(error) => {
                let what = format!("{} connections are left: {error:?}", self.left);
                cx.oracles.note(cx.now, Err(what));
                self.left = 0;
            }
        }
    }
}

impl App for Caller {
    fn wake(&mut self, cx: &mut Context<'_>, why: Wake) {
        match why {
            Wake::Start => self.connect(cx),
            Wake::Tcp(id, readiness) if Some(id) == self.current => {
                cx.oracles.note_progress();
                let (local, remote) = cx.stack.tcp_endpoints(id).expect("it is open");
                let direction = Direction::new(local, remote);
                if readiness.contains(Readiness::CONNECTED) {
                    cx.oracles.stream.begin_anew(direction);
                    cx.oracles.stream.finished(direction);
                    let how = switchboard_core::Shutdown::Write;
                    cx.stack
                        .call_tcp_shutdown(cx.now, id, how)
                        .expect("it is open");
                }
                if readiness.contains(Readiness::READ_CLOSED) {
                    let found = cx.oracles.stream.ended(direction.reversed());
                    cx.oracles.note(cx.now, found);
                    cx.owners.tcp.remove(&id);
                    cx.stack.call_tcp_close(cx.now, id).expect("it is ours");
                    self.current = None;
                    self.left -= 1;
                    if self.left > 0 {
                        self.connect(cx);
                    }
                }
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.left == 0
    }

    fn status(&self) -> String {
        format!("{} connections are left", self.left)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

#[test]
fn forty_thousand_connections_to_one_endpoint_within_a_time_wait() {
    let mut world = World::new(Seed(1));
    world.trace_mut().keep(Keep::Nothing);
    let line = Conditions::delay(Duration::from_micros(200));
    let (client, server) = pair(&mut world, &line);
    let remote = server_endpoint(false, 80);
    world.start(server, Server::new(remote, Plan::send(0), None));
    world.start(
        client,
        Caller {
            remote,
            left: CONNECTIONS,
            current: None,
        },
    );
    world.run_until_done().expect("every promise is kept");
    let took = world.now().saturating_since(Instant::ZERO);
    println!("{CONNECTIONS} connections in {took:?} of the world");
    assert!(took < Duration::from_secs(60));
    world.run_until_idle().expect("and nothing is left");
}
