//! Owns: a signing key as the store keeps it: the part that it plays, since when, and its private half, sealed.
//! Refuses: showing the private half, which is in clear when no `encryption_key` is configured.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SigningKeyError;
use crate::{clock::UnixTime, config::SigningAlgorithmConfig};

/// A signing key in the store; its id there is its key id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKeyRecord {
    /// The RFC 7638 thumbprint of its public half.
    pub key_id: String,
    /// What it signs with.
    pub algorithm: SigningAlgorithmConfig,
    /// The part that it plays now.
    pub state: KeyState,
    /// When it was made, and published.
    pub created_at: UnixTime,
    /// When it began to sign.
    pub activated_at: Option<UnixTime>,
    /// When another one began to sign in its place.
    pub retired_at: Option<UnixTime>,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
    /// Its private half in PKCS#8, as [`Sealing`](crate::authorization_server::Sealing) made a text of it. Nothing once it has
    /// been revoked: nobody has any more business with it.
    pub private_key: Option<String>,
}

/// The part that a signing key plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It signs. There is one of these.
    Current,
    /// It is published and will sign next. There is one for each algorithm at most.
    Next,
    /// It has signed; it is published for as long as something lives that it signed.
    Previous,
    /// It is not published, and nothing that it signed is accepted.
    Revoked,
}

impl SigningKeyRecord {
    /// Reads the document kept under `id`.
    ///
    /// # Errors
    /// [`SigningKeyError::Unreadable`]; it repeats nothing of the document, which may hold a key in clear.
    pub fn parse(id: &str, document: &str) -> Result<Self, SigningKeyError> {
        let record: Option<Self> = serde_json::from_str(document).ok();
        let named = record.filter(|record| record.key_id == id);
        named.ok_or_else(|| SigningKeyError::Unreadable { key_id: id.to_owned() })
    }

    /// What its private half is sealed as, so that it opens as that of no other key.
    pub(super) fn sealing_name(key_id: &str) -> String {
        format!("signing-key:{key_id}")
    }
}

impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKeyRecord")
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .field("state", &self.state)
            .field("created_at", &self.created_at)
            .field("activated_at", &self.activated_at)
            .field("retired_at", &self.retired_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}
