//! Owns: client assertions (RFC 7523 section 3): a short-lived JWT by which a client proves that it has a key.
//! Refuses: an `aud` that another server could have been meant by; a key of anybody but this very client; lasting longer than
//! five minutes.
//! Always holds: what is verified names its `jti` and how long that must be remembered; taking it once is the store's part.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{AuthenticationMethod, Client, ClientKeys, RemoteClientKeys};
use crate::{
    auth::{TrustedKeySet, UnknownKeyFetch},
    clock::UnixTime,
    config::AssertionAudienceConfig,
    jose::{Algorithm, AssertionAlgorithm, ClientAssertion, JwsError, VerificationKey},
    secret::Secret,
};

/// How far ahead `exp` may be.
const LONGEST_LIFETIME: Duration = Duration::from_secs(300);
/// How far the client's clock may be off.
const SKEW: Duration = Duration::from_secs(10);
/// The longest `jti`, in bytes.
const LONGEST_TOKEN_ID_BYTES: usize = 256;

/// What the `aud` of an assertion may be.
#[derive(Clone, Copy, Debug)]
pub struct AssertionAudiences<'a> {
    /// The issuer's name, which every client may use.
    pub issuer: &'a str,
    /// The URL of the token endpoint that was asked, for clients that are marked as needing it.
    pub token_endpoint: Option<&'a str>,
}

/// What is left to do about a good assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedAssertion {
    /// Its `jti`, to be taken once for this client: 1 to 256 bytes.
    pub jti: String,
    /// Until when it would be accepted, the skew included: how long its `jti` must be remembered.
    pub expires_at: UnixTime,
}

/// Why an assertion is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.in_words())]
pub enum AssertionFault {
    /// It is not what RFC 7515 and RFC 7523 ask for.
    Form(#[source] JwsError),
    /// `iss` or `sub` is not the client's id.
    OtherClient,
    /// `aud` is not the issuer.
    Audience,
    /// No `exp`, or no number.
    ExpiryMissing,
    /// It is over.
    Expired,
    /// `exp` is more than five minutes ahead.
    TooLong,
    /// `iat` or `nbf` is ahead, or no number.
    NotYetValid,
    /// No `jti`, or one that cannot be remembered.
    TokenId,
    /// The client may not sign assertions with what it was signed with.
    MethodNotAllowed,
    /// It names no key, and several of the client's could be meant.
    KeyIdMissing,
    /// None of the client's keys is meant.
    UnknownKey,
    /// The signature is not the client's.
    BadSignature,
    /// The client's published keys are not to be had, so nothing can be decided. That is not the caller's fault.
    KeysUnavailable,
}

impl AssertionFault {
    /// What is wrong, in words that repeat nothing of the assertion.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Form(_) => "it is no assertion",
            Self::OtherClient => "its `iss` and `sub` are not both the client's id",
            Self::Audience => "its `aud` is not the issuer",
            Self::ExpiryMissing => "its `exp` is missing or not a number",
            Self::Expired => "it has expired",
            Self::TooLong => "its `exp` is more than five minutes ahead",
            Self::NotYetValid => "its `iat` or `nbf` is ahead of now, or not a number",
            Self::TokenId => "its `jti` is missing, or not a string of 1 to 256 bytes",
            Self::MethodNotAllowed => "the client may not authenticate by an assertion of this algorithm",
            Self::KeyIdMissing => "it has no `kid`, and several keys of the client could be meant",
            Self::UnknownKey => "it is signed with none of the client's keys",
            Self::BadSignature => "its signature is wrong",
            Self::KeysUnavailable => "the client's keys cannot be fetched",
        }
    }
}

impl From<JwsError> for AssertionFault {
    fn from(error: JwsError) -> Self {
        Self::Form(error)
    }
}

/// The client that an assertion says it is of, to look it up. Nothing is verified by this.
#[must_use]
pub fn client_id_of(assertion: &Secret) -> Option<String> {
    let assertion = ClientAssertion::parse(assertion.expose()).ok()?;
    text(assertion.unverified_payload(), "sub").map(str::to_owned)
}

