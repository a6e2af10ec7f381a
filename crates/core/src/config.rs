//! Every knob, with unit, default, range and source.

use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use core::time::Duration;

use crate::limits::Limits;

/// An address and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// The address itself, host bits included.
    pub address: IpAddr,
    /// Bits of the network part: 0 to 32, or 0 to 128.
    pub prefix_len: u8,
}

impl From<IpAddr> for Cidr {
    /// The address alone: a prefix of 32 or 128 bits.
    fn from(address: IpAddr) -> Self {
        let prefix_len = if address.is_ipv4() { 32 } else { 128 };
        Self {
            address,
            prefix_len,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// What kept a text from being a [`Cidr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// What stands before the `/` is no IP address.
    Address,
    /// What follows the `/` is no prefix length of that family: 0 to 32, or 0 to 128.
    PrefixLength,
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "not an IP address",
            Self::PrefixLength => "a prefix length is 0 to 32 for IPv4, 0 to 128 for IPv6",
        })
    }
}

impl core::error::Error for CidrError {}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `10.0.2.2/24`, or an address alone.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix_len) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let whole = Self::from(address.parse::<IpAddr>().map_err(|_| CidrError::Address)?);
        let Some(prefix_len) = prefix_len else {
            return Ok(whole);
        };
        let prefix_len = prefix_len.parse().map_err(|_| CidrError::PrefixLength)?;
        if prefix_len > whole.prefix_len {
            return Err(CidrError::PrefixLength);
        }
        Ok(Self {
            prefix_len,
            ..whole
        })
    }
}

/// What the device takes off our hands, in the direction out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offloads {
    /// It finishes TCP and UDP checksums.
    pub checksum: bool,
    /// It cuts TCP super-segments over IPv4.
    pub tso4: bool,
    /// It cuts TCP super-segments over IPv6.
    pub tso6: bool,
    /// It cuts UDP super-datagrams (USO), both families.
    pub uso: bool,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our own addresses.
    pub addresses: Vec<Cidr>,
    /// Whether flows to every other address are taken too, as a gateway does, and to ports of
    /// our own that no socket holds. Such a stack answers a packet whose hop limit runs out
    /// here with "time exceeded".
    pub any_address: bool,
    /// Whether echo requests to other addresses go to the application, instead of being
    /// answered by the stack or dropped.
    pub echo_to_application: bool,
    /// Whether 127.0.0.0/8 and ::1 are somebody else's: packets to them leave by the device, as
    /// to any other address, and are taken from it. For a host that shares its neighbour's
    /// loopback; on any other link such packets are martians (RFC 1122 section 3.2.1.3).
    /// Default false: every host has its own.
    pub foreign_loopback: bool,
    /// Largest packet of the link, in octets: 1280 (or 68 without IPv6) to 65535.
    pub mtu: usize,
    /// What the device does for us.
    pub offloads: Offloads,
    /// Which shard of a sharded host this stack is; in every handle it makes.
    pub shard: u8,
    /// Hop limit of what we send where a socket has none of its own. Default 64.
    pub hop_limit: u8,
    /// Defaults of TCP connections.
    pub tcp: TcpConfig,
    /// Bounds of every queue and table.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            any_address: false,
            echo_to_application: false,
            foreign_loopback: false,
            mtu: 1500,
            offloads: Offloads::default(),
            shard: 0,
            hop_limit: 64,
            tcp: TcpConfig::default(),
            limits: Limits::default(),
        }
    }
}

