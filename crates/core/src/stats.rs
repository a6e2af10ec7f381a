//! Counters of a stack, and what is known of one connection.

use core::net::SocketAddr;
use core::time::Duration;

use crate::socket::State;

/// Counters of a stack since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that the device handed over.
    pub packets_received: u64,
    /// Packets handed to the device.
    pub packets_sent: u64,
    /// TCP segments sent again, of whatever reason.
    pub segments_retransmitted: u64,
}

/// What is known of one connection (`TCP_INFO`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Its state.
    pub state: State,
    /// Our endpoint.
    pub local: SocketAddr,
    /// The peer's endpoint.
    pub remote: SocketAddr,
    /// Smoothed round trip (RFC 6298), once measured.
    pub srtt: Option<Duration>,
    /// Its variation.
    pub rttvar: Duration,
    /// Smallest round trip seen.
    pub min_rtt: Option<Duration>,
    /// Current retransmission timeout.
    pub rto: Duration,
    /// Congestion window, in octets.
    pub cwnd: usize,
    /// Slow start threshold, in octets.
    pub ssthresh: usize,
    /// What the peer lets us send, in octets.
    pub send_window: usize,
    /// What we let the peer send, in octets.
    pub receive_window: usize,
    /// Payload octets of a full segment that we send.
    pub send_mss: usize,
    /// Octets queued and not sent yet.
    pub unsent: usize,
    /// Octets sent and not acknowledged yet.
    pub in_flight: usize,
    /// Octets received, in order, and not read yet.
    pub unread: usize,
    /// Payload octets sent, first transmissions only.
    pub octets_sent: u64,
    /// Payload octets that the peer has acknowledged.
    pub octets_acked: u64,
    /// Payload octets received in order.
    pub octets_received: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Retransmission timeouts in a row, now.
    pub backoffs: u32,
    /// Window scaling was agreed: ours and the peer's shift.
    pub window_scale: Option<(u8, u8)>,
    /// Timestamps were agreed.
    pub timestamps: bool,
    /// Selective acknowledgements were agreed.
    pub sack: bool,
}
