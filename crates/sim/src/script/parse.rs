//! Reading a script.

use switchboard_core::{Shutdown, Unreachable};
use switchboard_wire::Instant;
use switchboard_wire::line::TcpLine;

use super::settings::Settings;
use super::{Call, Item, Peer, Script, Sent, Step};
use crate::notation::parse_duration;

/// Everything that an application can hear.
const NEWS: [&str; 6] = [
    "connected",
    "refused",
    "reset",
    "timed out",
    "acceptable",
    "aborted",
];

pub(super) fn script(name: &str, text: &str) -> Result<Script, String> {
    let mut script = Script {
        name: name.to_owned(),
        settings: Settings::default(),
        head: Vec::new(),
        items: Vec::new(),
        tail: Vec::new(),
    };
    let mut comments = Vec::new();
    for (number, source) in text.lines().enumerate() {
        let at_line = |error: String| format!("{name}:{}: {error}", number + 1);
        let line = source.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            comments.push(source.to_owned());
        } else if let Some(words) = line.strip_prefix("set ") {
            if !script.items.is_empty() {
                return Err(at_line("set lines come first".to_owned()));
            }
            for word in words.split_whitespace() {
                script.settings.set(word).map_err(at_line)?;
            }
            script.head.append(&mut comments);
            script.head.push(source.to_owned());
        } else {
            let now = script.items.last().map_or(Instant::ZERO, |item| item.at);
            let (at, step) = item(now, line).map_err(at_line)?;
            if at < now {
                return Err(at_line("earlier than the line above it".to_owned()));
            }
            script.items.push(Item {
                at,
                step,
                source: source.to_owned(),
                comments: std::mem::take(&mut comments),
            });
        }
    }
    script.tail = comments;
    Ok(script)
}

