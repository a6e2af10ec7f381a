//! Options as nobody should send them: each length of each kind, cut short, repeated.

use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_wire::Malformed;
use switchboard_wire::tcp::{FastOpen, FastOpenCookie, TcpHeader, TcpOptions, Timestamps};

const MSS: [u8; 4] = [2, 4, 0x05, 0xb4];

/// Options that the parser knows: kind, and the lengths that are right.
const KNOWN: [(u8, &[u8]); 6] = [
    (2, &[4]),
    (3, &[3]),
    (4, &[2]),
    (5, &[10, 18, 26, 34]),
    (8, &[10]),
    (34, &[2, 6, 8, 10, 12, 14, 16, 18]),
];

fn syn(octets: &[u8]) -> TcpOptions {
    TcpOptions::parse(octets, true)
}

#[test]
fn a_length_below_two_ends_the_list_and_does_not_loop() {
    for kind in 2..=255 {
        for len in [0, 1] {
            let octets = [&MSS[..], &[kind, len], &[3, 3, 7]].concat();
            let options = syn(&octets);
            assert_eq!(options.mss, Some(1460), "what came before stays");
            assert_eq!(options.window_scale, None, "what comes behind is lost");
        }
    }
}

#[test]
fn a_length_beyond_the_header_ends_the_list() {
    for kind in 2..=255 {
        for len in 3..=255 {
            let octets = [&MSS[..], &[kind, len]].concat();
            assert_eq!(syn(&octets).mss, Some(1460));
        }
    }
    // The kind alone, without even a length.
    for kind in 2..=255 {
        assert_eq!(syn(&[2, 4, 0x05, 0xb4, kind]).mss, Some(1460));
    }
}

