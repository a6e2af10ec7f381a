//! Every bound in one file, with the memory that it costs.

use core::time::Duration;

/// Datagrams that one call to send may be cut into (Linux: `UDP_MAX_SEGMENTS`, 64 until 6.9).
pub const UDP_SEGMENTS_MAX: usize = 64;

/// Bounds of a stack's tables and queues. What a bound refuses has a counted reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, half-open and closing ones included.
    pub connections: usize,
    /// Records of TIME-WAIT (under 128 octets each); the oldest makes room.
    pub time_wait: usize,
    /// Flows that wait for a verdict (under 256 octets each); a new one is refused.
    pub pending_flows: usize,
    /// How long a flow may wait for a verdict before it is refused.
    pub pending_flow_age: Duration,
    /// Half-open connections of one listener.
    pub syn_backlog: usize,
    /// Datagram sockets.
    pub udp_sockets: usize,
    /// Raw and ping sockets together.
    pub packet_sockets: usize,
    /// Groups that all sockets together are in (under 64 octets each).
    pub groups: usize,
    /// Groups that one socket is in (Linux: `igmp_max_memberships`, 20).
    pub groups_per_socket: usize,
    /// Octets that fragments being put together may pin, each family (Linux: 4 MiB).
    pub reassembly_octets: usize,
    /// How long fragments wait for the rest (RFC 8200: 60 s; RFC 1122 allows 30 s for IPv4).
    pub reassembly_age: Duration,
    /// Out-of-order ranges that one connection keeps.
    pub out_of_order_ranges: usize,
    /// Octets that all connections' buffers together may pin.
    pub buffers: usize,
    /// ICMP errors a second, and at once (Linux: 1000 and 50).
    pub icmp_errors_per_second: u32,
    /// ICMP errors that may be sent in one burst.
    pub icmp_burst: u32,
    /// Challenge ACKs a second and connection (RFC 5961 section 7).
    pub challenge_acks_per_second: u32,
    /// Path MTUs remembered.
    pub path_mtus: usize,
    /// Servers whose Fast Open cookies are remembered (under 256 octets each).
    pub fast_open_cookies: usize,
    /// Echo requests that wait for the application.
    pub echo_requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1 << 20,
            time_wait: 1 << 16,
            pending_flows: 4096,
            pending_flow_age: Duration::from_secs(150),
            syn_backlog: 1024,
            udp_sockets: 1 << 20,
            packet_sockets: 4096,
            groups: 256,
            groups_per_socket: 20,
            reassembly_octets: 4 << 20,
            reassembly_age: Duration::from_secs(30),
            out_of_order_ranges: 256,
            buffers: 1 << 30,
            icmp_errors_per_second: 1000,
            icmp_burst: 50,
            challenge_acks_per_second: 10,
            path_mtus: 1024,
            fast_open_cookies: 1024,
            echo_requests: 256,
        }
    }
}
