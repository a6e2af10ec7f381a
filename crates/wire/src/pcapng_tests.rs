//! A capture read back block by block, as an analyser does.

use super::*;
use alloc::string::String;
use alloc::vec;

/// Type and body of each block, after checking both lengths and the alignment.
fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four octets"))
    };
    let mut found = vec![];
    while !file.is_empty() {
        let total = word(file, 4) as usize;
        assert_eq!(total % 4, 0, "blocks are aligned to 32 bits");
        assert_eq!(word(file, total - 4) as usize, total, "both lengths agree");
        found.push((word(file, 0), file[8..total - 4].to_vec()));
        file = &file[total..];
    }
    found
}

fn capture(packets: &[Packet<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    section_header(&mut file, "switchboard");
    interface(&mut file, "client -> server");
    for each in packets {
        packet(&mut file, each);
    }
    file
}

#[test]
fn every_length_of_packet_and_comment_leaves_whole_blocks() {
    for len in 0..9 {
        for comment in ["", "a", "ab", "abc", "abcd", "lost on the way"] {
            let bytes = vec![0x45; len];
            let file = capture(&[Packet {
                comment,
                direction: Some(Direction::Outbound),
                ..Packet::new(0, 1, &bytes)
            }]);
            let blocks = blocks(&file);
            assert_eq!(blocks.len(), 3);
            assert_eq!(blocks[2].1[20..20 + len], bytes[..]);
        }
    }
}

#[test]
fn time_is_split_into_two_words_of_nanoseconds() {
    let at_ns = 0x0123_4567_89ab_cdef;
    let file = capture(&[Packet::new(0, at_ns, &[0x60])]);
    let body = &blocks(&file)[2].1;
    assert_eq!(body[4..8], 0x0123_4567_u32.to_le_bytes());
    assert_eq!(body[8..12], 0x89ab_cdef_u32.to_le_bytes());
}

#[test]
fn a_comment_that_no_option_holds_is_cut_between_characters() {
    let mut comment = String::from("x");
    while comment.len() < 2 * TEXT_MAX {
        comment.push('é');
    }
    let file = capture(&[Packet {
        comment: &comment,
        ..Packet::new(0, 0, &[0x45])
    }]);
    let body = &blocks(&file)[2].1;
    let kept = usize::from(u16::from_le_bytes([body[26], body[27]]));
    assert!(kept <= TEXT_MAX);
    assert!(core::str::from_utf8(&body[28..28 + kept]).is_ok());
}

#[test]
fn link_type_and_resolution_are_what_the_packets_have() {
    let blocks = blocks(&capture(&[]));
    assert_eq!(blocks[0].0, 0x0a0d_0d0a);
    assert_eq!(blocks[1].0, 1);
    assert_eq!(blocks[1].1[..2], LINKTYPE_RAW.to_le_bytes());
    assert!(blocks[1].1.windows(5).any(|at| at == [9, 0, 1, 0, 9]));
}
