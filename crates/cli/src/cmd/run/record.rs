//! `--record FILE`: every packet as pcapng, with the program and the name in its comment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use switchboard_device::tee::{
    Capture, CaptureConfig, CaptureSink, Direction, PacketSink, PacketView, capture,
};
use switchboard_gateway::Registry;
use switchboard_wire::Protocol;
use switchboard_wire::ip::{IpPacket, IpProtocol};

use crate::say;

/// How long a comment is used again without asking.
const REMEMBERED: Duration = Duration::from_secs(1);
/// Conversations whose comments are remembered.
const REMEMBERED_MAX: usize = 4096;

/// The registry exists only after the device that the capture looks at.
type Labels = Arc<OnceLock<Registry>>;

/// Where the tee's sink finds the capture's, once that runs.
type Handover = Arc<Mutex<Option<CaptureSink>>>;

/// A capture: first a file, and then a thread that writes to it.
pub(crate) struct Recording {
    path: PathBuf,
    state: State,
    handover: Handover,
    labels: Labels,
}

enum State {
    Opened(File, CaptureConfig),
    Running(Capture),
}

/// The tee's sink. What passes before the capture runs is nobody's: CMD has not started.
pub(crate) struct LateSink {
    handover: Handover,
    sink: Option<CaptureSink>,
}

impl PacketSink for LateSink {
    fn packet(
        &mut self,
        at: switchboard_wire::Instant,
        direction: Direction,
        packet: PacketView<'_>,
    ) {
        if self.sink.is_none() {
            self.sink = locked(&self.handover).take();
        }
        if let Some(sink) = &mut self.sink {
            sink.packet(at, direction, packet);
        }
    }
}

fn locked(handover: &Handover) -> std::sync::MutexGuard<'_, Option<CaptureSink>> {
    handover.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recording {
    /// Makes the file at `path`; the sink is for the device's tee. The clock starts now.
    ///
    /// # Errors
    ///
    /// The file cannot be made, and the text says which.
    pub(crate) fn begin(path: &Path) -> io::Result<(Self, LateSink)> {
        let file = File::create(path).map_err(|error| cannot_record(path, &error))?;
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let config = CaptureConfig {
            application: format!("switchboard {}", env!("CARGO_PKG_VERSION")),
            interface: "tun0".to_owned(),
            epoch_ns: epoch.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0)),
            // As the program's own machine would have captured it.
            mirrored: true,
            ..CaptureConfig::default()
        };
        let recording = Self {
            path: path.to_owned(),
            state: State::Opened(file, config),
            handover: Handover::default(),
            labels: Labels::default(),
        };
        let sink = LateSink {
            handover: recording.handover.clone(),
            sink: None,
        };
        Ok((recording, sink))
    }

    /// Starts the thread that writes. It reads packets, so it is to be started by a relay that
    /// is confined: Landlock and the loss of capabilities reach later threads only.
    ///
    /// # Errors
    ///
    /// The file cannot be written, and the text says which.
    pub(crate) fn start(self) -> io::Result<Self> {
        let State::Opened(file, config) = self.state else {
            return Ok(self);
        };
        let mut labeller = Labeller {
            registry: self.labels.clone(),
            told: HashMap::new(),
        };
        let label = move |direction, packet: &[u8]| labeller.label(direction, packet);
        let begun = capture(BufWriter::new(file), config, label);
        let (sink, capture) = begun.map_err(|error| cannot_record(&self.path, &error))?;
        *locked(&self.handover) = Some(sink);
        Ok(Self {
            state: State::Running(capture),
            ..self
        })
    }

    /// Who knows which program a packet belongs to.
    pub(crate) fn label_from(&self, registry: Registry) {
        let _ = self.labels.set(registry);
    }

    /// Writes what waits and says what the file lacks, if anything.
    pub(crate) fn finish(self) {
        let path = self.path.display();
        let State::Running(capture) = self.state else {
            return;
        };
        match capture.finish() {
            Ok(stats) if stats.dropped > 0 => say::notice(format_args!(
                "{path} has {} packets; {} came too fast to be recorded",
                stats.written, stats.dropped
            )),
            Ok(_) => {}
            Err(error) => say::error(format_args!("{path} is not complete: {error}")),
        }
    }
}

fn cannot_record(path: &Path, error: &io::Error) -> io::Error {
    let text = format!("cannot record to {}: {error}", path.display());
    io::Error::new(error.kind(), text)
}

/// One conversation: protocol, the program's endpoint, the far endpoint.
type Conversation = (Protocol, SocketAddr, SocketAddr);

/// Writes comments. Remembers them for a moment: the registry is the whole run's.
struct Labeller {
    registry: Labels,
    told: HashMap<Conversation, (Instant, String)>,
}

impl Labeller {
    /// `curl[48213] git.example.com`: who sends or is sent this packet, and to which name.
    fn label(&mut self, direction: Direction, packet: &[u8]) -> Option<String> {
        let (protocol, source, destination) = tuple(packet)?;
        // What the stack receives, the program sent.
        let conversation = match direction {
            Direction::Inbound => (protocol, source, destination),
            Direction::Outbound => (protocol, destination, source),
        };
        match self.told.get(&conversation) {
            Some((at, text)) if at.elapsed() < REMEMBERED => return Some(text.clone()),
            _ => {}
        }
        let text = self.ask(conversation)?;
        if self.told.len() >= REMEMBERED_MAX {
            self.told.clear();
        }
        self.told
            .insert(conversation, (Instant::now(), text.clone()));
        Some(text)
    }

    fn ask(&self, (protocol, inner, outer): Conversation) -> Option<String> {
        let label = self.registry.get()?.label(protocol, inner, outer);
        match (label.program, label.name) {
            (Some(program), Some(name)) => Some(format!("{program} {name}")),
            (Some(program), None) => Some(program.to_string()),
            (None, Some(name)) => Some(name.to_string()),
            (None, None) => None,
        }
    }
}

fn tuple(packet: &[u8]) -> Option<Conversation> {
    let packet = IpPacket::parse(packet).ok()?;
    if packet.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return None;
    }
    let protocol = match packet.protocol {
        IpProtocol::TCP => Protocol::Tcp,
        IpProtocol::UDP => Protocol::Udp,
        _ => return None,
    };
    // Both begin with source port and destination port (RFC 9293 section 3.1, RFC 768).
    let port = |at: usize| {
        let octets = packet.body().get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_be_bytes(octets))
    };
    Some((
        protocol,
        SocketAddr::new(packet.source, port(0)?),
        SocketAddr::new(packet.destination, port(2)?),
    ))
}
