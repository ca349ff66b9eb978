//! Owns: the rules of a route, each as one thing that a token satisfies or does not.
//! Refuses: guessing: text, integers and booleans are compared as what they are, byte for byte.
//! Always holds: deciding and explaining ask the same function.

use std::sync::Arc;

use super::{Claims, Denial};
use crate::{config::ClaimValue, http::PathParameters, jose::Member, oauth::ScopeSet};

/// One rule of a route.
#[derive(Debug)]
pub(super) enum Rule {
    /// The issuers accepted, each with the audiences of which its tokens must have one.
    Audience(Box<[AcceptedIssuer]>),
    /// All of these scopes.
    AllScopes { scopes: ScopeSet, needed: Arc<str> },
    /// One of these scopes.
    AnyScope { scopes: ScopeSet, needed: Arc<str> },
    /// A claim has one of these values.
    Claim { name: Arc<str>, values: Box<[ClaimValue]> },
    /// A parameter of the path equals a claim.
    PathClaim { parameter: Arc<str>, claim: Arc<str> },
}

/// An issuer that a route accepts.
#[derive(Debug)]
pub(super) struct AcceptedIssuer {
    pub(super) name: Arc<str>,
    pub(super) audience: Box<[Box<str>]>,
}

impl Rule {
    /// Judges what a token of `issuer` claims.
    pub(super) fn judge(&self, issuer: &Arc<str>, claims: &Claims, parameters: &PathParameters) -> Result<(), Denial> {
        match self {
            Self::Audience(accepted) => {
                let accepted = accepted.iter().find(|accepted| accepted.name == *issuer);
                let accepted = accepted.ok_or_else(|| Denial::IssuerNotAccepted { issuer: Arc::clone(issuer) })?;
                let has_one = accepted.audience.iter().any(|audience| claims.has_audience(audience));
                has_one.then_some(()).ok_or(Denial::AudienceMismatch)
            }
            Self::AllScopes { scopes, needed } => {
                let has_all = claims.scopes().contains_all(scopes);
                has_all.then_some(()).ok_or_else(|| Denial::ScopeMissing { needed: Arc::clone(needed) })
            }
            Self::AnyScope { scopes, needed } => {
                let has_one = claims.scopes().contains_any(scopes);
                has_one.then_some(()).ok_or_else(|| Denial::ScopeMissing { needed: Arc::clone(needed) })
            }
            Self::Claim { name, values } => {
                let fits = claims.claim(name).is_some_and(|claim| values.iter().any(|value| holds(claim, value)));
                fits.then_some(()).ok_or_else(|| Denial::ClaimMismatch { name: Arc::clone(name) })
            }
            Self::PathClaim { parameter, claim } => {
                let equal = match (parameters.value(parameter), claims.claim(claim)) {
                    (Some(value), Some(Member::Text(text))) => value == text,
                    (Some(value), Some(Member::Number(number))) => number.to_string() == value,
                    _ => false,
                };
                equal.then_some(()).ok_or_else(|| Denial::PathClaimMismatch {
                    parameter: Arc::clone(parameter),
                    claim: Arc::clone(claim),
                })
            }
        }
    }

    /// Whether it looks at the parameters of the path.
    pub(super) const fn is_about_path(&self) -> bool {
        match self {
            Self::PathClaim { .. } => true,
            Self::Audience(_) | Self::AllScopes { .. } | Self::AnyScope { .. } | Self::Claim { .. } => false,
        }
    }

    /// Where the rule stands in `require`.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Audience(_) => "issuers and audience".to_owned(),
            Self::AllScopes { .. } => "scopes".to_owned(),
            Self::AnyScope { .. } => "any_scope".to_owned(),
            Self::Claim { name, .. } => format!("claims.{name}"),
            Self::PathClaim { parameter, .. } => format!("path_claims.{parameter}"),
        }
    }

    /// What the rule asks for and what the token has, in words.
    pub(super) fn words(&self, issuer: &str, claims: &Claims, parameters: &PathParameters) -> String {
        let shown = |name: &str| claims.claim(name).map_or_else(|| "nothing".to_owned(), |claim| claim.to_string());
        match self {
            Self::Audience(accepted) => {
                let accepted: Vec<String> = accepted
                    .iter()
                    .map(|accepted| format!("{} for {}", accepted.name, accepted.audience.join(" or ")))
                    .collect();
                format!("asks for {}; the token is of {issuer} for {}", accepted.join(", or "), shown("aud"))
            }
            Self::AllScopes { needed, .. } => {
                format!("asks for all of `{needed}`; the token has `{}`", claims.scopes())
            }
            Self::AnyScope { needed, .. } => format!("asks for one of `{needed}`; the token has `{}`", claims.scopes()),
            Self::Claim { name, values } => {
                let values: Vec<String> = values.iter().map(ToString::to_string).collect();
                format!("asks for {name} = {}; the token has {}", values.join(" or "), shown(name))
            }
            Self::PathClaim { parameter, claim } => {
                let value = parameters.value(parameter).unwrap_or_default();
                format!("asks for {claim} = {value:?} as in the path's {{{parameter}}}; the token has {}", shown(claim))
            }
        }
    }
}

/// Whether a claim is `value`, or a list with `value` in it.
fn holds(claim: Member<'_>, value: &ClaimValue) -> bool {
    match claim {
        Member::List(elements) => elements.iter().any(|element| is(element.into(), value)),
        single => is(single, value),
    }
}

fn is(claim: Member<'_>, value: &ClaimValue) -> bool {
    match (claim, value) {
        (Member::Text(own), ClaimValue::Text(text)) => own == text,
        (Member::Number(own), ClaimValue::Integer(number)) => own.as_i64() == Some(*number),
        (Member::Boolean(own), ClaimValue::Boolean(flag)) => own == *flag,
        _ => false,
    }
}
