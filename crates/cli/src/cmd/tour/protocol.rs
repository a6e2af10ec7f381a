//! Stop 3: the third part of a socket's name.

use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{Answer, Office, endpoint};

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let desk = endpoint("10.0.0.2:53");
    let mut office = Office::new(seed, &["10.0.0.2"]);
    office.desk(desk, "Line 53, go ahead.");
    let letter_box = office.letter_box(desk);
    page.line("At 10.0.0.2, desk 53 has a phone (TCP) and a letter box (UDP).");
    page.gap();
    let call = office.call(desk)?;
    let heard = match &call.answer {
        Answer::Said(text) => text.as_str(),
        Answer::Failed(_) | Answer::Silence => "nothing",
    };
    page.line(format_args!(
        "  called    tcp://{desk}    heard: \"{heard}\""
    ));
    office.hang_up(&call)?;
    office.note(desk, "A note for desk 53.")?;
    let letters = letter_box
        .map(|id| office.letters(desk, id))
        .unwrap_or_default();
    for letter in &letters {
        page.line(format_args!(
            "  dropped   udp://{desk}    it has: \"{letter}\""
        ));
    }
    page.gap();
    page.line("The machine has two sockets there, and neither hears the other:");
    for entry in office.sockets(desk.ip()) {
        if entry.remote.is_none() {
            let state = entry
                .state
                .map_or("open".to_owned(), |state| state.to_string());
            page.line(format_args!("  {entry}    {state}"));
        }
    }
    page.gap();
    page.line("The call took a handshake and a goodbye; the note was a single packet:");
    let rungs = office.rungs();
    let calls = rungs
        .iter()
        .filter(|rung| !rung.line.starts_with("udp"))
        .count();
    page.line(format_args!(
        "  {calls} packets over TCP, {} over UDP.",
        rungs.len() - calls
    ));
    page.gap();
    page.line("The protocol is the rulebook. It is not the endpoint, but part of its name.");
    Ok(())
}
