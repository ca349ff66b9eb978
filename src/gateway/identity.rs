//! Owns: telling the upstream who calls, in headers that the operator named.
//! Refuses: a claim that could break out of its header, or that the upstream could read as another one.
//! Always holds: called after everything of that name was removed from what came in. Whether a token's claims can be written
//! is part of the decision about it, so that a route which only reports can report it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::Rejection;
use crate::{auth::VerifiedToken, snapshot::Identity};

/// Whether every claim of `token` that `identity` passes on can be written.
///
/// # Errors
/// If a claim cannot be told faithfully.
pub(super) fn judge(identity: &Identity, token: &VerifiedToken) -> Result<(), Rejection> {
    identity.headers.iter().try_for_each(|(_, claim)| value(token, claim).map(|_| ()))
}

/// Adds the headers of `identity` for which `token` has a claim. One that cannot be written is left out: such a token does not
/// get here.
pub(super) fn add(headers: &mut HeaderMap, identity: &Identity, token: Option<&Arc<VerifiedToken>>) {
    let Some(token) = token else { return };
    for (name, claim) in &identity.headers {
        if let Ok(Some(value)) = value(token, claim) {
            headers.insert(name.clone(), value);
        }
    }
}

/// The claim as a header's value: it must be one that a recipient reads as it was written (RFC 9110 section 5.5), so white
/// space around it, which recipients drop, is refused, and so is a space within one text of a list, which spaces join.
fn value(token: &VerifiedToken, claim: &str) -> Result<Option<HeaderValue>, Rejection> {
    let Some(text) = token.claim_text(claim) else { return Ok(None) };
    let refused = || Rejection::ClaimNotForwardable { claim: claim.into() };
    let spaced = |element: &Value| element.as_str().is_some_and(|text| text.is_empty() || text.contains(' '));
    if text.trim_ascii() != text
        || token.claim(claim).and_then(Value::as_array).is_some_and(|list| list.iter().any(spaced))
    {
        return Err(refused());
    }
    HeaderValue::from_bytes(text.as_bytes()).map(Some).map_err(|_| refused())
}
