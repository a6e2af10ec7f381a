//! `switchboard doctor`: what was really tried, one fix for each thing that is missing, and the
//! verdict last.

use std::fmt::Write as _;
use std::time::Duration;

use crate::flags::DoctorFlags;
use crate::machine::{self, Facts, Names, Trials, Trouble};
use crate::{DONE, FAILED};

/// Columns of a terminal that everybody has.
const COLUMNS: usize = 80;

/// Tries everything, prints it; the exit code.
pub(crate) fn main(flags: &DoctorFlags) -> u8 {
    if flags.apparmor_profile {
        print!("{}", machine::apparmor_profile());
        return DONE;
    }
    let facts = Facts::read();
    let trials = Trials::make();
    print!("{}", report(&facts, &trials));
    if trials.setup.is_ok() { DONE } else { FAILED }
}

/// The whole screen.
fn report(facts: &Facts, trials: &Trials) -> String {
    let mut text = head(facts);
    let line = |text: &mut String, mark: &str, what: &str, finding: &str| {
        let _ = writeln!(text, "  {mark:<6}{what:<23}{finding}");
    };
    line(
        &mut text,
        "ok",
        "open, tour",
        "need nothing from this machine",
    );
    let trouble = trials
        .setup
        .as_ref()
        .err()
        .map(|error| Trouble::of(error, facts));
    let steps = [
        ("user namespace", "made one"),
        ("network namespace", "made one"),
        ("TUN", "made one"),
    ];
    let stands = trials.setup.as_ref().ok();
    let refused = stands.and_then(|setup| setup.instead_of.as_ref());
    let replaced = refused.map(|error| Trouble::of(error, facts));
    let mut reached = true;
    for (what, made) in steps {
        match &trouble {
            Some(trouble) if reached && trouble.what == what => {
                line(&mut text, "MISS", what, &trouble.finding);
                fix(&mut text, &trouble.fix);
                reached = false;
            }
            _ if let Some(tun) = replaced.as_ref().filter(|tun| tun.what == what) => {
                line(&mut text, "MISS", what, &tun.finding);
                fix(&mut text, &tun.fix);
                let made = format!("made one; takes the place of {what}");
                line(&mut text, "ok", "veth pair", &made);
            }
            _ if reached && machine::was_reached(what, trials) => line(&mut text, "ok", what, made),
            _ => {}
        }
    }
    if let Some(trouble) = trouble.as_ref().filter(|_| reached) {
        line(&mut text, "MISS", trouble.what, &trouble.finding);
        fix(&mut text, &trouble.fix);
    }
    let (mark, finding) = names(&trials.names);
    line(&mut text, mark, "names", &finding);
    let finding = match trials.outside_v6 {
        true => "there is a way",
        false => "none; programs will be told so at once",
    };
    line(&mut text, "ok", "IPv6 outside", finding);
    ping(&mut text, facts, trials, line);
    text.push('\n');
    text + &verdict(trouble.as_ref(), replaced.is_some())
}

fn head(facts: &Facts) -> String {
    let place = match facts.container {
        Some(container) => format!(", in a {} container", container.name()),
        None => String::new(),
    };
    format!(
        "Switchboard {}, Linux {}, {}, uid {}{place}\n\n",
        env!("CARGO_PKG_VERSION"),
        facts.kernel,
        facts.architecture,
        facts.uid,
    )
}

fn fix(text: &mut String, lines: &[String]) {
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { "fix: " } else { "     " };
        let _ = writeln!(text, "          {label}{line}");
    }
}

fn names(names: &Names) -> (&'static str, String) {
    let millis = |elapsed: &Duration| elapsed.as_millis().max(1);
    match names {
        Names::Answered { server, elapsed } => (
            "ok",
            format!(
                "/etc/resolv.conf: {server} answers in {} ms",
                millis(elapsed)
            ),
        ),
        Names::Silent { server } => (
            "warn",
            format!("/etc/resolv.conf: {server} does not answer; see --dns"),
        ),
        Names::NoServer => (
            "warn",
            "/etc/resolv.conf names no server; see --dns".to_owned(),
        ),
    }
}

fn ping(
    text: &mut String,
    facts: &Facts,
    trials: &Trials,
    line: impl Fn(&mut String, &str, &str, &str),
) {
    if trials.ping {
        line(text, "ok", "ping outside", "made a ping socket");
        return;
    }
    let finding = format!("net.ipv4.ping_group_range leaves gid {} out", facts.gid);
    line(text, "warn", "ping outside", &finding);
    let command = match facts.container {
        Some(_) => ["start the container with", "--sysctl"],
        None => ["sudo sysctl -w", ""],
    };
    let setting = "net.ipv4.ping_group_range='0 2147483647'";
    match command {
        [first, ""] => fix(text, &[format!("{first} {setting}")]),
        [first, second] => fix(text, &[first.to_owned(), format!("{second} {setting}")]),
    }
}

fn verdict(trouble: Option<&Trouble>, over_veth: bool) -> String {
    match trouble {
        None if over_veth => "`switchboard run` works here, over a veth pair.\n".to_owned(),
        None => "`switchboard run` works here.\n".to_owned(),
        Some(trouble) => {
            let fix = if trouble.fix.is_empty() {
                ""
            } else {
                " (fix above)"
            };
            let cannot = format!(
                "`switchboard run` cannot work here: {} is missing{fix}.",
                trouble.what
            );
            let open = "`open` works.";
            let room = COLUMNS.saturating_sub(cannot.len() + 1);
            let between = if open.len() <= room { ' ' } else { '\n' };
            format!("{cannot}{between}{open}\n")
        }
    }
}

#[cfg(test)]
mod tests;
