//! Stop 2: a desk's number does not say in which building.

use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{Answer, Office, endpoint};

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    page.line("A port is a desk's number. Nearly every building has a desk 80.");
    page.gap();
    page.line("  you call              the same desk       who answers");
    let mut office = Office::new(seed, &["10.0.0.2", "10.0.0.3"]);
    office.desk(endpoint("10.0.0.2:80"), "This is the library.");
    office.desk(endpoint("10.0.0.3:80"), "This is the bakery.");
    let mut nears = Vec::new();
    for to in ["10.0.0.2:80", "10.0.0.3:80"] {
        let call = office.call(endpoint(to))?;
        let answer = match &call.answer {
            Answer::Said(text) => format!("\"{text}\""),
            Answer::Failed(why) => format!("{why:?}"),
            Answer::Silence => "silence".to_owned(),
        };
        let called = format!("tcp://{to}");
        page.line(format_args!("  {called:<20}  80                  {answer}"));
        nears.push(call.near);
    }
    page.gap();
    page.line("Same port, two machines, two different services.");
    page.gap();
    page.line("Your own end has a port as well, a fresh one for each call:");
    for (near, to) in nears.iter().zip(["10.0.0.2:80", "10.0.0.3:80"]) {
        page.line(format_args!("  tcp://{near}  talks to  tcp://{to}"));
    }
    page.gap();
    page.line("A port is only one part of a socket. Both parts together find the desk.");
    Ok(())
}
