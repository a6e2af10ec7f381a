//! Stop 1: the building's address does not say which desk.

use switchboard_sim::stack::{ConnectError, Lost};
use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{Answer, Office, endpoint};

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    page.line("An IP address finds the machine, as a street address finds a building.");
    page.line("In the building 10.0.0.2 somebody sits at desk 7 and somebody at desk 80.");
    page.gap();
    page.line("  you call              the same building   who answers");
    for port in [7, 80, 81] {
        // A world of its own for each call: nothing of the one before is left.
        let mut office = Office::new(seed, &["10.0.0.2"]);
        office.desk(endpoint("10.0.0.2:7"), "I repeat what you say.");
        office.desk(endpoint("10.0.0.2:80"), "I have the web pages.");
        let mut to = endpoint("10.0.0.2:0");
        to.set_port(port);
        let call = office.call(to)?;
        let answer = match call.answer {
            Answer::Said(text) => format!("desk {port}: \"{text}\""),
            Answer::Failed(Lost::NeverConnected(ConnectError::Refused)) => {
                "nobody: connection refused".to_owned()
            }
            Answer::Failed(why) => format!("{why:?}"),
            Answer::Silence => "silence".to_owned(),
        };
        let called = format!("tcp://{to}");
        page.line(format_args!("  {called:<20}  10.0.0.2            {answer}"));
    }
    page.gap();
    page.line("Three calls to one address, three different endings. The address is needed,");
    page.line("and it is not enough: it names the machine, not the service on it.");
    page.gap();
    page.line("A socket is more: IP address + port + protocol, one exact endpoint.");
    Ok(())
}
