//! Owns: secrets as they are kept: a keyed hash, and for clients that sign with their secret a sealed copy.
//! Refuses: a hash that can be tried out without the key of the installation.
//! Always holds: hashes that were read from the configuration mean nothing outside this process.

use std::{fmt, sync::LazyLock};

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::secret::NoRandomness;
use crate::{clock::UnixTime, secret::Secret};

/// The length of a hash and of the keys that it is made under, in bytes.
pub(in crate::authorization_server) const HASH_BYTES: usize = 32;
/// The random bytes in the public name of a secret.
const ID_BYTES: usize = 6;

/// The key under which this process hashes the secrets of its configuration, so that compiling needs no store. Random, so
/// that a hash from its memory is of no use elsewhere. None if there is no randomness: then none of them matches.
static PROCESS_KEY: LazyLock<Option<hmac::Key>> = LazyLock::new(|| {
    let mut random = Zeroizing::new([0; HASH_BYTES]);
    rand::fill(&mut *random).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &*random))
});

/// The hash of a secret: HMAC-SHA256 and no password hash, for the secrets are long and random, and a slow hash here would
/// let anyone spend the processor's time. In a document it is written in base64url.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash {
    bytes: [u8; HASH_BYTES],
}

/// Hashes secrets under the key of the installation.
pub struct SecretHashing {
    installation: hmac::Key,
}

/// A secret that somebody presented, hashed in both ways in which secrets are kept.
pub(super) struct PresentedSecret {
    pub(super) of_installation: SecretHash,
    /// Zeros if this process has no key; see [`process_hash`].
    pub(super) of_process: SecretHash,
}

/// A secret of a client in the store.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSecret {
    /// Its public name, for lists and for ending it: 12 hexadecimal digits.
    pub id: String,
    /// What it is recognised by.
    pub hash: SecretHash,
    /// When it was made.
    pub created_at: UnixTime,
    /// From when on it is not good any more; none: no end is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixTime>,
    /// The secret itself, sealed under the name that [`StoredSecret::sealing_name`] gives; only for clients that may sign
    /// assertions with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl SecretHash {
    pub(in crate::authorization_server) const NOTHING: Self = Self { bytes: [0; HASH_BYTES] };

    fn of(key: &hmac::Key, secret: &Secret) -> Self {
        let tag = hmac::sign(key, secret.expose().as_bytes());
        let mut hash = Self::NOTHING;
        hash.bytes.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        hash
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.bytes
    }
}

/// The hash of a secret of the configuration, under the key of this process.
pub(super) fn process_hash(secret: &Secret) -> Option<SecretHash> {
    PROCESS_KEY.as_ref().map(|key| SecretHash::of(key, secret))
}

impl SecretHashing {
    /// Hashes under this key, which is the same for all replicas and for ever.
    #[must_use]
    pub fn new(installation_key: &[u8; HASH_BYTES]) -> Self {
        Self { installation: hmac::Key::new(hmac::HMAC_SHA256, installation_key) }
    }

    /// A key for a new installation.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate_key() -> Result<Zeroizing<[u8; HASH_BYTES]>, NoRandomness> {
        let mut random = Zeroizing::new([0; HASH_BYTES]);
        rand::fill(&mut *random).map_err(|_| NoRandomness)?;
        Ok(random)
    }

    /// The hash under which `secret` is kept and found.
    #[must_use]
    pub fn hash(&self, secret: &Secret) -> SecretHash {
        SecretHash::of(&self.installation, secret)
    }

    /// Both hashes, always: the work depends on the length of `secret` alone.
    pub(super) fn presented(&self, secret: &Secret) -> PresentedSecret {
        let of_process = process_hash(secret).unwrap_or(SecretHash::NOTHING);
        PresentedSecret { of_installation: self.hash(secret), of_process }
    }
}

impl StoredSecret {
    /// Keeps the hash of `secret`. `sealed` is what [`super::ClientRecord`] made of it, if it has to be read again.
    pub(super) fn new(
        id: String,
        secret: &Secret,
        hashing: &SecretHashing,
        sealed: Option<String>,
        created_at: UnixTime,
    ) -> Self {
        Self { id, hash: hashing.hash(secret), created_at, expires_at: None, sealed }
    }

    /// A name for a new secret.
    pub(super) fn new_id() -> Result<String, NoRandomness> {
        let mut random = [0_u8; ID_BYTES];
        rand::fill(&mut random).map_err(|_| NoRandomness)?;
        Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The name under which the secret `id` of a client is sealed.
    #[must_use]
    pub fn sealing_name(client_id: &str, id: &str) -> String {
        format!("secret:{client_id}:{id}")
    }

    /// Whether it is good at `now`, as far as time goes.
    #[must_use]
    pub fn is_active(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

impl Serialize for SecretHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.bytes))
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        // The text is not repeated, not even a broken one.
        bytes.map(|bytes| Self { bytes }).ok_or_else(|| de::Error::custom("a hash is 32 bytes in base64url"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretHash([redacted])")
    }
}

impl fmt::Debug for SecretHashing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretHashing([redacted])")
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredSecret")
            .field("id", &self.id)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_hash_is_the_installations_and_goes_through_json() {
        let (one, other) = (SecretHashing::new(&[1; 32]), SecretHashing::new(&[2; 32]));
        let hash = one.hash(&secret("canary"));
        assert_eq!(hash, SecretHashing::new(&[1; 32]).hash(&secret("canary")));
        assert_ne!(hash, other.hash(&secret("canary")));
        assert_ne!(hash, one.hash(&secret("canary ")));
        assert_ne!(process_hash(&secret("canary")), Some(hash));
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!((text.len(), serde_json::from_str::<SecretHash>(&text).unwrap()), (45, hash));
        for wrong in ["\"\"", "\"AAAA\"", "\"@\"", "7", &text.replace('"', "\"A")] {
            assert!(serde_json::from_str::<SecretHash>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Section 4.3 pads its key to one of 32 bytes with zeros, which HMAC does anyhow.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = SecretHashing::new(&key).hash(&secret("what do ya want for nothing?"));
        assert_eq!(hash.as_bytes()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn debug_shows_neither_secret_nor_hash_nor_key() {
        let hashing = SecretHashing::new(&[1; 32]);
        let sealed = Some("plain:v1:canary".to_owned());
        let stored = StoredSecret::new("1a".to_owned(), &secret("canary"), &hashing, sealed, UnixTime::from_seconds(1));
        let shown = format!("{hashing:?} {stored:?} {:?}", stored.hash);
        assert!(!shown.contains("canary") && shown.contains("1a") && !shown.contains("[1, 1"), "{shown}");
    }

    #[test]
    fn a_secret_ends_at_the_moment_that_is_set() {
        let at = UnixTime::from_seconds;
        let mut stored = StoredSecret::new("1a".to_owned(), &secret("a"), &SecretHashing::new(&[1; 32]), None, at(1));
        assert!(stored.is_active(at(u64::MAX)));
        stored.expires_at = Some(at(5));
        assert_eq!([4, 5, 6].map(|second| stored.is_active(at(second))), [true, false, false]);
    }
}
