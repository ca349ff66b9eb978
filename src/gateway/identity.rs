//! Owns: telling the upstream who calls, in headers that the operator named.
//! Refuses: a claim that could break out of its header, or that the upstream could read as another one.
//! Always holds: called after everything of that name was removed from what came in.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::{Rejection, record::Record};
use crate::{
    auth::VerifiedToken,
    snapshot::{Exposure, Route},
};

/// Adds the identity headers of `route` for which `token` has a claim.
///
/// # Errors
/// If a claim cannot be told faithfully; on a route that only reports it is left out instead.
pub(super) fn add(
    headers: &mut HeaderMap,
    route: &Route,
    token: Option<&Arc<VerifiedToken>>,
    record: &mut Record,
) -> Result<(), Rejection> {
    let Some(token) = token else { return Ok(()) };
    for (name, claim) in &route.identity.headers {
        match value(token, claim) {
            Ok(None) => {}
            Ok(Some(value)) => {
                headers.insert(name.clone(), value);
            }
            Err(rejection) if route.exposure() == Some(Exposure::Reports) => record.would_refuse(&rejection),
            Err(rejection) => return Err(rejection),
        }
    }
    Ok(())
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
