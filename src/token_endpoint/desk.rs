//! Owns: one request's way to the issuer, past the lock-out.
//! Refuses: asking the issuer about somebody who is locked out.
//! Always holds: a proof that failed is counted, one that was good ends the count; what the issuer refuses is told with the audience
//! that was asked for.

use super::{
    Arrival, Attempt, ClientAuthentication, Echo, ExchangeRequest, Introspected, IntrospectionRequest, IssueError,
    RevocationRequest, Standing, Terms, TokenEndpoint, TokenIssuer, TokenRefusal, TokenRequest,
    authentication::unverified_subject,
};
use crate::{
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
        let ask = async |terms| self.issuer.issue(request, terms).await;
        let issued = self.past_lockout(claimed(&request.authentication).as_deref(), ask).await;
        issued.map_err(|error| TokenRefusal::Issue { error, audience: request.audience.as_deref().map(Echo::of) })
    }

    pub(super) async fn exchange(&self, request: &ExchangeRequest) -> Result<ExchangedToken, TokenRefusal> {
        let ask = async |terms| self.issuer.exchange(request, terms).await;
        Ok(self.past_lockout(Some(&request.client_id), ask).await?)
    }

    /// Nobody is locked out here: a refresh token names no client that could be guessed at, and is too long to be guessed itself.
    pub(super) async fn refresh(&self, refresh_token: &Secret) -> Result<ExchangedToken, TokenRefusal> {
        Ok(self.issuer.refresh(refresh_token, self.terms(Attempt::default())).await?)
    }

    pub(super) async fn revoke(&self, request: &RevocationRequest) -> Result<(), TokenRefusal> {
        let ask = async |terms| self.issuer.revoke(request, terms).await;
        Ok(self.past_lockout(claimed(&request.authentication).as_deref(), ask).await?)
    }

    pub(super) async fn introspect(&self, request: &IntrospectionRequest) -> Result<Introspected, TokenRefusal> {
        let ask = async |terms| self.issuer.introspect(request, terms).await;
        Ok(self.past_lockout(claimed(&request.authentication).as_deref(), ask).await?)
    }

    /// What is left to a client, and to an organisation, if that is bounded here, and if it is known who the client is.
    pub(super) fn standing(&self, client_id: &str, organization: Option<&str>) -> Option<Standing> {
        let quota = self.endpoint.quota.as_ref().filter(|_| !client_id.is_empty())?;
        Some(quota.standing(client_id, organization, self.arrival.at))
    }

    fn terms(&self, attempt: Attempt) -> Terms {
        Terms { arrival: self.arrival, quota: self.endpoint.quota.clone(), attempt }
    }

    /// Asks, unless `client_id` is locked out from where the request came.
    async fn past_lockout<T>(
        &self,
        client_id: Option<&str>,
        ask: impl AsyncFnOnce(Terms) -> Result<T, IssueError>,
    ) -> Result<T, IssueError> {
        let Some(client_id) = client_id else { return ask(self.terms(Attempt::default())).await };
        let attempt = Attempt::begin(&self.endpoint.lockout, client_id, self.arrival)?;
        let answered = ask(self.terms(attempt.clone())).await;
        attempt.note(answered.as_ref().err().map_or(Some(true), proven));
        answered
    }
}

/// Who a client says it is; by its assertion, if it says so there only. An assertion that is keyed with a secret is a way to
/// guess that secret.
fn claimed(authentication: &ClientAuthentication) -> Option<String> {
    let named = authentication.client_id().map(str::to_owned);
    named.or_else(|| authentication.client_assertion().and_then(unverified_subject))
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
        IssueError::Provider(refusal) => refusal.kind.proven(),
        IssueError::Refused { .. } | IssueError::QuotaExceeded { client_id: Some(_), .. } => Some(true),
    }
}
