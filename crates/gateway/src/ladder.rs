//! Packets of one conversation as lines: what the page and `--explain` print.

use std::time::Duration;

use switchboard_wire::line::{Layout, Relative, Side, TcpLine};
use switchboard_wire::tcp::TcpHeader;

use crate::recorder::{Direction, RecordedPacket, transport_start};

/// Columns of a line's note: with what is before it, 80 at most.
const NOTE: usize = 24;

/// One packet of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderLine {
    /// Since the conversation's first packet.
    pub since: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// The packet, its numbers relative to each side's first.
    pub packet: TcpLine,
    /// The first line of what it carries, where that is text.
    pub note: String,
}

impl LadderLine {
    /// `->` or `<-`.
    #[must_use]
    pub const fn arrow(&self) -> &'static str {
        match self.direction {
            Direction::Out => "->",
            Direction::In => "<-",
        }
    }

    /// The line in columns, without time and arrow.
    #[must_use]
    pub fn text(&self, layout: Layout) -> String {
        self.packet.laid_out(layout, &self.note)
    }

    /// Milliseconds since the first packet.
    #[must_use]
    pub fn millis(&self) -> f64 {
        self.since.as_secs_f64() * 1000.0
    }
}

/// The lines of a TCP conversation's first packets.
#[must_use]
pub fn ladder(packets: &[RecordedPacket]) -> Vec<LadderLine> {
    let Some(first) = packets.first() else {
        return Vec::new();
    };
    let mut relative = Relative::new();
    packets
        .iter()
        .filter_map(|packet| {
            let start = transport_start(&packet.bytes)?;
            let segment = packet.bytes.get(start..)?;
            let (header, header_len) = TcpHeader::parse(segment).ok()?;
            let side = match packet.direction {
                Direction::Out => Side::Near,
                Direction::In => Side::Far,
            };
            relative.observe(side, &header);
            let len = packet.len.checked_sub(start + header_len)?;
            let text = segment.get(header_len..).unwrap_or_default();
            Some(LadderLine {
                since: packet.at.saturating_since(first.at),
                direction: packet.direction,
                packet: relative.line(side, &header, len),
                note: note(text.get(..len).unwrap_or(text)),
            })
        })
        .collect()
}

/// The first line of `text`, if it is one that people can read.
fn note(text: &[u8]) -> String {
    let line = text.split(|octet| *octet == b'\n').next().unwrap_or(text);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let readable = |octet: &u8| octet.is_ascii_graphic() || *octet == b' ';
    if !line.iter().all(readable) {
        return String::new();
    }
    line.iter()
        .take(NOTE)
        .map(|octet| char::from(*octet))
        .collect()
}
