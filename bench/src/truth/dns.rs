//! A name server for the outside: two addresses, and an answer that needs EDNS or TCP.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use super::addresses::{SERVER4, SERVER6};

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
/// The pseudo-record of EDNS (RFC 6891 section 6.1.2).
const OPT: u16 = 41;

/// Without EDNS an answer by UDP has at most this (RFC 1035 section 4.2.1).
const PLAIN_LIMIT: usize = 512;

/// Strings of the large answer, of 250 octets each.
const STRINGS: usize = 12;

pub(super) fn start() -> io::Result<()> {
    for address in [SERVER4.into(), SERVER6.into()] {
        let socket = UdpSocket::bind(SocketAddr::new(address, 53))?;
        thread::spawn(move || {
            let mut question = vec![0; 4096];
            while let Ok((len, caller)) = socket.recv_from(&mut question) {
                if let Some(answer) = answer(&question[..len], false) {
                    let _ = socket.send_to(&answer, caller);
                }
            }
        });
    }
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 53))?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len)?;
        let mut question = vec![0; u16::from_be_bytes(len).into()];
        stream.read_exact(&mut question)?;
        let Some(answer) = answer(&question, true) else {
            return Ok(());
        };
        stream.write_all(&(answer.len() as u16).to_be_bytes())?;
        stream.write_all(&answer)?;
    }
}

/// A question (RFC 1035 section 4.1); with `edns` the size of answer that is offered.
pub(super) fn question(id: u16, name: &str, kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut octets = id.to_be_bytes().to_vec();
    let additional = u16::from(edns.is_some());
    for number in [0x0100, 1, 0, 0, additional] {
        octets.extend(u16::to_be_bytes(number));
    }
    for label in name.split('.') {
        octets.push(label.len() as u8);
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets.extend(kind.to_be_bytes());
    octets.extend(1_u16.to_be_bytes());
    if let Some(size) = edns {
        octets.push(0);
        octets.extend(OPT.to_be_bytes());
        octets.extend(size.to_be_bytes());
        octets.extend([0; 6]);
    }
    octets
}

/// Of `known.example`.
pub(super) fn known(id: u16) -> Vec<u8> {
    question(id, "known.example", A, None)
}

/// Of `large.example`, whose answer has over 3,000 octets.
pub(super) fn large(id: u16, edns: Option<u16>) -> Vec<u8> {
    question(id, "large.example", TXT, edns)
}

fn answer(question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let name_end = 12 + question.get(12..)?.iter().position(|octet| *octet == 0)?;
    let end = name_end + 5;
    let kind = u16::from_be_bytes([*question.get(name_end + 1)?, *question.get(name_end + 2)?]);
    let name = question[12..name_end].to_ascii_lowercase();
    let data: Option<Vec<u8>> = match (&name[..], kind) {
        (b"\x05known\x07example", A) => Some(SERVER4.octets().to_vec()),
        (b"\x05known\x07example", AAAA) => Some(SERVER6.octets().to_vec()),
        (b"\x05large\x07example", TXT) => {
            let string = || std::iter::once(250).chain(std::iter::repeat_n(b'x', 250));
            Some((0..STRINGS).flat_map(|_| string()).collect())
        }
        _ => None,
    };
    let exists = name.ends_with(b"\x05known\x07example") || name.ends_with(b"\x05large\x07example");
    let limit = match (tcp, offered(question, end)) {
        (true, _) => usize::from(u16::MAX),
        (false, Some(size)) => size.max(PLAIN_LIMIT as u16).into(),
        (false, None) => PLAIN_LIMIT,
    };
    let has_edns = offered(question, end).is_some();
    let mut flags = if exists { 0x8180 } else { 0x8183 };
    let mut records = Vec::new();
    if let Some(data) = &data {
        records.extend([0xc0, 12]);
        for number in [kind, 1, 0, 60, data.len() as u16] {
            records.extend(number.to_be_bytes());
        }
        records.extend(data);
    }
    if end + records.len() + 11 > limit {
        // TC: there is more, ask by TCP.
        flags |= 0x0200;
        records.clear();
    }
    let mut octets = question[..2].to_vec();
    for number in [
        flags,
        1,
        u16::from(!records.is_empty()),
        0,
        u16::from(has_edns),
    ] {
        octets.extend(number.to_be_bytes());
    }
    octets.extend(&question[12..end]);
    octets.extend(records);
    if has_edns {
        octets.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    }
    Some(octets)
}

/// The size that an OPT record right behind the question offers.
fn offered(question: &[u8], end: usize) -> Option<u16> {
    let [0, a, b, c, d, ..] = *question.get(end..)? else {
        return None;
    };
    (u16::from_be_bytes([a, b]) == OPT).then_some(u16::from_be_bytes([c, d]))
}

/// What an answer says, in words.
pub(super) fn describe(question: &[u8], answer: &[u8]) -> String {
    if answer.len() < 12 || answer[..2] != question[..2] {
        return "another's answer".into();
    }
    let truncated = answer[2] & 2 != 0;
    let count = u16::from_be_bytes([answer[6], answer[7]]);
    match (answer[3] & 15, truncated) {
        (0, true) => "truncated".into(),
        (0, false) if answer.len() > 3_000 => format!("{count} record, over 3,000 octets"),
        (0, false) => format!("{count} record"),
        (code, _) => format!("code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(question: &[u8], tcp: bool) -> String {
        describe(question, &answer(question, tcp).expect("an answer"))
    }

    #[test]
    fn a_large_answer_needs_edns_or_tcp() {
        assert_eq!(ask(&known(1), false), "1 record");
        assert_eq!(ask(&large(2, None), false), "truncated");
        assert_eq!(ask(&large(3, Some(1_232)), false), "truncated");
        let whole = "1 record, over 3,000 octets";
        assert_eq!(ask(&large(4, Some(4_096)), false), whole);
        assert_eq!(ask(&large(5, None), true), whole);
        assert_eq!(ask(&question(6, "no.example", A, None), false), "code 3");
    }
}
