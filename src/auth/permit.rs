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
    // Not the route's name: to count one more reference to it, all workers would write to one place for every request.
    token: Option<Arc<VerifiedToken>>,
}

impl Permit {
    /// For a request on a route whose operator wrote `public = true`.
    #[must_use]
    pub const fn public(_access: &PublicAccess) -> Self {
        Self { token: None }
    }

    /// For a request on a route whose operator wrote `mode = "report"` and whose rules refused it. It carries no token: the
    /// upstream must not be told of an identity that the rules did not accept.
    #[must_use]
    pub const fn report_only(_report: &ReportOnly) -> Self {
        Self { token: None }
    }

    /// A permit for the tests of the rooms that use one up.
    #[cfg(test)]
    pub(crate) const fn for_test(token: Option<Arc<VerifiedToken>>) -> Self {
        Self { token }
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
        Ok(Permit { token: Some(Arc::clone(token)) })
    }
}
