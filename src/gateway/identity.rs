//! Owns: telling the upstream who calls, in headers that the operator named.
//! Refuses: writing a claim that could break out of its header.
//! Always holds: called after everything of that name was removed from what came in.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::Rejection;
use crate::{auth::VerifiedToken, snapshot::Identity};

/// Adds the headers of `identity` for which `token` has a claim.
///
/// # Errors
/// If a claim holds a character that a header cannot (RFC 9110 section 5.5).
pub(super) fn add(
    headers: &mut HeaderMap,
    identity: &Identity,
    token: Option<&Arc<VerifiedToken>>,
) -> Result<(), Rejection> {
    let Some(token) = token else { return Ok(()) };
    for (name, claim) in &identity.headers {
        let Some(text) = token.claim_text(claim) else { continue };
        let value = HeaderValue::from_bytes(text.as_bytes())
            .map_err(|_| Rejection::ClaimNotForwardable { claim: claim.clone() })?;
        headers.insert(name.clone(), value);
    }
    Ok(())
}
