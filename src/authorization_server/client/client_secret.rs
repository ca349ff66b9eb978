//! Owns: a secret of a compiled client, ready to be compared with and, where it may be, to verify assertions with.
//! Refuses: telling by time how much of a guess was right, or whether there is a secret at all.
//! Always holds: a comparison costs the same whatever it is compared with; an expired secret matches nothing.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::stored_secret::{PresentedSecret, SecretHash, StoredSecret, process_hash};
use crate::{clock::UnixTime, jose::MacKey, secret::Secret};

/// A secret of a client.
pub(super) struct ClientSecret {
    kept: KeptHash,
    expires_at: Option<UnixTime>,
    mac_key: Option<MacKey>,
}

/// What a secret is recognised by.
#[derive(Clone, Copy)]
enum KeptHash {
    /// Of the configuration: hashed when it was compiled, before there was a store.
    OfProcess(SecretHash),
    /// Of the store.
    OfInstallation(SecretHash),
    /// There is none, and nothing matches.
    Nobodys,
}

impl ClientSecret {
    /// A secret of the configuration. It can verify assertions if `may_sign`.
    pub(super) fn of_configuration(secret: &Secret, may_sign: bool) -> Self {
        let mac_key = may_sign.then(|| MacKey::new(secret.expose().as_bytes())).flatten();
        // Without randomness there is no key to hash with, and nobody gets in.
        let kept = process_hash(secret).map_or(KeptHash::Nobodys, KeptHash::OfProcess);
        Self { kept, expires_at: None, mac_key }
    }

    /// A secret of the store. It can verify assertions if it is given itself.
    pub(super) fn of_store(stored: &StoredSecret, opened: Option<&[u8]>) -> Self {
        let mac_key = opened.and_then(MacKey::new);
        Self { kept: KeptHash::OfInstallation(stored.hash), expires_at: stored.expires_at, mac_key }
    }

    /// Whether it is good at `now`, as far as time goes.
    pub(super) fn is_active(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// The key of assertions signed with it.
    pub(super) const fn mac_key(&self) -> Option<&MacKey> {
        self.mac_key.as_ref()
    }
}

impl PresentedSecret {
    /// Whether it is `secret`. Two comparisons of 32 bytes, whatever there is to compare with.
    pub(super) fn is(&self, secret: Option<&ClientSecret>, now: UnixTime) -> bool {
        let kept = secret.filter(|secret| secret.is_active(now)).map_or(KeptHash::Nobodys, |secret| secret.kept);
        let (process, installation, possible) = match kept {
            KeptHash::OfProcess(hash) => (hash, SecretHash::NOTHING, [true, false]),
            KeptHash::OfInstallation(hash) => (SecretHash::NOTHING, hash, [false, true]),
            KeptHash::Nobodys => (SecretHash::NOTHING, SecretHash::NOTHING, [false, false]),
        };
        let equal = |kept: SecretHash, presented: &SecretHash| {
            verify_slices_are_equal(kept.as_bytes(), presented.as_bytes()).is_ok()
        };
        let [may_be_process, may_be_installation] = possible;
        // `&` and `|` judge both sides always.
        (may_be_process & equal(process, &self.of_process))
            | (may_be_installation & equal(installation, &self.of_installation))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientSecret").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
