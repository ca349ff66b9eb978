//! Owns: the client credentials grant (RFC 6749 section 4.4): from a client's request to a signed and recorded access token.
//! Refuses: a token for an audience or a scope that was not granted to that client, or while tokens are switched off.
//! Always holds: the client is authenticated before anything else about its request is answered; a token is recorded before it
//! is given out.

mod choose;
mod claims;
mod lifetime;

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

pub(super) use self::claims::token_type;
use self::{
    choose::{choose_grant, choose_organization, choose_scope},
    claims::{Granted, SignedAs},
};
use super::{
    AuthorizationServer, ChangeError, Unrecorded,
    client::{AuthenticationFailure, Client},
    signing_keys::SigningError,
};
use crate::{
    clock::UnixTime,
    config::DialectConfig,
    id::TokenId,
    oauth::{AccessTokenType, IssueRefusal, IssuedToken},
    store,
};

/// How many tokens of one second that say the same can be revoked before their client has to wait.
pub(super) const MOST_SAME_TOKENS: u32 = 5;
/// The resolution of `iat` and `exp`.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// What an authenticated client asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrantRequest<'a> {
    /// The API that the token is for (RFC 8707 calls it the resource). May be left out by a client with one grant only.
    pub audience: Option<&'a str>,
    /// The scopes asked for, separated by spaces; left out: all that were granted.
    pub scope: Option<&'a str>,
    /// The organisation that it is for, in the `auth0` dialect.
    pub organization: Option<&'a str>,
    /// What the client calls the token, in the `plgd` dialect.
    pub token_name: Option<&'a str>,
    /// When it shall expire, in seconds since the epoch, in the `plgd` dialect.
    pub expires_at: Option<i64>,
    /// What the token of another issuer said that the client presented, in the `plgd` dialect.
    pub carried: Option<&'a Map<String, Value>>,
}

/// Why no token was issued.
#[derive(Debug, Error)]
pub enum GrantError {
    /// The client did not prove who it is.
    #[error(transparent)]
    Authentication(#[from] AuthenticationFailure),
    /// The client's assertion was used before.
    #[error("the client's assertion was used before")]
    AssertionReplayed,
    /// The client is who it says, and may not have what it asks for.
    #[error("the client {client_id} is refused: {refusal}")]
    Refused {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        refusal: IssueRefusal,
    },
    /// Nobody of this id is known, and the store that may know more cannot be reached.
    #[error("the client is not known here, and the store cannot be reached")]
    StoreAway,
    /// Tokens that say the same have been revoked again and again within a second.
    #[error("tokens that say the same are issued and revoked too fast")]
    TooSoon,
    /// There is no key to sign with.
    #[error("there is no key to sign with")]
    NoKey,
    /// The token could not be signed, which is our own fault.
    #[error("a token for the client {client_id} could not be signed")]
    Signing {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        #[source]
        source: SigningError,
    },
    /// The token could not be recorded, so it was not given out.
    #[error("a token for the client {client_id} could not be recorded")]
    Recording {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        #[source]
        source: Unrecorded,
    },
    /// What must be looked up in the store cannot be.
    #[error("the store cannot be asked")]
    Store(#[from] store::StoreError),
    /// What must be kept cannot be.
    #[error(transparent)]
    Change(ChangeError),
}

impl AuthorizationServer {
    /// The client credentials grant: one access token for one client that is authenticated.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn grant(
        &self,
        client: &Arc<Client>,
        dialect: DialectConfig,
        request: GrantRequest<'_>,
        now: UnixTime,
    ) -> Result<IssuedToken, GrantError> {
        let refused = |refusal| GrantError::Refused { client_id: Arc::clone(&client.id), refusal };
        if !self.is_enabled() {
            return Err(refused(IssueRefusal::Disabled));
        }
        let granted = self.choose(client, dialect, request, now).map_err(refused)?;
        self.sign_and_record(&client.id, granted, now).await
    }

    fn choose<'a>(
        &'a self,
        client: &'a Client,
        dialect: DialectConfig,
        request: GrantRequest<'a>,
        now: UnixTime,
    ) -> Result<Granted<'a>, IssueRefusal> {
        let (api, scopes) = choose_grant(self.settings(), client, request.audience)?;
        let scope = choose_scope(api, scopes, request.scope)?;
        let organization = choose_organization(client, request.organization)?;
        let expires_at = lifetime::choose(client, api, dialect, request.expires_at, now)?;
        Ok(Granted { client, api, dialect, scope, organization, expires_at, request })
    }

    async fn sign_and_record(
        &self,
        client_id: &Arc<str>,
        mut granted: Granted<'_>,
        now: UnixTime,
    ) -> Result<IssuedToken, GrantError> {
        let key = self.registry().signing_key().ok_or(GrantError::NoKey)?;
        let (jti, issued_at) = (TokenId::generate(), self.registry().issued_at(now));
        let sign = |granted: &Granted<'_>| {
            let SignedAs { claims, token_type, has_token_id } = granted.claims(self.settings(), jti, issued_at);
            let signed = key
                .sign(token_type, &claims)
                .map_err(|source| GrantError::Signing { client_id: Arc::clone(client_id), source })?;
            let token_id = if has_token_id { jti } else { signed.token_id_of_input() };
            Ok::<_, GrantError>((claims, signed, token_id))
        };
        let (mut claims, mut signed, mut token_id) = sign(&granted)?;
        let mut attempts = MOST_SAME_TOKENS;
        // Where nothing names a token, others of this second have said the very same, and were revoked since. One that ends
        // a second earlier is another token; one that begins a second later would be refused by whoever allows no leeway.
        while self.registry().is_revoked(&token_id) {
            attempts = attempts.checked_sub(1).ok_or(GrantError::TooSoon)?;
            granted.expires_at = Some(a_second_before(granted.expires_at, issued_at).ok_or(GrantError::TooSoon)?);
            (claims, signed, token_id) = sign(&granted)?;
        }
        let record = granted.record(&claims, token_id, key.key_id(), (issued_at, self.settings().owner_claim()));
        self.registry()
            .record(record)
            .await
            .map_err(|source| GrantError::Recording { client_id: Arc::clone(client_id), source })?;
        Ok(IssuedToken {
            access_token: signed.compact,
            token_type: AccessTokenType::Bearer,
            lifetime: granted.expires_at.map(|end| end.since(issued_at)),
            expires_at: granted.expires_at,
            scope: granted.scope,
            client_id: Arc::clone(client_id),
            token_id,
            beside: Map::new(),
        })
    }
}

/// A second before `end`, if a token that was issued at `issued_at` is good until then at all.
pub(super) fn a_second_before(end: Option<UnixTime>, issued_at: UnixTime) -> Option<UnixTime> {
    end.map(|end| end.minus(ONE_SECOND)).filter(|earlier| *earlier > issued_at)
}