#[test]
fn a_known_option_of_another_length_is_skipped() {
    for (kind, right) in KNOWN {
        for is_syn in [true, false] {
            for len in (2..=40).filter(|len| !right.contains(len)) {
                let mut octets = vec![kind, len];
                octets.resize(usize::from(len), 0);
                octets.extend_from_slice(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
                let timestamps = Some(Timestamps { value: 1, echo: 2 });
                let expected = TcpOptions {
                    timestamps,
                    ..TcpOptions::NONE
                };
                // A SACK option without a block says nothing, in both readings.
                assert_eq!(TcpOptions::parse(&octets, is_syn), expected, "{kind} {len}");
            }
        }
    }
}

#[test]
fn a_truncated_option_is_no_option() {
    let all = [
        &MSS[..],
        &[3, 3, 7],
        &[4, 2],
        &[8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
    ]
    .concat();
    for len in 0..all.len() {
        let options = syn(&all[..len]);
        assert_eq!(options.mss.is_some(), len >= 4);
        assert_eq!(options.window_scale.is_some(), len >= 7);
        assert_eq!(options.sack_permitted, len >= 9);
        assert!(options.timestamps.is_none());
    }
    assert!(syn(&all).timestamps.is_some());
}

#[test]
fn of_a_repeated_option_the_last_counts() {
    assert_eq!(syn(&[2, 4, 0, 1, 2, 4, 0, 2]).mss, Some(2));
    let twice = [
        [5, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        [5, 10, 0, 0, 0, 3, 0, 0, 0, 4],
    ];
    let options = TcpOptions::parse(&twice.concat(), false);
    assert_eq!(options.sack.as_slice(), [(3, 4)]);
}

#[test]
fn options_of_a_syn_mean_nothing_elsewhere() {
    let octets = [&MSS[..], &[3, 3, 7], &[4, 2]].concat();
    assert_eq!(TcpOptions::parse(&octets, false), TcpOptions::NONE);
    let sack = [5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    assert!(TcpOptions::parse(&sack, true).sack.is_empty());
}

#[test]
fn a_shift_above_fourteen_is_fourteen() {
    for shift in 0..=255 {
        assert_eq!(syn(&[3, 3, shift]).window_scale, Some(shift.min(14)));
    }
}

#[test]
fn an_end_of_list_ends_it_and_no_operation_does_not() {
    assert_eq!(syn(&[0, 2, 4, 5, 180]), TcpOptions::NONE);
    assert_eq!(syn(&[1, 1, 1, 2, 4, 5, 180]).mss, Some(1460));
}

#[test]
fn the_fast_path_and_the_walk_agree() {
    let usual = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let other = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1];
    for is_syn in [true, false] {
        assert_eq!(
            TcpOptions::parse(&usual, is_syn),
            TcpOptions::parse(&other, is_syn)
        );
    }
}

#[test]
fn blocks_that_do_not_fit_are_left_out() {
    let options = TcpOptions {
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        sack: [(1, 2), (3, 4), (5, 6), (7, 8)].into_iter().collect(),
        ..TcpOptions::NONE
    };
    assert_eq!(options.sack_room(), 3);
    assert_eq!(options.len(), 40);
    let mut octets = Vec::new();
    options.emit(&mut octets);
    assert_eq!(octets.len(), 40);
    let read = TcpOptions::parse(&octets, false);
    assert_eq!(read.sack.as_slice(), [(1, 2), (3, 4), (5, 6)]);
}

#[test]
fn header_lengths_are_checked() {
    let mut segment = [0u8; 24];
    for words in 0..5u8 {
        segment[12] = words << 4;
        let refused = TcpHeader::parse(&segment);
        assert_eq!(refused, Err(Malformed::TcpOffsetBelowMinimum));
    }
    segment[12] = 7 << 4;
    let refused = TcpHeader::parse(&segment);
    assert_eq!(refused, Err(Malformed::TcpOffsetBeyondSegment));
    segment[12] = 6 << 4;
    assert_eq!(TcpHeader::parse(&segment).map(|(_, len)| len), Ok(24));
    for len in 0..20 {
        let refused = TcpHeader::parse(&segment[..len]);
        assert_eq!(refused, Err(Malformed::TcpTruncated));
    }
}

proptest! {
    /// Whatever the octets are, reading them ends, and what was read can be emitted and read
    /// again to the same.
    #[test]
    fn any_octets(octets in vec(any::<u8>(), 0..=40), is_syn: bool) {
        let options = TcpOptions::parse(&octets, is_syn);
        let mut emitted = Vec::new();
        options.emit(&mut emitted);
        prop_assert_eq!(emitted.len(), options.len());
        prop_assert!(emitted.len() <= 40 && emitted.len() % 4 == 0);
        let again = TcpOptions::parse(&emitted, is_syn);
        prop_assert_eq!(again.sack.len(), options.sack.len().min(options.sack_room()));
        prop_assert_eq!(TcpOptions { sack: options.sack, ..again }, options);
    }
}

/// RFC 7413 section 4.1.1: a request, cookies of 4 to 16 octets, an even number; nothing else, and
/// only on a SYN.
#[test]
fn fast_open_of_every_length() {
    for len in 0..=38usize {
        let mut octets = vec![34, (2 + len) as u8];
        octets.extend((1..).take(len));
        let cookie = FastOpenCookie::new(&octets[2..]);
        assert_eq!(cookie.is_some(), (4..=16).contains(&len) && len % 2 == 0);
        let expected = match len {
            0 => Some(FastOpen::Request),
            _ => cookie.map(FastOpen::Cookie),
        };
        assert_eq!(syn(&octets).fast_open, expected, "{len}");
        assert_eq!(TcpOptions::parse(&octets, false).fast_open, None);
        // One that is to be ignored does not undo one that is not.
        let both = [&[34, 6, 9, 9, 9, 9], &octets[..]].concat();
        assert!(both.len() > 46 || syn(&both).fast_open.is_some());
    }
}

/// The longest list of options that a SYN of ours can have fills the header to the last octet.
#[test]
fn the_longest_syn() {
    let options = TcpOptions {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 2 }),
        fast_open: FastOpenCookie::new(&[7; 16]).map(FastOpen::Cookie),
        ..TcpOptions::NONE
    };
    assert_eq!((options.len(), options.sack_room()), (40, 0));
    let mut octets = Vec::new();
    options.emit(&mut octets);
    assert_eq!(octets.len(), 40);
    assert_eq!(syn(&octets), options);
}

/// Where the padding goes: behind, as Linux puts it.
#[test]
fn fast_open_is_padded_behind() {
    for (pairs, padding) in [
        (0, 2),
        (2, 2),
        (3, 0),
        (4, 2),
        (5, 0),
        (6, 2),
        (7, 0),
        (8, 2),
    ] {
        let options = TcpOptions {
            fast_open: FastOpen::parse(&vec![9; 2 * pairs]),
            ..TcpOptions::NONE
        };
        let mut octets = Vec::new();
        options.emit(&mut octets);
        assert_eq!(octets.len(), options.len());
        assert_eq!(octets[2 + 2 * pairs..], vec![1; padding], "{pairs}");
    }
}

#[test]
fn a_cookie_is_read_back_as_it_is_written() {
    for pairs in 2..=8 {
        let octets: Vec<u8> = (0xa0..).take(2 * pairs).collect();
        let cookie = FastOpenCookie::new(&octets).expect("a cookie");
        assert_eq!(cookie.to_string().parse(), Ok(cookie));
    }
    for wrong in [
        "",
        "00",
        "0011",
        "00112",
        "0011223",
        "00112233445",
        "0x112233",
        "é0112233",
    ] {
        assert!(wrong.parse::<FastOpenCookie>().is_err(), "{wrong}");
    }
    assert!("00".repeat(18).parse::<FastOpenCookie>().is_err());
}
