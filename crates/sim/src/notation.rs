//! The notation of ladders: times, and `wire::line` with numbers that start at zero.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_wire::line::{Layout, PacketLine, Relative, Side};
use switchboard_wire::tcp::TcpHeader;
use switchboard_wire::{Instant, IpPacket, IpProtocol};

use crate::pattern::Direction;

/// The connections of a trace and where their numbers begin.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// By the direction of the first segment seen.
    connections: BTreeMap<Direction, Relative>,
}

impl Origins {
    /// Learns from a packet where a connection's numbers begin.
    pub fn observe(&mut self, packet: &[u8]) {
        if let Some((direction, header, _)) = segment(packet) {
            let (key, side) = self.place(direction);
            self.connections
                .entry(key)
                .or_default()
                .observe(side, &header);
        }
    }

    /// The line of a packet: a TCP segment with relative numbers, and with its source port
    /// where the trace has several connections; anything else with its addresses.
    #[must_use]
    pub fn line(&self, packet: &[u8]) -> String {
        let Some((direction, header, len)) = segment(packet) else {
            return PacketLine(packet).to_string();
        };
        let (key, side) = self.place(direction);
        let relative = self.connections.get(&key).copied().unwrap_or_default();
        let line = relative.line(side, &header, len);
        let line = line.laid_out(Layout::WIDE, "");
        if self.connections.len() > 1 {
            format!("{} {line}", key.source.port())
        } else {
            line
        }
    }

    /// Under which key a direction's connection is, and which side of it sends that way.
    fn place(&self, direction: Direction) -> (Direction, Side) {
        if self.connections.contains_key(&direction.reversed()) {
            (direction.reversed(), Side::Far)
        } else {
            (direction, Side::Near)
        }
    }
}

/// Direction, header and octets of text of a packet that is a whole TCP segment.
fn segment(packet: &[u8]) -> Option<(Direction, TcpHeader, usize)> {
    let ip = IpPacket::parse(packet).ok()?;
    if ip.fragment.is_some() || ip.protocol != IpProtocol::TCP {
        return None;
    }
    let (header, text_at) = TcpHeader::parse(ip.body()).ok()?;
    let direction = Direction::new(
        (ip.source, header.source_port).into(),
        (ip.destination, header.destination_port).into(),
    );
    Some((direction, header, ip.body_len().saturating_sub(text_at)))
}

/// A moment as ladders have it: milliseconds, as many decimals as it needs.
#[must_use]
pub fn time(at: Instant) -> String {
    let (whole, rest) = (at.as_nanos() / 1_000_000, at.as_nanos() % 1_000_000);
    if rest == 0 {
        return format!("{whole}ms");
    }
    let decimals = format!("{rest:06}");
    format!("{whole}.{}ms", decimals.trim_end_matches('0'))
}

/// Reads `40ms`, `0.5ms`, `250us`, `1.5s`, `2min`.
///
/// # Errors
///
/// What is wrong with it, for whoever wrote it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time such as 40ms, 250us, 1.5s, 2min");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ns: u64 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(wrong()),
    };
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let mut nanos = whole.checked_mul(unit_ns).ok_or_else(wrong)?;
    let mut place = unit_ns;
    for digit in decimals.chars() {
        place /= 10;
        let digit = u64::from(digit.to_digit(10).ok_or_else(wrong)?);
        nanos = nanos.saturating_add(digit * place);
    }
    Ok(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["0ms", "40ms", "0.5ms", "1500ms", "12.345678ms"] {
            let read = Instant::ZERO + parse_duration(text).expect("a time");
            assert_eq!(time(read), text);
        }
        assert_eq!(parse_duration("1.5s"), parse_duration("1500ms"));
        assert_eq!(parse_duration("250us"), parse_duration("0.25ms"));
        for text in ["", "5", "ms", "5 ms", "-1ms", "1.xms", "1m"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
