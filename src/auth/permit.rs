//! Owns: the proof that a request may be forwarded.
//! Refuses: being built outside this file.
//! Always holds: whoever holds a [`Permit`] went through the rules of its route, or the route's operator declared it public
//! or report-only.

use std::sync::Arc;

use super::VerifiedToken;

/// The proof that one request may be forwarded. It is used up by forwarding.
#[derive(Debug)]
pub struct Permit {
    route: Arc<str>,
    token: Option<Arc<VerifiedToken>>,
}

impl Permit {
    /// A permit for the tests of the rooms that use one up.
    #[cfg(test)]
    pub(crate) fn for_test(route: &str, token: Option<Arc<VerifiedToken>>) -> Self {
        Self { route: route.into(), token }
    }

    /// The route whose rules were satisfied.
    #[must_use]
    pub fn route(&self) -> &Arc<str> {
        &self.route
    }

    /// The token that satisfied them; none on a public route, or where the rules are only reported and there was none.
    #[must_use]
    pub fn token(&self) -> Option<&Arc<VerifiedToken>> {
        self.token.as_ref()
    }
}