/// What all TCP connections of a stack share.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Smallest retransmission timeout. Default 200 ms, as Linux; RFC 6298 says 1 s SHOULD.
    pub rto_min: Duration,
    /// Largest retransmission timeout. Default 120 s; RFC 6298 (2.5) wants at least 60 s.
    pub rto_max: Duration,
    /// Retransmission timeout before the first measurement. Default 1 s (RFC 6298, 2.1).
    pub rto_initial: Duration,
    /// Times a SYN is sent again before `TimedOut`. Default 6, as Linux (127 s).
    pub syn_retries: u8,
    /// Times a SYN|ACK is sent again. Default 5.
    pub syn_ack_retries: u8,
    /// How long an acknowledgement may wait for company. Default 40 ms; RFC 9293 section
    /// 3.8.6.3 allows below 500 ms.
    pub delayed_ack: Duration,
    /// How long TIME-WAIT lasts. Default 60 s, as Linux; RFC 9293 says 2 MSL.
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 lasts after a full close. Default 60 s, as Linux.
    pub fin_wait_2: Duration,
    /// Offer timestamps (RFC 7323). Default true.
    pub timestamps: bool,
    /// Offer selective acknowledgements (RFC 2018). Default true.
    pub sack: bool,
    /// Offer window scaling (RFC 7323). Default true.
    pub window_scaling: bool,
    /// Begin anew from the initial window after a pause longer than the retransmission timeout
    /// (RFC 5681 section 4.1). Default true, as Linux.
    pub slow_start_after_idle: bool,
    /// Options of connections that set none of their own.
    pub defaults: TcpOptions,
}

impl Default for TcpConfig {
    fn default() -> Self {
        Self {
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            rto_initial: Duration::from_secs(1),
            syn_retries: 6,
            syn_ack_retries: 5,
            delayed_ack: Duration::from_millis(40),
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            timestamps: true,
            sack: true,
            window_scaling: true,
            slow_start_after_idle: true,
            defaults: TcpOptions::default(),
        }
    }
}

/// Which congestion controller a connection uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CongestionControl {
    /// RFC 9438.
    #[default]
    Cubic,
    /// RFC 5681 with RFC 6582.
    Reno,
}

/// When the application closes a connection that still has octets to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger {
    /// Send them in the background, then FIN: what sockets do by default.
    #[default]
    Background,
    /// Forget them and send RST (`SO_LINGER` with zero).
    Reset,
}

/// Keep-alive probes (RFC 9293 section 3.8.4): off unless asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe. Linux's default 2 h.
    pub idle: Duration,
    /// Time between probes. Linux's default 75 s.
    pub interval: Duration,
    /// Unanswered probes before the connection is given up. Linux's default 9.
    pub count: u8,
}

/// Least octets of a send or receive buffer, whatever is asked for: with none nothing would ever
/// move. Linux has such bounds too (`SOCK_MIN_SNDBUF`, `SOCK_MIN_RCVBUF`).
pub const BUFFER_MIN: usize = 512;

/// Options of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Send small segments at once: no Nagle (RFC 9293 section 3.7.4).
    pub nodelay: bool,
    /// Hold back less than a full segment until told otherwise (`TCP_CORK`), at most 200 ms.
    pub cork: bool,
    /// Acknowledge the end of each turn at once instead of delaying.
    pub quick_ack: bool,
    /// Keep-alive probes.
    pub keep_alive: Option<KeepAlive>,
    /// How long sent octets may stay unacknowledged before `TimedOut` (RFC 9293 section
    /// 3.8.3, threshold R2). `None`: Linux's measure, about 15 minutes of backed-off resends.
    pub user_timeout: Option<Duration>,
    /// What closing does to octets not sent yet.
    pub linger: Linger,
    /// Most octets of memory that unsent and unacknowledged data may pin; [`BUFFER_MIN`] where
    /// less is asked for.
    pub send_buffer: usize,
    /// Most octets of memory that unread data may pin; the window follows from it.
    /// [`BUFFER_MIN`] where less is asked for.
    pub receive_buffer: usize,
    /// How the sending rate is found.
    pub congestion: CongestionControl,
    /// Clamp on the segment size that we announce and send, in octets of payload.
    pub mss: Option<u16>,
    /// IPv4 TTL or IPv6 hop limit; `None`: the stack's.
    pub hop_limit: Option<u8>,
    /// DSCP and ECN octet.
    pub traffic_class: u8,
    /// Bind although the port is in TIME-WAIT, or share it (`SO_REUSEADDR`).
    pub reuse_address: bool,
    /// Several listeners on one port (`SO_REUSEPORT`).
    pub reuse_port: bool,
    /// An IPv6 wildcard listener takes no IPv4 (`IPV6_V6ONLY`).
    pub only_v6: bool,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            nodelay: false,
            cork: false,
            quick_ack: false,
            keep_alive: None,
            user_timeout: None,
            linger: Linger::Background,
            send_buffer: 4 << 20,
            receive_buffer: 4 << 20,
            congestion: CongestionControl::Cubic,
            mss: None,
            hop_limit: None,
            traffic_class: 0,
            reuse_address: true,
            reuse_port: false,
            only_v6: false,
        }
    }
}

