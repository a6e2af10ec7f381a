//! What Enter shows: both halves of one conversation, and its first packets.

use super::figures::{millis, octets};
use super::model::Socket;
use super::story::{headline, steps, wrapped};
use crate::control::{Conversation, HalfReport};

/// Columns of a half.
const HALF: usize = 28;

/// The screen's lines below the first one.
pub(super) fn lines(
    socket: Option<&Socket>,
    found: Option<&Conversation>,
    width: usize,
) -> Vec<String> {
    let Some(socket) = socket else {
        return vec![
            String::new(),
            "This conversation is over and gone.".to_owned(),
        ];
    };
    let mut lines = vec![String::new(), headline(socket)];
    lines.extend(wrapped(&steps(socket), width));
    lines.push(String::new());
    let Some(found) = found else {
        let why = match socket.row.number {
            Some(_) => "Asking the run ...",
            None => {
                "The program's own kernel keeps it: there are no halves, and no packets of ours."
            }
        };
        lines.push(why.to_owned());
        return lines;
    };
    lines.extend(halves(found));
    lines.push(String::new());
    if !found.packets.is_empty() {
        lines.push("The first packets of the near half".to_owned());
        lines.extend(found.packets.iter().map(|packet| format!("  {packet}")));
    }
    lines
}

fn halves(found: &Conversation) -> Vec<String> {
    let (near, far) = (found.near.as_ref(), found.far.as_ref());
    let line = |label: &str, near: String, far: String| {
        format!("  {label:<14}{near:<HALF$}{far}")
            .trim_end()
            .to_owned()
    };
    let both = |label: &str, show: &dyn Fn(&HalfReport) -> Option<String>| {
        let text =
            |half: Option<&HalfReport>| half.and_then(show).unwrap_or_else(|| "-".to_owned());
        line(label, text(near), text(far))
    };
    let amount = |count: Option<u64>| count.map(octets);
    vec![
        line("", "NEAR HALF".to_owned(), "FAR HALF".to_owned()),
        line(
            "",
            "program, Switchboard".to_owned(),
            "this machine, the desk".to_owned(),
        ),
        both("from", &|half| half.local.clone()),
        both("to", &|half| half.remote.clone()),
        both("round trip", &|half| {
            half.rtt_us.map(|rtt| round_trip(rtt, half.variation_us))
        }),
        both("sent again", &|half| {
            half.resent.map(|count| count.to_string())
        }),
        both("full segment", &|half| {
            half.segment.map(|count| format!("{count} bytes"))
        }),
        both("in flight", &|half| amount(half.in_flight)),
        both("not sent yet", &|half| amount(half.unsent)),
    ]
}

fn round_trip(rtt: u64, variation: Option<u64>) -> String {
    match variation {
        Some(variation) => format!("{}, +- {}", millis(rtt), millis(variation)),
        None => millis(rtt),
    }
}
