//! Owns: the way from a token's text to a [`VerifiedToken`].
//! Refuses: keys of another issuer than the one in `iss`; more than one fetch for a request; remembering failures. What an outside
//! issuer says of opaque tokens is in `introspected`.
//! Always holds: time, and the standing of the issuer, its key and the token itself are judged on every request, whether the
//! rest was remembered or not. What could not be found out is never the caller's fault.

use std::sync::Arc;

use super::{
    BearerToken, Claims, Credential, CredentialField, CredentialHeader, Issuer, Issuers, KeyStanding, OpaqueToken,
    TokenStanding, TrustedKey, TrustedKeySet, UnknownKeyFetch, UnverifiedToken, VerifiedToken, VerifyError, Withdrawal,
    WorkerTokenCache,
    introspected::{asked_about, verify_introspected},
    place::Place,
    revocation::{Presented, Verdict},
    token_cache::{CachedToken, Finding},
    verified_token::TokenProof,
};
use crate::{
    clock::UnixTime,
    id::TokenId,
    jose::{Algorithm, JoseHeader, TokenType},
};

/// The claim that says what kind of token an embedded issuer's is, in the dialect that has API tokens.
const KIND_CLAIM: &str = "type";
/// The kinds that are sent as `X-API-Key`.
const API_KEY_KINDS: [&str; 2] = ["userAccessToken", "tenantAccessToken"];

