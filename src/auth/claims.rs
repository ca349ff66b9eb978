//! Owns: the claims of a token in typed form (RFC 7519 section 4, RFC 9068 section 2.2), and judging their times.
//! Refuses: a registered claim of the wrong type, tokens made for something else than access, tokens bound to a key.
//! Always holds: `exp` is there, unless its issuer can take the token back at any moment or is asked again and again; every
//! claim that is read by name
//! here has the type that its RFC gives it.

use std::{borrow::Cow, fmt, time::Duration};

use serde_json::Value;

use super::{VerifyError, issuer::Verification};
use crate::{
    ahead,
    clock::UnixTime,
    config::TokenTypeConfig,
    jose::{ClaimName, JsonObject, Member, TokenType},
    oauth::{ScopeClaim, ScopeSet},
};

/// Claims that must be texts if they are there.
const TEXTS: [ClaimName; 5] =
    [ClaimName::Subject, ClaimName::TokenId, ClaimName::ClientId, ClaimName::AuthorizedParty, ClaimName::Cid];
/// Claims that may hold scopes.
const SCOPES: [ClaimName; 3] = [ClaimName::Scope, ClaimName::Scp, ClaimName::Scopes];
/// Claims that only ID tokens have.
const ID_TOKENS_ONLY: [ClaimName; 3] = [ClaimName::Nonce, ClaimName::AccessTokenHash, ClaimName::CodeHash];

/// What a token says, in the types of the RFCs.
#[derive(Clone, Debug)]
pub struct Claims {
    members: JsonObject,
    scopes: ScopeSet,
    expires_at: Option<UnixTime>,
    not_before: Option<UnixTime>,
    issued_at: Option<UnixTime>,
}

/// What `token_use` says of a token that is made for access.
#[derive(Clone, Copy)]
struct TokenUse {
    access: &'static [&'static str],
    /// Whether a `typ` of the header vouches for it, so that what only other tokens have needs not be looked for.
    is_told_by_type: bool,
}

/// Who presents a token: a client, under the issuer that vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Principal<'a> {
    /// The issuer's name in the configuration.
    pub issuer: &'a str,
    /// The client, if the token names one.
    pub client_id: Option<&'a str>,
    /// The subject, if the token names one; for client credentials usually the client again.
    pub subject: Option<&'a str>,
}

impl Claims {
    /// Reads `members` as the claims of a token of this issuer. Times are not judged yet.
    pub(super) fn read(
        members: impl Into<JsonObject>,
        token_type: TokenType,
        verification: &Verification,
    ) -> Result<Self, VerifyError> {
        // Without end there is nothing but taking it back, which takes an issuer that can be asked.
        let may_lack_end = verification.standing.is_some();
        let token_use = TokenUse { access: &["access"], is_told_by_type: token_type == TokenType::AccessToken };
        Self::read_as(members.into(), token_type, token_use, may_lack_end, verification)
    }

    /// Reads `members` as what this issuer said of an opaque token. Such a token has no `typ`, so one that is asked of JWTs is
    /// not asked
    /// of it, and it is judged by all that marks other kinds of token. RFC 7662 section 2.2 leaves its `exp` to the issuer,
    /// which is
    /// asked anew soon.
    pub(super) fn read_introspected(
        members: impl Into<JsonObject>,
        verification: &Verification,
    ) -> Result<Self, VerifyError> {
        // Ory's Hydra, which introspects its refresh tokens as well, calls it `access_token`.
        let token_use = TokenUse { access: &["access", "access_token"], is_told_by_type: false };
        Self::read_as(members.into(), TokenType::AccessToken, token_use, true, verification)
    }

    fn read_as(
        members: JsonObject,
        token_type: TokenType,
        token_use: TokenUse,
        may_lack_end: bool,
        verification: &Verification,
    ) -> Result<Self, VerifyError> {
        refuse_other_than_text(&members)?;
        refuse_other_kinds(&members, token_type, token_use, verification)?;
        refuse_wrong_audience(members.claim(ClaimName::Audience))?;
        let expires_at = numeric_date(&members, ClaimName::ExpirationTime)?;
        if expires_at.is_none() && !may_lack_end {
            return Err(VerifyError::MissingClaim { name: ClaimName::ExpirationTime.name().into() });
        }
        let not_before = numeric_date(&members, ClaimName::NotBefore)?;
        let issued_at = numeric_date(&members, ClaimName::IssuedAt)?;
        if issued_at.zip(expires_at).is_some_and(|(issued_at, expires_at)| issued_at > expires_at) {
            return Err(VerifyError::InvalidClaim { name: ClaimName::IssuedAt.name() });
        }
        for name in &verification.required_claims {
            if matches!(members.member(name), None | Some(Member::Null)) {
                return Err(VerifyError::MissingClaim { name: name.clone() });
            }
        }
        if let Some(longest) = verification.max_lifetime {
            let issued_at = issued_at.ok_or(VerifyError::MissingClaim { name: ClaimName::IssuedAt.name().into() })?;
            if expires_at.is_none_or(|expires_at| expires_at.since(issued_at) > longest) {
                return Err(VerifyError::LifetimeTooLong);
            }
        }
        let scopes = scopes(&members)?;
        Ok(Self { members, scopes, expires_at, not_before, issued_at })
    }

