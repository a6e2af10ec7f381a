//! One conversation as text: the six steps, in 80 columns.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_gateway::{
    Direction, Ending, Flow, FlowKey, FlowNumber, HandshakeRecorder, Happening, LadderLine,
    Program, Resolution, Transport, ladder,
};
use switchboard_wire::line::Layout;
use switchboard_wire::{Endpoint, Protocol};

use super::Own;
use crate::words;

/// Columns of a step's text: 80 without `| 5 line      `.
const TEXT_COLUMNS: usize = 66;
/// Packets shown of a line that is being put through.
const PACKETS_SHOWN: usize = 8;
/// Less than this is not worth a figure.
const INSTANT: Duration = Duration::from_micros(50);
/// The port of the built-in web server.
const WEB: u16 = 80;

/// What the directory said of an address.
#[derive(Clone, Debug)]
pub(super) struct Found {
    directory: Endpoint,
    record_type: Arc<str>,
    elapsed: Duration,
}

impl Found {
    /// From an answer with addresses.
    pub(super) fn of(happening: &Happening) -> Option<(&[IpAddr], Self)> {
        let Happening::Resolved {
            directory,
            record_type,
            resolution: Resolution::Addresses(addresses),
            elapsed,
            ..
        } = happening
        else {
            return None;
        };
        let found = Self {
            directory: *directory,
            record_type: record_type.clone(),
            elapsed: *elapsed,
        };
        Some((addresses, found))
    }
}

/// Tells conversations.
pub(super) struct Story {
    recorder: HandshakeRecorder,
    own: Own,
    /// The conversation that was told last: its end needs no new beginning.
    last: Option<FlowNumber>,
}

impl Story {
    pub(super) fn new(recorder: HandshakeRecorder, own: Own) -> Self {
        Self {
            recorder,
            own,
            last: None,
        }
    }

    /// A name without an address: steps 1 and 2.
    pub(super) fn unknown_name(
        &mut self,
        happening: &Happening,
        resolution: &Resolution,
    ) -> Option<String> {
        let Happening::Resolved { name, holder, .. } = happening else {
            return None;
        };
        // The other family mostly has one.
        if *resolution == Resolution::NoData {
            return None;
        }
        let ending = words::no_address(name, resolution)?;
        self.last = None;
        let mut text = String::new();
        let who = caller(holder.as_ref());
        step(
            &mut text,
            "1 call",
            &format!("{who} wants to talk to {name}"),
        );
        step(&mut text, "2 building", &ending);
        Some(text)
    }

    /// A call on the program's own localhost that nobody answered.
    pub(super) fn localhost(
        &mut self,
        port: u16,
        program: Option<&Program>,
        host_has: bool,
    ) -> String {
        self.last = None;
        let who = caller(program);
        let mut text = String::new();
        let called = format!("{who} wants to talk to localhost, port {port}");
        step(&mut text, "1 call", &called);
        let meaning = "localhost means this run itself, not your machine";
        step(&mut text, "2 building", meaning);
        step(&mut text, "3 desk", &port.to_string());
        step(&mut text, "4 rules", "TCP");
        step(
            &mut text,
            "5 line",
            &words::localhost_refused(port, host_has),
        );
        step(&mut text, "6 talk", "never began");
        text
    }

    /// Something that decides about a conversation.
    pub(super) fn flow(
        &mut self,
        flow: &Arc<Flow>,
        happening: &Happening,
        found: Option<&Found>,
    ) -> Option<String> {
        if self.own.dns.is(flow.to.ip()) || flow.transport == Transport::Echo {
            return None;
        }
        let mut text = String::new();
        let who = called_by(flow);
        if let Happening::FlowEnded { .. } = happening {
            let ending = ending(happening, &who)?;
            if self.last != Some(flow.number) {
                step(&mut text, "1 call", &call(flow));
            }
            step(&mut text, "6 talk", &ending);
            self.last = None;
            return Some(text);
        }
        step(&mut text, "1 call", &call(flow));
        step(&mut text, "2 building", &building(flow, found));
        step(&mut text, "3 desk", &flow.to.port().to_string());
        let rules = flow.transport.to_string().to_ascii_uppercase();
        step(&mut text, "4 rules", &rules);
        self.line(&mut text, flow, &outcome(flow, happening, &who)?);
        self.last = None;
        match happening {
            Happening::FlowConnected { .. } => self.last = Some(flow.number),
            Happening::DatagramRefused { .. } => {}
            _ => step(&mut text, "6 talk", "never began"),
        }
        if let Some(next) = self.next(flow, happening) {
            step(&mut text, "next", &next);
        }
        Some(text)
    }

    /// Step 5: the packets, and what came of them.
    fn line(&self, text: &mut String, flow: &Flow, outcome: &str) {
        let packets = match flow.transport {
            Transport::Tcp => self.recorder.packets(&FlowKey {
                protocol: Protocol::Tcp,
                inner: if flow.inward { flow.to } else { flow.from },
                outer: if flow.inward { flow.from } else { flow.to },
            }),
            Transport::Udp | Transport::Echo => Vec::new(),
        };
        let mut label = "5 line";
        for line in ladder(&packets).iter().take(PACKETS_SHOWN) {
            let words = packet_line(line);
            raw(text, label, &words);
            label = "";
            // The handshake is over with the caller's first packet that is no SYN.
            let by_caller = (line.direction == Direction::Out) != flow.inward;
            if by_caller && !words.contains("SYN") {
                break;
            }
        }
        step(text, label, outcome);
    }

