//! What must hold at every step: read from the packets, and from each stack's own figures.

use std::collections::BTreeMap;

use switchboard_core::{Stack, State, TcpId};
use switchboard_wire::Instant;

use crate::pattern::Direction;
use crate::seen::{Seen, TcpSeen};

/// What one end of a connection has said and has been told, as its packets show it.
#[derive(Clone, Debug, Default)]
struct End {
    /// Initial sequence number, once its SYN was sent.
    iss: Option<u32>,
    /// SND.NXT: one past the highest octet ever sent.
    nxt: u32,
    /// Highest RCV.NXT that it ever acknowledged.
    acked: Option<u32>,
    /// Highest right edge that it ever advertised.
    edge: Option<u32>,
    /// Shift that its SYN offered.
    scale: Option<u8>,
    /// Sequence number of its FIN.
    fin: Option<u32>,
    /// Highest right edge that reached it.
    edge_told: Option<u32>,
    /// Segment size that its peer's SYN allows; without the option RFC 9293's default.
    mss_told: Option<usize>,
}

/// Where an advertised window ends, and how finely that can be said.
#[derive(Clone, Copy, Debug)]
struct Edge {
    at: u32,
    /// Octets that the window field counts in.
    unit: u32,
}

/// Watches every packet that a stack sends and every one that reaches it unharmed.
#[derive(Debug, Default)]
pub struct WireOracle {
    ends: BTreeMap<Direction, End>,
}

/// `a` comes after `b` in a sequence space of 32 bits (RFC 9293 section 3.4).
const fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

/// The later of a number that may be unknown and one that is known.
fn latest(a: Option<u32>, b: u32) -> Option<u32> {
    Some(a.filter(|&a| is_after(a, b)).unwrap_or(b))
}

impl WireOracle {
    /// A stack sent this packet, on a link of this MTU.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn sent(&mut self, packet: &[u8], mtu: usize) -> Result<(), String> {
        if packet.len() > mtu {
            return Err(format!(
                "a packet of {} octets for a link of {mtu}",
                packet.len()
            ));
        }
        match Seen::parse(packet) {
            Err(malformed) => Err(format!("a stack sent a malformed packet: {malformed}")),
            Ok(Seen::Tcp(tcp)) => self
                .tcp_sent(&tcp)
                .map_err(|what| format!("{}: {what}", tcp.direction)),
            Ok(Seen::Udp(_) | Seen::Other) => Ok(()),
        }
    }

    /// This packet, as it was sent, has reached its destination.
    pub fn delivered(&mut self, packet: &[u8]) {
        let Ok(Seen::Tcp(tcp)) = Seen::parse(packet) else {
            return;
        };
        let edge = self.right_edge(&tcp);
        let end = self.ends.entry(tcp.direction.reversed()).or_default();
        if let Some(edge) = edge {
            end.edge_told = latest(end.edge_told, edge.at);
        }
        if tcp.syn {
            let default = if tcp.direction.source.is_ipv4() {
                536
            } else {
                1220
            };
            end.mss_told = Some(tcp.mss.map_or(default, usize::from));
        }
    }

    /// Where the window that `tcp` advertises ends.
    fn right_edge(&self, tcp: &TcpSeen) -> Option<Edge> {
        let ack = tcp.ack?;
        let ours = self.ends.get(&tcp.direction)?.scale;
        let theirs = self.ends.get(&tcp.direction.reversed())?.scale;
        // RFC 7323 section 2.2: only if both offered it, and never in a SYN.
        let shift = match (ours, theirs) {
            (Some(shift), Some(_)) if !tcp.syn => shift.min(14),
            _ => 0,
        };
        Some(Edge {
            at: ack.wrapping_add(u32::from(tcp.window) << shift),
            unit: 1 << shift,
        })
    }

    fn tcp_sent(&mut self, tcp: &TcpSeen) -> Result<(), String> {
        if tcp.rst {
            return Ok(());
        }
        if tcp.syn {
            self.syn_sent(tcp);
        }
        let peer = self
            .ends
            .get(&tcp.direction.reversed())
            .cloned()
            .unwrap_or_default();
        let edge = self.right_edge(tcp);
        let end = self.ends.entry(tcp.direction).or_default();
        check_sequence(end, tcp)?;
        if let Some(ack) = tcp.ack
            && peer.iss.is_some()
        {
            check_acknowledgement(end, &peer, ack, tcp)?;
            check_window(end, &peer, ack, edge)?;
        }
        Ok(())
    }

    /// Takes the numbers of a SYN; a new one begins a new connection of the same four-tuple.
    fn syn_sent(&mut self, tcp: &TcpSeen) {
        let end = self.ends.entry(tcp.direction).or_default();
        if end.iss == Some(tcp.seq) {
            return;
        }
        *end = End {
            iss: Some(tcp.seq),
            nxt: tcp.seq.wrapping_add(1),
            scale: tcp.window_scale,
            // What reached it before its own SYN|ACK belongs to this connection.
            edge_told: tcp.ack.and(end.edge_told),
            mss_told: tcp.ack.and(end.mss_told),
            ..End::default()
        };
        if tcp.ack.is_none() {
            self.ends.remove(&tcp.direction.reversed());
        }
    }
}

