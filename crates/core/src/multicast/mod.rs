//! Groups that this host is in (RFC 1112, RFC 3376, RFC 3810).
//!
//! Which socket is in which group is the socket's own; here is what all of them together want,
//! and when routers are to hear of it.

pub(crate) mod groups;

use core::net::IpAddr;

use switchboard_wire::membership::{ALL_NODES, ALL_SYSTEMS};

/// Groups that every host is always in: nobody joins them, and nobody reports them (RFC 3376
/// section 5, RFC 3810 section 6).
pub(crate) fn is_everybody(group: IpAddr) -> bool {
    group == IpAddr::V4(ALL_SYSTEMS) || group == IpAddr::V6(ALL_NODES)
}

/// Whether routers hear of it. Of groups that end at the host itself nobody else has to know
/// (RFC 3810 section 6: scopes 0 and 1).
fn is_reported(group: IpAddr) -> bool {
    let stays_here = match group {
        IpAddr::V4(_) => false,
        IpAddr::V6(group) => group
            .segments()
            .first()
            .is_some_and(|first| first & 0xf < 2),
    };
    !is_everybody(group) && !stays_here
}
