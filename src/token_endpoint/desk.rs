//! Owns: one request's way to the issuer, past the lock-out.
//! Refuses: asking the issuer about somebody who is locked out.
//! Always holds: a proof that failed is counted, one that was good ends the count; what the issuer refuses is told with the audience
//! that was asked for.

use super::{
    Arrival, ClientAuthentication, Echo, ExchangeRequest, Introspected, IntrospectionRequest, IssueError,
    ProviderRefusalKind, RevocationRequest, Standing, Terms, TokenEndpoint, TokenIssuer, TokenRefusal, TokenRequest,
};
use crate::{
    authorization_server::client::client_id_of,
    oauth::{ExchangedToken, IssueRefusal, IssuedToken},
    secret::Secret,
};

/// What a dialect needs to answer one request: the endpoint at which it came in, and who issues there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'a> {
    pub(super) endpoint: &'a TokenEndpoint,
    pub(super) issuer: &'a dyn TokenIssuer,
    pub(super) arrival: Arrival,
}

impl Desk<'_> {
    pub(super) async fn issue(&self, request: &TokenRequest) -> Result<IssuedToken, TokenRefusal> {
        let ask = async || self.issuer.issue(request, self.terms()).await;
        let issued = self.past_lockout(claimed(&request.authentication).as_deref(), ask).await;
        issued.map_err(|error| TokenRefusal::Issue { error, audience: request.audience.as_deref().map(Echo::of) })
    }

    pub(super) async fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangedToken, TokenRefusal> {
        let ask = async || self.issuer.exchange(request, self.terms()).await;
        Ok(self.past_lockout(Some(&request.client_id), ask).await?)
    }

    /// Nobody is locked out here: a refresh token names no client that could be guessed at, and is too long to be guessed itself.
    pub(super) async fn refresh(&self, refresh_token: &Secret) -> Result<ExchangedToken, TokenRefusal> {
        Ok(self.issuer.refresh(refresh_token, self.terms()).await?)
    }

    pub(super) async fn revoke(&self, request: &RevocationRequest) -> Result<(), TokenRefusal> {
        let ask = async || self.issuer.revoke(request, self.arrival.at).await;
        Ok(self.past_lockout(claimed(&request.authentication).as_deref(), ask).await?)
    }

    pub(super) async fn introspect(&self, request: &IntrospectionRequest) -> Result<Introspected, TokenRefusal> {
        let ask = async || self.issuer.introspect(request, self.arrival.at).await;
        Ok(self.past_lockout(claimed(&request.authentication).as_deref(), ask).await?)
    }

    /// What is left to a client, and to an organisation, if that is bounded here, and if it is known who the client is.
    pub(super) fn standing(&self, client_id: &str, organization: Option<&str>) -> Option<Standing> {
        let quota = self.endpoint.quota.as_ref().filter(|_| !client_id.is_empty())?;
        Some(quota.standing(client_id, organization, self.arrival.at))
    }

    fn terms(&self) -> Terms {
        Terms { arrival: self.arrival, quota: self.endpoint.quota.clone() }
    }

    /// Asks, unless `client_id` is locked out from where the request came.
    async fn past_lockout<T>(
        &self,
        client_id: Option<&str>,
        ask: impl AsyncFnOnce() -> Result<T, IssueError>,
    ) -> Result<T, IssueError> {
        let Some(client_id) = client_id else { return ask().await };
        let (lockout, Arrival { peer, at, .. }) = (&self.endpoint.lockout, self.arrival);
        let locked = |locked: super::LockedOut| IssueError::LockedOut { retry_after: locked.retry_after };
        lockout.judge(client_id, peer, at).map_err(locked)?;
        let answered = ask().await;
        match answered.as_ref().err().map_or(Some(true), proven) {
            Some(true) => lockout.succeeded(client_id, peer, at),
            Some(false) => lockout.failed(client_id, peer, at),
            None => {}
        }
        answered
    }
}

/// Who a client says it is; by its assertion, if it says so there only. An assertion that is keyed with a secret is a way to
/// guess that secret.
fn claimed(authentication: &ClientAuthentication) -> Option<String> {
    let named = authentication.client_id().map(str::to_owned);
    named.or_else(|| authentication.client_assertion().and_then(client_id_of))
}

/// Whether whoever got `error` had proven who it is; none if that was not found out.
const fn proven(error: &IssueError) -> Option<bool> {
    match error {
        IssueError::UnknownClient
        | IssueError::WrongSecret
        | IssueError::InvalidAssertion { .. }
        | IssueError::AuthenticationMethodNotAllowed
        | IssueError::InvalidRefreshToken => Some(false),
        // What is switched off may be refused before any proof is looked at.
        IssueError::Refused { refusal: IssueRefusal::Disabled | IssueRefusal::ClientDisabled, .. }
        | IssueError::ApiTokensDisabled { .. }
        | IssueError::QuotaExceeded { client_id: None, .. }
        | IssueError::LockedOut { .. }
        | IssueError::Unavailable { .. } => None,
        // A provider that refuses anything else has accepted the proof, or did not look at it.
        IssueError::Provider(refusal) => match refusal.kind {
            ProviderRefusalKind::InvalidClient | ProviderRefusalKind::InvalidGrant => Some(false),
            ProviderRefusalKind::AccessDenied
            | ProviderRefusalKind::UnauthorizedClient
            | ProviderRefusalKind::InvalidScope
            | ProviderRefusalKind::InvalidTarget
            | ProviderRefusalKind::TooManyRequests
            | ProviderRefusalKind::Other => None,
        },
        IssueError::Refused { .. } | IssueError::QuotaExceeded { client_id: Some(_), .. } => Some(true),
    }
}