    /// Has what is asked of every token fetched.
    pub(super) fn fetch(&self) {
        ahead::fetch(&self.expires_at);
        ahead::fetch(&self.issued_at);
        self.scopes.fetch();
        self.members.fetch();
    }

    /// Judges the times (RFC 7519 sections 4.1.4 to 4.1.6), the issuer's clock being off by up to `leeway`.
    pub fn judge_times(&self, now: UnixTime, leeway: Duration) -> Result<(), VerifyError> {
        // "On or after" exp a token must not be accepted.
        if self.expires_at.is_some_and(|expires_at| now >= expires_at.plus(leeway)) {
            return Err(VerifyError::Expired);
        }
        let latest_start = now.plus(leeway);
        if self.not_before.is_some_and(|not_before| not_before > latest_start) {
            return Err(VerifyError::NotYetValid);
        }
        if self.issued_at.is_some_and(|issued_at| issued_at > latest_start) {
            return Err(VerifyError::IssuedInFuture);
        }
        Ok(())
    }

    /// The moment from which on it is no longer good, leeway not included; none if it does not expire.
    #[must_use]
    pub const fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// When it was issued, if it says so.
    #[must_use]
    pub const fn issued_at(&self) -> Option<UnixTime> {
        self.issued_at
    }

    /// Its `sub`.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text(ClaimName::Subject)
    }

    /// Its `jti`.
    #[must_use]
    pub fn token_id(&self) -> Option<&str> {
        self.text(ClaimName::TokenId)
    }

    /// The client: `client_id` (RFC 9068 section 2.2), or else OpenID Connect's `azp`, or else Okta's `cid`.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        [ClaimName::ClientId, ClaimName::AuthorizedParty, ClaimName::Cid].into_iter().find_map(|claim| self.text(claim))
    }

    /// Whether `audience` is one of its audiences, byte for byte (RFC 7519 section 4.1.3).
    #[must_use]
    pub fn has_audience(&self, audience: &str) -> bool {
        match self.members.claim(ClaimName::Audience) {
            Some(Member::Text(own)) => own == audience,
            Some(Member::List(own)) => own.iter().any(|own| own == audience),
            _ => false,
        }
    }

    /// The scopes out of `scope`, `scp` and `scopes`.
    #[must_use]
    pub const fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// A claim as it was in the payload.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Member<'_>> {
        self.members.member(name)
    }

    /// A claim as one text, to be told to somebody: a string as it is, a list of strings joined by spaces, anything else
    /// in JSON. `client_id` and `scope` are found under the names that other issuers give them, too.
    #[must_use]
    pub fn claim_text(&self, name: &str) -> Option<Cow<'_, str>> {
        if name == "client_id" {
            return self.client_id().map(Cow::Borrowed);
        }
        match self.claim(name) {
            Some(Member::Text(text)) => Some(Cow::Borrowed(text)),
            Some(Member::Null) => None,
            Some(list @ Member::List(elements)) => {
                let texts: Option<Vec<&str>> = elements.iter().map(Value::as_str).collect();
                Some(Cow::Owned(texts.map_or_else(|| list.to_string(), |texts| texts.join(" "))))
            }
            Some(other) => Some(Cow::Owned(other.to_string())),
            None if name == "scope" && !self.scopes.is_empty() => Some(Cow::Owned(self.scopes.to_string())),
            None => None,
        }
    }

    /// All claims as they were in the payload.
    #[must_use]
    pub const fn members(&self) -> &JsonObject {
        &self.members
    }

    /// About how much memory they take, in bytes.
    pub(super) fn weight_bytes(&self) -> usize {
        self.members.weight_bytes() + self.scopes.weight_bytes()
    }

    fn text(&self, claim: ClaimName) -> Option<&str> {
        self.members.claim(claim).and_then(Member::as_text)
    }
}

impl fmt::Display for Principal<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.issuer, self.client_id.or(self.subject).unwrap_or("-"))
    }
}

/// RFC 8725 section 3.12: a token made for one purpose must not serve another.
///
/// Where `typ` does not say `at+jwt`, an ID token is told by the claims that only it has, and a logout token or another
/// security event by its object `events` (RFC 8417 section 2.2). `token_use` (Cognito) and a claim `typ` (Keycloak) say the
/// kind outright, so they are heeded always. `cnf` (RFC 7800) says that the token is good
/// only together with a key: whoever stole it could present it here, where nobody asks for that key.
fn refuse_other_kinds(
    members: &JsonObject,
    token_type: TokenType,
    token_use: TokenUse,
    verification: &Verification,
) -> Result<(), VerifyError> {
    let is_access_token = token_type == TokenType::AccessToken;
    if verification.token_type == TokenTypeConfig::AccessToken && !is_access_token {
        return Err(VerifyError::WrongTokenType);
    }
    let is_id_token = ID_TOKENS_ONLY.into_iter().any(|claim| members.claim(claim).is_some());
    let is_event = matches!(members.claim(ClaimName::Events), Some(Member::Object(_)));
    let is_for_access = |kind: &str| token_use.access.iter().any(|access| kind.eq_ignore_ascii_case(access));
    let says_otherwise =
        members.claim(ClaimName::TokenUse).is_some_and(|kind| !kind.as_text().is_some_and(is_for_access));
    if (!token_use.is_told_by_type && (is_id_token || is_event)) || says_otherwise {
        return Err(VerifyError::NotForAccess);
    }
    if members
        .claim(ClaimName::Type)
        .and_then(Member::as_text)
        .is_some_and(|kind| ["ID", "Refresh", "Offline", "Logout"].contains(&kind))
    {
        return Err(VerifyError::NotForAccess);
    }
    if members.claim(ClaimName::Confirmation).is_some() {
        return Err(VerifyError::BoundToKey);
    }
    Ok(())
}

