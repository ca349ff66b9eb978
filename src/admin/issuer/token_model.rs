//! Owns: a token of the embedded issuer as the management API shows it, and what can be asked about tokens.
//! Refuses: a revocation that says nothing, or several things at once.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::super::moment::Moment;
use crate::{
    clock::UnixTime,
    config::DialectConfig,
    id::TokenId,
    secret::Secret,
    store::{IssuedToken, ListedToken},
};

/// Which tokens are wanted: those for which all of this is true.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct TokenQuery {
    /// It was issued to this client.
    #[param(example = "billing")]
    pub(super) client_id: Option<String>,
    /// It is this owner's.
    pub(super) owner: Option<String>,
    /// It is this tenant's.
    pub(super) tenant: Option<String>,
    /// It is for this API.
    #[param(example = "https://api.example.com/orders")]
    pub(super) audience: Option<String>,
    /// This key signed it.
    pub(super) key_id: Option<String>,
    /// Those that were revoked too, also by a moment.
    #[serde(default)]
    pub(super) include_revoked: bool,
    /// Those that have expired too, until they are forgotten.
    #[serde(default)]
    pub(super) include_expired: bool,
    /// How many tokens a page has, 1000 at most.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 50)]
    pub(super) limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    pub(super) after: Option<String>,
}

/// A page of tokens, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct TokenPage {
    /// The tokens.
    pub(super) tokens: Vec<TokenItem>,
    /// What to give as `after` for the next page; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) next: Option<String>,
}

/// An issued token, as it is recorded. The token itself is not.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct TokenItem {
    /// Its id: its `jti`, or a hash of what was signed where the dialect has none.
    #[schema(example = "8f14e45f-ceea-467f-a0e6-1d1f5b2f4c11")]
    id: String,
    /// What has become of it. A live token of a client that is switched off, or while everything is, is refused all the same.
    state: TokenState,
    /// The client that it was issued to.
    #[schema(example = "billing")]
    client_id: String,
    /// Its `sub`.
    subject: String,
    /// In which dialect it was asked for.
    #[schema(example = "oauth2")]
    dialect: String,
    /// For which API it is.
    #[schema(example = "https://api.example.com/orders")]
    audience: String,
    /// Its scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "orders:read")]
    scope: Option<String>,
    /// The key that signed it.
    key_id: String,
    /// What whoever made it calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    owner: Option<String>,
    /// The tenant that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    tenant: Option<String>,
    /// Since when it is.
    issued_at: Moment,
    /// When it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    expires_at: Option<Moment>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revoked_at: Option<Moment>,
}

/// What has become of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::admin) enum TokenState {
    /// It is neither revoked nor expired.
    Live,
    /// It was revoked, by itself or with everything that was issued before a moment.
    Revoked,
    /// It has expired.
    Expired,
}

/// A token that is wanted for a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "client_id": "billing", "audience": "https://api.example.com/orders", "scope": "orders:read" })))]
pub(in crate::admin) struct TokenRequest {
    /// The client.
    pub(super) client_id: String,
    /// The API; may be left out if the client has one grant only.
    #[serde(default)]
    pub(super) audience: Option<String>,
    /// The scopes, separated by spaces; absent: all that are granted.
    #[serde(default)]
    pub(super) scope: Option<String>,
    /// The dialect that decides its claims.
    #[serde(default)]
    pub(super) dialect: DialectConfig,
}

/// A token that was issued on the operator's word.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct IssuedTokenItem {
    /// It, shown this once.
    #[serde(serialize_with = "shown_once")]
    #[schema(value_type = String)]
    pub(super) access_token: Secret,
    /// How it is presented.
    #[schema(example = "Bearer")]
    pub(super) token_type: &'static str,
    /// Its id, to revoke it by.
    #[schema(example = "8f14e45f-ceea-467f-a0e6-1d1f5b2f4c11")]
    pub(super) token_id: String,
    /// When it ends; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) expires_at: Option<Moment>,
    /// Its scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "orders:read")]
    pub(super) scope: Option<String>,
}

/// What is to be revoked: an object with exactly one of these members.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", try_from = "Map<String, Value>")]
#[schema(examples(json!({ "client_id": "billing" }), json!({ "issued_before": "2026-11-20T17:42:18Z" })))]
pub(in crate::admin) enum RevocationRequest {
    /// One token, by its id.
    TokenId(String),
    /// All tokens of a client.
    ClientId(String),
    /// All tokens of an owner.
    Owner(String),
    /// All tokens of a tenant.
    Tenant(String),
    /// All tokens that a key signed. The key stays; see `revoke_key` for one that is compromised.
    KeyId(String),
    /// Everything that was issued before this moment, which must not be in the future. It counts in whole seconds; a moment
    /// within a second takes the whole of it.
    IssuedBefore(Moment),
}

