//! Owns: making an API token.
//! Refuses: more than its maker has, roles that do not exist, an end in the past; anything while the switch is off or the other
//! sort is what may be made.
//! Always holds: it is durable before its secret is shown.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use super::{
    ApiTokenError, ApiTokenKind, ApiTokenRecord, ApiTokenUser, Caller,
    caller::{ApiTokenAction, NotAllowed},
    manage::entry,
    record::{claims_of, record_of_api_token},
};
use crate::{
    authorization_server::{
        AuthorizationServer,
        client::{GeneratedSecret, SecretKind},
        grant::token_type,
    },
    clock::UnixTime,
    config::{ApiTokenFormatConfig, ApiTokenStrategyConfig, DialectConfig},
    id::TokenId,
    secret::Secret,
    store::Kind,
};

/// The longest description, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;
/// The longest life of an access token of an API whose tokens must end.
const LONGEST_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The most metadata, in bytes of JSON: it is in every token.
const LARGEST_METADATA: usize = 2048;

/// What is to be made.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// What it shall be.
    pub kind: ApiTokenKind,
    /// The tenant that the request names.
    pub tenant_id: Option<String>,
    /// The user that the request names.
    pub user_id: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// What it is for, in words.
    pub description: String,
    /// What it shall carry.
    pub metadata: Map<String, Value>,
    /// The roles it shall have.
    pub roles: BTreeSet<String>,
    /// The permissions it shall have beside those of its roles.
    pub permissions: BTreeSet<String>,
    /// When it shall expire, in minutes from now; none: what is usual.
    pub expires_in_minutes: Option<u64>,
}

/// What was made. Its secret is shown this once.
#[derive(Debug)]
pub struct CreatedApiToken {
    /// It.
    pub record: Arc<ApiTokenRecord>,
    /// The secret of client credentials, or the access token.
    pub secret: Secret,
}

