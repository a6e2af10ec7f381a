//! Which local port a call goes out from (RFC 6056).

use core::net::{IpAddr, SocketAddr};

use crate::tcp::PortHash;

/// First port that is given out: Linux's choice, clear of registered ports in wide use.
pub(crate) const EPHEMERAL_FIRST: u16 = 32_768;
/// Last port that is given out.
pub(crate) const EPHEMERAL_LAST: u16 = 60_999;
/// Ports that are given out.
pub(crate) const EPHEMERAL_COUNT: u16 = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

/// Ports looked at before one that TIME-WAIT holds, but may be reused (RFC 6191), will do.
/// Without this, every call would walk over all that a busy minute left behind.
const FREE_TRIES: u16 = 16;

/// What is known of one port toward one remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortUse {
    /// Nobody has it.
    Free,
    /// TIME-WAIT has it and lets go of it.
    Reusable,
    /// Somebody has it.
    Taken,
}

/// Picks a port for a call from `local` to `remote`; `None` when all are taken.
pub(crate) fn pick(
    hash: &mut PortHash,
    local: IpAddr,
    remote: &SocketAddr,
    use_of: impl Fn(u16) -> PortUse,
) -> Option<u16> {
    let start = u32::from(hash.start(local, remote, EPHEMERAL_COUNT));
    let mut reusable = None;
    for tries in 0..EPHEMERAL_COUNT {
        let place = (start + u32::from(tries)) % u32::from(EPHEMERAL_COUNT);
        let port = EPHEMERAL_FIRST + u16::try_from(place).unwrap_or(0);
        match use_of(port) {
            PortUse::Free => {
                hash.took(local, remote, tries);
                return Some(port);
            }
            PortUse::Reusable if reusable.is_none() => reusable = Some((port, tries)),
            PortUse::Reusable | PortUse::Taken => {}
        }
        if tries >= FREE_TRIES && reusable.is_some() {
            break;
        }
    }
    let (port, tries) = reusable?;
    hash.took(local, remote, tries);
    Some(port)
}
