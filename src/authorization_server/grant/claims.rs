//! Owns: what a token says, in each dialect.
//! Refuses: letting a client's own claims stand where the issuer speaks.
//! Always holds: every token says who issued it, to whom, for what and until when.

use serde_json::{Map, Value};

use super::GrantRequest;
use crate::{
    authorization_server::{api::Api, client::Client, settings::Settings},
    clock::UnixTime,
    config::DialectConfig,
    id::TokenId,
    jose::TokenType,
    store,
};

/// What was granted, before it is signed.
pub(super) struct Granted<'a> {
    pub(super) client: &'a Client,
    pub(super) api: &'a Api,
    pub(super) dialect: DialectConfig,
    pub(super) scope: Option<String>,
    pub(super) organization: Option<&'a str>,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) request: GrantRequest<'a>,
}

/// What is to be signed, and how.
pub(super) struct SignedAs {
    pub(super) claims: Map<String, Value>,
    /// The header's `typ`.
    pub(super) token_type: TokenType,
    /// Whether the claims name the token by `jti`.
    pub(super) has_token_id: bool,
}

/// The header's `typ` of the tokens of a dialect.
pub(in crate::authorization_server) const fn token_type(dialect: DialectConfig) -> TokenType {
    match dialect {
        // RFC 9068 section 2.1.
        DialectConfig::Oauth2 => TokenType::AccessToken,
        DialectConfig::Auth0 | DialectConfig::Plgd | DialectConfig::Frontegg => TokenType::Jwt,
    }
}

impl Granted<'_> {
    /// The claims of this token.
    pub(super) fn claims(&self, settings: &Settings, jti: TokenId, issued_at: UnixTime) -> SignedAs {
        // The client's own come first, so that the issuer's would win even if a name were in both.
        let mut claims = self.client.claims.clone();
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        let client_id = &*self.client.id;
        set("iss", Value::from(&**settings.issuer()));
        set("aud", Value::from(&*self.api.audience));
        set("iat", Value::from(issued_at.as_seconds()));
        if let Some(expires_at) = self.expires_at {
            set("exp", Value::from(expires_at.as_seconds()));
        }
        if let Some(scope) = &self.scope {
            set("scope", Value::from(scope.as_str()));
        }
        let has_token_id = match self.dialect {
            DialectConfig::Oauth2 => {
                // RFC 9068 section 2.2.
                set("sub", Value::from(client_id));
                set("client_id", Value::from(client_id));
                true
            }
            DialectConfig::Auth0 => {
                set("sub", Value::from(format!("{client_id}@clients")));
                set("azp", Value::from(client_id));
                set("gty", Value::from("client-credentials"));
                if let Some(organization) = self.organization {
                    set("org_id", Value::from(organization));
                }
                false
            }
            DialectConfig::Plgd | DialectConfig::Frontegg => {
                self.set_plgd(settings, &mut set);
                true
            }
        };
        if has_token_id {
            set("jti", Value::from(jti.to_string()));
        }
        SignedAs { claims, token_type: token_type(self.dialect), has_token_id }
    }

    /// What `plgd` tokens say beside: whose they are, what they are called, and what the token said that came in with the
    /// request.
    fn set_plgd(&self, settings: &Settings, set: &mut impl FnMut(&str, Value) -> Option<Value>) {
        let carried = |name: &str| self.request.carried.and_then(|claims| claims.get(name)).cloned();
        let own = || Value::from(self.client.owner.as_deref().unwrap_or(&self.client.id));
        set("client_id", Value::from(&*self.client.id));
        set("sub", carried("sub").unwrap_or_else(own));
        let owner = carried(settings.owner_claim()).or_else(|| self.client.owner.as_deref().map(Value::from));
        // The claim that says whose a token is may be `sub` itself.
        if let Some(owner) = owner {
            set(settings.owner_claim(), owner);
        }
        if let Some(device) = carried(settings.device_id_claim()) {
            set(settings.device_id_claim(), device);
        }
        if let Some(name) = self.request.token_name {
            set("name", Value::from(name));
        }
        if let Some(carried) = self.request.carried {
            set("originalTokenClaims", Value::Object(carried.clone()));
        }
    }

    /// What is recorded of a token with these claims.
    pub(super) fn record(
        &self,
        claims: &Map<String, Value>,
        id: TokenId,
        key_id: &str,
        (issued_at, owner_claim): (UnixTime, &str),
    ) -> store::IssuedToken {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let owner = match self.dialect {
            DialectConfig::Plgd => text(owner_claim),
            _ => self.client.owner.as_deref().map(str::to_owned),
        };
        store::IssuedToken {
            id,
            client_id: self.client.id.to_string(),
            subject: text("sub").unwrap_or_default(),
            dialect: self.dialect.name().to_owned(),
            audience: self.api.audience.to_string(),
            scope: self.scope.clone(),
            key_id: key_id.to_owned(),
            name: self.request.token_name.map(str::to_owned),
            owner,
            tenant: self.client.tenant.as_deref().map(str::to_owned),
            issued_at,
            expires_at: self.expires_at,
            original_claims: self.request.carried.map(|carried| Value::Object(carried.clone()).to_string()),
        }
    }
}
