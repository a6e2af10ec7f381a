//! Shows packets that pass the device to the gateway's recorder of first packets.

use switchboard_device::tee::{Direction as Way, PacketSink, PacketView};
use switchboard_gateway::{Direction, HandshakeRecorder};
use switchboard_wire::Instant;

/// Octets of a packet that are shown: every header and the beginning of the text.
const SHOWN: usize = 192;

/// A recorder as a sink of the device's tee.
pub(super) struct Recorder(pub(super) HandshakeRecorder);

impl PacketSink for Recorder {
    fn packet(&mut self, at: Instant, way: Way, packet: PacketView<'_>) {
        // What the stack receives, the program sent.
        let direction = match way {
            Way::Inbound => Direction::Out,
            Way::Outbound => Direction::In,
        };
        match packet {
            PacketView::Received(_) => self.0.record(direction, at, packet.head(), packet.len()),
            PacketView::Sent(transmit) => {
                let mut shown = [0; SHOWN];
                let slices = transmit.payload.iter().map(|slice| &slice[..]);
                let mut len = 0;
                for slice in std::iter::once(&transmit.head[..]).chain(slices) {
                    let room = &mut shown[len..];
                    let take = slice.len().min(room.len());
                    room[..take].copy_from_slice(&slice[..take]);
                    len += take;
                }
                self.0.record(direction, at, &shown[..len], packet.len());
            }
        }
    }
}
