//! Conversations that sweeps, tests and `switchboard tour` share.

pub mod notes;

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::TcpOptions;
use switchboard_wire::Instant;

use crate::app::{Client, Close, DatagramReceiver, DatagramSender, Plan, Server};
use crate::host;
use crate::link::Conditions;
use crate::world::{HostId, World};

/// A small world with something going on in it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// How it is called.
    pub name: &'static str,
    /// Puts hosts, links and applications into an empty world.
    pub build: fn(&mut World),
}

/// One way between the two hosts of a scenario takes this long.
const DELAY: Duration = Duration::from_millis(10);

/// Every scenario that is swept.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "open and close, nothing sent",
        build: |world| conversation(world, false, Plan::send(0), Plan::send(0)),
    },
    Scenario {
        name: "open and close over IPv6",
        build: |world| conversation(world, true, Plan::send(0), Plan::send(0)),
    },
    Scenario {
        name: "a question and an answer",
        build: |world| {
            conversation(world, false, Plan::send(100), answering(Plan::send(300)));
        },
    },
    Scenario {
        name: "a question and an answer over IPv6",
        build: |world| {
            conversation(world, true, Plan::send(100), answering(Plan::send(300)));
        },
    },
    Scenario {
        name: "one octet each way",
        build: |world| conversation(world, false, Plan::send(1), Plan::send(1)),
    },
    Scenario {
        name: "a transfer up",
        build: |world| conversation(world, false, Plan::send(40_000), Plan::send(0)),
    },
    Scenario {
        name: "a transfer down over IPv6",
        build: |world| conversation(world, true, Plan::send(0), Plan::send(40_000)),
    },
    Scenario {
        name: "transfers both ways at once",
        build: |world| conversation(world, false, Plan::send(20_000), Plan::send(20_000)),
    },
    Scenario {
        name: "the server closes first",
        build: |world| {
            conversation(world, false, answering(Plan::send(0)), Plan::send(3_000));
        },
    },
    Scenario {
        name: "half-close, and the answer comes behind it",
        build: |world| {
            conversation(
                world,
                false,
                Plan::send(5_000),
                answering(Plan::send(10_000)),
            );
        },
    },
    Scenario {
        name: "both FINs cross",
        build: |world| {
            let plan = Plan {
                close: Close::At(Instant::from_millis(100)),
                ..Plan::send(200)
            };
            conversation(world, false, plan, plan);
        },
    },
    Scenario {
        name: "small writes, one each millisecond",
        build: |world| {
            let plan = Plan {
                write: 50,
                write_gap: Duration::from_millis(1),
                ..Plan::send(1_000)
            };
            conversation(world, false, plan, Plan::send(0));
        },
    },
    Scenario {
        name: "the window closes and opens again",
        build: |world| {
            let reader = Plan {
                read_from: Instant::from_millis(1_500),
                ..Plan::send(0)
            };
            narrow(world, Plan::send(12_000), reader);
        },
    },
    Scenario {
        name: "a reader slower than its window",
        build: |world| {
            let reader = Plan {
                read: 700,
                read_gap: Duration::from_millis(30),
                ..Plan::send(0)
            };
            narrow(world, Plan::send(12_000), reader);
        },
    },
    Scenario {
        name: "datagrams",
        build: |world| datagrams(world, false, 10, 500),
    },
    Scenario {
        name: "datagrams in fragments, over IPv6",
        build: |world| datagrams(world, true, 3, 4_000),
    },
];

/// The scenario of that name.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn named(name: &str) -> Scenario {
    *ALL.iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("no scenario is called {name:?}"))
}

/// The same plan, but it closes only when the peer has.
const fn answering(plan: Plan) -> Plan {
    Plan {
        close: Close::AfterPeer,
        ..plan
    }
}

/// Two hosts, `client` and `server`, joined by a line of these conditions.
pub fn pair(world: &mut World, conditions: &Conditions) -> (HostId, HostId) {
    let client = world.host("client", host::config(&["10.0.0.1/24", "fd00::1/64"]));
    let server = world.host("server", host::config(&["10.0.0.2/24", "fd00::2/64"]));
    world.link(client, server, conditions);
    (client, server)
}

/// An endpoint of the server of [`pair`].
#[must_use]
pub fn server_endpoint(is_v6: bool, port: u16) -> SocketAddr {
    if is_v6 {
        SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 2], port))
    } else {
        SocketAddr::from(([10, 0, 0, 2], port))
    }
}

fn conversation(world: &mut World, is_v6: bool, client_plan: Plan, server_plan: Plan) {
    let (client, server) = pair(world, &Conditions::delay(DELAY));
    let endpoint = server_endpoint(is_v6, 80);
    world.start(server, Server::new(endpoint, server_plan, Some(1)));
    world.start(client, Client::new(endpoint, client_plan));
}

/// A conversation in which the server can hold 4,096 octets.
fn narrow(world: &mut World, client_plan: Plan, server_plan: Plan) {
    let (client, server) = pair(world, &Conditions::delay(DELAY));
    let endpoint = server_endpoint(false, 80);
    let options = TcpOptions {
        receive_buffer: 4_096,
        ..TcpOptions::default()
    };
    let app = Server::new(endpoint, server_plan, Some(1)).with_options(options);
    world.start(server, app);
    world.start(client, Client::new(endpoint, client_plan));
}

fn datagrams(world: &mut World, is_v6: bool, count: u64, len: usize) {
    let (client, server) = pair(world, &Conditions::delay(DELAY));
    let endpoint = server_endpoint(is_v6, 53);
    let local = if is_v6 {
        SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, 1], 5_000))
    } else {
        SocketAddr::from(([10, 0, 0, 1], 5_000))
    };
    world.start(server, DatagramReceiver::new(endpoint));
    let gap = Duration::from_millis(2);
    world.start(
        client,
        DatagramSender::new(local, endpoint, count, len, gap),
    );
}