/// Verifies the token of a `credential` as of `now`; the `introspecting` issuer is the one that may be shown opaque tokens here, see
/// [`super::Requirement::introspecting`]. Waits for nothing but one fetch on account of an unknown key, and one question to the
/// token's issuer.
///
/// # Errors
/// Why it is not good, or why that cannot be told; see [`VerifyError::fault`].
pub async fn verify(
    credential: impl Into<Credential<'_>>,
    issuers: &Issuers,
    introspecting: Option<&Arc<Issuer>>,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, VerifyError> {
    let credential = credential.into();
    match verify_at_once(credential.into(), issuers, cache, now) {
        Some(verified) => verified,
        None => verify_asking(credential, issuers, introspecting, cache, now).await,
    }
}

/// [`verify`] where [`verify_at_once`] gives nothing. A new JWT is read anew: that is less than what its issuer is asked costs.
///
/// # Errors
/// As of [`verify`].
pub async fn verify_asking(
    credential: Credential<'_>,
    issuers: &Issuers,
    introspecting: Option<&Arc<Issuer>>,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, VerifyError> {
    let text = credential.token().as_str();
    let asked = asked_about(credential, issuers, introspecting);
    let verified = match (asked, issuers.with_api_keys()) {
        (Some(issuer), _) => verify_introspected(text, issuer, cache, now).await?,
        (None, Some(issuer)) if !text.contains('.') => Arc::new(resolve(text, issuer, now)?),
        (None, _) => verify_jwt(text, issuers, cache, now).await?,
    };
    in_its_field(verified, credential.header())
}

/// The short way for the token of a field that this worker keeps, since it came more than once: what [`verify`] would say of it, without
/// reading it anew, without waiting, and without asking what workers share. `None` if this worker does not keep it, or if its issuer is to
/// be asked, so that [`verify`] must be gone through.
///
/// Only JWTs are remembered by their text alone, and no other token is written like one, so nobody else could be meant.
pub fn recall(
    field: CredentialField<'_>,
    issuers: &Issuers,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Option<Result<Arc<VerifiedToken>, VerifyError>> {
    cache.judge_own(field.value(), |remembered| {
        let verified = judge_at_once(remembered, issuers, cache, now)?;
        Some(verified.and_then(|verified| in_its_field(verified, field.header())))
    })
}

/// What [`verify`] would say of what stands in a field without waiting; `None` of what is no token or an opaque one, and where an issuer is to
/// be asked, be it for a key or about the token: then [`CredentialField::read`] and [`verify_asking`] must be gone through.
///
/// What has the form of a JWT needs not be looked at for being a token before: that would be a tenth of what is done beside the signature.
/// And what waits for nothing needs no place to wait in: as a future on the heap it is an allocation, and memory that no cache has at hand.
pub fn verify_at_once(
    field: CredentialField<'_>,
    issuers: &Issuers,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Option<Result<Arc<VerifiedToken>, VerifyError>> {
    let text = field.value();
    let verified = match cache.find(text) {
        (_, Some(remembered)) => judge_at_once(&remembered, issuers, cache, now)?,
        (place, None) => {
            let verified = match UnverifiedToken::parse_recalling(text, cache.known_headers()) {
                Ok(token) => verify_new(token, (text, place), issuers, cache, now).transpose()?,
                // No token at all, or one that others may know more about.
                Err(_) if field.read().map_or(true, |credential| credential.token().is_opaque()) => return None,
                Err(error) => Err(error),
            };
            cache.note_miss();
            verified
        }
    };
    Some(verified.and_then(|verified| in_its_field(verified, field.header())))
}

/// Each token belongs into one field. Told only to whoever has a good token: to others, both fields answer alike.
fn in_its_field(verified: Arc<VerifiedToken>, header: CredentialHeader) -> Result<Arc<VerifiedToken>, VerifyError> {
    if verified.is_api_key() == (header == CredentialHeader::ApiKey) {
        Ok(verified)
    } else {
        Err(VerifyError::WrongHeader)
    }
}

/// Looks an opaque token up. Nothing of it is remembered here: its issuer's memory is as near.
fn resolve(text: &str, issuer: &Issuer, now: UnixTime) -> Result<VerifiedToken, VerifyError> {
    let found = issuer.standing().and_then(|standing| standing.resolve(text, now));
    let Some(OpaqueToken { name, claims, api_key }) = found else {
        let issuer_name = Arc::clone(issuer.name());
        // Nobody is told that a token is bad by somebody who cannot know.
        return Err(if issuer.standing().is_none_or(TokenStanding::is_current) {
            VerifyError::UnknownToken { issuer: issuer_name }
        } else {
            VerifyError::KeysUnavailable { issuer: issuer_name }
        });
    };
    refuse_disabled(issuer)?;
    // It has no `typ`, and its issuer makes no opaque tokens for anything but access.
    let claims = Claims::read(claims, TokenType::AccessToken, issuer.verification())?;
    claims.judge_times(now, issuer.leeway())?;
    let verified = VerifiedToken::new(Arc::clone(issuer.name()), TokenProof::Memory, claims);
    let verified = verified.named(Some(name)).sent_as_api_key(api_key);
    refuse_withdrawn(issuer, &verified)?;
    Ok(verified)
}

/// Verifies a JWT that is not a request's credential, and that nobody will present again soon: nothing is remembered of it.
///
/// # Errors
/// Why it is not good, or why that cannot be told; see [`VerifyError::fault`].
pub async fn verify_once(
    token: BearerToken<'_>,
    issuers: &Issuers,
    now: UnixTime,
) -> Result<VerifiedToken, VerifyError> {
    let unverified = UnverifiedToken::parse(token.as_str())?;
    let (issuer, key) = verify_signature(&unverified, issuers, now).await?;
    let verified = read_claims(unverified, issuer, key, now)?;
    refuse_withdrawn(issuer, &verified)?;
    refuse_revoked(issuer, token.as_str(), &verified, now).await?;
    Ok(verified)
}

async fn verify_jwt(
    text: &str,
    issuers: &Issuers,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, VerifyError> {
    let (place, remembered) = cache.find(text.as_bytes());
    if let Some(remembered) = remembered {
        if let Some(issuer) = still_good(&remembered, issuers) {
            cache.note_hit();
            let verified = remembered.verified();
            judge_remembered(verified, issuer, now)?;
            refuse_revoked(issuer, text, verified, now).await?;
            note_use(verified, now);
            return Ok(Arc::clone(verified));
        }
        cache.forget(place);
    }
    cache.note_miss();
    let token = UnverifiedToken::parse_recalling(text.as_bytes(), cache.known_headers())?;
    let (issuer, key) = verify_signature(&token, issuers, now).await?;
    let verified = take_in(token, (text.as_bytes(), place), (issuer, key), cache, now)?;
    refuse_revoked(issuer, text, &verified, now).await?;
    Ok(verified)
}

/// Verifies a JWT that is not remembered, by a key that is there; `None` if its issuer is to be asked.
fn verify_new(
    token: UnverifiedToken<'_>,
    (text, place): (&[u8], Place),
    issuers: &Issuers,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Option<Arc<VerifiedToken>>, VerifyError> {
    let issuer = token.choose_issuer(issuers)?;
    refuse_disabled(issuer)?;
    if issuer.revocation().is_some() {
        return Ok(None);
    }
    let Some(key) = key_at_hand(issuer, token.header(), now)? else { return Ok(None) };
    verify_by(&key, &token, issuer)?;
    take_in(token, (text, place), (issuer, key), cache, now).map(Some)
}

/// Reads a token whose signature is good, and remembers it.
fn take_in(
    token: UnverifiedToken<'_>,
    (text, place): (&[u8], Place),
    (issuer, key): (&Issuer, Arc<TrustedKey>),
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, VerifyError> {
    cache.known_headers().keep(token.jws());
    let verified = Arc::new(read_claims(token, issuer, key, now)?);
    // Also a withdrawn one: its signature is as good as before, and whoever goes on sending it should cost little.
    cache.remember(place, text, Finding::new(issuer.verification(), Arc::clone(&verified)));
    refuse_withdrawn(issuer, &verified)?;
    Ok(verified)
}

/// The issuer under which a remembered token counts: verified under this very configuration, with a key still listed.
fn still_good<'i>(remembered: &CachedToken, issuers: &'i Issuers) -> Option<&'i Issuer> {
    let verified = remembered.verified();
    let issuer = issuers.by_name(verified.issuer())?;
    let listed = verified.key().is_none_or(|key| !key.is_withdrawn());
    (remembered.was_verified_under(issuer.verification()) && listed).then_some(issuer)
}

/// Judges a token that is remembered, and counts it; `None` if it is to be verified anew, or its issuer to be asked.
fn judge_at_once(
    remembered: &CachedToken,
    issuers: &Issuers,
    cache: &WorkerTokenCache,
    now: UnixTime,
) -> Option<Result<Arc<VerifiedToken>, VerifyError>> {
    let issuer = still_good(remembered, issuers).filter(|issuer| issuer.revocation().is_none())?;
    cache.note_hit();
    let verified = remembered.verified();
    Some(judge_remembered(verified, issuer, now).map(|()| {
        note_use(verified, now);
        Arc::clone(verified)
    }))
}

/// Judges what may have changed since a token was verified, as far as it can be told without asking.
fn judge_remembered(verified: &VerifiedToken, issuer: &Issuer, now: UnixTime) -> Result<(), VerifyError> {
    judge_standing(issuer, now)?;
    verified.claims().judge_times(now, issuer.leeway())?;
    refuse_withdrawn(issuer, verified)
}

fn note_use(verified: &VerifiedToken, now: UnixTime) {
    if let Some(key) = verified.key() {
        key.note_use(now);
    }
}

/// RFC 8725 section 3.8 in its order: the issuer, its key, the signature, and only then the claims.
async fn verify_signature<'i>(
    token: &UnverifiedToken<'_>,
    issuers: &'i Issuers,
    now: UnixTime,
) -> Result<(&'i Issuer, Arc<TrustedKey>), VerifyError> {
    let issuer = token.choose_issuer(issuers)?;
    refuse_disabled(issuer)?;
    let key = find_key(issuer, token.header(), now).await?;
    verify_by(&key, token, issuer)?;
    Ok((issuer, key))
}

/// Verifies the signature by this `key` of the token's issuer.
fn verify_by(key: &TrustedKey, token: &UnverifiedToken<'_>, issuer: &Issuer) -> Result<(), VerifyError> {
    let jws = token.jws();
    key.key()
        .verify(jws.header().algorithm(), jws.signing_input(), jws.signature())
        .map_err(|_| VerifyError::BadSignature { issuer: Arc::clone(issuer.name()) })
}

/// Reads and judges what a token says whose signature by this `key` of its `issuer` is good.
fn read_claims(
    token: UnverifiedToken<'_>,
    issuer: &Issuer,
    key: Arc<TrustedKey>,
    now: UnixTime,
) -> Result<VerifiedToken, VerifyError> {
    let of_signing_input = issuer.standing().map(|_| TokenId::of_signing_input(token.jws().signing_input()));
    let claims = token.into_unverified_claims(issuer)?;
    claims.judge_times(now, issuer.leeway())?;
    key.note_use(now);
    let name = of_signing_input.map(|hash| claims.token_id().and_then(TokenId::parse).unwrap_or(hash));
    let is_api_key = issuer.accepts_api_keys() && is_api_key(&claims);
    let verified = VerifiedToken::new(Arc::clone(issuer.name()), TokenProof::Signature(key), claims);
    Ok(verified.named(name).sent_as_api_key(is_api_key))
}

fn is_api_key(claims: &Claims) -> bool {
    claims.members().text(KIND_CLAIM).is_some_and(|kind| API_KEY_KINDS.contains(&kind))
}

fn judge_standing(issuer: &Issuer, now: UnixTime) -> Result<(), VerifyError> {
    refuse_disabled(issuer)?;
    match issuer.key_source().standing(now) {
        KeyStanding::Usable => Ok(()),
        KeyStanding::Unavailable => Err(VerifyError::KeysUnavailable { issuer: Arc::clone(issuer.name()) }),
    }
}

fn refuse_withdrawn(issuer: &Issuer, token: &VerifiedToken) -> Result<(), VerifyError> {
    let Some(standing) = issuer.standing() else { return Ok(()) };
    standing.judge(token).map_err(|withdrawal| VerifyError::Withdrawn { issuer: Arc::clone(issuer.name()), withdrawal })
}

/// Asks the issuer, where it is to be asked, whether it has taken the token back.
async fn refuse_revoked(issuer: &Issuer, text: &str, token: &VerifiedToken, now: UnixTime) -> Result<(), VerifyError> {
    let Some(lookup) = issuer.revocation() else { return Ok(()) };
    let token_id = token.token_id().ok_or(VerifyError::MissingClaim { name: "jti".into() })?;
    let presented = Presented { token_id, text, expires_at: token.expires_at() };
    let issuer = Arc::clone(issuer.name());
    match lookup.ask(presented, now).await {
        Some(Verdict::Good) => Ok(()),
        Some(Verdict::Revoked) => Err(VerifyError::Withdrawn { issuer, withdrawal: Withdrawal::TokenRevoked }),
        Some(Verdict::Refused) => Err(VerifyError::RefusedByIssuer { issuer }),
        Some(Verdict::NotListed) => Err(VerifyError::NotListed { issuer }),
        None => Err(VerifyError::RevocationUnavailable { issuer }),
    }
}

fn refuse_disabled(issuer: &Issuer) -> Result<(), VerifyError> {
    if issuer.is_enabled() {
        return Ok(());
    }
    Err(VerifyError::IssuerDisabled { issuer: Arc::clone(issuer.name()) })
}

/// The key that must have signed, if it is among those that its issuer is known to have.
fn key_at_hand(issuer: &Issuer, header: &JoseHeader, now: UnixTime) -> Result<Option<Arc<TrustedKey>>, VerifyError> {
    let algorithm = header.algorithm();
    let keys = current_keys(issuer, now)?;
    let Some(key_id) = header.key_id() else { return only_fitting(&keys, algorithm, issuer).map(Some) };
    by_id(&keys, key_id).map(|key| fitting(key, algorithm, issuer, key_id)).transpose()
}

/// The same, after one fetch if it is not there.
async fn find_key(issuer: &Issuer, header: &JoseHeader, now: UnixTime) -> Result<Arc<TrustedKey>, VerifyError> {
    if let Some(key) = key_at_hand(issuer, header, now)? {
        return Ok(key);
    }
    // It names one: else its issuer's only key was at hand, or it was refused.
    let (algorithm, key_id) = (header.algorithm(), header.key_id().unwrap_or_default());
    issuer.key_source().note_unknown_key_id(key_id);
    let outcome = issuer.key_source().fetch_for_unknown_key().await;
    match outcome {
        UnknownKeyFetch::Failed => {
            Err(VerifyError::KeyFetchFailed { issuer: Arc::clone(issuer.name()), key_id: key_id.into() })
        }
        // After a cooldown, too, another request's fetch may have brought the key in the meantime.
        UnknownKeyFetch::Current | UnknownKeyFetch::CoolingDown => match by_id(&current_keys(issuer, now)?, key_id) {
            Some(key) => fitting(key, algorithm, issuer, key_id),
            None => Err(VerifyError::UnknownKey { issuer: Arc::clone(issuer.name()), key_id: key_id.into() }),
        },
    }
}

fn current_keys(issuer: &Issuer, now: UnixTime) -> Result<Arc<[Arc<TrustedKey>]>, VerifyError> {
    match issuer.key_source().current(now) {
        TrustedKeySet::Usable(keys) => Ok(keys),
        TrustedKeySet::Unavailable => Err(VerifyError::KeysUnavailable { issuer: Arc::clone(issuer.name()) }),
    }
}

fn by_id<'k>(keys: &'k [Arc<TrustedKey>], key_id: &str) -> Option<&'k Arc<TrustedKey>> {
    keys.iter().find(|key| key.key().key_id() == Some(key_id))
}

fn fitting(
    key: &Arc<TrustedKey>,
    algorithm: Algorithm,
    issuer: &Issuer,
    key_id: &str,
) -> Result<Arc<TrustedKey>, VerifyError> {
    if key.key().fits(algorithm) {
        return Ok(Arc::clone(key));
    }
    Err(VerifyError::KeyMismatch { issuer: Arc::clone(issuer.name()), key_id: key_id.into(), algorithm })
}

/// Without a key id, only a key that stands alone can be meant.
fn only_fitting(
    keys: &[Arc<TrustedKey>],
    algorithm: Algorithm,
    issuer: &Issuer,
) -> Result<Arc<TrustedKey>, VerifyError> {
    let mut fitting = keys.iter().filter(|key| key.key().fits(algorithm));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(Arc::clone(key)),
        _ => Err(VerifyError::KeyIdMissing { issuer: Arc::clone(issuer.name()) }),
    }
}
