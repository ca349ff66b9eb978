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
        grant::{MOST_SAME_TOKENS, a_second_before, token_type},
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
    /// Tokens that say the same have been revoked again and again within a second.
    #[error("tokens that say the same are issued and revoked too fast")]
    TooSoon,
    /// There is no key to sign with.
    #[error("there is no key to sign with")]
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
    /// No such credentials are known here, and the store that may know more cannot be reached.
    #[error("the credentials are not known here, and the store cannot be reached")]
    StoreAway,
    /// The store could not be asked.
    #[error("the store cannot be asked")]
    Store(#[from] StoreError),
    /// The program is stopping.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

/// An API token whose owner has proven that it has it. Nothing of it is used up yet.
#[derive(Clone, Debug)]
pub struct ProvenApiToken {
    record: Arc<ApiTokenRecord>,
    /// The refresh token that proved it, which is gone once it has been exchanged.
    used: Option<SecretHash>,
}

impl ProvenApiToken {
    /// Its id, which is that of the client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.record.id
    }
}

impl AuthorizationServer {
    /// The API token of these client credentials.
    ///
    /// # Errors
    /// They are not good.
    pub fn prove_api_token(
        &self,
        client_id: &str,
        secret: &Secret,
        now: UnixTime,
    ) -> Result<ProvenApiToken, ExchangeError> {
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
        match found {
            Some(record) if proven && !record.has_expired(now) => Ok(ProvenApiToken { record, used: None }),
            Some(_) => Err(ExchangeError::WrongSecret),
            None if !self.registry().is_store_reachable() => Err(ExchangeError::StoreAway),
            None => Err(ExchangeError::UnknownClient),
        }
    }

    /// The API token of a refresh token, which stays good until it is exchanged.
    ///
    /// # Errors
    /// It is not good, or nobody can tell.
    pub async fn prove_refresh(&self, refresh_token: &Secret, now: UnixTime) -> Result<ProvenApiToken, ExchangeError> {
        if !self.api_tokens_enabled() {
            // The token stays unused, for when they are switched on again.
            return Err(ExchangeError::Disabled);
        }
        // Anything else is not worth asking the store.
        if SecretKind::of(refresh_token.expose()) != Some(SecretKind::RefreshToken) {
            return Err(ExchangeError::BadRefreshToken);
        }
        let used = self.registry().hashing().hash(refresh_token);
        let registry = Arc::clone(self.registry());
        let found = self
            .registry()
            .on_control(async move { registry.store().find_refresh(used.as_bytes(), now).await })
            .await??;
        let id = found.ok_or(ExchangeError::BadRefreshToken)?;
        let record = self.registry().memory().state().api_tokens.find(&id).map(Arc::clone);
        let record = record.filter(|record| !record.has_expired(now)).ok_or(ExchangeError::BadRefreshToken)?;
        Ok(ProvenApiToken { record, used: Some(used) })
    }

    /// Exchanges an API token for a new pair; the refresh token that proved it is gone when the answer is there, and only then.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn exchange(&self, proven: ProvenApiToken, now: UnixTime) -> Result<ExchangedToken, ExchangeError> {
        let ProvenApiToken { record, used } = proven;
        if !self.api_tokens_enabled() {
            return Err(ExchangeError::Disabled);
        }
        let (profile, api) = (self.settings().api_token_profile(), self.settings().api_token_api());
        let (Some(profile), Some(api)) = (profile, api) else { return Err(ExchangeError::Disabled) };
        let key = self.registry().signing_key().ok_or(ExchangeError::NoKey)?;
        let issued_at = self.registry().issued_at(now);
        let latest = UnixTime::from_seconds(issued_at.as_seconds()).plus(api.token_lifetime);
        // What was exchanged does not outlive what it was exchanged for.
        let mut expires_at = record.expires_at.map_or(latest, |end| end.min(latest));
        let sign = |expires_at| {
            let claims = claims_of(&record, profile, issued_at, Some(expires_at));
            key.sign(token_type(DialectConfig::Frontegg), &claims).map_err(ExchangeError::Signing)
        };
        let mut signed = sign(expires_at)?;
        let mut attempts = MOST_SAME_TOKENS;
        // As with every token that nothing names.
        let mut token_id = signed.token_id_of_input();
        while self.registry().is_revoked(&token_id) {
            attempts = attempts.checked_sub(1).ok_or(ExchangeError::TooSoon)?;
            expires_at = a_second_before(Some(expires_at), issued_at).ok_or(ExchangeError::TooSoon)?;
            signed = sign(expires_at)?;
            token_id = signed.token_id_of_input();
        }
        let issued = record_of_api_token(&record, profile, token_id, key.key_id(), (issued_at, Some(expires_at)));
        self.registry().record(issued).await.map_err(ExchangeError::Unrecorded)?;
        let refresh_token = self.keep_refresh_token(&record, used, now).await?;
        Ok(ExchangedToken {
            access_token: signed.compact,
            refresh_token: Some(refresh_token),
            lifetime: Some(expires_at.since(issued_at)),
            expires_at: Some(expires_at),
            client_id: Arc::from(record.id.as_str()),
            token_id,
        })
    }

    async fn keep_refresh_token(
        &self,
        record: &ApiTokenRecord,
        used: Option<SecretHash>,
        now: UnixTime,
    ) -> Result<Secret, ExchangeError> {
        let secret = GeneratedSecret::generate_for(SecretKind::RefreshToken)
            .map_err(|_| ExchangeError::NoRandomness)?
            .into_secret();
        let hash = self.registry().hashing().hash(&secret);
        let latest = now.plus(REFRESH_LIFETIME);
        let expires_at = record.expires_at.map_or(latest, |end| end.min(latest));
        let (registry, id) = (Arc::clone(self.registry()), record.id.clone());
        let kept = self
            .registry()
            .on_control(async move {
                let (store, hash) = (registry.store(), hash.as_bytes());
                match used {
                    Some(used) => store.replace_refresh(used.as_bytes(), hash, expires_at, now).await,
                    None => store.put_refresh(hash, &id, expires_at).await.map(|()| true),
                }
            })
            .await??;
        // Somebody else was faster with the same one: the token that was made for this request is given to nobody.
        kept.then_some(secret).ok_or(ExchangeError::BadRefreshToken)
    }
}
