//! Initial sequence numbers that nobody off the path can guess (RFC 6528).

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use switchboard_wire::Instant;

use super::segment::FourTuple;
use super::seq::SeqNum;

/// Makes ISNs and timestamp offsets from one secret key.
#[derive(Clone, Debug)]
pub(crate) struct IsnGenerator {
    key: [u8; 16],
}

impl IsnGenerator {
    /// `key` comes from the secret stream of `Entropy`.
    pub(crate) const fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// ISN = M + F(four-tuple, key), M one tick every 4 µs (RFC 9293 section 3.4.1, MUST-8).
    ///
    /// So numbers of one four-tuple grow with time, which lets a new incarnation follow an old
    /// one, and say nothing about those of another.
    pub(crate) fn isn(&self, now: Instant, tuple: &FourTuple) -> SeqNum {
        let ticks = now.as_nanos() / 4_000;
        SeqNum::new((self.hash(0, tuple) as u32).wrapping_add(ticks as u32))
    }

    /// What is added to our timestamps clock toward this peer (RFC 7323 section 5.4): the
    /// clock of the machine stays secret, and grows for each four-tuple.
    pub(crate) fn timestamp_offset(&self, tuple: &FourTuple) -> u32 {
        self.hash(1, tuple) as u32
    }

    fn hash(&self, purpose: u8, tuple: &FourTuple) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u8(purpose);
        write_endpoint(&mut hasher, &tuple.local);
        write_endpoint(&mut hasher, &tuple.remote);
        hasher.finish()
    }
}

/// Feeds an endpoint to a keyed hash, so that no two endpoints feed the same octets.
pub(super) fn write_endpoint(hasher: &mut SipHasher24, endpoint: &SocketAddr) {
    write_address(hasher, endpoint.ip());
    hasher.write(&endpoint.port().to_be_bytes());
}

/// Feeds an address to a keyed hash.
pub(super) fn write_address(hasher: &mut SipHasher24, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            hasher.write_u8(4);
            hasher.write(&v4.octets());
        }
        IpAddr::V6(v6) => {
            hasher.write_u8(6);
            hasher.write(&v6.octets());
        }
    }
}
