//! Owns: the way from an opaque token to a [`VerifiedToken`], where an outside issuer says what it means (RFC 7662).
//! Refuses: showing it to an issuer whose it cannot be; a token that says it is of another issuer, no access token, or bound to a
//! key.
//! Always holds: what was said is believed until a moment that is judged on every request, and never beyond the token's `exp`.

use std::sync::Arc;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{
    Claims, Credential, CredentialHeader, Issuer, Issuers, VerifiedToken, VerifyError, WorkerTokenCache,
    inquiry::Told,
    introspection::{self, Answer},
    token_cache::Finding,
    verified_token::TokenProof,
};
use crate::{clock::UnixTime, outbound::OutboundAnswer};

/// The issuer that is asked about the token of `credential`: the `introspecting` one, if it is opaque, came as a bearer token,
/// and does not begin like what the embedded issuer makes, which is nobody else's business.
pub(super) fn asked_about<'i>(
    credential: Credential<'_>,
    issuers: &Issuers,
    introspecting: Option<&'i Arc<Issuer>>,
) -> Option<&'i Arc<Issuer>> {
    let issuer = introspecting.filter(|_| credential.header() == CredentialHeader::Authorization)?;
    let token = credential.token();
    let is_own =
        || issuers.iter().filter_map(|issuer| issuer.standing()).any(|standing| standing.is_own_kind(token.as_str()));
    (token.is_opaque() && !is_own()).then_some(issuer)
}

/// Verifies an opaque token of `issuer`: out of the cache, or by asking.
pub(super) async fn verify_introspected(
    text: &str,
    issuer: &Issuer,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, VerifyError> {
    let name = issuer.name();
    let unavailable = || VerifyError::IntrospectionUnavailable { issuer: Arc::clone(name) };
    // Two issuers may give one text two meanings. No token has a line break, so no two pairs are written alike.
    let pair = Zeroizing::new(format!("{name}\n{text}"));
    let (place, remembered) = cache.find(pair.as_bytes());
    if let Some(remembered) = remembered {
        let verified = remembered.verified();
        if remembered.was_verified_under(issuer.verification()) && verified.is_believed_at(now) {
            cache.note_hit();
            verified.claims().judge_times(now, issuer.leeway())?;
            return Ok(Arc::clone(verified));
        }
        cache.forget(place);
    }
    cache.note_miss();
    let introspector = issuer.introspection().ok_or_else(unavailable)?;
    match introspector.ask(text, now).await.ok_or_else(unavailable)? {
        Told { said: Answer::Inactive, .. } => Err(VerifyError::Inactive { issuer: Arc::clone(name) }),
        Told { said: Answer::Active(members), belief } => {
            let claims = read(&members, issuer)?;
            claims.judge_times(now, issuer.leeway())?;
            let verified = VerifiedToken::new(Arc::clone(name), TokenProof::Introspection(belief), claims);
            let verified = Arc::new(verified);
            if verified.is_believed_at(now) {
                cache.remember(place, pair.as_bytes(), Finding::new(issuer.verification(), Arc::clone(&verified)));
            }
            Ok(verified)
        }
    }
}

/// What a token means of which `issuer` has answered this; nothing if it is not good at `now`, or if the answer says nothing.
/// As a request has it that asked: for those who have an answer and nobody to ask.
#[must_use]
pub fn claims_of_answer(answer: &OutboundAnswer, issuer: &Issuer, now: UnixTime) -> Option<Claims> {
    let Ok(Answer::Active(members)) = introspection::read(answer) else { return None };
    let claims = read(&members, issuer).ok()?;
    claims.judge_times(now, issuer.leeway()).ok()?;
    Some(claims)
}

/// What the token says, if it is an access token of `issuer` that is good by itself.
fn read(members: &Map<String, Value>, issuer: &Issuer) -> Result<Claims, VerifyError> {
    match members.get("iss") {
        None => {}
        Some(Value::String(claim)) if claim == issuer.issuer() => {}
        Some(Value::String(_)) => return Err(VerifyError::UnknownIssuer),
        Some(_) => return Err(VerifyError::InvalidClaim { name: "iss" }),
    }
    match members.get("token_type") {
        None => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("dpop") => return Err(VerifyError::BoundToKey),
        Some(Value::String(_)) => return Err(VerifyError::NotForAccess),
        Some(_) => return Err(VerifyError::InvalidClaim { name: "token_type" }),
    }
    Claims::read_introspected(members.clone(), issuer.verification())
}
