//! What a forwarder must see of a message, without understanding all of it.

/// Octets of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER_LEN: usize = 12;

/// Octets of an OPT record without options (RFC 6891 section 6.1.2).
const OPT_LEN: usize = 11;

/// A response, in the header's third octet.
const QR: u8 = 0x80;
/// Truncated, in the same octet.
const TC: u8 = 0x02;

/// The identifier.
pub(super) fn id(message: &[u8]) -> Option<u16> {
    let octets = message.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*octets))
}

/// Writes the identifier.
pub(super) fn set_id(message: &mut [u8], id: u16) {
    if let Some(octets) = message.first_chunk_mut::<2>() {
        *octets = id.to_be_bytes();
    }
}

/// Whether somebody asks here, and does not answer.
pub(super) fn is_query(message: &[u8]) -> bool {
    message.len() >= HEADER_LEN && message.get(2).is_some_and(|flags| flags & QR == 0)
}

/// Whether `answer` answers `question`: response bit, identifier and the question itself
/// (RFC 5452 section 9.1), letters of either case.
pub(super) fn is_answer_to(answer: &[u8], question: &[u8]) -> bool {
    if answer.len() < HEADER_LEN || is_query(answer) || id(answer) != id(question) {
        return false;
    }
    let count = |message: &[u8]| message.get(4..6).map(<[u8]>::to_vec);
    if count(answer) == Some(vec![0, 0]) {
        // A server that understood nothing (FORMERR, REFUSED) may leave the question out.
        return true;
    }
    let asked = question_octets(question);
    match (asked, question_octets(answer)) {
        (Some(asked), Some(answered)) => asked.eq_ignore_ascii_case(answered),
        _ => false,
    }
}

/// The first question: name, type and class.
fn question_octets(message: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER_LEN;
    loop {
        let len = usize::from(*message.get(at)?);
        at += 1;
        match len {
            0 => return message.get(HEADER_LEN..at + 4),
            // No compression in a question: there is nothing before it to point to.
            1..=63 => at += len,
            _ => return None,
        }
    }
}

/// Whether the answer had no room for all that there is.
pub(super) fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & TC != 0)
}

/// As much of an answer as fits in `limit` octets, in whole records, marked as truncated. A client
/// that understands the mark asks again over TCP (RFC 2181 section 9); musl before 1.2.4 does not,
/// and takes what is there. `edns`: what we take over UDP, for a client that asked with EDNS and is
/// answered so (RFC 6891 section 7).
pub(super) fn truncated(message: &[u8], limit: usize, edns: Option<u16>) -> Option<Vec<u8>> {
    let room = limit.saturating_sub(edns.map_or(0, |_| OPT_LEN));
    let mut end = HEADER_LEN + question_octets(message)?.len();
    let answers = u16::from_be_bytes([*message.get(6)?, *message.get(7)?]);
    let mut kept: u16 = 0;
    while kept < answers {
        match record_end(message, end) {
            Some(next) if next <= room => end = next,
            _ => break,
        }
        kept += 1;
    }
    let mut short = message.get(..end)?.to_vec();
    *short.get_mut(2)? |= TC;
    let [kept_0, kept_1] = kept.to_be_bytes();
    let with_opt = u8::from(edns.is_some());
    short
        .get_mut(4..HEADER_LEN)?
        .copy_from_slice(&[0, 1, kept_0, kept_1, 0, 0, 0, with_opt]);
    if let Some(payload) = edns {
        // The root's name, type OPT, payload as the class, no extended code or flags, no options.
        short.extend_from_slice(&[0, 0, 41]);
        short.extend_from_slice(&payload.to_be_bytes());
        short.extend_from_slice(&[0; 6]);
    }
    Some(short)
}

/// Where the record that begins at `at` ends (RFC 1035 section 4.1.3).
fn record_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => {
                at += 1;
                break;
            }
            len @ 1..=63 => at += 1 + len,
            // The rest of the name stands elsewhere (section 4.1.4).
            0xc0.. => {
                at += 2;
                break;
            }
            _ => return None,
        }
    }
    // Type, class, time to live; then how long the data is.
    let len = message.get(at + 8..at + 10)?;
    let end = at + 10 + usize::from(u16::from_be_bytes([len[0], len[1]]));
    (end <= message.len()).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u16, flags: u8, name: &[u8]) -> Vec<u8> {
        let mut message = id.to_be_bytes().to_vec();
        message.extend_from_slice(&[flags, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend_from_slice(name);
        message.extend_from_slice(&[0, 0, 1, 0, 1]);
        message
    }

    #[test]
    fn an_answer_must_repeat_identifier_and_question() {
        let question = message(7, 1, b"\x03www\x07example");
        assert!(is_answer_to(
            &message(7, QR, b"\x03WWW\x07eXample"),
            &question
        ));
        assert!(!is_answer_to(
            &message(8, QR, b"\x03www\x07example"),
            &question
        ));
        assert!(!is_answer_to(
            &message(7, QR, b"\x03www\x07exampla"),
            &question
        ));
        assert!(!is_answer_to(
            &message(7, 0, b"\x03www\x07example"),
            &question
        ));
        assert!(!is_answer_to(&question[..5], &question));
    }

    #[test]
    fn a_question_that_never_ends_is_none() {
        assert_eq!(question_octets(&[0; HEADER_LEN]), None);
        assert_eq!(question_octets(&message(1, 0, &[0xc0, 0x0c])), None);
        assert_eq!(question_octets(&message(1, 0, &[63; 20])), None);
    }

    /// An answer with `count` addresses of 16 octets each.
    fn answer(count: u8) -> Vec<u8> {
        let mut answer = message(7, QR, b"\x03www");
        answer[7] = count;
        for n in 0..count {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, n]);
        }
        answer
    }

    #[test]
    fn truncation_keeps_whole_records_and_says_so() {
        let whole = answer(5);
        let two = truncated(&whole, 21 + 2 * 16 + 15, None).unwrap();
        let mut expected = answer(2);
        expected[2] |= TC;
        assert_eq!(two, expected);
        assert!(is_truncated(&two) && !is_truncated(&whole));
        let none = truncated(&whole, 21, None).unwrap();
        assert_eq!(none, message(7, QR | TC, b"\x03www"));
    }

    #[test]
    fn truncation_leaves_room_for_edns() {
        let two = truncated(&answer(5), 21 + 3 * 16 + 10, Some(1232)).unwrap();
        let mut expected = answer(2);
        expected[2] |= TC;
        expected[11] = 1;
        expected.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(two, expected);
    }

    #[test]
    fn records_that_are_none_end_what_is_kept() {
        for broken in [
            &[0x40_u8][..],
            &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 9, 9],
            &[5, 1],
        ] {
            let mut whole = answer(1);
            whole[7] = 3;
            whole.extend_from_slice(broken);
            let kept = truncated(&whole, 4_000, None).unwrap();
            assert_eq!(kept.len(), 21 + 16);
            assert_eq!(kept[7], 1);
        }
    }
}
