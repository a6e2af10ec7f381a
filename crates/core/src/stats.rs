//! Counters of a stack, and what is known of one connection.

use core::net::SocketAddr;
use core::time::Duration;

use switchboard_wire::Malformed;

use crate::drop_reason::DropReason;
use crate::socket::State;

/// How often each of a fixed list of things happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<const LEN: usize>([u64; LEN]);

impl<const LEN: usize> Default for Tally<LEN> {
    fn default() -> Self {
        Self([0; LEN])
    }
}

impl<const LEN: usize> Tally<LEN> {
    /// How often thing number `index` happened.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// How often all of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn add(&mut self, index: usize) {
        if let Some(count) = self.0.get_mut(index) {
            *count += 1;
        }
    }
}

/// Reasons to drop a packet.
const REASONS: usize = DropReason::ALL.len();
/// Rules that bytes can break.
const RULES: usize = Malformed::IcmpQuoteTruncated as usize + 1;

/// Counters of a stack since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets that the device handed over.
    pub packets_received: u64,
    /// Packets handed to the device.
    pub packets_sent: u64,
    /// Packets that went from this stack to itself.
    pub packets_looped: u64,
    /// TCP segments (super-segments once) that arrived, checksum good.
    pub segments_received: u64,
    /// TCP segments (super-segments once) sent.
    pub segments_sent: u64,
    /// TCP segments sent again, of whatever reason.
    pub segments_retransmitted: u64,
    /// RSTs sent.
    pub resets_sent: u64,
    /// Connections that we opened.
    pub connections_opened: u64,
    /// Connections that others opened and we answered.
    pub connections_answered: u64,
    /// Datagrams that reached a socket or a pending flow.
    pub datagrams_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Packets put together from fragments.
    pub reassembled: u64,
    /// Fragments sent.
    pub fragments_sent: u64,
    /// ICMP errors sent, those on purpose included.
    pub icmp_errors_sent: u64,
    /// ICMP errors received about something of ours.
    pub icmp_errors_received: u64,
    /// Packets that reached a raw or ping socket, each socket counted.
    pub packets_to_sockets: u64,
    /// Packets that raw and ping sockets sent.
    pub packets_from_sockets: u64,
    /// IGMP and MLD reports sent.
    pub membership_reports_sent: u64,
    /// Octets that buffers pin now: connections, datagram sockets and pending flows.
    pub pinned_octets: usize,
    dropped: Tally<REASONS>,
    malformed: Tally<RULES>,
}

impl Stats {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped.get(reason as usize)
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.total()
    }

    /// Each reason for which packets were dropped, with how many.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> {
        let all = DropReason::ALL.iter();
        all.map(|reason| (*reason, self.dropped(*reason)))
            .filter(|(_, count)| *count > 0)
    }

    /// Packets that broke `rule`.
    #[must_use]
    pub fn malformed(&self, rule: Malformed) -> u64 {
        self.malformed.get(rule as usize)
    }

    pub(crate) fn drop(&mut self, reason: DropReason) {
        self.dropped.add(reason as usize);
    }

    pub(crate) fn drop_malformed(&mut self, rule: Malformed) {
        self.drop(DropReason::Malformed);
        self.malformed.add(rule as usize);
    }
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
    /// Text that went with our SYN was acknowledged with it (RFC 7413).
    pub syn_text_acked: bool,
    /// The MSS option that we announce, in octets.
    pub announced_mss: usize,
    /// Largest packet of the path, as far as known, in octets.
    pub path_mtu: usize,
}
