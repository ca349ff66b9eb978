//! What tests of reuse have in common.

use std::time::Duration;

use serde_json::Map;

use super::{super::forwarding::ProviderToken, Asker, fingerprint::Fingerprinting};
use crate::{clock::UnixTime, oauth::AccessTokenType, secret::Secret};

/// A bearer token that lasts `seconds` from `obtained_at` on.
pub(super) fn token(text: &str, seconds: u64, obtained_at: UnixTime) -> ProviderToken {
    ProviderToken {
        access_token: Secret::new(text.to_owned()),
        token_type: AccessTokenType::Bearer,
        lifetime: Some(Duration::from_secs(seconds)),
        obtained_at,
        scope: None,
        refresh_token: None,
        beside: Map::new(),
    }
}

thread_local! {
    static FINGERPRINTING: Fingerprinting = Fingerprinting::new().unwrap();
}

/// A client with a credential.
pub(super) fn asker(client_id: &str, credential: &str) -> Asker {
    FINGERPRINTING.with(|by| Asker { client: by.of("client", client_id), credential: by.of("credential", credential) })
}
