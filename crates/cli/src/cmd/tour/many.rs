//! Stop 7: one computer, many conversations.

use std::collections::BTreeSet;
use std::time::Duration;

use switchboard_sim::stack::State;
use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{CALLER, Office, endpoint};

/// How many calls are made at once.
const CALLS: usize = 1000;

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let desk = endpoint("10.0.0.2:80");
    let mut office = Office::new(seed, &["10.0.0.2"]);
    office.desk(desk, "Yes?");
    let mut ids = Vec::new();
    for _ in 0..CALLS {
        ids.push(office.dial_or_fail(desk)?);
    }
    office.wait(Duration::from_millis(100))?;
    let standing = office.callers_in(State::Established);
    let answered = office.answer_callers();
    office.wait(Duration::from_millis(100))?;
    let mut ports = BTreeSet::new();
    let mut right = 0;
    let mut shown = Vec::new();
    for id in &ids {
        let (near, heard) = office.hear(*id);
        right += usize::from(heard == "Yes?");
        if let Some(near) = near {
            ports.insert(near.port());
            if shown.len() < 4 {
                shown.push(near);
            }
        }
    }
    page.line(format_args!(
        "One program at {CALLER} calls one desk, {CALLS} times at once. Apps, browser"
    ));
    page.line("tabs and background services do the same to each other all day.");
    page.gap();
    page.line(format_args!(
        "  connections that stand at once   {standing:>5}"
    ));
    page.line(format_args!(
        "  different sockets at your end    {:>5}",
        ports.len()
    ));
    page.line(format_args!(
        "  answers given by the desk        {answered:>5}"
    ));
    page.line(format_args!(
        "  answers that reached their call  {right:>5}"
    ));
    page.gap();
    page.line("No two have the same pair of endpoints, so no two are mixed up:");
    for near in &shown {
        page.line(format_args!("  tcp://{near:<17} talks to  tcp://{desk}"));
    }
    page.line(format_args!(
        "  ... and {} more",
        ports.len().saturating_sub(shown.len())
    ));
    page.gap();
    page.line("The desk has one listening socket, and one more for each caller.");
    page.line("Finding the right one takes one look, not a walk past all of them.");
    Ok(())
}
