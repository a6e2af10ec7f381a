//! One socket in a few lines: whom it talks to, and how far it has come.

use std::time::Duration;

use super::figures::{millis, octets, seconds};
use super::model::{Socket, port_of};

/// Whose it is and whom it talks to.
pub(super) fn headline(socket: &Socket) -> String {
    let row = &socket.row;
    let Some(peer) = &row.peer else {
        return format!("{}  {} (listening)", row.program, row.endpoint);
    };
    let arrow = if row.inward { "<-" } else { "->" };
    let peer = format!("{}://{peer}", socket.protocol());
    let name = row.peer_name.as_deref().unwrap_or_default();
    format!("{}  {} {arrow} {peer} {name}", row.program, row.endpoint)
        .trim_end()
        .to_owned()
}

/// The steps of it, from the second on: the headline is the first.
pub(super) fn steps(socket: &Socket) -> String {
    let row = &socket.row;
    let Some(peer) = &row.peer else {
        let port = socket.local_port();
        return format!("3 desk {port}  4 {}  5 waits for callers", protocol(socket));
    };
    let desk = if row.inward {
        socket.local_port()
    } else {
        port_of(peer)
    };
    let building = building(socket);
    format!(
        "2 building {building}  3 desk {desk}  4 {}  {}",
        protocol(socket),
        line(socket)
    )
}

fn protocol(socket: &Socket) -> String {
    socket.protocol().to_ascii_uppercase()
}

fn building(socket: &Socket) -> String {
    let row = &socket.row;
    if row.inward {
        return "this run's own".to_owned();
    }
    match (&row.peer_name, row.found_us) {
        (Some(_), Some(micros)) => format!("found (DNS, {})", millis(micros)),
        (Some(_), None) => "found (DNS)".to_owned(),
        (None, _) if row.number.is_none() => "this run itself".to_owned(),
        (None, _) => "called by its address".to_owned(),
    }
}

/// Steps 5 and 6.
fn line(socket: &Socket) -> String {
    let row = &socket.row;
    if let Some(outcome) = &row.outcome {
        let step = if row.state == "CUT OFF" { 6 } else { 5 };
        return format!("{step} {outcome}");
    }
    let age = socket.age();
    match row.state.as_str() {
        "SYN-SENT" => format!("5 {}", no_answer_yet(row.resent, age)),
        "open" => format!("5 no line needed  6 {}", amounts(socket)),
        "FIN-WAIT" => format!(
            "5 put through  6 {}; the program has hung up",
            amounts(socket)
        ),
        "CLOSE-WAIT" => format!("5 put through  6 {}; the desk has hung up", amounts(socket)),
        "TIME-WAIT" | "done" => format!("5 put through  6 over: {}", amounts(socket)),
        _ if row.number.is_none() => "5 put through by the program's own kernel".to_owned(),
        _ => format!("5 put through  6 {} in {}", amounts(socket), seconds(age)),
    }
}

fn no_answer_yet(resent: Option<u64>, age: Duration) -> String {
    let times = match resent.unwrap_or(0) + 1 {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        times => format!("{times} times"),
    };
    format!(
        "no answer yet: asked {times} in {}. If this goes on, the machine is off or drops us \
         silently.",
        seconds(age)
    )
}

fn amounts(socket: &Socket) -> String {
    let row = &socket.row;
    format!(
        "{} received, {} sent",
        octets(row.received),
        octets(row.sent)
    )
}

/// `text` in lines of `width` columns, cut between words.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(line.trim_end().to_owned());
            line = String::new();
        }
        // A line begins with a word.
        if !(line.is_empty() && word.is_empty()) {
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}
