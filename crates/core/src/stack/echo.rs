//! Echo requests to addresses that are not ours, which the application answers.

use core::net::IpAddr;

use bytes::Bytes;
use switchboard_wire::Instant;
use switchboard_wire::icmp::Echo;

use super::Stack;
use super::emit::Limited;
use crate::error::Unreachable;
use crate::ip::icmp::{self, Say};
use crate::socket::EchoRequest;

impl Stack {
    /// The next echo request to an address that is not ours.
    pub fn receive_echo(&mut self) -> Option<EchoRequest> {
        self.echoes.pop_front()
    }

    /// Answers one, as its destination.
    pub fn reply_echo(&mut self, now: Instant, request: &EchoRequest, payload: Bytes) {
        let echo = Echo {
            identifier: request.identifier,
            sequence: request.sequence,
        };
        self.emit_echo_reply(now, request.destination, request.source, echo, payload);
    }

    /// Answers one with an ICMP error from `offender`, the stack's own first address if none
    /// is given.
    pub fn refuse_echo(
        &mut self,
        now: Instant,
        request: &EchoRequest,
        why: Unreachable,
        offender: Option<IpAddr>,
    ) {
        let offender = self.offender(offender, request.destination);
        let quote = icmp::quote_echo(request);
        let say = Say::Unreachable(why);
        let (to, limited) = (request.source, Limited::OnPurpose);
        self.emit_icmp_error(now, offender, to, say, quote, limited);
    }

    /// Who signs an error about a packet to `destination`: who was asked for, else our first
    /// address of that family, else whom the packet was for.
    pub(super) fn offender(&self, asked: Option<IpAddr>, destination: IpAddr) -> IpAddr {
        let ipv6 = destination.is_ipv6();
        asked
            .filter(|asked| asked.is_ipv6() == ipv6)
            .or_else(|| self.addresses.first(ipv6))
            .unwrap_or(destination)
    }
}
