//! Owns: one request's way to the issuer.
//! Always holds: what the issuer refuses is told with the audience that was asked for.

use super::{
    Echo, ExchangeRequest, Introspected, IntrospectionRequest, RevocationRequest, TokenEndpoint, TokenIssuer,
    TokenRefusal, TokenRequest,
};
use crate::{
    clock::UnixTime,
    oauth::{ExchangedToken, IssuedToken},
    secret::Secret,
};

/// What a dialect needs to answer one request: the endpoint at which it came in, and who issues there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'a> {
    pub(super) endpoint: &'a TokenEndpoint,
    pub(super) issuer: &'a dyn TokenIssuer,
    pub(super) now: UnixTime,
}

impl Desk<'_> {
    pub(super) async fn issue(&self, request: &TokenRequest) -> Result<IssuedToken, TokenRefusal> {
        let issued = self.issuer.issue(request, self.now).await;
        issued.map_err(|error| TokenRefusal::Issue { error, audience: request.audience.as_deref().map(Echo::of) })
    }

    pub(super) async fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangedToken, TokenRefusal> {
        Ok(self.issuer.exchange(request, self.now).await?)
    }

    pub(super) async fn refresh(&self, refresh_token: &Secret) -> Result<ExchangedToken, TokenRefusal> {
        Ok(self.issuer.refresh(refresh_token, self.now).await?)
    }

    pub(super) async fn revoke(&self, request: &RevocationRequest) -> Result<(), TokenRefusal> {
        Ok(self.issuer.revoke(request, self.now).await?)
    }

    pub(super) async fn introspect(&self, request: &IntrospectionRequest) -> Result<Introspected, TokenRefusal> {
        Ok(self.issuer.introspect(request, self.now).await?)
    }
}
