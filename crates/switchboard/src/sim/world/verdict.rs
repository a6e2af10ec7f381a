//! How a run has gone: what failed, which host, and the report of it.

use switchboard_core::Instant;

use super::Sim;
use super::hosts::{Role, Slot};
use crate::sim::control::Host;
use crate::sim::fabric;
use crate::sim::failure::{Failure, FailureKind};
use crate::sim::machine::{Machine, Outcome};
use crate::sim::report;

impl Sim {
    /// Looks how software has ended, and what the record says.
    pub(super) fn check(&mut self) -> Result<(), Box<Failure>> {
        let mut first: Option<(Instant, usize, Outcome)> = None;
        for (index, slot) in self.hosts.iter_mut().enumerate() {
            let Some((at, outcome)) = slot.machine.as_ref().and_then(Machine::ending) else {
                continue;
            };
            match outcome {
                Outcome::Done => {
                    slot.is_done.get_or_insert(at);
                }
                _ if first.as_ref().is_none_or(|&(earliest, ..)| at < earliest) => {
                    first = Some((at, index, outcome));
                }
                _ => {}
            }
        }
        match first {
            Some((at, index, Outcome::Panicked(why))) => {
                let what = format!("its software panicked: {why}");
                return Err(self.fail_at(at, FailureKind::Panic, Some(index), what));
            }
            Some((at, index, Outcome::Failed(why))) => {
                let what = format!("its software failed: {why}");
                return Err(self.fail_at(at, FailureKind::Software, Some(index), what));
            }
            _ => {}
        }
        if let Some(what) = self.record.difference(false) {
            return Err(self.fail(FailureKind::NotRepeatable, None, what));
        }
        if let Some(error) = self.record.capture_error() {
            let what = format!("a capture cannot be written: {error}");
            return Err(self.fail(FailureKind::System, None, what));
        }
        Ok(())
    }

    /// Whether this run was what its reference was, now that it is over.
    pub(super) fn check_repeated(&mut self) -> Result<(), Box<Failure>> {
        match self.record.difference(true) {
            Some(what) => Err(self.fail(FailureKind::NotRepeatable, None, what)),
            None => Ok(()),
        }
    }

    /// Time is over and clients still wait.
    pub(super) fn out_of_time(&self) -> Box<Failure> {
        let names: Vec<&str> = self.waiting().map(|slot| slot.name.as_str()).collect();
        let names = names.join(", ");
        let last = self.record.last_sent();
        let what = format!(
            "the time limit is reached, and still waiting: {names}; the last packet was sent at {}",
            switchboard_sim::notation::time(last)
        );
        // Nobody has said anything for the last quarter of the time.
        let is_stuck = last.saturating_since(Instant::ZERO) < self.elapsed() * 3 / 4;
        let kind = if is_stuck {
            FailureKind::Stuck
        } else {
            FailureKind::TimeLimit
        };
        self.fail(kind, None, what)
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = &Slot> {
        let clients = self.hosts.iter().filter(|slot| slot.role == Role::Client);
        clients.filter(|slot| slot.is_done.is_none())
    }

    pub(super) fn fail(
        &self,
        kind: FailureKind,
        host: Option<usize>,
        what: String,
    ) -> Box<Failure> {
        self.fail_at(self.now, kind, host, what)
    }

    fn fail_at(
        &self,
        at: Instant,
        kind: FailureKind,
        host: Option<usize>,
        what: String,
    ) -> Box<Failure> {
        let host = host.map(|index| self.hosts[index].name.clone());
        let what = match &host {
            Some(host) => format!("{host}: {what}"),
            None => what,
        };
        let ladder = self
            .record
            .ladder(&fabric::lock(&self.control.fabric).events);
        let trace = &self.record.trace;
        let has_packets = !trace.entries().is_empty();
        Box::new(Failure {
            kind,
            host,
            report: switchboard_sim::Failure {
                seed: self.seed,
                at,
                what,
                repeat: self.again.clone(),
                status: self.status(),
                ladder,
                capture: if has_packets {
                    trace.pcapng()
                } else {
                    Vec::new()
                },
            },
        })
    }

    /// How each host stands, a line or more for each.
    fn status(&self) -> String {
        let mut text = String::new();
        for (index, slot) in self.hosts.iter().enumerate() {
            let state = match (&slot.machine, slot.is_done, slot.role) {
                (None, ..) => "down".to_owned(),
                (Some(_), Some(at), _) => {
                    format!("done at {}", switchboard_sim::notation::time(at))
                }
                (Some(_), None, Role::Client) => "waiting".to_owned(),
                (Some(_), None, Role::Server) => "up".to_owned(),
            };
            text.push_str(&format!("  {}: {state}", slot.name));
            let handle = Host::new(self.control.clone(), index);
            for socket in handle.sockets() {
                text.push_str(&format!("; {}", report::socket(&socket)));
            }
            text.push('\n');
        }
        text
    }
}
