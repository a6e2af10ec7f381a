//! The record of a host network: a pcapng file that a thread of its own writes.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use switchboard::device::tee::{
    Capture, CaptureConfig, CaptureSink, CaptureStats, Direction, capture,
};
use switchboard_wire::IpPacket;

use crate::context::Context;

/// Who knows names; the gateway exists only after the device that the record looks at.
pub(super) type LateContext = Arc<OnceLock<Arc<Context>>>;

/// A record that is being written.
pub(super) struct Recording(Capture);

impl Recording {
    /// Makes the file at `path`; the sink is for the device's tee.
    pub(super) fn begin(path: &Path, context: LateContext) -> io::Result<(Self, CaptureSink)> {
        let cannot = |error: io::Error| {
            let text = format!("cannot record to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        let file = File::create(path).map_err(cannot)?;
        let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let config = CaptureConfig {
            epoch_ns: epoch.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0)),
            ..CaptureConfig::default()
        };
        let label = move |direction, packet: &[u8]| label(context.get()?, direction, packet);
        let (sink, capture) = capture(BufWriter::new(file), config, label).map_err(cannot)?;
        Ok((Self(capture), sink))
    }

    pub(super) fn stats(&self) -> CaptureStats {
        self.0.stats()
    }

    /// Writes what waits; the file is whole then.
    pub(super) fn finish(self) -> io::Result<CaptureStats> {
        self.0.finish()
    }
}

/// The name that led to the far address.
fn label(context: &Context, direction: Direction, packet: &[u8]) -> Option<String> {
    let packet = IpPacket::parse(packet).ok()?;
    let far = match direction {
        Direction::Outbound => packet.destination,
        Direction::Inbound => packet.source,
    };
    context.names.get(far).map(|name| name.to_string())
}