/// Verifies that `assertion` is `client`'s, meant for this issuer, and good at `now`.
///
/// # Errors
/// Why not; [`AssertionFault::KeysUnavailable`] if that cannot be told.
pub async fn verify(
    assertion: &Secret,
    client: &Client,
    accepted: &AssertionAudiences<'_>,
    now: UnixTime,
) -> Result<VerifiedAssertion, AssertionFault> {
    let assertion = ClientAssertion::parse(assertion.expose())?;
    // The claims come first, though nobody has verified them: they can only refuse here, and what they refuse must not
    // cause a fetch of keys.
    let verified = judge_claims(assertion.unverified_payload(), client, accepted, now)?;
    match assertion.algorithm() {
        AssertionAlgorithm::HmacSha256 => verify_mac(&assertion, client, now)?,
        AssertionAlgorithm::Signature(algorithm) => verify_signature(&assertion, algorithm, client, now).await?,
    }
    Ok(verified)
}

fn judge_claims(
    claims: &Map<String, Value>,
    client: &Client,
    accepted: &AssertionAudiences<'_>,
    now: UnixTime,
) -> Result<VerifiedAssertion, AssertionFault> {
    // RFC 7523 section 3, items 1 and 2.
    if ["iss", "sub"].into_iter().any(|name| text(claims, name) != Some(&*client.id)) {
        return Err(AssertionFault::OtherClient);
    }
    judge_audience(claims.get("aud"), client.assertion_audience, accepted)?;
    let expires_at = numeric_date(claims.get("exp")).ok_or(AssertionFault::ExpiryMissing)?;
    let end = expires_at.plus(SKEW);
    if now >= end {
        return Err(AssertionFault::Expired);
    }
    if expires_at > now.plus(LONGEST_LIFETIME).plus(SKEW) {
        return Err(AssertionFault::TooLong);
    }
    for name in ["iat", "nbf"] {
        if claims.contains_key(name) {
            numeric_date(claims.get(name))
                .filter(|moment| *moment <= now.plus(SKEW))
                .ok_or(AssertionFault::NotYetValid)?;
        }
    }
    let jti = text(claims, "jti").filter(|jti| (1..=LONGEST_TOKEN_ID_BYTES).contains(&jti.len()));
    Ok(VerifiedAssertion { jti: jti.ok_or(AssertionFault::TokenId)?.to_owned(), expires_at: end })
}

/// The issuer as one string: in a list, or as the address of an endpoint, the assertion could have been made for another
/// server too, which could then use it here. A client that cannot do otherwise may send what the two are accepted as, but
/// nothing beside them.
fn judge_audience(
    audience: Option<&Value>,
    expected: AssertionAudienceConfig,
    accepted: &AssertionAudiences<'_>,
) -> Result<(), AssertionFault> {
    let is_issuer = |value: &Value| value.as_str() == Some(accepted.issuer);
    let is_either =
        |value: &Value| is_issuer(value) || value.as_str().is_some_and(|text| accepted.token_endpoint == Some(text));
    let good = match (expected, audience) {
        (_, None) => false,
        (AssertionAudienceConfig::Issuer, Some(audience)) => is_issuer(audience),
        (AssertionAudienceConfig::TokenEndpoint, Some(Value::Array(audiences))) => {
            !audiences.is_empty() && audiences.iter().all(is_either)
        }
        (AssertionAudienceConfig::TokenEndpoint, Some(audience)) => is_either(audience),
    };
    if good { Ok(()) } else { Err(AssertionFault::Audience) }
}

/// By one of the client's own secrets.
fn verify_mac(assertion: &ClientAssertion<'_>, client: &Client, now: UnixTime) -> Result<(), AssertionFault> {
    if !client.allows(AuthenticationMethod::ClientSecretJwt) {
        return Err(AssertionFault::MethodNotAllowed);
    }
    let active = client.secrets.iter().filter(|secret| secret.is_active(now));
    let mut keys = active.filter_map(|secret| secret.mac_key());
    if keys.any(|key| key.verify(assertion).is_ok()) { Ok(()) } else { Err(AssertionFault::BadSignature) }
}

