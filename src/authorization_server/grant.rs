//! Owns: the client credentials grant (RFC 6749 section 4.4): from a client's request to a signed access token (RFC
//! 9068).
//! Refuses: a token for an audience or a scope that was not granted to that client, or while tokens are switched off.
//! Always holds: the client is authenticated before anything else about its request is answered; its own claims never
//! replace the issuer's.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use thiserror::Error;

use super::{
    api::Api,
    client::{AuthenticationFailure, Client},
    settings::Settings,
    signing_keys::SigningKey,
};
use crate::{
    clock::UnixTime,
    id::TokenId,
    oauth::{IssueRefusal, IssuedToken, ScopeSet},
    secret::Secret,
};

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct GrantRequest<'a> {
    /// Who it says it is.
    pub client_id: &'a str,
    /// Its proof.
    pub client_secret: &'a Secret,
    /// The API that the token is for (RFC 8707 calls it the resource). May be left out by a client with one grant only.
    pub audience: Option<&'a str>,
    /// The scopes asked for, separated by spaces; left out: all that were granted.
    pub scope: Option<&'a str>,
}

/// Why no token was issued.
#[derive(Debug, Error)]
pub enum GrantError {
    /// There is no client of this id.
    #[error("there is no such client")]
    UnknownClient,
    /// There is, and its secret is another.
    #[error("the client's secret is wrong")]
    WrongSecret,
    /// The client is who it says, and may not have what it asks for.
    #[error("the client {client_id} is refused: {refusal}")]
    Refused {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        refusal: IssueRefusal,
    },
    /// The token could not be signed, which is our own fault.
    #[error("a token for the client {client_id} could not be signed")]
    Signing {
        /// The client.
        client_id: Arc<str>,
        /// Why.
        #[source]
        source: jsonwebtoken::errors::Error,
    },
}

/// Authenticates the client, judges what it asks for, and signs.
pub(super) fn issue(
    settings: &Settings,
    key: &SigningKey,
    request: &GrantRequest<'_>,
    now: UnixTime,
) -> Result<IssuedToken, GrantError> {
    let client = settings.clients().authenticate(request.client_id, request.client_secret)?;
    let refused = |refusal| GrantError::Refused { client_id: Arc::clone(&client.id), refusal };
    if !settings.is_enabled() {
        return Err(refused(IssueRefusal::Disabled));
    }
    let (api, granted) = choose_grant(settings, client, request.audience).map_err(refused)?;
    let scope = choose_scope(granted, request.scope).map_err(refused)?;
    let token_id = TokenId::generate();
    let lifetime = Duration::from_secs(api.token_lifetime.as_secs());
    let claims = claims(settings, client, api, scope.as_deref(), (token_id, now));
    let access_token =
        key.sign(&claims).map_err(|source| GrantError::Signing { client_id: Arc::clone(&client.id), source })?;
    Ok(IssuedToken {
        access_token: Secret::new(access_token),
        lifetime: Some(lifetime),
        expires_at: Some(UnixTime::from_seconds(now.as_seconds()).plus(lifetime)),
        scope,
        client_id: Arc::clone(&client.id),
        token_id,
    })
}

/// The grant that the request means, and its scopes.
fn choose_grant<'a>(
    settings: &'a Settings,
    client: &'a Client,
    asked: Option<&str>,
) -> Result<(&'a Api, &'a ScopeSet), IssueRefusal> {
    let mut grants = client.grants.iter();
    let (audience, granted) = match asked {
        _ if client.grants.is_empty() => return Err(IssueRefusal::NoGrants),
        Some(asked) => match client.grants.get_key_value(asked) {
            Some(grant) => grant,
            None if settings.api(asked).is_some() => return Err(IssueRefusal::AudienceNotGranted),
            None => return Err(IssueRefusal::UnknownAudience),
        },
        None => match (grants.next(), grants.next()) {
            (Some(only), None) => only,
            _ => return Err(IssueRefusal::AudienceMissing),
        },
    };
    let api = settings.api(audience).ok_or(IssueRefusal::UnknownAudience)?;
    Ok((api, granted))
}

/// The scopes of the token: those asked for, or all that were granted.
fn choose_scope(granted: &ScopeSet, asked: Option<&str>) -> Result<Option<String>, IssueRefusal> {
    let asked = match asked {
        None => granted.clone(),
        Some(text) => match ScopeSet::parse(text) {
            // The grammar asks for one at least; nothing at all must not come to mean everything.
            Ok(asked) if !asked.is_empty() => asked,
            _ => return Err(IssueRefusal::MalformedScope),
        },
    };
    if !granted.contains_all(&asked) {
        return Err(IssueRefusal::ScopeNotGranted);
    }
    Ok((!asked.is_empty()).then(|| asked.to_string()))
}

/// The claims of RFC 9068 section 2.2, and the client's own.
fn claims(
    settings: &Settings,
    client: &Client,
    api: &Api,
    scope: Option<&str>,
    (token_id, now): (TokenId, UnixTime),
) -> Map<String, Value> {
    // The client's own come first, so that the issuer's would win even if a name were in both.
    let mut claims = client.claims.clone();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    let issued_at = now.as_seconds();
    set("iss", Value::from(&**settings.issuer()));
    set("sub", Value::from(&*client.id));
    set("aud", Value::from(&*api.audience));
    set("iat", Value::from(issued_at));
    set("exp", Value::from(issued_at.saturating_add(api.token_lifetime.as_secs())));
    set("jti", Value::from(token_id.to_string()));
    set("client_id", Value::from(&*client.id));
    if let Some(scope) = scope {
        set("scope", Value::from(scope));
    }
    claims
}

impl From<AuthenticationFailure> for GrantError {
    fn from(failure: AuthenticationFailure) -> Self {
        match failure {
            AuthenticationFailure::UnknownClient => Self::UnknownClient,
            AuthenticationFailure::WrongSecret => Self::WrongSecret,
        }
    }
}
