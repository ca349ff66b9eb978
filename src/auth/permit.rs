//! Owns: the proof that a request may be forwarded.
//! Refuses: being built outside this file.
//! Always holds: whoever holds a [`Permit`] went through the rules of its route, or the route's operator declared it public
//! or report-only.

use std::sync::Arc;

use super::{Denial, PublicAccess, ReportOnly, Requirement, VerifiedToken};
use crate::http::PathParameters;

/// The proof that one request may be forwarded. It is used up by forwarding.
#[derive(Debug)]
pub struct Permit {
    route: Arc<str>,
    token: Option<Arc<VerifiedToken>>,
}

impl Permit {
    /// For a request on a route whose operator wrote `public = true`.
    #[must_use]
    pub fn public(access: &PublicAccess) -> Self {
        Self { route: Arc::clone(access.route()), token: None }
    }

    /// For a request on a route whose operator wrote `mode = "report"` and whose rules refused it. It carries no token: the
    /// upstream must not be told of an identity that the rules did not accept.
    #[must_use]
    pub fn report_only(report: &ReportOnly) -> Self {
        Self { route: Arc::clone(report.route()), token: None }
    }

    /// A permit for the tests of the rooms that use one up.
    #[cfg(test)]
    pub(crate) fn for_test(route: &str, token: Option<Arc<VerifiedToken>>) -> Self {
        Self { route: route.into(), token }
    }

    /// The route whose rules were satisfied.
    #[must_use]
    pub const fn route(&self) -> &Arc<str> {
        &self.route
    }

    /// The token that satisfied them; none on a public route, or where the rules are only reported and refused it.
    #[must_use]
    pub const fn token(&self) -> Option<&Arc<VerifiedToken>> {
        self.token.as_ref()
    }
}

impl Requirement {
    /// Judges a verified token by the rules of this route. To be asked for every request, however often the token was seen.
    ///
    /// # Errors
    /// The first rule that it does not satisfy.
    pub fn authorize(&self, token: &Arc<VerifiedToken>, parameters: &PathParameters) -> Result<Permit, Denial> {
        self.judge(token.issuer(), token.claims(), parameters)?;
        Ok(Permit { route: Arc::clone(self.route()), token: Some(Arc::clone(token)) })
    }
}
