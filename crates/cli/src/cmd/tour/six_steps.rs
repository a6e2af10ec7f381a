//! Stop 4: from wanting to call to a conversation.

use switchboard_sim::{Failure, Seed};

use super::Page;
use super::office::{Answer, Office, endpoint, packet_line};

pub(super) fn tell(seed: Seed, page: &mut Page) -> Result<(), Box<Failure>> {
    let desk = endpoint("10.0.0.2:80");
    let mut office = Office::new(seed, &["10.0.0.2"]);
    office.desk(desk, "Good morning, this is the web server.");
    let call = office.call(desk)?;
    office.hang_up(&call)?;
    let rungs = office.rungs();
    let (handshake, talk) = rungs.split_at(rungs.len().min(3));
    page.line("1 call      you want a page of the machine 10.0.0.2");
    page.line("2 building  10.0.0.2: which machine");
    page.line("3 desk      80: which service on it");
    page.line("4 rules     TCP: reliable, in order, with a start and an end");
    page.line("5 line      three packets, 10 ms each way:");
    for rung in handshake {
        page.line(packet_line(rung));
    }
    page.line(format_args!(
        "            your socket tcp://{}, its socket tcp://{desk}",
        call.near
    ));
    let heard = match &call.answer {
        Answer::Said(text) => text.as_str(),
        Answer::Failed(_) | Answer::Silence => "nothing",
    };
    page.line(format_args!("6 talk      it says \"{heard}\""));
    for rung in talk {
        page.line(packet_line(rung));
    }
    page.gap();
    page.line("With real programs: switchboard open http://switchboard.internal/");
    Ok(())
}
