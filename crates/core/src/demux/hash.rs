//! Hashing of what strangers choose.

use core::hash::BuildHasher;

use siphasher::sip::SipHasher13;

/// Builds SipHash-1-3 hashers with one secret key, as the standard library's maps have them:
/// whoever does not know the key cannot choose addresses and ports that collide.
#[derive(Clone, Debug)]
pub(crate) struct SecretHash {
    key: [u8; 16],
}

impl SecretHash {
    /// With `key`, from [`Entropy::secret_key`](crate::Entropy).
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }
}

impl BuildHasher for SecretHash {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }
}

/// A map whose keys strangers choose. Never iterated where the order would show: the same
/// seed must give the same run.
pub(crate) type SecretMap<K, V> = hashbrown::HashMap<K, V, SecretHash>;
