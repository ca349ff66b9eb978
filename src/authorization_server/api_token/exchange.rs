//! Owns: exchanging client credentials that a user or tenant made for a short-lived token, and refreshing it.
//! Refuses: a wrong pair, an expired or deleted one, a refresh token that was used; everything while the switch is off.
//! Always holds: an unknown id costs what a wrong secret costs. A refresh token is good once, on all replicas.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use thiserror::Error;

use super::{
    ApiTokenRecord,
    record::{claims_of, record_of_api_token},
};
use crate::{
    authorization_server::{
        AuthorizationServer, ChangeError, Unrecorded,
        client::{GeneratedSecret, SecretHash, SecretKind},
        grant::token_type,
        signing_keys::SigningError,
    },
    clock::UnixTime,
    config::DialectConfig,
    oauth::ExchangedToken,
    secret::Secret,
    store::StoreError,
};

/// How long a refresh token can be used.
const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why there is none.
#[derive(Debug, Error)]
pub enum ExchangeError {
    /// There are no such credentials.
    #[error("there are no such credentials")]
    UnknownClient,
    /// The secret is another, or the credentials have expired.
    #[error("the secret is wrong, or has expired")]
    WrongSecret,
    /// The refresh token is unknown, used or expired.
    #[error("the refresh token is not good")]
    BadRefreshToken,
    /// API tokens are switched off.
    #[error("API tokens are disabled")]
    Disabled,
    /// The token could not be made.
    #[error("the token could not be made")]
    NoKey,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Signing(#[source] SigningError),
    /// No refresh token could be made.
    #[error("no refresh token could be made")]
    NoRandomness,
    /// The token could not be recorded.
    #[error("the token could not be recorded")]
    Unrecorded(#[source] Unrecorded),
    /// The store could not be asked.
    #[error("the store cannot be asked")]
    Store(#[from] StoreError),
    /// The program is stopping.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl AuthorizationServer {
    /// Exchanges client credentials for a token.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn exchange(
        &self,
        client_id: &str,
        secret: &Secret,
        now: UnixTime,
    ) -> Result<ExchangedToken, ExchangeError> {
        let state = self.registry().memory().state();
        let found = state.api_tokens.find(client_id).filter(|record| record.kind.is_credentials()).map(Arc::clone);
        drop(state);
        let kept = found.as_ref().and_then(|record| record.secret_hash);
        let presented = self.registry().hashing().hash(secret);
        // Compared with something in any case, so that an unknown id takes no less time.
        let equal =
            verify_slices_are_equal(kept.as_ref().unwrap_or(&SecretHash::NOTHING).as_bytes(), presented.as_bytes());
        let proven = equal.is_ok() & kept.is_some();
        // Who is not authenticated learns nothing of switches.
        let record = match found {
            Some(record) if proven && !record.has_expired(now) => record,
            Some(_) => return Err(ExchangeError::WrongSecret),
            None => return Err(ExchangeError::UnknownClient),
        };
        self.issue_for(record, now).await
    }

    /// Exchanges a refresh token for a new pair.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn refresh(&self, refresh_token: &Secret, now: UnixTime) -> Result<ExchangedToken, ExchangeError> {
        if !self.api_tokens_enabled() {
            // The token stays unused, for when they are switched on again.
            return Err(ExchangeError::Disabled);
        }
        let hash = self.registry().hashing().hash(refresh_token);
        let registry = Arc::clone(self.registry());
        let taken = self
            .registry()
            .on_control(async move { registry.store().take_refresh(hash.as_bytes(), now).await })
            .await??;
        let id = taken.ok_or(ExchangeError::BadRefreshToken)?;
        let found = self.registry().memory().state().api_tokens.find(&id).map(Arc::clone);
        let record = found.filter(|record| !record.has_expired(now)).ok_or(ExchangeError::BadRefreshToken)?;
        self.issue_for(record, now).await
    }

    async fn issue_for(&self, record: Arc<ApiTokenRecord>, now: UnixTime) -> Result<ExchangedToken, ExchangeError> {
        if !self.api_tokens_enabled() {
            return Err(ExchangeError::Disabled);
        }
        let (profile, api) = (self.settings().api_token_profile(), self.settings().api_token_api());
        let (Some(profile), Some(api)) = (profile, api) else { return Err(ExchangeError::Disabled) };
        let key = self.registry().signing_key().ok_or(ExchangeError::NoKey)?;
        let mut issued_at = self.registry().issued_at(now);
        let latest = UnixTime::from_seconds(issued_at.as_seconds()).plus(api.token_lifetime);
        // What was exchanged does not outlive what it was exchanged for.
        let expires_at = record.expires_at.map_or(latest, |end| end.min(latest));
        let sign = |issued_at| {
            let claims = claims_of(&record, profile, issued_at, Some(expires_at));
            key.sign(token_type(DialectConfig::Frontegg), &claims).map_err(ExchangeError::Signing)
        };
        let mut signed = sign(issued_at)?;
        if self.registry().is_revoked(&signed.token_id_of_input) {
            // Another token of this second said the very same, and was revoked since.
            issued_at = issued_at.plus(Duration::from_secs(1));
            signed = sign(issued_at)?;
        }
        let token_id = signed.token_id_of_input;
        let issued = record_of_api_token(&record, profile, token_id, key.key_id(), (issued_at, Some(expires_at)));
        self.registry().record(issued).await.map_err(ExchangeError::Unrecorded)?;
        let refresh_token = self.keep_refresh_token(&record, now).await?;
        Ok(ExchangedToken {
            access_token: signed.compact,
            refresh_token,
            lifetime: Some(expires_at.since(issued_at)),
            expires_at: Some(expires_at),
            client_id: Arc::from(record.id.as_str()),
            token_id,
        })
    }

    async fn keep_refresh_token(&self, record: &ApiTokenRecord, now: UnixTime) -> Result<Secret, ExchangeError> {
        let secret = GeneratedSecret::generate_for(SecretKind::RefreshToken)
            .map_err(|_| ExchangeError::NoRandomness)?
            .into_secret();
        let hash = self.registry().hashing().hash(&secret);
        let latest = now.plus(REFRESH_LIFETIME);
        let expires_at = record.expires_at.map_or(latest, |end| end.min(latest));
        let (registry, id) = (Arc::clone(self.registry()), record.id.clone());
        self.registry()
            .on_control(async move { registry.store().put_refresh(hash.as_bytes(), &id, expires_at).await })
            .await??;
        Ok(secret)
    }
}