impl AuthorizationServer {
    /// Makes an API token for `caller`.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn create_api_token(
        &self,
        caller: &Caller,
        new: NewApiToken,
        now: UnixTime,
    ) -> Result<CreatedApiToken, ApiTokenError> {
        caller.may(ApiTokenAction::Write, new.kind.is_users())?;
        self.api_tokens_may_be_made(new.kind)?;
        let profile = self.settings().api_token_profile().ok_or(ApiTokenError::Disabled)?;
        let mut new = new;
        let is_bare = new.roles.is_empty() && new.permissions.is_empty();
        // A token that a user makes for itself without saying what it may, may what the user may.
        if new.kind.is_users() && is_bare && caller.tenant_id.is_some() {
            (new.roles, new.permissions) = caller.own(profile);
        }
        if let Some(role) = new.roles.iter().find(|role| !profile.roles.contains_key(*role)) {
            return Err(ApiTokenError::UnknownRole { role: role.clone() });
        }
        caller.may_grant(profile, &new.roles, &new.permissions)?;
        let tenant_id = caller.tenant(new.tenant_id.as_deref())?.to_owned();
        let user = if new.kind.is_users() {
            let id = caller.user(new.user_id.as_deref())?.to_owned();
            Some(ApiTokenUser { id, email: new.email.clone() })
        } else {
            None
        };
        let mut record = ApiTokenRecord {
            kind: new.kind,
            id: TokenId::generate().to_string(),
            tenant_id,
            user,
            created_by: caller.user_id.clone(),
            description: new.description,
            metadata: new.metadata,
            roles: new.roles,
            permissions: new.permissions,
            secret_hash: None,
            created_at: now,
            expires_at: self.end_of(new.kind, new.expires_in_minutes, now)?,
        };
        judge_record(&record)?;
        let secret = self.secret_of(&mut record, now).await?;
        self.keep(&record, caller, now).await?;
        Ok(CreatedApiToken { record: Arc::new(record), secret })
    }

    /// Whether tokens of this kind may be made now.
    pub(super) fn api_tokens_may_be_made(&self, kind: ApiTokenKind) -> Result<(), ApiTokenError> {
        let strategy = self.api_token_strategy().ok_or(ApiTokenError::Disabled)?;
        if !self.api_tokens_enabled() {
            return Err(ApiTokenError::Disabled);
        }
        let fits = match strategy {
            ApiTokenStrategyConfig::ClientCredentials => kind.is_credentials(),
            ApiTokenStrategyConfig::AccessToken => !kind.is_credentials(),
        };
        if fits { Ok(()) } else { Err(ApiTokenError::OtherStrategy) }
    }

    /// When a token ends that is made now.
    fn end_of(
        &self,
        kind: ApiTokenKind,
        minutes: Option<u64>,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, ApiTokenError> {
        let usual = self.registry().memory().state().switches.api_tokens.default_expiration_minutes;
        if let Some(minutes) = minutes.or(usual) {
            if minutes == 0 {
                return Err(ApiTokenError::ExpiresAtOnce);
            }
            let lasts = Duration::from_secs(minutes.saturating_mul(60));
            let unlimited = self.settings().api_token_api().is_some_and(|api| api.danger_allow_unlimited);
            if lasts > LONGEST_LIFETIME && !unlimited && !kind.is_credentials() {
                return Err(ApiTokenError::TooLarge { what: "lifetime in minutes", bytes: 365 * 24 * 60 });
            }
            return Ok(Some(UnixTime::from_seconds(now.as_seconds()).plus(lasts)));
        }
        // Client credentials are no token: they may last until they are deleted.
        if kind.is_credentials() {
            return Ok(None);
        }
        let api = self.settings().api_token_api().ok_or(ApiTokenError::Disabled)?;
        Ok((!api.danger_allow_unlimited).then(|| UnixTime::from_seconds(now.as_seconds()).plus(api.token_lifetime)))
    }

    /// The secret of a new token, whose record then says what is kept of it.
    async fn secret_of(&self, record: &mut ApiTokenRecord, now: UnixTime) -> Result<Secret, ApiTokenError> {
        let is_jwt = !record.kind.is_credentials() && self.settings().api_token_format() == ApiTokenFormatConfig::Jwt;
        if is_jwt {
            return self.sign_access_token(record, now).await;
        }
        let kind = if record.kind.is_credentials() { SecretKind::Client } else { SecretKind::AccessToken };
        let secret = GeneratedSecret::generate_for(kind).map_err(|_| ApiTokenError::NoRandomness)?.into_secret();
        record.secret_hash = Some(self.registry().hashing().hash(&secret));
        Ok(secret)
    }

    /// A JWT that is used as it is. It is named by the record's id, so that deleting the record revokes it.
    async fn sign_access_token(&self, record: &ApiTokenRecord, now: UnixTime) -> Result<Secret, ApiTokenError> {
        let profile = self.settings().api_token_profile().ok_or(ApiTokenError::Disabled)?;
        let key = self.registry().signing_key().ok_or(ApiTokenError::NoKey)?;
        let issued_at = self.registry().issued_at(now);
        let mut claims = claims_of(record, profile, issued_at, record.expires_at);
        claims.insert("jti".to_owned(), Value::from(record.id.as_str()));
        let signed = key.sign(token_type(DialectConfig::Frontegg), &claims).map_err(ApiTokenError::Signing)?;
        let token_id = TokenId::parse(&record.id).unwrap_or_else(|| signed.token_id_of_input());
        let issued = record_of_api_token(record, profile, token_id, key.key_id(), (issued_at, record.expires_at));
        self.registry().record(issued).await.map_err(ApiTokenError::Unrecorded)?;
        Ok(signed.compact)
    }

    async fn keep(&self, record: &ApiTokenRecord, caller: &Caller, now: UnixTime) -> Result<(), ApiTokenError> {
        let document = json!(record).to_string();
        let entry = entry(caller, "api_token.create", record, now);
        let (registry, id) = (Arc::clone(self.registry()), record.id.clone());
        self.registry()
            .on_control(async move {
                let mut change = registry.amend().await?;
                change.put(Kind::ApiToken, &id, &document).await?;
                change.note(entry).await?;
                registry.commit(change).await
            })
            .await??;
        Ok(())
    }
}

/// Refuses what would make every token of this record too large.
pub(super) fn judge_record(record: &ApiTokenRecord) -> Result<(), ApiTokenError> {
    if record.description.len() > LONGEST_DESCRIPTION || record.description.contains('\0') {
        return Err(ApiTokenError::TooLarge { what: "description", bytes: LONGEST_DESCRIPTION });
    }
    if json!(record.metadata).to_string().len() > LARGEST_METADATA {
        return Err(ApiTokenError::TooLarge { what: "metadata", bytes: LARGEST_METADATA });
    }
    Ok(())
}

impl From<NotAllowed> for ApiTokenError {
    fn from(why: NotAllowed) -> Self {
        Self::NotAllowed(why)
    }
}
