use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use switchboard_wire::packet::PartialChecksum;
use switchboard_wire::{Checksum, IpPacket};

use super::*;
use crate::pipe;

/// Where a test reads what a capture wrote.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(Instant, Direction, usize)>>>);

impl PacketSink for Seen {
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) {
        self.0.lock().unwrap().push((at, direction, packet.len()));
    }
}

fn clock() -> Instant {
    Instant::from_millis(7)
}

fn receive(device: &mut impl Device) -> Vec<RxPacket> {
    let mut batch = Vec::new();
    let now = || Instant::from_millis(3);
    let mut cx = Context::from_waker(Waker::noop());
    let _ = device.poll_recv(&mut cx, &now, 64, &mut batch);
    batch
}

/// A TCP segment of 10.0.0.1:1 to 10.0.0.2:2 as the stack would offload it.
fn super_segment(len: usize, segment_size: u16) -> Transmit {
    let mut head = vec![
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    head[2..4].copy_from_slice(&(40 + len as u16).to_be_bytes());
    let check = switchboard_wire::checksum::checksum(&head);
    head[10..12].copy_from_slice(&check.to_be_bytes());
    head.extend([
        0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
    ]);
    let words = [0x0a00, 1, 0x0a00, 2, 6, 20 + len as u32];
    let sum: u32 = words.iter().sum();
    let folded = ((sum & 0xffff) + (sum >> 16)) as u16;
    head[36..38].copy_from_slice(&folded.to_be_bytes());
    Transmit {
        head: head.into_iter().collect(),
        payload: [Bytes::from(vec![3; len])].into_iter().collect(),
        checksum: Some(PartialChecksum {
            start: 20,
            offset: 16,
        }),
        segment_size: std::num::NonZeroU16::new(segment_size),
    }
}

fn assert_finished(packet: &[u8]) {
    let ip = IpPacket::parse(packet).unwrap();
    let sum = ip.pseudo_header().plus(ip.body());
    assert_eq!(sum.checksum(), 0, "finished");
}

#[test]
fn both_directions_are_shown_once_they_have_passed() {
    let seen = Seen::default();
    let (a, mut b) = pipe::pair(1_500, Offloads::default(), 1);
    let mut a = Tee::new(a, seen.clone(), clock);
    let packet = Transmit {
        head: [1; 40].into_iter().collect(),
        ..Transmit::default()
    };
    a.try_send(&packet).unwrap();
    assert!(a.try_send(&packet).is_err(), "full: not shown");
    assert_eq!(receive(&mut b).len(), 1);
    b.try_send(&packet).unwrap();
    assert_eq!(receive(&mut a).len(), 1);
    let seen = seen.0.lock().unwrap();
    let sent = (Instant::from_millis(7), Direction::Outbound, 40);
    assert_eq!(
        *seen,
        [sent, (Instant::from_millis(3), Direction::Inbound, 40)]
    );
}

#[test]
fn a_super_segment_is_cut_and_finished_on_demand_either_way() {
    let offloads = Offloads {
        checksum: true,
        tso4: true,
        ..Offloads::default()
    };
    let (mut a, mut b) = pipe::pair(1_500, offloads, 8);
    let sent = super_segment(3_500, 1_000);
    a.try_send(&sent).unwrap();
    let received = receive(&mut b).remove(0);
    assert_eq!(received.checksum, Checksum::Partial);

    let mut pieces = Vec::new();
    PacketView::Sent(&sent).for_each_plain(|packet| pieces.push(packet.to_vec()));
    let lens: Vec<usize> = pieces.iter().map(Vec::len).collect();
    assert_eq!(lens, [1_040, 1_040, 1_040, 540]);
    pieces.iter().for_each(|packet| assert_finished(packet));
    let mut again = Vec::new();
    PacketView::Received(&received).for_each_plain(|packet| again.push(packet.to_vec()));
    assert!(pieces == again, "the same packets");
}

/// The blocks of a pcapng file: type and body.
fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
    let mut blocks = Vec::new();
    while let [k0, k1, k2, k3, l0, l1, l2, l3, ..] = *file {
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        blocks.push((u32::from_le_bytes([k0, k1, k2, k3]), &file[8..len - 4]));
        file = &file[len..];
    }
    assert!(file.is_empty(), "whole blocks only");
    blocks
}

