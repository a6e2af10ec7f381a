//! `switchboard tour`: what a socket is, in eight stops.
//!
//! Each stop runs our real stacks on a simulated line, in virtual time, from a seed: what it
//! prints happened. Offline, without any right, the same on every machine.

mod address;
mod apps;
mod failures;
mod many;
mod office;
mod port;
mod protocol;
mod rulebooks;
mod six_steps;

use std::fmt::Write as _;
use std::io::Write as _;

use switchboard_sim::{Failure, Seed};

use crate::flags::TourFlags;
use crate::{DONE, FAILED, say};

/// One stop.
struct Stop {
    title: &'static str,
    tell: fn(Seed, &mut Page) -> Result<(), Box<Failure>>,
}

/// The stops, in order.
const STOPS: [Stop; 8] = [
    Stop {
        title: "An address alone is not enough",
        tell: address::tell,
    },
    Stop {
        title: "A port alone is not enough",
        tell: port::tell,
    },
    Stop {
        title: "Same address, same port, two protocols: two sockets",
        tell: protocol::tell,
    },
    Stop {
        title: "A conversation, in six steps",
        tell: six_steps::tell,
    },
    Stop {
        title: "Four ways to fail, and what a program is told",
        tell: failures::tell,
    },
    Stop {
        title: "Two rulebooks: TCP and UDP",
        tell: rulebooks::tell,
    },
    Stop {
        title: "Many sockets at once",
        tell: many::tell,
    },
    Stop {
        title: "App to app, and no cable anywhere",
        tell: apps::tell,
    },
];

/// How many stops there are.
pub(crate) const LAST_STOP: u64 = STOPS.len() as u64;

/// What a stop has to say.
pub(crate) struct Page(String);

impl Page {
    /// Adds a line.
    fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{line}");
    }

    /// Adds an empty line.
    fn gap(&mut self) {
        self.line("");
    }
}

/// Shows one stop, or all of them.
pub(crate) fn main(flags: &TourFlags) -> u8 {
    let stops = match flags.stop {
        Some(stop) => stop..=stop,
        None => 1..=LAST_STOP,
    };
    for stop in stops {
        let page = match render(stop, Seed(flags.seed), flags.stop.is_some()) {
            Ok(page) => page,
            Err(failure) => {
                say::error(format_args!("tour {stop}: {}", failure.report()));
                return FAILED;
            }
        };
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(page.as_bytes()).is_err() {
            // A reader that went away (`| head`) has seen enough.
            return DONE;
        }
    }
    DONE
}

/// The text of one stop.
fn render(number: u64, seed: Seed, alone: bool) -> Result<String, Box<Failure>> {
    let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(stop) = STOPS.get(index) else {
        return Ok(String::new());
    };
    let mut page = Page(String::new());
    page.line(format_args!("{number} of {LAST_STOP}  {}", stop.title));
    page.gap();
    (stop.tell)(seed, &mut page)?;
    if !alone {
        page.gap();
    } else if number == LAST_STOP {
        page.gap();
        page.line("That was the tour. Now yours: switchboard run -- CMD");
    } else if number == 6 {
        page.gap();
        let other = seed.0.wrapping_add(1);
        page.line(format_args!(
            "Again with other luck: switchboard tour 6 --seed {other}     Next: switchboard tour 7"
        ));
    } else {
        page.gap();
        page.line(format_args!("Next: switchboard tour {}", number + 1));
    }
    Ok(page.0)
}