/// One line: a time, unless it happens with the line above it, and what happens.
fn item(now: Instant, line: &str) -> Result<(Instant, Step), String> {
    let (first, rest) = split_word(line);
    let (at, line) = if first.starts_with(|c: char| c.is_ascii_digit()) {
        (Instant::ZERO + parse_duration(first)?, rest)
    } else if let Some(later) = first.strip_prefix('+') {
        (now + parse_duration(later)?, rest)
    } else {
        (now, line)
    };
    let (who, what) = split_word(line);
    let step = match who {
        "app" => app(what)?,
        "<-" => Step::Peer(peer(what)?),
        "->" => Step::Sent(sent(what)?),
        "end" if what.is_empty() => Step::End,
        "idle" if what.is_empty() => Step::Idle,
        _ => return Err(format!("{who:?} is none of app, ->, <-, end, idle")),
    };
    Ok((at, step))
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

fn app(what: &str) -> Result<Step, String> {
    if NEWS.contains(&what) || what.starts_with("unreachable ") {
        return Ok(Step::News(what.to_owned()));
    }
    let (verb, object) = split_word(what);
    let words: Vec<&str> = object.split_whitespace().collect();
    let call = match (verb, &words[..]) {
        ("connect", []) => Call::Connect,
        ("connect", ["fast"]) => Call::FastOpen {
            octets: 0,
            taken: 0,
        },
        ("connect", ["fast", octets]) => Call::FastOpen {
            octets: number(octets)?,
            taken: number(octets)?,
        },
        ("connect", ["fast", octets, "takes", taken]) => Call::FastOpen {
            octets: number(octets)?,
            taken: number(taken)?,
        },
        ("listen", []) => Call::Listen { backlog: 16 },
        ("listen", [backlog]) => Call::Listen {
            backlog: named(backlog, "backlog")?,
        },
        ("accept", []) => Call::Accept,
        ("unlisten", []) => Call::Unlisten,
        ("send", [octets]) => Call::Send {
            octets: number(octets)?,
            taken: number(octets)?,
        },
        ("send", [octets, "takes", taken]) => Call::Send {
            octets: number(octets)?,
            taken: number(taken)?,
        },
        ("recv", ["nothing"]) => Call::ReceiveNothing,
        ("recv", ["eof"]) => Call::ReceiveEnd,
        ("recv", [octets]) => Call::Receive(number(octets)?),
        ("shutdown", [] | ["write"]) => Call::Shutdown(Shutdown::Write),
        ("shutdown", ["read"]) => Call::Shutdown(Shutdown::Read),
        ("shutdown", ["both"]) => Call::Shutdown(Shutdown::Both),
        ("close", []) => Call::Close,
        ("abort", []) => Call::Abort,
        ("bind", [port]) => Call::Bind(number(port)?),
        ("sendto", [octets]) => Call::SendTo(number(octets)?),
        ("recvfrom", [octets]) => Call::ReceiveFrom(number(octets)?),
        ("set", [_]) => Call::Set(object.to_owned()),
        ("state", [state]) => Call::State((*state).to_owned()),
        _ => return Err(format!("an application cannot {what:?}")),
    };
    Ok(Step::Call(call))
}

fn peer(what: &str) -> Result<Peer, String> {
    let words: Vec<&str> = what.split_whitespace().collect();
    match words[..] {
        ["udp", from, ">", to, len] => Ok(Peer::Datagram {
            from: number(from)?,
            to: number(to)?,
            len: named(len, "len")?,
        }),
        ["icmp", why, "from", address, ref rest @ ..] => icmp(why, address, rest),
        _ => {
            let is_damaged = words.contains(&"bad-checksum");
            let rest = what.replacen("bad-checksum", "", 1);
            let (port, line) = segment(&rest)?;
            Ok(Peer::Segment {
                port,
                is_damaged,
                line,
            })
        }
    }
}

fn icmp(why: &str, from: &str, rest: &[&str]) -> Result<Peer, String> {
    let (mut mtu, mut seq) = (None, None);
    for word in rest {
        match word.split_once('=') {
            Some(("mtu", value)) => mtu = Some(number(value)?),
            Some(("seq", value)) => seq = Some(number(value)?),
            _ => return Err(format!("an ICMP line has mtu= and seq=, not {word:?}")),
        }
    }
    let why = match why {
        "net" => Unreachable::Network,
        "host" => Unreachable::Host,
        "protocol" => Unreachable::Protocol,
        "port" => Unreachable::Port,
        "prohibited" => Unreachable::Prohibited,
        "time-exceeded" => Unreachable::TimeExceeded,
        "too-big" => Unreachable::TooBig {
            mtu: mtu.ok_or("too-big needs mtu=")?,
        },
        _ => return Err(format!("no ICMP error is called {why:?} here")),
    };
    let from = from
        .parse()
        .map_err(|_| format!("{from:?} is no address"))?;
    Ok(Peer::Icmp { why, from, seq })
}

fn sent(what: &str) -> Result<Sent, String> {
    if what.starts_with("udp ") || what.starts_with("icmp") {
        let words: Vec<&str> = what.split_whitespace().collect();
        return Ok(Sent::Other(words.join(" ")));
    }
    let (port, line) = segment(what)?;
    Ok(Sent::Segment { port, line })
}

/// A TCP line, with `port=` in front where it is not the first connection's.
fn segment(text: &str) -> Result<(Option<u16>, TcpLine), String> {
    let text = text.trim();
    let (port, line) = match text.strip_prefix("port=") {
        Some(rest) => {
            let (port, line) = split_word(rest);
            (Some(number(port)?), line)
        }
        None => (None, text),
    };
    let line = line.parse().map_err(|error| format!("{line:?}: {error}"))?;
    Ok((port, line))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no number that fits"))
}

fn named<T: std::str::FromStr>(word: &str, name: &str) -> Result<T, String> {
    match word.split_once('=') {
        Some((found, value)) if found == name => number(value),
        _ => Err(format!("{name}=N, not {word:?}")),
    }
}