    /// What to do about it, where we know.
    fn next(&self, flow: &Flow, happening: &Happening) -> Option<String> {
        use switchboard_gateway::Refused;

        let Happening::FlowRefused { why, .. } = happening else {
            return None;
        };
        match why {
            Refused::NobodyThere if self.own.builtin.is(flow.to.ip()) => {
                let name = flow.name.as_deref().unwrap_or("switchboard.internal");
                Some(format!("desk {WEB} answers there: http://{name}/"))
            }
            Refused::HostLoopbackClosed => Some("to open it, add  --host-loopback".to_owned()),
            _ => None,
        }
    }
}

/// Step 1 of a flow.
fn call(flow: &Flow) -> String {
    let port = flow.to.port();
    if flow.inward {
        return format!("{} wants to talk to this run, port {port}", flow.from);
    }
    let who = caller(flow.holder());
    let whom = match &flow.name {
        Some(name) => name.to_string(),
        None => flow.to.ip().to_string(),
    };
    format!("{who} wants to talk to {whom}, port {port}")
}

/// Step 2 of a flow.
fn building(flow: &Flow, found: Option<&Found>) -> String {
    let ip = flow.to.ip();
    match found {
        Some(found) => format!(
            "{ip}, says the directory {} ({}, {})",
            found.directory,
            found.record_type,
            millis(found.elapsed)
        ),
        // `--localhost`: what the program calls localhost is the host's.
        None if ip.is_loopback() && !flow.inward => {
            "localhost, which is your machine's here (--localhost)".to_owned()
        }
        None => format!("{ip}, called by its address"),
    }
}

/// The words of step 5.
fn outcome(flow: &Flow, happening: &Happening, who: &str) -> Option<String> {
    let (ip, port) = (flow.to.ip(), flow.to.port());
    Some(match happening {
        Happening::FlowConnected { elapsed, .. } => match flow.transport {
            Transport::Tcp if *elapsed < INSTANT => "CONNECTED at once.".to_owned(),
            Transport::Tcp => format!("CONNECTED in {}.", millis(*elapsed)),
            _ => "no line needed: UDP sends, and hopes.".to_owned(),
        },
        Happening::FlowRefused { why, .. } => words::refused(why, ip, port, who),
        Happening::FlowAbandoned { elapsed, .. } => words::no_answer(ip, Some(*elapsed), who),
        Happening::DatagramRefused { to, why, .. } => words::refused(why, to.ip(), to.port(), who),
        _ => return None,
    })
}

/// The words of step 6.
fn ending(happening: &Happening, who: &str) -> Option<String> {
    let Happening::FlowEnded {
        how,
        received,
        sent,
        elapsed,
        ..
    } = happening
    else {
        return None;
    };
    let amounts = format!("{sent} bytes sent, {received} received");
    Some(match how {
        Ending::Finished => format!("{amounts} in {}", seconds(*elapsed)),
        Ending::ResetOutside => words::cut_off(*received, who),
        Ending::ResetInside => format!("CUT OFF by {who} itself: {amounts}."),
        Ending::TimedOut => format!("LOST. Nobody answers any more: {amounts}."),
        Ending::HostFailed(kind) => format!("FAILED on this machine ({kind}): {amounts}."),
    })
}

/// `curl[48230]`.
fn caller(program: Option<&Program>) -> String {
    program.map_or_else(|| "a program".to_owned(), Program::to_string)
}

/// `curl`.
fn called_by(flow: &Flow) -> String {
    match flow.holder() {
        Some(program) => program.name.to_string(),
        None => "the program".to_owned(),
    }
}

fn packet_line(line: &LadderLine) -> String {
    let packet = line.text(Layout::NARROW);
    let (ms, arrow) = (line.millis(), line.arrow());
    format!("{ms:.2} ms  {arrow}  {}", packet.trim_end())
}

fn millis(elapsed: Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1000.0)
}

fn seconds(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(1) {
        millis(elapsed)
    } else {
        format!("{:.1} s", elapsed.as_secs_f64())
    }
}

/// A step's line or lines: its label once, its text wrapped.
fn step(text: &mut String, label: &str, words: &str) {
    let mut label = label;
    let mut line = String::new();
    for word in words.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > TEXT_COLUMNS {
            raw(text, label, &line);
            label = "";
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    raw(text, label, &line);
}

fn raw(text: &mut String, label: &str, line: &str) {
    *text += format!("| {label:<12}{line}").trim_end();
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use switchboard_gateway::Refused;

    use super::*;

    fn wrapped(label: &str, words: &str) -> String {
        let mut text = String::new();
        step(&mut text, label, words);
        text
    }

    /// SCREENS section 4, word for word.
    #[test]
    fn endings_are_worded_as_the_screens_have_them() {
        let desk = words::refused(&Refused::NobodyThere, [10, 0, 2, 4].into(), 81, "curl");
        let by = Some([192, 0, 2, 1].into());
        let far = [203, 0, 113, 9].into();
        let unreachable = words::refused(&Refused::HostUnreachable { by }, far, 80, "curl");
        let silent = words::no_answer(far, Some(Duration::from_secs(3)), "curl");
        let name = words::no_address("nosuch.example.org", &Resolution::NoSuchName).unwrap();
        let text = [
            wrapped("2 building", &name),
            wrapped("5 line", &desk),
            wrapped("5 line", &unreachable),
            wrapped("5 line", &silent),
            wrapped("6 talk", &words::cut_off(61440, "curl")),
            wrapped("5 line", &words::localhost_refused(5432, true)),
        ];
        insta::assert_snapshot!(text.join("\n"));
    }
}
