//! Owns: the secret of a client, as far as it is kept: a keyed hash of it.
//! Refuses: keeping the secret itself, and telling by time how much of a guess was right or whether the client exists.
//! Always holds: a comparison costs the same whatever it is compared with; hashes mean nothing outside this process.

use std::{fmt, sync::LazyLock};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest::SHA256_OUTPUT_LEN, hmac, rand};

use crate::secret::Secret;

/// The key under which this process hashes secrets. Random, so that a hash from its memory is of no use elsewhere.
static HASH_KEY: LazyLock<Option<hmac::Key>> = LazyLock::new(|| {
    let mut random = [0; SHA256_OUTPUT_LEN];
    rand::fill(&mut random).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &random))
});

/// The hash of a client's secret. HMAC-SHA256 and no password hash: the secrets are long and random, and a slow hash
/// here would let anyone spend the processor's time.
#[derive(Clone)]
pub(super) struct StoredSecret {
    hash: Option<hmac::Tag>,
}

impl StoredSecret {
    /// Keeps the hash of `secret`.
    pub(super) fn of(secret: &Secret) -> Self {
        Self { hash: hash(secret) }
    }

    /// A secret that nobody has: what a request of an unknown client is compared with.
    pub(super) const fn nobodys() -> Self {
        Self { hash: None }
    }

    /// Whether `presented` is the secret. The work done depends on the length of `presented` alone.
    pub(super) fn matches(&self, presented: &Secret) -> bool {
        // Without randomness there is no key to hash with, and nobody gets in.
        let Some(presented) = hash(presented) else { return false };
        let nothing = [0; SHA256_OUTPUT_LEN];
        let kept = self.hash.as_ref().map_or(nothing.as_slice(), AsRef::as_ref);
        let equal = verify_slices_are_equal(kept, presented.as_ref()).is_ok();
        equal & self.hash.is_some()
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("StoredSecret([redacted])")
    }
}

fn hash(secret: &Secret) -> Option<hmac::Tag> {
    HASH_KEY.as_ref().map(|key| hmac::sign(key, secret.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn only_the_whole_secret_matches() {
        let stored = StoredSecret::of(&secret("correct horse battery"));
        assert!(stored.matches(&secret("correct horse battery")));
        for wrong in ["", "correct", "correct horse batterz", "correct horse battery "] {
            assert!(!stored.matches(&secret(wrong)), "{wrong}");
        }
    }

    #[test]
    fn nobody_has_nobodys_secret() {
        assert!(!StoredSecret::nobodys().matches(&secret("")));
        assert!(!StoredSecret::nobodys().matches(&secret(&"\0".repeat(32))));
    }

    #[test]
    fn debug_shows_neither_secret_nor_hash() {
        assert_eq!(format!("{:?}", StoredSecret::of(&secret("canary"))), "StoredSecret([redacted])");
    }
}
