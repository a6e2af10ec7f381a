//! What happened: every packet in the order of time, as a digest, a ladder and captures.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

use switchboard_core::Instant;
use switchboard_sim::notation::{self, Origins};
use switchboard_sim::trace::{Entry, Keep, Trace};
use switchboard_wire::pcapng;

use super::fabric::Way;

/// Packets that are kept for the ladder of a failure.
const KEPT: usize = 10_000;

/// The same in the first of two runs, whose packets are compared with the second's.
const KEPT_TO_COMPARE: usize = 200_000;

/// Lines of a ladder that a failure shows.
const LADDER_LINES_MAX: usize = 40;

/// The digest after each packet of a run, and its last packets: what a second run is compared
/// with.
#[derive(Default)]
pub(super) struct Reference {
    digests: Vec<u64>,
    last: Vec<Entry>,
}

/// The packets of a run.
pub(super) struct Record {
    pub(super) trace: Trace,
    captures: Vec<Capture>,
    /// The digests, where this run is one to compare with.
    digests: Option<Vec<u64>>,
    reference: Option<Arc<Reference>>,
    /// Packets recorded so far, those that reached no link included.
    count: usize,
    /// The first packet that is not the reference's.
    diverged: Option<usize>,
}

/// A file that gets some of the packets.
struct Capture {
    output: Box<dyn Write>,
    /// Which packets; `None`: all.
    ways: Option<Vec<Way>>,
    buffer: Vec<u8>,
    failed: Option<std::io::Error>,
}

impl Record {
    pub(super) fn new() -> Self {
        let mut trace = Trace::default();
        trace.keep(Keep::Last(KEPT));
        Self {
            trace,
            captures: Vec::new(),
            digests: None,
            reference: None,
            count: 0,
            diverged: None,
        }
    }

    /// This run is the first of two.
    pub(super) fn collect(&mut self) {
        self.trace.keep(Keep::Last(KEPT_TO_COMPARE));
        self.digests = Some(Vec::new());
    }

    /// What a second run is compared with.
    pub(super) fn into_reference(self) -> Reference {
        let mut entries = self.trace.entries().to_vec();
        let last = entries.split_off(entries.len().saturating_sub(KEPT_TO_COMPARE));
        Reference {
            digests: self.digests.unwrap_or_default(),
            last,
        }
    }

    /// This run is the second of two.
    pub(super) fn compare_with(&mut self, reference: Arc<Reference>) {
        self.reference = Some(reference);
    }

    /// Begins a capture.
    pub(super) fn capture(&mut self, output: Box<dyn Write>, ways: Option<Vec<Way>>) {
        let mut buffer = Vec::new();
        pcapng::section_header(&mut buffer, "switchboard sim");
        // One interface: tcpdump refuses a second one of this link type.
        pcapng::interface(&mut buffer, "sim");
        self.captures.push(Capture {
            output,
            ways,
            buffer,
            failed: None,
        });
    }

    /// Adds what was sent in a stretch of time in which the hosts ran one after the other.
    pub(super) fn add(&mut self, sent: &mut Vec<Entry>) {
        // One host's packets are in order already; the sort is stable.
        sent.sort_by_key(|entry| (entry.at, entry.from));
        for mut entry in sent.drain(..) {
            entry.number = entry.number.map(|_| self.trace.packets());
            for capture in &mut self.captures {
                capture.add(&self.trace, &entry);
            }
            self.trace.record(entry);
            let digest = self.trace.digest();
            if let Some(digests) = &mut self.digests {
                digests.push(digest);
            }
            if self.diverged.is_none()
                && let Some(reference) = &self.reference
                && reference.digests.get(self.count) != Some(&digest)
            {
                self.diverged = Some(self.count);
            }
            self.count += 1;
        }
        for capture in &mut self.captures {
            capture.flush();
        }
    }

    /// When the last packet was sent.
    pub(super) fn last_sent(&self) -> Instant {
        let last = self.trace.entries().last();
        last.map_or(Instant::ZERO, |entry| entry.at)
    }

    /// The first error of a capture.
    pub(super) fn capture_error(&mut self) -> Option<std::io::Error> {
        self.captures
            .iter_mut()
            .find_map(|capture| capture.failed.take())
    }

