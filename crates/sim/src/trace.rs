//! Every packet of a run with its moment, its way and its fate.
//!
//! It prints as a ladder in the notation of `wire::line`, becomes a capture file, and has a
//! digest: two runs of one seed have the same, octet for octet.

use std::fmt::Write as _;
use std::hash::Hasher as _;

use bytes::Bytes;
use switchboard_wire::{Instant, pcapng};

use crate::link::{Fate, LostTo};
use crate::notation::Origins;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was sent.
    pub at: Instant,
    /// Which host sent it.
    pub from: usize,
    /// Which host it is for; `None` where nobody has its destination.
    pub to: Option<usize>,
    /// The packet as it was sent.
    pub packet: Bytes,
    /// What became of it.
    pub fate: Fate,
    /// Its number, counted over the world; `None` where it never reached a link.
    pub number: Option<u64>,
}

/// How much of a trace is kept. The digest covers everything in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Every packet.
    #[default]
    All,
    /// At least this many, the last ones: for runs that are longer than memory.
    Last(usize),
    /// None: for thousands of runs of which only a failed one is looked at, by repeating it.
    Nothing,
}

/// The packets of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hosts: Vec<String>,
    entries: Vec<Entry>,
    keep: Keep,
    next_number: u64,
    digest: Digest,
}

impl Trace {
    /// Chooses how much is kept from now on.
    pub const fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// The packets, in the order in which they were sent.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Packets that links were given.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.next_number
    }

    /// A number that two runs share only if every packet, moment and fate is the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.0.finish()
    }

    /// Names the next host; the first is number 0.
    pub fn name_host(&mut self, name: &str) {
        self.hosts.push(name.to_owned());
    }

    /// What a host is called; empty for one that has no name.
    #[must_use]
    pub fn host_name(&self, host: usize) -> &str {
        self.hosts.get(host).map_or("", String::as_str)
    }

    pub(crate) const fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Adds a packet, in the order of time.
    pub fn record(&mut self, entry: Entry) {
        self.next_number += u64::from(entry.number.is_some());
        self.digest.add(&entry);
        match self.keep {
            Keep::All => self.entries.push(entry),
            Keep::Last(count) => {
                // Half is let go at a time, so that each packet is moved once at most.
                if self.entries.len() >= count.saturating_mul(2).max(1) {
                    self.entries.drain(..self.entries.len() - count);
                }
                self.entries.push(entry);
            }
            Keep::Nothing => {}
        }
    }

    /// The ladder as the first host sees it.
    #[must_use]
    pub fn ladder(&self) -> String {
        self.ladder_of(0)
    }

    /// The ladder as `host` sees it: what it sends when it leaves (`->`), what is for it when
    /// it arrives (`<-`), or when it was lost.
    #[must_use]
    pub fn ladder_of(&self, host: usize) -> String {
        let mut text = String::new();
        for rung in self.rungs(host) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{rung}");
        }
        text
    }

    /// The lines of [`Trace::ladder_of`].
    #[must_use]
    pub fn rungs(&self, host: usize) -> Vec<Rung> {
        let mut origins = Origins::default();
        for entry in &self.entries {
            origins.observe(&entry.packet);
        }
        let mut rungs = Vec::new();
        for (order, entry) in self.entries.iter().enumerate() {
            let line = origins.line(&entry.packet);
            let is_ours = entry.from == host;
            if !is_ours && entry.to != Some(host) {
                continue;
            }
            let (first, second, remark) = outcome(entry);
            let mut add = |at: Instant, remark: &str| {
                rungs.push((
                    (at, order),
                    Rung {
                        at,
                        is_outgoing: is_ours,
                        entry: order,
                        line: line.clone(),
                        remark: remark.to_owned(),
                    },
                ));
            };
            if is_ours {
                add(entry.at, &remark);
            } else {
                add(first, &remark);
                if let Some(second) = second {
                    add(second, "the duplicate");
                }
            }
        }
        rungs.sort_by_key(|&(key, _)| key);
        rungs.into_iter().map(|(_, rung)| rung).collect()
    }

    /// The run as a capture file. A packet's comment says which host sent it, and its fate.
    #[must_use]
    pub fn pcapng(&self) -> Vec<u8> {
        let mut file = Vec::new();
        pcapng::section_header(&mut file, "switchboard sim");
        // One interface: tcpdump refuses a second one of this link type.
        pcapng::interface(&mut file, "sim");
        for entry in &self.entries {
            let (_, _, remark) = outcome(entry);
            let mut comment = self.hosts.get(entry.from).cloned().unwrap_or_default();
            if !remark.is_empty() {
                comment.push_str(": ");
                comment.push_str(&remark);
            }
            pcapng::packet(
                &mut file,
                &pcapng::Packet {
                    comment: &comment,
                    ..pcapng::Packet::new(0, entry.at.as_nanos(), &entry.packet)
                },
            );
        }
        file
    }
}

