//! A packet arrived: is it for us, and may it be?
//!
//! The checks in their order, each a function that lets the packet pass or says why not.

use core::net::IpAddr;

use switchboard_wire::ip::{Complaint, IpPacket};
use switchboard_wire::ipv6::extensions::Answer;

use super::icmp::{self, Say};
use crate::demux::addresses::{Addresses, Destination};
use crate::drop_reason::DropReason;
use crate::error::Unreachable;

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The device.
    Device,
    /// This stack itself.
    Loopback,
}

/// Why a packet goes no further, and what its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: DropReason,
    pub(crate) say: Option<Say>,
}

impl From<DropReason> for Refused {
    fn from(reason: DropReason) -> Self {
        Self { reason, say: None }
    }
}

/// All checks. What passes is for us, and its destination is of the kind returned.
pub(crate) fn admit(
    packet: &IpPacket<'_>,
    addresses: &Addresses,
    any_address: bool,
    origin: Origin,
) -> Result<Destination, Refused> {
    if origin == Origin::Device {
        check_source(packet.source, addresses)?;
    }
    let destination = check_destination(packet, addresses, any_address, origin)?;
    check_hop_limit(packet, destination)?;
    check_complaint(packet, destination)?;
    Ok(destination)
}

/// Martians: nobody can have such an address, or we have it ourselves (RFC 1122 section
/// 3.2.1.3; the latter is also the "LAND" attack).
fn check_source(source: IpAddr, addresses: &Addresses) -> Result<(), DropReason> {
    if addresses.is_unicast(source) && !addresses.is_ours(source) {
        Ok(())
    } else {
        Err(DropReason::MartianSource)
    }
}

fn check_destination(
    packet: &IpPacket<'_>,
    addresses: &Addresses,
    any_address: bool,
    origin: Origin,
) -> Result<Destination, DropReason> {
    let destination = packet.destination;
    if addresses.is_own_loopback(destination) && origin == Origin::Device {
        return Err(DropReason::MartianDestination);
    }
    match addresses.classify(destination) {
        Destination::Foreign if !any_address => Err(DropReason::NotForUs),
        Destination::Foreign if !addresses.is_unicast(destination) => {
            Err(DropReason::MartianDestination)
        }
        // Somebody spoofs: nobody sends to itself through us.
        Destination::Foreign if packet.source == destination => Err(DropReason::MartianSource),
        kind => Ok(kind),
    }
}

/// A gateway answers for the hop that it is (RFC 1812 section 5.3.1): what would have to go on
/// with hop limit zero ends here. Own addresses take packets whatever is left.
fn check_hop_limit(packet: &IpPacket<'_>, destination: Destination) -> Result<(), Refused> {
    if destination == Destination::Foreign && packet.hop_limit <= 1 {
        return Err(Refused {
            reason: DropReason::HopLimit,
            say: Some(Say::Unreachable(Unreachable::TimeExceeded)),
        });
    }
    Ok(())
}

/// What the headers ask and we do not do.
fn check_complaint(packet: &IpPacket<'_>, destination: Destination) -> Result<(), Refused> {
    match packet.complaint {
        None => Ok(()),
        Some(Complaint::SourceRoute) => Err(DropReason::SourceRoute.into()),
        Some(Complaint::Parameter {
            code,
            pointer,
            answer,
        }) => {
            let to_many = destination == Destination::Multicast;
            let answered = match answer {
                Answer::Never => false,
                Answer::UnlessMulticast => !to_many,
                Answer::Always => true,
            };
            Err(Refused {
                reason: DropReason::ExtensionHeader,
                say: answered.then_some(Say::Parameter { code, pointer }),
            })
        }
    }
}

/// Whether an ICMP error about this packet may be sent at all (RFC 1122 section 3.2.2, RFC
/// 4443 section 2.4, e): not about errors, not about later fragments, and about packets to
/// many only where the standard says so.
pub(crate) fn may_complain(packet: &IpPacket<'_>, say: Say, addresses: &Addresses) -> bool {
    let is_later_fragment = packet.fragment.is_some_and(|fragment| fragment.offset != 0);
    let to_many = matches!(
        addresses.classify(packet.destination),
        Destination::Broadcast | Destination::Multicast
    );
    addresses.is_unicast(packet.source)
        && !is_later_fragment
        && (!to_many || matches!(say, Say::Parameter { .. }))
        && !icmp::is_error(packet)
}
