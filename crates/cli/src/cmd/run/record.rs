//! `--record FILE`: every packet as pcapng, with the program and the name in its comment.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use switchboard_device::tee::{Capture, CaptureConfig, CaptureSink, Direction, capture};
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

/// A capture that runs.
pub(super) struct Recording {
    path: PathBuf,
    capture: Capture,
    labels: Labels,
}

impl Recording {
    /// Begins to write to `path`; the sink is for the device's tee. The clock starts now.
    ///
    /// # Errors
    ///
    /// The file cannot be made or written, and the text says which.
    pub(super) fn begin(path: &Path) -> io::Result<(Self, CaptureSink)> {
        let failed = |error: io::Error| {
            let text = format!("cannot record to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        let file = File::create(path).map_err(failed)?;
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let config = CaptureConfig {
            application: format!("switchboard {}", env!("CARGO_PKG_VERSION")),
            interface: "tun0".to_owned(),
            epoch_ns: epoch.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0)),
            // As the program's own machine would have captured it.
            mirrored: true,
            ..CaptureConfig::default()
        };
        let labels = Labels::default();
        let mut labeller = Labeller {
            registry: labels.clone(),
            told: HashMap::new(),
        };
        let label = move |direction, packet: &[u8]| labeller.label(direction, packet);
        let output = BufWriter::new(file);
        let (sink, capture) = capture(output, config, label).map_err(failed)?;
        let recording = Self {
            path: path.to_owned(),
            capture,
            labels,
        };
        Ok((recording, sink))
    }

    /// Who knows which program a packet belongs to.
    pub(super) fn label_from(&self, registry: Registry) {
        let _ = self.labels.set(registry);
    }

    /// Writes what waits and says what the file lacks, if anything.
    pub(super) fn finish(self) {
        let path = self.path.display();
        match self.capture.finish() {
            Ok(stats) if stats.dropped > 0 => say::notice(format_args!(
                "{path} has {} packets; {} came too fast to be recorded",
                stats.written, stats.dropped
            )),
            Ok(_) => {}
            Err(error) => say::error(format_args!("{path} is not complete: {error}")),
        }
    }
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
