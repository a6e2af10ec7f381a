//! What may leave an attached network at all: families and protocols that were switched off.

use switchboard::Unreachable;
use switchboard_gateway::{Flow, Policy, Transport, Verdict};

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) udp: bool,
    pub(crate) icmp: bool,
}

impl Rules {
    /// Everything, with IPv6 or without.
    pub(crate) fn all(v6: bool) -> Self {
        Self {
            v4: true,
            v6,
            tcp: true,
            udp: true,
            icmp: true,
        }
    }
}

impl Policy for Rules {
    fn flow(&self, flow: &Flow) -> Verdict {
        let network = |why| Verdict::unreachable(Unreachable::Network, why);
        if flow.to.is_ipv6() && !self.v6 {
            return network("this network has no IPv6");
        }
        if flow.to.is_ipv4() && !self.v4 {
            return network("this network has no IPv4");
        }
        // pasta's word for it: silently dropped.
        match flow.transport {
            Transport::Tcp if !self.tcp => Verdict::silent("TCP is switched off"),
            Transport::Udp if !self.udp => Verdict::silent("UDP is switched off"),
            Transport::Echo if !self.icmp => Verdict::silent("ping is switched off"),
            _ => Verdict::Pass,
        }
    }
}
