use switchboard_wire::packet::PartialChecksum;

use super::*;

fn segment(version: u8, start: u16, flags: u8) -> Transmit {
    let mut head = vec![0; usize::from(start) + 32];
    head[0] = version << 4;
    head[usize::from(start) + 12] = 8 << 4;
    head[usize::from(start) + TCP_FLAGS] = flags;
    Transmit {
        head: head.iter().copied().collect(),
        checksum: Some(PartialChecksum {
            start,
            offset: TCP_CHECKSUM,
        }),
        segment_size: NonZeroU16::new(1_400),
        ..Transmit::default()
    }
}

#[test]
fn a_finished_packet_asks_for_nothing() {
    assert_eq!(emit(&Transmit::default(), 0), [0; HEADER_LEN]);
}

#[test]
fn tcp_super_segments_name_family_size_and_headers() {
    let header = emit(&segment(4, 20, 0x10), 0);
    assert_eq!(header[..2], [NEEDS_CSUM, GSO_TCPV4]);
    assert_eq!(header[2..4], 52_u16.to_ne_bytes());
    assert_eq!(header[4..6], 1_400_u16.to_ne_bytes());
    assert_eq!(header[6..8], 20_u16.to_ne_bytes());
    assert_eq!(header[8..10], 16_u16.to_ne_bytes());
    assert_eq!(emit(&segment(6, 40, 0x10), 0)[1], GSO_TCPV6);
}

#[test]
fn cwr_stays_on_the_first_segment_alone() {
    assert_eq!(emit(&segment(4, 20, 0x90), 0)[1], GSO_TCPV4 | GSO_ECN);
}

#[test]
fn udp_is_told_by_where_its_checksum_is() {
    let mut datagrams = segment(6, 40, 0);
    datagrams.checksum = Some(PartialChecksum {
        start: 40,
        offset: 6,
    });
    let header = emit(&datagrams, 0);
    assert_eq!(header[1], GSO_UDP_L4);
    assert_eq!(header[2..4], 48_u16.to_ne_bytes());
}

#[test]
fn what_is_emitted_is_understood() {
    let received = parse(&emit(&segment(4, 20, 0x10), 0)).unwrap();
    assert_eq!(received.checksum, Checksum::Partial);
    assert_eq!(received.segment_size, NonZeroU16::new(1_400));
}

#[test]
fn checksum_states_are_told_apart() {
    assert_eq!(parse(&[0; 10]).unwrap().checksum, Checksum::Unknown);
    let mut header = [0; 10];
    header[0] = DATA_VALID;
    assert_eq!(parse(&header).unwrap().checksum, Checksum::Verified);
    header[0] = DATA_VALID | NEEDS_CSUM;
    assert_eq!(parse(&header).unwrap().checksum, Checksum::Partial);
    assert_eq!(parse(&[0; 4]), None);
}

#[test]
fn a_size_without_a_kind_is_no_super_segment() {
    let mut header = [0; 10];
    header[4..6].copy_from_slice(&500_u16.to_ne_bytes());
    assert_eq!(parse(&header).unwrap().segment_size, None);
}

#[test]
fn a_link_header_that_stands_before_it_is_counted() {
    let transmit = segment(4, 20, 0x10);
    let header = emit_behind(&transmit, 14);
    assert_eq!(header[2..4], 66_u16.to_ne_bytes());
    assert_eq!(header[6..8], 34_u16.to_ne_bytes());
    assert_eq!(header[8..10], 16_u16.to_ne_bytes());
    assert_eq!(header[..2], [NEEDS_CSUM, GSO_TCPV4]);
}