/// Nothing is sent that leaves a gap, follows the FIN, or is beyond what the peer allows.
fn check_sequence(end: &mut End, tcp: &TcpSeen) -> Result<(), String> {
    if end.iss.is_none() {
        return Ok(());
    }
    let text_at = tcp.seq.wrapping_add(u32::from(tcp.syn));
    let text_end = text_at.wrapping_add(tcp.payload.len() as u32);
    let next = text_end.wrapping_add(u32::from(tcp.fin));
    if is_after(tcp.seq, end.nxt) {
        return Err(format!(
            "SEG.SEQ is {} beyond SND.NXT",
            tcp.seq.wrapping_sub(end.nxt)
        ));
    }
    if let Some(fin) = end.fin
        && !tcp.payload.is_empty()
        && is_after(text_end, fin)
    {
        return Err("data behind the FIN".to_owned());
    }
    if let Some(told) = end.edge_told
        && !tcp.payload.is_empty()
        // RFC 9293 section 3.8.6.1: a zero-window probe may carry one octet beyond.
        && is_after(text_end, told.wrapping_add(1))
    {
        return Err(format!(
            "sends {} octets beyond the peer's window",
            text_end.wrapping_sub(told)
        ));
    }
    if let Some(mss) = end.mss_told
        && tcp.payload.len() > mss
    {
        return Err(format!(
            "a segment of {} octets, the peer's MSS is {mss}",
            tcp.payload.len()
        ));
    }
    if tcp.fin {
        end.fin = Some(text_end);
    }
    if is_after(next, end.nxt) {
        end.nxt = next;
    }
    Ok(())
}

/// RCV.NXT moves right only, and never beyond what the peer has sent.
fn check_acknowledgement(end: &mut End, peer: &End, ack: u32, tcp: &TcpSeen) -> Result<(), String> {
    if is_after(ack, peer.nxt) {
        return Err(format!(
            "acknowledges {} octets that were never sent",
            ack.wrapping_sub(peer.nxt)
        ));
    }
    if let Some(before) = end.acked
        && is_after(before, ack)
    {
        return Err(format!(
            "RCV.NXT moves back by {}",
            before.wrapping_sub(ack)
        ));
    }
    for &(from, to) in &tcp.sack_blocks {
        // RFC 2883: the first block may report a duplicate below the acknowledgement.
        if is_after(to, peer.nxt) || !is_after(to, from) {
            return Err("a SACK block of octets that were never sent".to_owned());
        }
    }
    end.acked = Some(ack);
    Ok(())
}

/// The right edge never moves left (RFC 9293 section 3.8.6.2.1), but for what scaling rounds
/// away: less than one unit of the field (RFC 7323 section 2.4).
fn check_window(end: &mut End, peer: &End, ack: u32, edge: Option<Edge>) -> Result<(), String> {
    // Behind the peer's FIN a window means nothing.
    let is_over = peer.fin.is_some_and(|fin| is_after(ack, fin));
    let Some(Edge { at, unit }) = edge.filter(|_| !is_over) else {
        return Ok(());
    };
    if let Some(before) = end.edge
        && is_after(before, at.wrapping_add(unit - 1))
    {
        return Err(format!(
            "the right edge of the window moves left by {}",
            before.wrapping_sub(at)
        ));
    }
    end.edge = latest(end.edge, at);
    Ok(())
}

/// What must be true of a stack whenever it has nothing more to say.
///
/// `open` are the connections that applications hold.
///
/// # Errors
///
/// The first rule that it breaks.
pub fn check_stack(
    stack: &Stack,
    now: Instant,
    open: impl Iterator<Item = TcpId>,
) -> Result<(), String> {
    let deadline = stack.poll_timeout();
    for id in open {
        let Ok(info) = stack.tcp_info(id) else {
            continue;
        };
        let Ok(options) = stack.tcp_options(id) else {
            continue;
        };
        // Windows are rounded up to what their field can say, within an eighth.
        if info.unread > options.receive_buffer + options.receive_buffer / 8 {
            return Err(format!(
                "{} octets unread, the receive buffer is {}",
                info.unread, options.receive_buffer
            ));
        }
        if info.unsent + info.in_flight > options.send_buffer + 1 {
            return Err(format!(
                "{} octets queued, the send buffer is {}",
                info.unsent + info.in_flight,
                options.send_buffer
            ));
        }
        let waits = info.state != State::Closed && (info.unsent > 0 || info.in_flight > 0);
        if waits && deadline.is_none() {
            return Err(format!(
                "{} octets wait in {} and no deadline is set",
                info.unsent + info.in_flight,
                info.state
            ));
        }
    }
    let waiting = stack
        .sockets()
        .filter_map(|socket| socket.state)
        .find(|state| {
            matches!(
                state,
                State::SynSent
                    | State::SynReceived
                    | State::FinWait1
                    | State::Closing
                    | State::LastAck
                    | State::TimeWait
            )
        });
    if let Some(state) = waiting
        && deadline.is_none()
    {
        return Err(format!("a socket is in {state} and no deadline is set"));
    }
    if let Some(deadline) = deadline
        && deadline < now
    {
        return Err(format!("the deadline is {deadline}, in the past"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
