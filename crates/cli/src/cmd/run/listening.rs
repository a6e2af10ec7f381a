//! What the program listens on: published by itself (`-p auto`), or told as a hint.
//!
//! The agent is asked by `sock_diag(7)` for the namespace's listeners, some times a second. The
//! kernel tells of sockets that go (`SKNLGRP_INET_TCP_DESTROY`), but of every connection's too,
//! and has no word for one that begins to listen: see docs/decisions/D-16.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use switchboard_gateway::HostAddress;
use switchboard_wire::Protocol;
use tokio::time::sleep;

use super::published::Published;
use crate::flags::ports::Publish;
use crate::run::Wanted;
use crate::run::relay::{AgentLink, InsideSocket};
use crate::say;

/// Between looks under `-p auto`: shorter than a person takes from "listening" to the browser.
const LOOK: Duration = Duration::from_millis(200);

/// Before the first look for a hint; each later one waits twice as long.
const HINT_FIRST: Duration = Duration::from_millis(250);
/// Between looks for a hint at most.
const HINT_LAST: Duration = Duration::from_secs(30);

/// `-p auto`: for as long as the program listens at a port, it is published on this machine's
/// loopback. Ends with the agent.
pub(super) async fn publish(link: AgentLink, published: Published, program: HostAddress) {
    let mut open: BTreeMap<SocketAddr, SocketAddr> = BTreeMap::new();
    let mut complained = BTreeSet::new();
    while let Some(sockets) = link.sockets(Wanted::Listeners).await {
        let wanted = wanted(&sockets, program);
        let gone: Vec<SocketAddr> = open
            .keys()
            .copied()
            .filter(|at| !wanted.contains(at))
            .collect();
        for listen in gone {
            if let Some(bound) = open.remove(&listen) {
                published.take_back(Protocol::Tcp, bound).await;
            }
        }
        for listen in wanted {
            let ours = open.keys().any(|at| at.port() == listen.port());
            if open.contains_key(&listen) || !ours && published.has(listen.port()) {
                continue;
            }
            let publish = Publish {
                protocol: Protocol::Tcp,
                listen,
                port: listen.port(),
            };
            match published.publish(publish).await {
                Ok(bound) => {
                    open.insert(listen, bound);
                    complained.remove(&listen);
                    say::notice(format_args!(
                        "{bound} is the program's port {}",
                        bound.port()
                    ));
                }
                // Once: it is tried again, and may become free.
                Err(error) if listen.is_ipv4() && complained.insert(listen) => say::notice(error),
                Err(_) => {}
            }
        }
        sleep(LOOK).await;
    }
}

/// Where this machine is to listen so that its callers reach what listens inside.
fn wanted(sockets: &[InsideSocket], program: HostAddress) -> BTreeSet<SocketAddr> {
    let mut all = BTreeSet::new();
    for socket in sockets {
        let (ip, port) = (socket.local.ip(), socket.local.port());
        if !is_within_reach(ip, program) {
            continue;
        }
        // An IPv6 listener at `::` takes IPv4 callers too (ipv6(7), IPV6_V6ONLY off).
        if ip.is_ipv4() || ip.is_unspecified() {
            all.insert(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        if ip.is_ipv6() {
            all.insert(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        }
    }
    all
}

/// Whether callers that come over the link reach a listener at `ip`.
fn is_within_reach(ip: IpAddr, program: HostAddress) -> bool {
    ip.is_unspecified() || program.is(ip)
}

/// Tells a person, once, how to reach what the program listens on. Looks ever more seldom, and
/// no more once it is told.
pub(super) async fn hint(link: AgentLink, program: HostAddress) {
    let mut pause = HINT_FIRST;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(HINT_LAST);
        let Some(sockets) = link.sockets(Wanted::HeldListeners).await else {
            return;
        };
        let told = sockets
            .iter()
            .filter(|socket| is_within_reach(socket.local.ip(), program));
        if let Some(text) = told.filter_map(hint_of).next() {
            return say::notice(text);
        }
    }
}

fn hint_of(socket: &InsideSocket) -> Option<String> {
    let program = socket.program.as_ref()?;
    let port = socket.local.port();
    // One that needs no right, and reads alike.
    let here = if port < 1024 { port + 8000 } else { port };
    Some(format!(
        "{program} listens on port {port}; to reach it from here: -p {}",
        match here == port {
            true => port.to_string(),
            false => format!("{here}:{port}"),
        }
    ))
}

#[cfg(test)]
mod tests {
    use switchboard_gateway::{GatewayConfig, Program};

    use super::*;

    fn listens(local: &str) -> InsideSocket {
        InsideSocket {
            tcp: true,
            local: local.parse().unwrap(),
            peer: None,
            state: "LISTEN",
            program: Some(Program {
                pid: 123,
                name: "python3".into(),
            }),
        }
    }

    fn published_for(local: &[&str]) -> Vec<String> {
        let sockets: Vec<_> = local.iter().map(|local| listens(local)).collect();
        let wanted = wanted(&sockets, GatewayConfig::default().program);
        wanted.iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn what_listens_for_the_link_is_published_in_its_families() {
        assert_eq!(published_for(&["0.0.0.0:80"]), ["127.0.0.1:80"]);
        assert_eq!(published_for(&["[::]:80"]), ["127.0.0.1:80", "[::1]:80"]);
        assert_eq!(published_for(&["10.0.2.100:80"]), ["127.0.0.1:80"]);
        assert_eq!(published_for(&["[fd5b:2::100]:80"]), ["[::1]:80"]);
        let both = ["0.0.0.0:80", "[::]:80"];
        assert_eq!(published_for(&both), ["127.0.0.1:80", "[::1]:80"]);
    }

    #[test]
    fn what_listens_on_the_programs_own_loopback_is_not() {
        assert!(published_for(&["127.0.0.1:80", "[::1]:80"]).is_empty());
    }

    #[test]
    fn the_hint_can_be_typed() {
        assert_eq!(
            hint_of(&listens("0.0.0.0:80")).unwrap(),
            "python3[123] listens on port 80; to reach it from here: -p 8080:80"
        );
        assert_eq!(
            hint_of(&listens("[::]:3000")).unwrap(),
            "python3[123] listens on port 3000; to reach it from here: -p 3000"
        );
    }
}