impl TryFrom<Map<String, Value>> for RevocationRequest {
    type Error = String;

    fn try_from(map: Map<String, Value>) -> Result<Self, String> {
        const MEMBERS: &str = "token_id, client_id, owner, tenant, key_id, issued_before";
        let mut members = map.into_iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return Err(format!("exactly one member is expected, out of {MEMBERS}"));
        };
        let text = |value: Value| match value {
            Value::String(text) if !text.is_empty() => Ok(text),
            _ => Err(format!("`{name}` must be a text")),
        };
        match name.as_str() {
            "token_id" => text(value).map(Self::TokenId),
            "client_id" => text(value).map(Self::ClientId),
            "owner" => text(value).map(Self::Owner),
            "tenant" => text(value).map(Self::Tenant),
            "key_id" => text(value).map(Self::KeyId),
            "issued_before" => {
                Moment::deserialize(value).map(Self::IssuedBefore).map_err(|error| format!("`{name}`: {error}"))
            }
            _ => Err(format!("unknown field `{name}`, expected one of {MEMBERS}")),
        }
    }
}

impl TokenItem {
    /// A recorded token as it stands at `now`, if everything issued before `issued_before` is refused.
    pub(super) fn of(listed: ListedToken, issued_before: Option<UnixTime>, now: UnixTime) -> Self {
        let ListedToken { token, revoked_at } = listed;
        let withdrawn = issued_before.is_some_and(|moment| token.issued_at < moment);
        let state = if revoked_at.is_some() || withdrawn {
            TokenState::Revoked
        } else if token.expires_at.is_some_and(|end| end <= now) {
            TokenState::Expired
        } else {
            TokenState::Live
        };
        let IssuedToken { id, client_id, subject, dialect, audience, scope, key_id, name, owner, tenant, .. } = token;
        Self {
            id: id.to_string(),
            state,
            client_id,
            subject,
            dialect,
            audience,
            scope,
            key_id,
            name,
            owner,
            tenant,
            issued_at: Moment(token.issued_at),
            expires_at: token.expires_at.map(Moment),
            revoked_at: revoked_at.map(Moment),
        }
    }
}

impl From<crate::oauth::IssuedToken> for IssuedTokenItem {
    fn from(token: crate::oauth::IssuedToken) -> Self {
        Self {
            access_token: token.access_token,
            token_type: "Bearer",
            token_id: token.token_id.to_string(),
            expires_at: token.expires_at.map(Moment),
            scope: token.scope,
        }
    }
}

/// The token of this id, if it can be one.
pub(super) fn token_id(text: &str) -> Option<TokenId> {
    TokenId::parse(text)
}

fn shown_once<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_says_exactly_one_thing() {
        let read = |text: &str| serde_json::from_str::<RevocationRequest>(text);
        assert!(matches!(read(r#"{"client_id":"billing"}"#), Ok(RevocationRequest::ClientId(id)) if id == "billing"));
        let moment = read(r#"{"issued_before":"2026-11-20T00:00:00Z"}"#).unwrap();
        assert!(matches!(moment, RevocationRequest::IssuedBefore(Moment(at)) if at.as_seconds() == 1_795_132_800));
        for wrong in [
            "{}",
            r#"{"client_id":""}"#,
            r#"{"client_id":7}"#,
            r#"{"client_id":null}"#,
            r#"{"client_id":"billing","owner":"ann"}"#,
            r#"{"everything":"yes"}"#,
            r#"{"issued_before":"yesterday"}"#,
            r#"{"issued_before":1795132800}"#,
            "\"billing\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_live_expired_or_revoked() {
        let at = UnixTime::from_seconds;
        let token = |expires_at| IssuedToken {
            id: TokenId::generate(),
            client_id: "billing".to_owned(),
            subject: "billing".to_owned(),
            dialect: "oauth2".to_owned(),
            audience: "orders".to_owned(),
            scope: None,
            key_id: "k1".to_owned(),
            name: None,
            owner: None,
            tenant: None,
            issued_at: at(100),
            expires_at,
            original_claims: None,
        };
        let state = |expires_at, revoked_at, issued_before| {
            let listed = ListedToken { token: token(expires_at), revoked_at };
            TokenItem::of(listed, issued_before, at(200)).state
        };
        assert_eq!(state(None, None, None), TokenState::Live);
        assert_eq!(state(Some(at(201)), None, Some(at(100))), TokenState::Live);
        assert_eq!(state(Some(at(200)), None, None), TokenState::Expired);
        assert_eq!(state(Some(at(201)), None, Some(at(101))), TokenState::Revoked);
        assert_eq!(state(None, Some(at(150)), None), TokenState::Revoked);
    }
}