/// RFC 7519 section 4.1.3: text or a list of texts. Whether it is the right one is for the route to say.
fn refuse_wrong_audience(audience: Option<Member<'_>>) -> Result<(), VerifyError> {
    let sound = match audience {
        None | Some(Member::Text(_)) => true,
        Some(Member::List(elements)) => elements.iter().all(Value::is_string),
        Some(_) => false,
    };
    if sound { Ok(()) } else { Err(VerifyError::InvalidClaim { name: ClaimName::Audience.name() }) }
}

/// A NumericDate (RFC 7519 section 2): a JSON number, also with a fraction, not before 1970.
fn numeric_date(members: &JsonObject, claim: ClaimName) -> Result<Option<UnixTime>, VerifyError> {
    let Some(value) = members.claim(claim) else { return Ok(None) };
    let invalid = VerifyError::InvalidClaim { name: claim.name() };
    let Member::Number(number) = value else { return Err(invalid) };
    if let Some(seconds) = number.as_u64() {
        return Ok(Some(UnixTime::from_seconds(seconds)));
    }
    let seconds = number.as_f64().filter(|seconds| *seconds >= 0.0).ok_or(invalid)?;
    let since_epoch = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    Ok(Some(UnixTime::default().plus(since_epoch)))
}

/// The scopes out of the claims that may hold some.
fn scopes(members: &JsonObject) -> Result<ScopeSet, VerifyError> {
    let held = SCOPES.into_iter().filter_map(|claim| {
        let held = match members.claim(claim)? {
            Member::Text(text) => ScopeClaim::Text(text),
            Member::List(elements) => ScopeClaim::List(elements),
            _ => ScopeClaim::Neither,
        };
        Some((claim.name(), held))
    });
    ScopeSet::from_claims(held).map_err(VerifyError::InvalidScope)
}

fn refuse_other_than_text(members: &JsonObject) -> Result<(), VerifyError> {
    let is_another = |claim| members.claim(claim).is_some_and(|value| value.as_text().is_none());
    match TEXTS.into_iter().find(|claim| is_another(*claim)) {
        Some(claim) => Err(VerifyError::InvalidClaim { name: claim.name() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::forge::{EC, FixedKeys, issuers};

    fn read(claims: Value) -> Claims {
        let issuers = issuers(json!({ "corp": { "issuer": "https://id/" } }), &[&FixedKeys::of(&[&EC])], None);
        let mut members = claims.as_object().unwrap().clone();
        members.insert("exp".to_owned(), json!(9));
        Claims::read(members, TokenType::Jwt, issuers.by_name("corp").unwrap().verification()).unwrap()
    }

    #[test]
    fn claims_are_told_as_text() {
        let claims = read(json!({
            "text": "a", "number": 7, "flag": true, "null": null, "list": ["a", "b"], "mixed": ["a", 1], "object": {"a": 1}
        }));
        for (name, text) in [
            ("text", Some("a")),
            ("number", Some("7")),
            ("flag", Some("true")),
            ("null", None),
            ("list", Some("a b")),
            ("mixed", Some("[\"a\",1]")),
            ("object", Some("{\"a\":1}")),
            ("absent", None),
            ("client_id", None),
            ("scope", None),
        ] {
            assert_eq!(claims.claim_text(name).as_deref(), text, "{name}");
        }
    }

    #[test]
    fn client_and_scope_are_found_under_their_other_names() {
        let okta = read(json!({ "cid": "c", "scp": ["x", "y"] }));
        assert_eq!((okta.client_id(), okta.claim_text("client_id").as_deref()), (Some("c"), Some("c")));
        assert_eq!(okta.claim_text("scope").as_deref(), Some("x y"));
        assert_eq!(read(json!({ "azp": "b", "cid": "c" })).client_id(), Some("b"));
        assert_eq!(read(json!({ "client_id": "a", "azp": "b" })).client_id(), Some("a"));
    }

    #[test]
    fn a_principal_is_named_under_its_issuer() {
        let principal = Principal { issuer: "corp", client_id: None, subject: Some("s") };
        assert_eq!(principal.to_string(), "corp/s");
        assert_eq!(Principal { client_id: Some("c"), ..principal }.to_string(), "corp/c");
    }
}