/// One line of a ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// When.
    pub at: Instant,
    /// Whether the host sent it.
    pub is_outgoing: bool,
    /// Which entry of the trace it is.
    pub entry: usize,
    /// The packet, in the notation of `wire::line`.
    pub line: String,
    /// What happened to it on the way; empty if nothing.
    pub remark: String,
}

impl std::fmt::Display for Rung {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arrow = if self.is_outgoing { "->" } else { "<-" };
        let at = crate::notation::time(self.at);
        if self.remark.is_empty() {
            write!(f, "{at:>12}  {arrow}  {}", self.line)
        } else {
            write!(f, "{at:>12}  {arrow}  {:<48}  {}", self.line, self.remark)
        }
    }
}

impl Entry {
    /// What happened to it on the way, in words; empty if nothing.
    #[must_use]
    pub fn remark(&self) -> String {
        outcome(self).2
    }
}

/// When it arrived (or was lost), when its duplicate did, and what to remark.
fn outcome(entry: &Entry) -> (Instant, Option<Instant>, String) {
    match entry.fate {
        Fate::Lost(lost_to) => {
            let remark = match (lost_to, entry.to) {
                (_, None) => "nobody has that address",
                (LostTo::Loss, _) => "lost on the way",
                (LostTo::Queue, _) => "dropped: the queue is full",
                (LostTo::Mtu(_), _) => "dropped: too long for the link",
                (LostTo::Partition, _) => "dropped: the link is cut",
            };
            (entry.at, None, remark.to_owned())
        }
        Fate::Sent {
            arrives,
            corrupted,
            duplicate,
            held_back,
        } => {
            let mut remarks = Vec::new();
            if let Some(bit) = corrupted {
                remarks.push(format!("corrupted in bit {bit}"));
            }
            if duplicate.is_some() {
                remarks.push("duplicated".to_owned());
            }
            if held_back {
                remarks.push("held back".to_owned());
            }
            (arrives, duplicate, remarks.join(", "))
        }
    }
}

/// The standard library's keyless SipHash: the same on every machine for the same octets.
#[derive(Clone, Debug, Default)]
struct Digest(std::hash::DefaultHasher);

impl Digest {
    fn add(&mut self, entry: &Entry) {
        let hasher = &mut self.0;
        hasher.write_u64(entry.at.as_nanos());
        hasher.write_u64(entry.from as u64);
        hasher.write_u64(entry.to.map_or(u64::MAX, |to| to as u64));
        hasher.write_u64(entry.packet.len() as u64);
        hasher.write(&entry.packet);
        match entry.fate {
            Fate::Lost(lost_to) => hasher.write_u8(match lost_to {
                LostTo::Loss => 1,
                LostTo::Queue => 2,
                LostTo::Mtu(_) => 3,
                LostTo::Partition => 4,
            }),
            Fate::Sent {
                arrives,
                corrupted,
                duplicate,
                held_back,
            } => {
                hasher.write_u8(5 + u8::from(held_back));
                hasher.write_u64(arrives.as_nanos());
                hasher.write_u64(corrupted.map_or(u64::MAX, |bit| bit as u64));
                hasher.write_u64(duplicate.map_or(u64::MAX, Instant::as_nanos));
            }
        }
    }
}
