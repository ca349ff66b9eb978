//! Owns: telling the upstream who calls, in headers that the operator named.
//! Refuses: a claim that could break out of its header, or that the upstream could read as another one.
//! Always holds: told after everything of that name was removed from what came in. Whether a token's claims can be written
//! is part of the decision about it, so that a route which only reports can report it.

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::Rejection;
use crate::{auth::VerifiedToken, http::Fields, jose::Member, snapshot::Identity};

/// What the upstream is told about the caller of one request; nothing, if nobody's word was accepted.
#[derive(Debug, Default)]
pub(super) struct Told {
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Told {
    /// What `identity` passes on of `token`.
    ///
    /// # Errors
    /// If a claim cannot be told faithfully.
    pub(super) fn of(identity: &Identity, token: &VerifiedToken) -> Result<Self, Rejection> {
        let mut fields = Vec::with_capacity(identity.headers.len());
        for (name, claim) in &identity.headers {
            if let Some(value) = value(token, claim)? {
                fields.push((name.clone(), value));
            }
        }
        Ok(Self { fields })
    }

    /// Adds it to a request's fields.
    pub(super) fn add_to(self, fields: &mut Fields) {
        fields.extend(self.fields);
    }
}

/// The claim as a header's value: it must be one that a recipient reads as it was written (RFC 9110 section 5.5), so white
/// space around it, which recipients drop, is refused, and so is a space within one text of a list, which spaces join.
fn value(token: &VerifiedToken, claim: &str) -> Result<Option<HeaderValue>, Rejection> {
    let Some(text) = token.claim_text(claim) else { return Ok(None) };
    let refused = || Rejection::ClaimNotForwardable { claim: claim.into() };
    let spaced = |element: &Value| element.as_str().is_some_and(|text| text.is_empty() || text.contains(' '));
    if text.trim_ascii() != text
        || token.claim(claim).and_then(Member::as_list).is_some_and(|list| list.iter().any(spaced))
    {
        return Err(refused());
    }
    HeaderValue::from_bytes(text.as_bytes()).map(Some).map_err(|_| refused())
}
