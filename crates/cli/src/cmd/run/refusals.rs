//! What a limit of the run refuses is said once, and counted to the end.

use std::sync::atomic::{AtomicU64, Ordering};

use switchboard_gateway::{Happening, Observer, Refused};

use crate::say;

/// Counts refusals by a limit.
pub(super) struct Refusals {
    count: AtomicU64,
    /// `--max-flows`.
    flows: Option<usize>,
}

impl Refusals {
    pub(super) fn new(flows: Option<usize>) -> Self {
        let count = AtomicU64::new(0);
        Self { count, flows }
    }

    /// At the end of the run: how many, if the first was not the only one.
    pub(super) fn sum_up(&self) {
        let count = self.count.load(Ordering::Relaxed);
        if count > 1 {
            say::notice(format_args!("{count} calls refused by a limit of this run"));
        }
    }

    /// What a person could do about it.
    fn fix(&self, what: &str) -> String {
        match (what, self.flows) {
            ("open sockets", _) => " (ulimit -n)".to_owned(),
            (_, Some(flows)) => format!(" (--max-flows {flows})"),
            (_, None) => String::new(),
        }
    }
}

impl Observer for Refusals {
    fn observe(&self, happening: &Happening) {
        let Happening::FlowRefused { flow, why, .. } = happening else {
            return;
        };
        let Refused::LimitReached(what) = why else {
            return;
        };
        if self.count.fetch_add(1, Ordering::Relaxed) > 0 {
            return;
        }
        let who = flow
            .holder()
            .map_or_else(String::new, |who| format!("{who} "));
        let (to, fix) = (flow.destination(), self.fix(what));
        say::notice(format_args!("refused {who}{to}: {why}{fix}"));
    }
}