fn contains(octets: &[u8], text: &str) -> bool {
    octets
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_capture_holds_cut_packets_with_their_labels() {
    let file = File::default();
    let label = |direction, packet: &[u8]| Some(format!("{direction:?} of {}", packet.len()));
    let config = CaptureConfig {
        mirrored: true,
        ..CaptureConfig::default()
    };
    let (mut sink, capture) = capture(file.clone(), config, label).unwrap();
    let sent = super_segment(2_500, 1_000);
    sink.packet(clock(), Direction::Outbound, PacketView::Sent(&sent));
    let stats = capture.finish().unwrap();
    assert_eq!((stats.written, stats.dropped), (3, 0));

    let file = file.0.lock().unwrap();
    assert_eq!(stats.octets, file.len() as u64);
    let blocks = blocks(&file);
    let kinds: Vec<u32> = blocks.iter().map(|block| block.0).collect();
    assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6, 6]);
    assert!(contains(blocks[2].1, "Outbound of 1040"));
    assert!(contains(blocks[4].1, "Outbound of 540"));
    // What the stack sent, the neighbour received.
    assert!(
        blocks[2]
            .1
            .windows(8)
            .any(|window| window == [2, 0, 4, 0, 1, 0, 0, 0])
    );
    assert_finished(&blocks[2].1[20..20 + 1_040]);
}

/// Blocks until the test lets it go on, and says when it does.
struct Stuck {
    gate: Arc<Mutex<()>>,
    is_waiting: Arc<AtomicBool>,
    file: File,
    has_begun: bool,
}

impl Write for Stuck {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // The beginning of the file is written by the test's own thread.
        if std::mem::replace(&mut self.has_begun, true) {
            self.is_waiting.store(true, Ordering::Release);
            drop(self.gate.lock());
        }
        self.file.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_file_costs_packets_not_time_and_the_gap_is_noted() {
    let (gate, file) = (Arc::new(Mutex::new(())), File::default());
    let config = CaptureConfig {
        packets_max: 4,
        ..CaptureConfig::default()
    };
    let closed = gate.lock().unwrap();
    let is_waiting = Arc::new(AtomicBool::new(false));
    let output = Stuck {
        gate: Arc::clone(&gate),
        is_waiting: Arc::clone(&is_waiting),
        file: file.clone(),
        has_begun: false,
    };
    let (mut sink, capture) = capture(output, config, |_, _| None).unwrap();
    let sent = super_segment(500, 1_000);
    let mut offer = || sink.packet(clock(), Direction::Outbound, PacketView::Sent(&sent));
    offer();
    while !is_waiting.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    for _ in 0..10 {
        offer();
    }
    assert_eq!(
        capture.stats().dropped,
        6,
        "four wait, one is being written"
    );
    drop(closed);
    while capture.stats().written < 5 {
        std::thread::yield_now();
    }
    offer();
    let stats = capture.finish().unwrap();
    assert_eq!((stats.written, stats.dropped), (6, 6));
    assert!(contains(
        &file.0.lock().unwrap(),
        "(6 packets before this one are missing)"
    ));
}

/// Takes the beginning of the file and no more.
struct Full(bool);

impl Write for Full {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_capture_and_nothing_else() {
    let (mut sink, capture) = capture(Full(false), CaptureConfig::default(), |_, _| None).unwrap();
    let sent = super_segment(500, 1_000);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while capture.stats().dropped < 2 {
        assert!(
            std::time::Instant::now() < deadline,
            "packets are still taken"
        );
        sink.packet(clock(), Direction::Outbound, PacketView::Sent(&sent));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let error = capture.finish().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
