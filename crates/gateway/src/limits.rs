//! Every bound of the gateway in one file, with what it costs.

use std::time::Duration;

/// Bounds of a gateway's tables and queues. What a bound refuses is counted and observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Flows of the program at once, TCP and UDP together, where that is fewer than each of
    /// them may have. What comes in through a forward is not among them.
    pub flows: Option<usize>,
    /// TCP flows at once, being connected or relayed. Each costs a descriptor, its task (about
    /// 1 KiB) and, only while octets move, chunks.
    pub tcp_flows: usize,
    /// Connections through all ports of `--localhost` at once. Each costs two descriptors and,
    /// because its octets are copied, 128 KiB; a caller of datagrams one and 64 KiB.
    pub localhost_flows: usize,
    /// UDP mappings at once (RFC 4787 section 4.1): one descriptor and about 1 KiB each.
    pub udp_mappings: usize,
    /// Echo requests outside at once.
    pub echo_requests: usize,
    /// Questions to the directory at once; each holds its message, at most 64 KiB.
    pub dns_questions: usize,
    /// Names remembered for addresses, about 100 octets each.
    pub names: usize,
    /// Rows that the registry keeps of sockets that are gone.
    pub done_rows: usize,
    /// How long a row of a socket that is gone stays.
    pub done_row_age: Duration,
    /// Flows of which the first packets are kept.
    pub recorded_flows: usize,
    /// Packets kept of each flow, about 160 octets each.
    pub recorded_packets: usize,
    /// Largest chunk that is read from a host socket, in octets.
    pub chunk: usize,
    /// Octets that one flow may take from each side in one turn before others get theirs.
    pub turn_octets: usize,
    /// Datagrams that one mapping may move in each direction in one turn.
    pub turn_datagrams: usize,
    /// How long a mapping lives without a datagram out (RFC 4787 REQ-5: at least 2 minutes,
    /// 5 recommended).
    pub udp_idle: Duration,
    /// The same for a mapping that has only talked to port 53: answered at once or never.
    pub udp_idle_dns: Duration,
    /// How long a mapping waits for the holder of its socket before it shows as unknown.
    pub holder_wait: Duration,
    /// Flows whose holder is asked for at once, when they come after a pause. Beyond it only one
    /// for each [`holder_pace`](Self::holder_pace): the others are asked about later, if their
    /// flow still lives, or when somebody looks.
    pub holder_burst: u32,
    /// How often one more question about a holder is worth its cost, some tenth of a
    /// millisecond of a processor.
    pub holder_pace: Duration,
    /// How long the host may take to connect before the flow is given up (Linux: about 127 s).
    pub connect_wait: Duration,
    /// How long one server may take to answer a question before the next is asked.
    pub dns_server_wait: Duration,
    /// How long a question may take altogether.
    pub dns_wait: Duration,
    /// Callers of one forwarded port that wait for the program to answer.
    pub forward_pending: usize,
    /// Connections of the built-in servers at once.
    pub builtin_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: None,
            tcp_flows: 1 << 16,
            localhost_flows: 1024,
            udp_mappings: 1 << 14,
            echo_requests: 256,
            dns_questions: 1024,
            names: 4096,
            done_rows: 1024,
            done_row_age: Duration::from_secs(60),
            recorded_flows: 1024,
            recorded_packets: 16,
            chunk: 256 << 10,
            turn_octets: 512 << 10,
            turn_datagrams: 64,
            udp_idle: Duration::from_secs(300),
            udp_idle_dns: Duration::from_secs(30),
            holder_wait: Duration::from_secs(2),
            holder_burst: 64,
            holder_pace: Duration::from_millis(20),
            connect_wait: Duration::from_secs(140),
            dns_server_wait: Duration::from_secs(2),
            dns_wait: Duration::from_secs(9),
            forward_pending: 256,
            builtin_connections: 1024,
        }
    }
}
