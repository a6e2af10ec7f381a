//! What is known of the two halves of a conversation, asked when somebody looks.

use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use switchboard::net::TcpStream as InsideStream;
use tokio::net::TcpStream as HostStream;

use crate::outside::{far_figures, far_half};

/// What the host knows of a far half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FarFigures {
    pub(crate) rtt: Option<Duration>,
    pub(crate) resent: Option<u64>,
}

/// One half of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// The gateway's endpoint of it.
    pub local: Option<SocketAddr>,
    /// The other endpoint.
    pub remote: Option<SocketAddr>,
    /// Smoothed round trip.
    pub rtt: Option<Duration>,
    /// Its variation.
    pub rtt_variation: Option<Duration>,
    /// Segments sent again.
    pub resent: Option<u64>,
    /// Payload octets of a full segment that is sent.
    pub segment: Option<u64>,
    /// Octets sent and not acknowledged yet; of the host's socket, as full segments.
    pub in_flight: Option<u64>,
    /// Octets that wait to be sent, where that is known.
    pub unsent: Option<u64>,
}

/// Both halves of a conversation, as far as they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    /// Between the program and the gateway.
    pub near: Option<Half>,
    /// Between this machine and the far side.
    pub far: Option<Half>,
}

/// Asks about a conversation, when somebody looks.
pub(crate) trait FarHalf: Send + Sync {
    /// `None`: its sockets are closed.
    fn figures(&self) -> Option<FarFigures>;
    fn halves(&self) -> Halves;
}

/// The sockets of a flow, for as long as it keeps them.
pub(crate) struct FlowSockets {
    pub(crate) host: Weak<HostStream>,
    /// Not there before the host's stands.
    pub(crate) inside: Weak<InsideStream>,
}

impl FarHalf for FlowSockets {
    fn figures(&self) -> Option<FarFigures> {
        let host = self.host.upgrade()?;
        Some(far_figures(&*host))
    }

    fn halves(&self) -> Halves {
        let far = self.host.upgrade();
        let near = self.inside.upgrade();
        Halves {
            far: far.map(|host| Half {
                local: host.local_addr().ok(),
                remote: host.peer_addr().ok(),
                ..far_half(&*host)
            }),
            near: near.and_then(|inside| near_half(&inside)),
        }
    }
}

fn near_half(inside: &InsideStream) -> Option<Half> {
    let info = inside.info().ok()?;
    let octets = |count: usize| u64::try_from(count).ok();
    Some(Half {
        local: Some(info.local),
        remote: Some(info.remote),
        rtt: info.srtt,
        rtt_variation: info.srtt.map(|_| info.rttvar),
        resent: Some(info.retransmits),
        segment: octets(info.send_mss),
        in_flight: octets(info.in_flight),
        unsent: octets(info.unsent),
    })
}
