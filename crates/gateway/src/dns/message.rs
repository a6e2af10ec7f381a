//! What a forwarder must see of a message, without understanding all of it.

/// Octets of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER_LEN: usize = 12;

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

/// The message's beginning with the question alone, marked as truncated: what a client
/// without room for the answer gets (RFC 2181 section 9).
pub(super) fn truncated(message: &[u8]) -> Option<Vec<u8>> {
    let question = question_octets(message)?;
    let mut short = message.get(..HEADER_LEN)?.to_vec();
    *short.get_mut(2)? |= TC;
    short
        .get_mut(4..12)?
        .copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    short.extend_from_slice(question);
    Some(short)
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

    #[test]
    fn truncation_keeps_the_question_and_says_so() {
        let mut answer = message(7, QR, b"\x03www");
        answer.extend_from_slice(&[9; 600]);
        answer[7] = 3;
        let short = truncated(&answer).unwrap();
        assert_eq!(short, message(7, QR | TC, b"\x03www"));
    }
}
