//! Packets into a pcapng file, by a thread of its own.
//!
//! The data path only shares a packet and puts it into a bounded queue. Cutting, finishing
//! checksums, labelling and writing happen in the background; where that is too slow, or the
//! disk is full, packets are left out of the file, never held up: each gap is counted and
//! noted beside the packet after it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant as Moment};

use switchboard_wire::{Instant, pcapng};

use super::{Direction, KeptPacket, PacketSink, PacketView};

/// How long packets wait for company before they are written. It also gives whoever labels
/// them time to learn whose flow a first packet begins.
const HOLD: Duration = Duration::from_millis(20);

/// Octets that are written at once even if `HOLD` is not over.
const CHUNK: usize = 1024 * 1024;

/// What a capture needs to know.
#[derive(Clone, Debug)]
pub struct CaptureConfig {
    /// Who writes the file: shown by analysers.
    pub application: String,
    /// The interface's name in the file.
    pub interface: String,
    /// The clock's zero, in nanoseconds since 1970-01-01.
    pub epoch_ns: u64,
    /// Packets that may wait to be written.
    pub packets_max: usize,
    /// Octets of memory that waiting packets may pin.
    pub octets_max: usize,
    /// Directions as the neighbour sees them: what the stack received, the neighbour sent.
    pub mirrored: bool,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            application: "switchboard".into(),
            interface: "switchboard".into(),
            epoch_ns: 0,
            packets_max: 16_384,
            octets_max: 64 * 1024 * 1024,
            mirrored: false,
        }
    }
}

/// What a capture has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Packets in the file, super-segments cut.
    pub written: u64,
    /// Octets of the file.
    pub octets: u64,
    /// Packets, uncut, that are not in the file.
    pub dropped: u64,
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    octets: AtomicU64,
    dropped: AtomicU64,
    /// Octets of memory that waiting packets pin.
    pinned: AtomicUsize,
    /// The file takes no more.
    failed: AtomicBool,
}

enum Item {
    Packet {
        at: Instant,
        direction: Direction,
        packet: KeptPacket,
        /// Packets before this one that were left out.
        gap: u64,
    },
    End,
}

/// Starts a capture into `output`: the sink is for a [`Tee`](super::Tee), the handle for
/// whoever ends the capture.
///
/// `label` is asked in the background for the comment of each packet, cut and finished; the
/// direction is the stack's.
///
/// # Errors
///
/// The beginning of the file cannot be written, or there is no thread left.
pub fn capture(
    output: impl Write + Send + 'static,
    config: CaptureConfig,
    label: impl FnMut(Direction, &[u8]) -> Option<String> + Send + 'static,
) -> io::Result<(CaptureSink, Capture)> {
    let shared = Arc::new(Shared::default());
    let mut buffer = Vec::new();
    pcapng::section_header(&mut buffer, &config.application);
    pcapng::interface(&mut buffer, &config.interface);
    let octets_max = config.octets_max;
    let (sender, receiver) = sync_channel(config.packets_max);
    let mut writer = Writer {
        output,
        config,
        label,
        shared: Arc::clone(&shared),
        buffer,
    };
    writer.flush()?;
    let thread = Builder::new()
        .name("capture".into())
        .spawn(move || writer.run(&receiver))?;
    let sink = CaptureSink {
        sender: sender.clone(),
        shared: Arc::clone(&shared),
        octets_max,
        gap: 0,
    };
    let capture = Capture {
        sender,
        shared,
        thread,
    };
    Ok((sink, capture))
}

/// Takes packets into a capture.
pub struct CaptureSink {
    sender: SyncSender<Item>,
    shared: Arc<Shared>,
    octets_max: usize,
    gap: u64,
}