impl TcpOptions {
    /// With buffers of [`BUFFER_MIN`] at least: what a connection makes of them.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        Self {
            send_buffer: self.send_buffer.max(BUFFER_MIN),
            receive_buffer: self.receive_buffer.max(BUFFER_MIN),
            ..self
        }
    }
}

/// Options of one datagram socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Most octets of memory that unread datagrams may pin; [`BUFFER_MIN`] where less is asked
    /// for.
    pub receive_buffer: usize,
    /// Most octets of memory that unsent datagrams may pin; [`BUFFER_MIN`] where less is asked
    /// for.
    pub send_buffer: usize,
    /// IPv4 TTL or IPv6 hop limit; `None`: the stack's.
    pub hop_limit: Option<u8>,
    /// DSCP and ECN octet.
    pub traffic_class: u8,
    /// Share the port (`SO_REUSEADDR`).
    pub reuse_address: bool,
    /// Datagrams to a broadcast address are allowed (`SO_BROADCAST`).
    pub broadcast: bool,
    /// What it sends to a group comes to members on this host too (`IP_MULTICAST_LOOP`).
    /// Default true.
    pub multicast_loop: bool,
    /// TTL or hop limit of what it sends to groups (`IP_MULTICAST_TTL`): 1 by default, the link
    /// alone (RFC 1112 section 6.1); 0 stays on this host.
    pub multicast_hop_limit: u8,
    /// An IPv6 wildcard socket takes no IPv4 (`IPV6_V6ONLY`).
    pub only_v6: bool,
    /// Datagrams that arrived as one super-datagram are handed up as one, their size beside
    /// them (`UDP_GRO`). Without it each is handed up by itself.
    pub gro: bool,
    /// ICMP errors that its datagrams draw are told although it is not connected (`IP_RECVERR`).
    /// Default true; a connected socket is always told.
    pub receive_errors: bool,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self {
            receive_buffer: 1 << 20,
            send_buffer: 1 << 20,
            hop_limit: None,
            traffic_class: 0,
            reuse_address: false,
            broadcast: false,
            multicast_loop: true,
            multicast_hop_limit: 1,
            only_v6: false,
            gro: false,
            receive_errors: true,
        }
    }
}

impl UdpOptions {
    /// With buffers of [`BUFFER_MIN`] at least: what a socket makes of them.
    #[must_use]
    pub fn within_bounds(self) -> Self {
        Self {
            send_buffer: self.send_buffer.max(BUFFER_MIN),
            receive_buffer: self.receive_buffer.max(BUFFER_MIN),
            ..self
        }
    }
}

/// Which Internet protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// Options of one raw or ping socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketOptions {
    /// Most octets of memory that unread packets may pin.
    pub receive_buffer: usize,
    /// IPv4 TTL or IPv6 hop limit; `None`: the stack's.
    pub hop_limit: Option<u8>,
    /// TTL or hop limit of what it sends to groups. Default 1.
    pub multicast_hop_limit: u8,
    /// DSCP and ECN octet.
    pub traffic_class: u8,
    /// Packets to a broadcast address are allowed (`SO_BROADCAST`).
    pub broadcast: bool,
    /// Raw sockets of IPv4: what is sent starts with its IP header (`IP_HDRINCL`).
    pub header_included: bool,
}

impl Default for PacketOptions {
    fn default() -> Self {
        Self {
            receive_buffer: 256 << 10,
            hop_limit: None,
            multicast_hop_limit: 1,
            traffic_class: 0,
            broadcast: false,
            header_included: false,
        }
    }
}
