//! Numbered notes over a bad line, once over UDP and once over TCP: what reliability is.
//! `switchboard tour` shows it.

use std::net::SocketAddr;
use std::time::Duration;

use switchboard_core::TcpOptions;
use switchboard_wire::Instant;

use super::{pair, server_endpoint};
use crate::app::{Client, Close, DatagramReceiver, DatagramSender, Plan, Server};
use crate::failure::Failure;
use crate::link::{Conditions, Fate};
use crate::pattern::Direction;
use crate::rng::{Chance, Seed};
use crate::seen::Seen;
use crate::trace::{Rung, Trace};
use crate::world::World;

/// What is sent, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notes {
    /// How many notes.
    pub count: u64,
    /// Octets of each.
    pub len: usize,
    /// Time between two.
    pub gap: Duration,
    /// How long a packet is on the way.
    pub delay: Duration,
    /// How likely a packet is lost, in each direction.
    pub loss: Chance,
}

impl Default for Notes {
    /// 1000 notes of 100 octets, one each millisecond, 20 ms each way, 1 packet in 10 lost.
    fn default() -> Self {
        Self {
            count: 1000,
            len: 100,
            gap: Duration::from_millis(1),
            delay: Duration::from_millis(20),
            loss: Chance::percent(10),
        }
    }
}

/// How the notes fared over one protocol.
#[derive(Debug)]
pub struct NotesReport {
    /// Different notes that arrived.
    pub arrived: u64,
    /// Whether they arrived in the order in which they were sent.
    pub in_order: bool,
    /// Packets that the sender sent.
    pub packets: u64,
    /// Packets that it sent again.
    pub sent_again: u64,
    /// When the last note arrived.
    pub last_at: Instant,
    /// Every packet, both ways.
    pub trace: Trace,
}

impl Notes {
    /// Over UDP.
    ///
    /// # Errors
    ///
    /// A promise of the stack was broken.
    pub fn over_udp(&self, seed: Seed) -> Result<NotesReport, Box<Failure>> {
        let mut world = World::new(seed);
        let (client, server) = pair(&mut world, &self.conditions());
        let (local, remote) = (client_endpoint(5000), server_endpoint(false, 7000));
        let receiver = world.start(server, DatagramReceiver::new(remote));
        let sender = DatagramSender::new(local, remote, self.count, self.len, self.gap);
        world.start(client, sender);
        world.run_until_idle()?;

        let arrived = world
            .host_of(server)
            .app::<DatagramReceiver>(receiver)
            .map(DatagramReceiver::arrived)
            .unwrap_or_default();
        let tally = world
            .oracles()
            .datagram
            .tally(Direction::new(local, remote));
        Ok(NotesReport {
            arrived: tally.arrived,
            in_order: arrived.is_sorted_by_key(|&(number, _)| number),
            packets: world.link_stats(client, server).sent,
            sent_again: 0,
            last_at: arrived.last().map_or(Instant::ZERO, |&(_, at)| at),
            trace: world.into_trace(),
        })
    }

    /// Over TCP, each note sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// A promise of the stack was broken.
    pub fn over_tcp(&self, seed: Seed) -> Result<NotesReport, Box<Failure>> {
        let mut world = World::new(seed);
        let (client, server) = pair(&mut world, &self.conditions());
        let remote = server_endpoint(false, 7000);
        let reader = Plan {
            close: Close::AfterPeer,
            ..Plan::send(0)
        };
        let receiver = world.start(server, Server::new(remote, reader, Some(1)));
        let plan = Plan {
            write: self.len,
            write_gap: self.gap,
            ..Plan::send(self.count * self.len as u64)
        };
        let options = TcpOptions {
            nodelay: true,
            ..TcpOptions::default()
        };
        world.start(client, Client::new(remote, plan).with_options(options));
        world.run_until_idle()?;

        let ended = world
            .host_of(server)
            .app::<Server>(receiver)
            .and_then(|server| server.ended().first().copied());
        let (octets, last_at) = ended.map_or((0, Instant::ZERO), |(_, octets, at)| (octets, at));
        let client_stats = world.host_of(client).stack().stats();
        Ok(NotesReport {
            arrived: octets / self.len.max(1) as u64,
            // The stream oracle compared every octet with the one sent at its place.
            in_order: true,
            packets: world.link_stats(client, server).sent,
            sent_again: client_stats.segments_retransmitted,
            last_at,
            trace: world.into_trace(),
        })
    }

    fn conditions(&self) -> Conditions {
        Conditions::delay(self.delay).loss(self.loss)
    }
}

fn client_endpoint(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

impl NotesReport {
    /// A lost note and what TCP did about it: the sending that was lost, the acknowledgements
    /// that reported the hole, and the sending that arrived. `None` if nothing was lost.
    #[must_use]
    pub fn a_note_sent_again(&self) -> Option<Vec<Rung>> {
        let entries = self.trace.entries();
        let text = |index: usize| match Seen::parse(&entries.get(index)?.packet) {
            Ok(Seen::Tcp(tcp)) if !tcp.payload.is_empty() => Some(tcp),
            _ => None,
        };
        let rungs = self.trace.rungs(0);
        let lost_at = rungs.iter().position(|rung| {
            rung.is_outgoing
                && text(rung.entry).is_some()
                && matches!(entries.get(rung.entry).map(|e| e.fate), Some(Fate::Lost(_)))
        })?;
        let lost = text(rungs.get(lost_at)?.entry)?;
        let mut story = vec![rungs.get(lost_at)?.clone()];
        for rung in rungs.iter().skip(lost_at + 1) {
            if rung.is_outgoing {
                let is_again = text(rung.entry).is_some_and(|tcp| tcp.seq == lost.seq);
                if is_again {
                    let mut again = rung.clone();
                    if again.remark.is_empty() {
                        "sent again".clone_into(&mut again.remark);
                    }
                    story.push(again);
                    let arrived = matches!(
                        entries.get(rung.entry).map(|entry| entry.fate),
                        Some(Fate::Sent { .. })
                    );
                    if arrived {
                        return Some(story);
                    }
                }
            } else if let Some(Ok(Seen::Tcp(tcp))) =
                entries.get(rung.entry).map(|e| Seen::parse(&e.packet))
                && tcp.ack == Some(lost.seq)
                && !tcp.sack_blocks.is_empty()
                && rung.remark.is_empty()
            {
                story.push(rung.clone());
            }
        }
        None
    }
}
