//! Lines, word for word as `SCREENS.md` has them.

use alloc::string::ToString;

use crate::line::{Layout, LineError, Relative, Side, TcpLine, TimestampsShown};
use crate::tcp::{Flags, TcpHeader, TcpOptions, Timestamps};

fn header(flags: Flags, seq: u32, ack: u32, options: TcpOptions) -> TcpHeader {
    TcpHeader {
        source_port: 49_502,
        destination_port: 80,
        seq,
        ack,
        flags,
        window: 64_240,
        urgent: 0,
        options,
    }
}

fn syn_options(mss: u16, shift: u8) -> TcpOptions {
    TcpOptions {
        mss: Some(mss),
        window_scale: Some(shift),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 7, echo: 0 }),
        ..TcpOptions::NONE
    }
}

/// A handshake whose initial numbers are the last before the wrap.
fn handshake() -> (Relative, TcpHeader, TcpHeader) {
    let syn = header(Flags::SYN, u32::MAX, 0, syn_options(1460, 7));
    let syn_ack = header(Flags::SYN | Flags::ACK, 500, 0, syn_options(1460, 7));
    let mut relative = Relative::new();
    relative.observe(Side::Near, &syn);
    relative.observe(Side::Far, &syn_ack);
    (relative, syn, syn_ack)
}

#[test]
fn lines_are_those_of_the_screens() {
    let (relative, syn, syn_ack) = handshake();
    assert_eq!(
        relative.line(Side::Near, &syn, 0).to_string(),
        "SYN      seq=0                       mss=1460 wscale=7 sack ts"
    );
    assert_eq!(
        relative.line(Side::Far, &syn_ack, 0).to_string(),
        "SYN|ACK  seq=0     ack=1             mss=1460 wscale=7 sack ts"
    );
    let ack = header(Flags::ACK, 0, 501, TcpOptions::NONE);
    assert_eq!(
        relative.line(Side::Near, &ack, 0).to_string(),
        "ACK      seq=1     ack=1"
    );
    let get = header(Flags::PSH | Flags::ACK, 0, 501, TcpOptions::NONE);
    assert_eq!(
        relative
            .line(Side::Near, &get, 96)
            .laid_out(Layout::WIDE, "GET / HTTP/1.1"),
        "PSH|ACK  seq=1     ack=1     len=96    GET / HTTP/1.1"
    );
    let fin = header(Flags::FIN | Flags::ACK, 96, 500 + 2418, TcpOptions::NONE);
    assert_eq!(
        relative
            .line(Side::Near, &fin, 0)
            .laid_out(Layout::WIDE, "you hang up"),
        "FIN|ACK  seq=97    ack=2418            you hang up"
    );
}

#[test]
fn sack_blocks_count_from_the_other_sides_first_number() {
    let (relative, ..) = handshake();
    let options = TcpOptions {
        sack: [(300, 400), (500, 600)].into_iter().collect(),
        ..TcpOptions::NONE
    };
    let ack = header(Flags::ACK, 501, 200, options);
    let line = relative.line(Side::Far, &ack, 0);
    assert_eq!(
        line.laid_out(Layout::WIDE_SACK, "note"),
        "ACK      seq=1     ack=201   sack=301-401,501-601  note"
    );
    assert_eq!(relative.absolute_sack(Side::Far, &line), options.sack);
    let one = TcpOptions {
        sack: [(300, 400)].into_iter().collect(),
        ..TcpOptions::NONE
    };
    let ack = header(Flags::ACK, 501, 200, one);
    assert_eq!(
        relative
            .line(Side::Far, &ack, 0)
            .laid_out(Layout::WIDE_SACK, "4 came, not 3"),
        "ACK      seq=1     ack=201   sack=301-401      4 came, not 3"
    );
}

#[test]
fn the_narrow_layout_is_that_of_explain() {
    let mut relative = Relative::new();
    let syn = header(Flags::SYN, 9, 0, syn_options(65_480, 10));
    relative.observe(Side::Near, &syn);
    assert_eq!(
        relative
            .line(Side::Near, &syn, 0)
            .laid_out(Layout::NARROW, ""),
        "SYN      seq=0           mss=65480 wscale=10 sack ts"
    );
    let refusal = header(Flags::RST | Flags::ACK, 0, 10, TcpOptions::NONE);
    relative.observe(Side::Far, &refusal);
    assert_eq!(
        relative
            .line(Side::Far, &refusal, 0)
            .laid_out(Layout::NARROW, ""),
        "RST|ACK  seq=0   ack=1"
    );
}

#[test]
fn a_line_is_read_back_as_it_was_written() {
    let (relative, syn, _) = handshake();
    let full = relative.full_line(Side::Near, &syn, 3);
    assert_eq!(
        full.to_string(),
        "SYN      seq=0               len=3  win=64240  mss=1460 wscale=7 sack ts=7/0"
    );
    assert_eq!(full.to_string().parse(), Ok(full));
    let probe = relative.line(
        Side::Far,
        &header(Flags::ACK, 500, u32::MAX, TcpOptions::NONE),
        0,
    );
    assert_eq!(probe.to_string(), "ACK      seq=0     ack=0");
    let before = relative.line(Side::Far, &header(Flags::ACK, 499, 0, TcpOptions::NONE), 0);
    assert_eq!(before.to_string(), "ACK      seq=-1    ack=1");
    assert_eq!(before.to_string().parse(), Ok(before));
    let duplicate = "ACK seq=1 ack=9 sack=-3-2,11-21"
        .parse::<TcpLine>()
        .unwrap();
    assert_eq!(duplicate.sack.as_slice(), [(u32::MAX - 2, 2), (11, 21)]);
    assert_eq!(duplicate.to_string().parse(), Ok(duplicate));
}

#[test]
fn what_is_no_line_says_why() {
    for (text, error) in [
        ("", LineError::Empty),
        ("SYM seq=0", LineError::Flags),
        ("SYN|", LineError::Flags),
        ("SYN seq", LineError::UnknownWord),
        ("SYN seqq=0", LineError::UnknownWord),
        ("SYN seq=x", LineError::Number),
        ("SYN win=65536", LineError::Number),
        ("ACK sack=1", LineError::Sack),
        ("ACK sack=1-2,3-4,5-6,7-8,9-10", LineError::Sack),
        ("ACK sack=1-x", LineError::Number),
        ("ACK ts=1", LineError::Timestamps),
    ] {
        assert_eq!(text.parse::<TcpLine>(), Err(error), "{text}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_written_line_asks_only_for_what_it_says() {
    let (relative, syn, _) = handshake();
    let actual = relative.full_line(Side::Near, &syn, 0);
    for met in ["SYN", "SYN seq=0", "SYN ts", "SYN mss=1460 sack ts=7/0"] {
        assert!(met.parse::<TcpLine>().unwrap().is_met_by(&actual), "{met}");
    }
    for unmet in ["ACK", "SYN seq=1", "SYN len=1", "SYN mss=1", "SYN ts=8/0"] {
        let wanted = unmet.parse::<TcpLine>().unwrap();
        assert!(!wanted.is_met_by(&actual), "{unmet}");
    }
    let bare = TcpLine {
        timestamps: TimestampsShown::Absent,
        ..actual
    };
    assert!(!"SYN ts".parse::<TcpLine>().unwrap().is_met_by(&bare));
}
