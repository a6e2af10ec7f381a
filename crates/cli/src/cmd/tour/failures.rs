//! Stop 5: the wrong endpoint, nobody there, nobody reachable, cut off.

use std::time::Duration;

use switchboard_sim::impair::Partition;
use switchboard_sim::stack::{ConnectError, Lost, Unreachable};
use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{Answer, ONE_WAY, Office, endpoint};

/// Longer than a caller tries: the SYN and six more of them, each twice as late (127 s).
const PATIENCE: Duration = Duration::from_secs(140);

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    refused(seed, page)?;
    page.gap();
    unreachable(seed, page)?;
    page.gap();
    no_answer(seed, page)?;
    page.gap();
    cut_off(seed, page)?;
    page.gap();
    page.line("Every one of them is an answer for the program. A call that hangs for ever, or");
    page.line("reaches the wrong desk, is not among them.");
    Ok(())
}

fn refused(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let mut office = Office::new(seed, &["10.0.0.2"]);
    let call = office.call(endpoint("10.0.0.2:81"))?;
    let took = office.rungs().last().map_or(0, |rung| rung.at.as_millis());
    page.line("REFUSED      tcp://10.0.0.2:81: the building is there, the desk is empty.");
    page.line(format_args!(
        "             told after {took} ms: {}",
        told(
            &call.answer,
            "connection refused (ECONNREFUSED)",
            |lost| matches!(lost, Lost::NeverConnected(ConnectError::Refused))
        )
    ));
    Ok(())
}

fn unreachable(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let mut office = Office::new(seed, &["10.0.0.2"]);
    let to = endpoint("10.0.0.9:80");
    let router = office.router("10.0.0.254");
    let id = office.dial_or_fail(to)?;
    office.wait(ONE_WAY)?;
    office.turn_away(router);
    office.wait(Duration::from_millis(100))?;
    let took = office.rungs().last().map_or(0, |rung| rung.at.as_millis());
    let lost = office.error_of(id);
    page.line("UNREACHABLE  tcp://10.0.0.9:80: a machine on the way knows no way there.");
    let answer = lost.map_or(Answer::Silence, Answer::Failed);
    page.line(format_args!(
        "             told after {took} ms: {}",
        told(&answer, "no route to host (EHOSTUNREACH)", |lost| matches!(
            lost,
            Lost::NeverConnected(ConnectError::Unreachable {
                why: Unreachable::Host,
                ..
            })
        ))
    ));
    Ok(())
}

fn no_answer(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let mut office = Office::new(seed, &["10.0.0.2"]);
    office.cut(Partition::Cut);
    let id = office.dial_or_fail(endpoint("10.0.0.2:80"))?;
    office.wait(PATIENCE)?;
    let asked = office.rungs().len();
    let answer = office.error_of(id).map_or(Answer::Silence, Answer::Failed);
    page.line("NO ANSWER    tcp://10.0.0.2:80: the line is cut; nobody says so.");
    let waited = match &answer {
        Answer::Failed(Lost::NeverConnected(ConnectError::TimedOut { waited })) => waited.as_secs(),
        _ => 0,
    };
    page.line(format_args!(
        "             asked {asked} times in {waited} s, then: connection timed out (ETIMEDOUT)"
    ));
    Ok(())
}

fn cut_off(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let mut office = Office::new(seed, &["10.0.0.2"]);
    let desk = endpoint("10.0.0.2:80");
    let heard = office.call_and_be_cut_off(desk, "Once upon a ti")?;
    let (text, lost) = heard;
    page.line(format_args!(
        "CUT OFF      tcp://{desk}: \"{text}\" and then a reset."
    ));
    let answer = lost.map_or(Answer::Silence, Answer::Failed);
    page.line(format_args!(
        "             told: {}",
        told(
            &answer,
            "connection reset by peer (ECONNRESET)",
            |lost| matches!(lost, Lost::Reset)
        )
    ));
    Ok(())
}

/// The C library's words where the stack said what they stand for; else what it said.
fn told(answer: &Answer, words: &str, is_meant: impl Fn(&Lost) -> bool) -> String {
    match answer {
        Answer::Failed(lost) if is_meant(lost) => words.to_owned(),
        Answer::Failed(lost) => format!("{lost:?}"),
        Answer::Said(text) => format!("\"{text}\""),
        Answer::Silence => "nothing".to_owned(),
    }
}
