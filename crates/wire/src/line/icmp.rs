//! ICMP in tcpdump's words.

use core::fmt;

use crate::icmp::v4::{Icmpv4Header, Icmpv4Message, time_exceeded, unreachable as v4};
use crate::icmp::v6::{
    Icmpv6Class, Icmpv6Header, Icmpv6Message, parameter_problem, unreachable as v6,
};
use crate::icmp::{Echo, HEADER_LEN, Quote};
use crate::malformed::Malformed;

/// Who was called: the quoted packet's destination, or a question mark.
struct Called<'a>(Result<Quote<'a>, Malformed>);

impl fmt::Display for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(quote) => quote.destination.fmt(f),
            Err(_) => f.write_str("?"),
        }
    }
}

/// `10.0.2.4 tcp port 81`.
struct Desk<'a>(Result<Quote<'a>, Malformed>);

impl fmt::Display for Desk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(quote) = &self.0 else {
            return f.write_str("? port ?");
        };
        write!(f, "{} {} port ", quote.destination, quote.protocol)?;
        match quote.ports() {
            Some((_, port)) => port.fmt(f),
            None => f.write_str("?"),
        }
    }
}

fn echo(f: &mut fmt::Formatter<'_>, kind: &str, echo: Echo, payload: usize) -> fmt::Result {
    let Echo {
        identifier,
        sequence,
    } = echo;
    let len = HEADER_LEN + payload;
    write!(
        f,
        "echo {kind}, id {identifier}, seq {sequence}, length {len}"
    )
}

/// What an ICMPv4 message says.
pub(super) fn v4_words(f: &mut fmt::Formatter<'_>, message: &Icmpv4Message<'_>) -> fmt::Result {
    let quote = message.quote();
    match message.header {
        Icmpv4Header::EchoRequest(id) => echo(f, "request", id, message.body.len()),
        Icmpv4Header::EchoReply(id) => echo(f, "reply", id, message.body.len()),
        Icmpv4Header::DestinationUnreachable { code, mtu, .. } => {
            v4_unreachable(f, code, mtu, quote)
        }
        Icmpv4Header::SourceQuench => f.write_str("source quench"),
        Icmpv4Header::Redirect { gateway, .. } => {
            write!(f, "redirect {} to host {gateway}", Called(quote))
        }
        Icmpv4Header::TimeExceeded { code, .. } => match code {
            time_exceeded::TTL => f.write_str("time exceeded in-transit"),
            _ => f.write_str("ip reassembly time exceeded"),
        },
        Icmpv4Header::ParameterProblem { pointer, .. } => {
            write!(f, "parameter problem - octet {pointer}")
        }
        Icmpv4Header::Other { kind, code, .. } => write!(f, "type {kind}, code {code}"),
    }
}

fn v4_unreachable(
    f: &mut fmt::Formatter<'_>,
    code: u8,
    mtu: u16,
    quote: Result<Quote<'_>, Malformed>,
) -> fmt::Result {
    let called = Called(quote);
    match code {
        v4::NET => write!(f, "net {called} unreachable"),
        v4::HOST => write!(f, "host {called} unreachable"),
        v4::PROTOCOL => match quote {
            Ok(quote) => write!(f, "{called} protocol {} unreachable", quote.protocol.0),
            Err(_) => write!(f, "{called} protocol ? unreachable"),
        },
        v4::PORT => write!(f, "{} unreachable", Desk(quote)),
        v4::FRAGMENTATION_NEEDED if mtu == 0 => write!(f, "{called} unreachable - need to frag"),
        v4::FRAGMENTATION_NEEDED => write!(f, "{called} unreachable - need to frag (mtu {mtu})"),
        v4::SOURCE_ROUTE_FAILED => write!(f, "{called} unreachable - source route failed"),
        v4::NET_UNKNOWN => write!(f, "net {called} unreachable - unknown"),
        v4::HOST_UNKNOWN => write!(f, "host {called} unreachable - unknown"),
        v4::NET_PROHIBITED => write!(f, "net {called} unreachable - admin prohibited"),
        v4::HOST_PROHIBITED => write!(f, "host {called} unreachable - admin prohibited"),
        v4::ADMIN_PROHIBITED => write!(f, "host {called} unreachable - admin prohibited filter"),
        code => write!(f, "{called} unreachable, code {code}"),
    }
}

/// What an ICMPv6 message says.
pub(super) fn v6_words(f: &mut fmt::Formatter<'_>, message: &Icmpv6Message<'_>) -> fmt::Result {
    let quote = message.quote();
    match message.header {
        Icmpv6Header::EchoRequest(id) => echo(f, "request", id, message.body.len()),
        Icmpv6Header::EchoReply(id) => echo(f, "reply", id, message.body.len()),
        Icmpv6Header::DestinationUnreachable { code, .. } => v6_unreachable(f, code, quote),
        Icmpv6Header::PacketTooBig { mtu } => write!(f, "packet too big, mtu {mtu}"),
        Icmpv6Header::TimeExceeded { code, .. } => match code {
            0 => write!(f, "time exceeded in-transit for {}", Called(quote)),
            _ => f.write_str("time exceeded in-reassembly"),
        },
        Icmpv6Header::ParameterProblem { code, pointer } => {
            let what = match code {
                parameter_problem::ERRONEOUS_FIELD => "erroneous field",
                parameter_problem::UNRECOGNISED_NEXT_HEADER => "next header",
                parameter_problem::UNRECOGNISED_OPTION => "option",
                parameter_problem::INCOMPLETE_CHAIN => "incomplete header chain",
                _ => "unknown",
            };
            write!(f, "parameter problem, {what} - octet {pointer}")
        }
        Icmpv6Header::Other { kind, code, .. } => match message.header.class() {
            Icmpv6Class::RouterSolicitation => f.write_str("router solicitation"),
            Icmpv6Class::RouterAdvertisement => f.write_str("router advertisement"),
            Icmpv6Class::NeighborSolicitation => f.write_str("neighbor solicitation"),
            Icmpv6Class::NeighborAdvertisement => f.write_str("neighbor advertisement"),
            Icmpv6Class::Redirect => f.write_str("redirect"),
            Icmpv6Class::MulticastListener => f.write_str("multicast listener message"),
            _ => write!(f, "type {kind}, code {code}"),
        },
    }
}

fn v6_unreachable(
    f: &mut fmt::Formatter<'_>,
    code: u8,
    quote: Result<Quote<'_>, Malformed>,
) -> fmt::Result {
    let called = Called(quote);
    match code {
        v6::NO_ROUTE => write!(f, "unreachable route {called}"),
        v6::ADMIN_PROHIBITED => write!(f, "unreachable prohibited {called}"),
        v6::BEYOND_SCOPE => write!(f, "beyond scope {called}"),
        v6::ADDRESS => write!(f, "unreachable address {called}"),
        v6::PORT => write!(f, "unreachable port, {}", Desk(quote)),
        code => write!(f, "unreachable {called}, code {code}"),
    }
}
