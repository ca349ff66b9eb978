//! Owns: telling the upstream who calls, in headers that the operator named.
//! Refuses: writing a claim that could break out of its header.
//! Always holds: called after everything of that name was removed from what came in. Whether a token's claims can be written
//! is part of the decision about it, so that a route which only reports can report it.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::Rejection;
use crate::{auth::VerifiedToken, snapshot::Identity};

/// Whether every claim of `token` that `identity` passes on can be written.
///
/// # Errors
/// If a claim holds a character that a header cannot (RFC 9110 section 5.5).
pub(super) fn judge(identity: &Identity, token: &VerifiedToken) -> Result<(), Rejection> {
    for (_, claim) in &identity.headers {
        if token.claim_text(claim).is_some_and(|text| HeaderValue::from_bytes(text.as_bytes()).is_err()) {
            return Err(Rejection::ClaimNotForwardable { claim: claim.clone() });
        }
    }
    Ok(())
}

/// Adds the headers of `identity` for which `token` has a claim. One that cannot be written is left out: where rules are
/// enforced, such a token does not get here.
pub(super) fn add(headers: &mut HeaderMap, identity: &Identity, token: Option<&Arc<VerifiedToken>>) {
    let Some(token) = token else { return };
    for (name, claim) in &identity.headers {
        let text = token.claim_text(claim);
        if let Some(value) = text.and_then(|text| HeaderValue::from_bytes(text.as_bytes()).ok()) {
            headers.insert(name.clone(), value);
        }
    }
}