/// By one of the client's public keys.
async fn verify_signature(
    assertion: &ClientAssertion<'_>,
    algorithm: Algorithm,
    client: &Client,
    now: UnixTime,
) -> Result<(), AssertionFault> {
    if !client.allows(AuthenticationMethod::PrivateKeyJwt) {
        return Err(AssertionFault::MethodNotAllowed);
    }
    match &client.keys {
        Some(ClientKeys::Given(keys)) => verify_with_given(assertion, algorithm, keys),
        Some(ClientKeys::Remote(remote)) => verify_with_remote(assertion, algorithm, remote, now).await,
        None => Err(AssertionFault::UnknownKey),
    }
}

/// Every registered key that can be meant is tried: there are two at most, and both are the client's. A key without `kid`, as
/// all in PEM are, can be meant by any.
fn verify_with_given(
    assertion: &ClientAssertion<'_>,
    algorithm: Algorithm,
    keys: &[VerificationKey],
) -> Result<(), AssertionFault> {
    let meant = |key: &&VerificationKey| match (assertion.key_id(), key.key_id()) {
        (Some(named), Some(own)) => named == own,
        _ => true,
    };
    let mut tried = false;
    for key in keys.iter().filter(meant).filter(|key| key.fits(algorithm)) {
        tried = true;
        if key.verify(algorithm, assertion.signing_input(), assertion.signature()).is_ok() {
            return Ok(());
        }
    }
    Err(if tried { AssertionFault::BadSignature } else { AssertionFault::UnknownKey })
}

/// A published key is chosen by `kid`; one that is not known causes one fetch, which all requests share.
async fn verify_with_remote(
    assertion: &ClientAssertion<'_>,
    algorithm: Algorithm,
    remote: &RemoteClientKeys,
    now: UnixTime,
) -> Result<(), AssertionFault> {
    let source = remote.source().ok_or(AssertionFault::KeysUnavailable)?;
    let choose = || match source.current(now) {
        TrustedKeySet::Unavailable => Err(AssertionFault::KeysUnavailable),
        TrustedKeySet::Usable(keys) => {
            let fitting = keys.iter().filter(|key| key.key().fits(algorithm));
            let mut meant = fitting.filter(|key| match assertion.key_id() {
                Some(named) => key.key().key_id() == Some(named),
                None => true,
            });
            match (meant.next(), meant.next()) {
                (Some(key), None) => Ok(std::sync::Arc::clone(key)),
                (None, _) => Err(AssertionFault::UnknownKey),
                (Some(_), Some(_)) => Err(AssertionFault::KeyIdMissing),
            }
        }
    };
    let key = match choose() {
        // Unavailable: the client may have been registered a moment ago, and its first fetch be under way.
        Err(AssertionFault::UnknownKey | AssertionFault::KeysUnavailable) => {
            match source.fetch_for_unknown_key().await {
                UnknownKeyFetch::Failed => Err(AssertionFault::KeysUnavailable),
                // After a cooldown, too, another request's fetch may have brought the key in the meantime.
                UnknownKeyFetch::Current | UnknownKeyFetch::CoolingDown => choose(),
            }
        }
        chosen => chosen,
    }?;
    key.key()
        .verify(algorithm, assertion.signing_input(), assertion.signature())
        .map_err(|_| AssertionFault::BadSignature)?;
    key.note_use(now);
    Ok(())
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// A NumericDate (RFC 7519 section 2), which may have a fraction.
fn numeric_date(value: Option<&Value>) -> Option<UnixTime> {
    let Value::Number(number) = value? else { return None };
    if let Some(seconds) = number.as_u64() {
        return Some(UnixTime::from_seconds(seconds));
    }
    let seconds = number.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Some(UnixTime::default().plus(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}