impl PacketSink for CaptureSink {
    fn packet(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) {
        if !self.offer(at, direction, packet) {
            self.gap += 1;
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl CaptureSink {
    fn offer(&mut self, at: Instant, direction: Direction, packet: PacketView<'_>) -> bool {
        let pinned = self.shared.pinned.load(Ordering::Relaxed);
        if self.shared.failed.load(Ordering::Relaxed) || pinned >= self.octets_max {
            return false;
        }
        let packet = packet.keep();
        let pins = packet.pinned();
        // Before it is offered: the writer subtracts as soon as it has it.
        self.shared.pinned.fetch_add(pins, Ordering::Relaxed);
        let item = Item::Packet {
            at,
            direction,
            packet,
            gap: self.gap,
        };
        if self.sender.try_send(item).is_err() {
            self.shared.pinned.fetch_sub(pins, Ordering::Relaxed);
            return false;
        }
        self.gap = 0;
        true
    }
}

/// A capture that runs.
pub struct Capture {
    sender: SyncSender<Item>,
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
}

impl Capture {
    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> CaptureStats {
        self.shared.stats()
    }

    /// Writes what waits and ends the capture, although its sink may live on.
    ///
    /// # Errors
    ///
    /// The first error of the file; what was written before it stays readable.
    pub fn finish(self) -> io::Result<CaptureStats> {
        // Refused only if the thread is gone; then it has its reason to tell.
        let _ = self.sender.send(Item::End);
        match self.thread.join() {
            Ok(result) => result.map(|()| self.shared.stats()),
            Err(_) => Err(io::Error::other("the capture's thread panicked")),
        }
    }
}

impl Shared {
    fn stats(&self) -> CaptureStats {
        CaptureStats {
            written: self.written.load(Ordering::Relaxed),
            octets: self.octets.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// The background thread's side.
struct Writer<W, L> {
    output: W,
    config: CaptureConfig,
    label: L,
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

impl<W: Write, L: FnMut(Direction, &[u8]) -> Option<String>> Writer<W, L> {
    fn run(&mut self, receiver: &Receiver<Item>) -> io::Result<()> {
        let result = self.write_all(receiver);
        self.shared.failed.store(true, Ordering::Relaxed);
        result
    }

    fn write_all(&mut self, receiver: &Receiver<Item>) -> io::Result<()> {
        while let Ok(first) = receiver.recv() {
            let mut held = vec![first];
            let is_last = hold(receiver, &mut held);
            for item in held {
                self.record(item);
                if self.buffer.len() >= CHUNK {
                    self.flush()?;
                }
            }
            self.flush()?;
            if is_last {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, item: Item) {
        let Item::Packet {
            at,
            direction,
            packet,
            gap,
        } = item
        else {
            return;
        };
        let mut gap = (gap > 0).then(|| format!("({gap} packets before this one are missing)"));
        let shown = match (direction, self.config.mirrored) {
            (Direction::Inbound, false) | (Direction::Outbound, true) => Direction::Inbound,
            (Direction::Outbound, false) | (Direction::Inbound, true) => Direction::Outbound,
        };
        let at_ns = self.config.epoch_ns.saturating_add(at.as_nanos());
        packet.view().for_each_plain(|bytes| {
            let label = (self.label)(direction, bytes).unwrap_or_default();
            let comment = match gap.take() {
                Some(gap) => format!("{gap} {label}"),
                None => label,
            };
            let packet = pcapng::Packet {
                direction: Some(shown),
                comment: comment.trim_end(),
                ..pcapng::Packet::new(0, at_ns, bytes)
            };
            pcapng::packet(&mut self.buffer, &packet);
            self.shared.written.fetch_add(1, Ordering::Relaxed);
        });
        let pinned = packet.pinned();
        self.shared.pinned.fetch_sub(pinned, Ordering::Relaxed);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write_all(&self.buffer)?;
        self.output.flush()?;
        let octets = self.buffer.len() as u64;
        self.shared.octets.fetch_add(octets, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }
}

/// Lets packets gather for `HOLD`, less if there are many. Says whether they were the last.
fn hold(receiver: &Receiver<Item>, held: &mut Vec<Item>) -> bool {
    let until = Moment::now() + HOLD;
    let mut pinned = 0;
    loop {
        match held.last() {
            Some(Item::Packet { packet, .. }) => pinned += packet.pinned(),
            Some(Item::End) | None => return true,
        }
        if pinned >= CHUNK {
            return false;
        }
        match receiver.recv_timeout(until.saturating_duration_since(Moment::now())) {
            Ok(item) => held.push(item),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}