    /// How this run differs from its reference, in words: `None` if it does not. `is_over`: a
    /// packet that is missing counts too.
    pub(super) fn difference(&self, is_over: bool) -> Option<String> {
        let reference = self.reference.as_ref()?;
        let total = reference.digests.len();
        let at = match self.diverged {
            Some(at) => at,
            None if is_over && self.count < total => self.count,
            None => return None,
        };
        let first = self.line_of(&reference.last, total, at);
        let second = self.line_of(self.trace.entries(), self.count, at);
        Some(format!(
            "two runs of one seed differ, first in packet {at}:\n  first run:  {}\n  second run: {}\n\
             What breaks repeatability: std's clocks and HashMap order, threads, other \
             randomness, select! without `biased` (see the guide's chapter on simulation).",
            first
                .as_deref()
                .unwrap_or("there is none, or it was let go to save memory"),
            second.as_deref().unwrap_or("there is none"),
        ))
    }

    /// The line of packet `number`, of which `last` are the last of `total`.
    fn line_of(&self, last: &[Entry], total: usize, number: usize) -> Option<String> {
        let skipped = total - last.len().min(total);
        let entry = last.get(number.checked_sub(skipped)?)?;
        Some(self.line(entry, &origins(last)))
    }

    fn line(&self, entry: &Entry, origins: &Origins) -> String {
        let to = entry.to.map_or("?", |to| self.trace.host_name(to));
        let way = format!("{} > {to}", self.trace.host_name(entry.from));
        let packet = origins.line(&entry.packet);
        let at = notation::time(entry.at);
        let line = format!("{at:>18}  {way:<20} {packet}  {}", entry.remark());
        line.trim_end().to_owned()
    }

    /// The last packets up to `until`, with what happened to the world between them.
    pub(super) fn ladder(&self, events: &[(Instant, String)]) -> String {
        let until = self
            .diverged
            .map_or(self.count, |at| (at + 10).min(self.count));
        let entries = self.trace.entries();
        let shown = until.saturating_sub(self.count - entries.len().min(self.count));
        let entries = &entries[..shown.min(entries.len())];
        let origins = origins(entries);
        let first = entries.len().saturating_sub(LADDER_LINES_MAX);
        let mut lines: Vec<(Instant, String)> = entries[first..]
            .iter()
            .map(|entry| (entry.at, self.line(entry, &origins)))
            .collect();
        let from = lines.first().map_or(Instant::ZERO, |&(at, _)| at);
        let skipped = until - lines.len();
        let marks = events
            .iter()
            .filter(|&&(at, _)| at >= from)
            .map(|(at, what)| (*at, format!("{:>18}  -- {what} --", notation::time(*at))));
        lines.extend(marks);
        lines.sort_by_key(|&(at, _)| at);
        let mut text = String::new();
        if skipped > 0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  ({skipped} packets before these)");
        }
        for (_, line) in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// Where the numbers of each connection begin, as far as these packets tell.
fn origins(entries: &[Entry]) -> Origins {
    let mut origins = Origins::default();
    for entry in entries {
        origins.observe(&entry.packet);
    }
    origins
}

impl Capture {
    fn add(&mut self, trace: &Trace, entry: &Entry) {
        let is_wanted = self.ways.as_ref().is_none_or(|ways| {
            let to = entry.to.map(|to| Way {
                from: entry.from,
                to,
            });
            to.is_some_and(|way| ways.contains(&way))
        });
        if !is_wanted || self.failed.is_some() {
            return;
        }
        let mut comment = trace.host_name(entry.from).to_owned();
        let remark = entry.remark();
        if !remark.is_empty() {
            comment.push_str(": ");
            comment.push_str(&remark);
        }
        pcapng::packet(
            &mut self.buffer,
            &pcapng::Packet {
                comment: &comment,
                ..pcapng::Packet::new(0, entry.at.as_nanos(), &entry.packet)
            },
        );
    }

    fn flush(&mut self) {
        if self.failed.is_some() || self.buffer.is_empty() {
            return;
        }
        let written = self
            .output
            .write_all(&self.buffer)
            .and_then(|()| self.output.flush());
        self.buffer.clear();
        self.failed = written.err();
    }
}
