//! Owns: the embedded issuer as token endpoints see it: who presents what, turned into what is asked of the issuer, and its answers
//! into theirs.
//! Refuses: a client of other issuers' tokens without such a token (`assertion_issuers`), or with one that was not meant for this
//! issuer.
//! Always holds: what cannot be decided is unavailable, and never the client's fault.

use std::{future::Future, pin::Pin, sync::Arc};

use serde_json::{Map, Value};
use tracing::error;

use crate::{
    auth::{BearerToken, Fault, Issuers, verify_once},
    authorization_server::{
        AuthorizationServer, ExchangeError, GrantError, GrantRequest, Proof, ProvenApiToken,
        client::{AssertionFault, AuthenticationFailure, AuthenticationMethod, Client},
    },
    clock::UnixTime,
    config::DialectConfig,
    jose::Member,
    oauth::{ExchangedToken, IssueRefusal, IssuedToken},
    secret::Secret,
    token_endpoint::{
        self, ClientAuthentication, ExchangeRequest, Introspected, IntrospectionRequest, IssueError, RevocationRequest,
        Terms, TokenIssuer, TokenRequest,
    },
};

/// The embedded issuer of one snapshot, and the issuers whose tokens its clients may present.
#[derive(Clone, Copy, Debug)]
pub struct Issuing<'s> {
    pub(super) server: &'s AuthorizationServer,
    pub(super) issuers: &'s Issuers,
}

impl TokenIssuer for Issuing<'_> {
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let (authentication, now) = (&request.authentication, terms.arrival.at);
            let (client, carried) = match request.dialect {
                DialectConfig::Plgd => self.authenticate_plgd(request, now).await?,
                _ => (self.authenticate(authentication, request.token_endpoint_url.as_deref(), now).await?, None),
            };
            let grant = GrantRequest {
                audience: request.audience.as_deref(),
                scope: request.scope.as_deref(),
                organization: request.organization.as_deref(),
                token_name: request.token_name.as_deref(),
                expires_at: request.expires_at,
                carried: carried.as_ref(),
            };
            // One that the client may not ask for is about to be refused, and nothing of its quota is touched.
            let organization = request.organization.as_deref().filter(|asked| client.organizations.contains(*asked));
            let spent = terms.spend(&client.id, organization).await;
            let spent = spent.map_err(|exceeded| IssueError::from(exceeded).of_client(&client.id))?;
            let token = self.server.grant(&client, request.dialect, grant, now).await.map_err(issue_error)?;
            spent.kept();
            Ok(token)
        })
    }

    fn exchange<'a>(
        &'a self,
        request: &'a ExchangeRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let proven = self.server.prove_api_token(&request.client_id, &request.secret, terms.arrival.at);
            self.exchange_proven(proven.map_err(|error| exchange_error(error, None))?, &terms).await
        })
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let proven = self.server.prove_refresh(refresh_token, terms.arrival.at).await;
            self.exchange_proven(proven.map_err(|error| exchange_error(error, None))?, &terms).await
        })
    }

    fn revoke<'a>(
        &'a self,
        request: &'a RevocationRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let url = request.token_endpoint_url.as_deref();
            let client = self.authenticate(&request.authentication, url, terms.arrival.at).await?;
            self.server.revoke_own(&client, request.token.expose(), terms.arrival.at).await.map_err(issue_error)
        })
    }

    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let url = request.token_endpoint_url.as_deref();
            let client = self.authenticate(&request.authentication, url, terms.arrival.at).await?;
            let said =
                self.server.introspect(&client, request.token.expose(), terms.arrival.at).await.map_err(issue_error)?;
            Ok(said.map_or(Introspected::Inactive, Introspected::Active))
        })
    }
}

impl Issuing<'_> {
    /// Issues for an API token, within its quota: also one that is refreshed is one token more. A refresh token that meets a quota
    /// that is used up stays good.
    async fn exchange_proven(&self, proven: ProvenApiToken, terms: &Terms) -> Result<ExchangedToken, IssueError> {
        let client_id: Arc<str> = proven.client_id().into();
        let spent = terms.spend(&client_id, None).await;
        let spent = spent.map_err(|exceeded| IssueError::from(exceeded).of_client(&client_id))?;
        let exchanged = self.server.exchange(proven, terms.arrival.at).await;
        let token = exchanged.map_err(|error| exchange_error(error, Some(&client_id)))?;
        spent.kept();
        Ok(token)
    }

    /// The client that authenticates by its secret or by an assertion of its own (RFC 7523).
    async fn authenticate(
        &self,
        authentication: &ClientAuthentication,
        token_endpoint: Option<&str>,
        now: UnixTime,
    ) -> Result<Arc<Client>, IssueError> {
        let client_id = authentication.client_id();
        let proof = match (client_id, authentication.secret(), authentication.client_assertion()) {
            (Some(client_id), Some(secret), None) => {
                Proof::Secret { client_id, secret, method: method(authentication) }
            }
            (client_id, None, Some(assertion)) => Proof::Assertion { client_id, assertion, token_endpoint },
            (Some(client_id), Some(secret), Some(_)) => {
                // What is wrong with an assertion is told to whoever knows the secret.
                let proof = Proof::Secret { client_id, secret, method: method(authentication) };
                self.server.authenticate(proof, now).await.map_err(issue_error)?;
                return Err(IssueError::InvalidAssertion { what: "this client presents none" });
            }
            _ => return Err(IssueError::UnknownClient),
        };
        self.server.authenticate(proof, now).await.map_err(issue_error)
    }

    /// The client of a `plgd` request, and what the token of another issuer said that it presented.
    async fn authenticate_plgd(
        &self,
        request: &TokenRequest,
        now: UnixTime,
    ) -> Result<(Arc<Client>, Option<Map<String, Value>>), IssueError> {
        let authentication = &request.authentication;
        let named = authentication.client_id().and_then(|id| self.server.find_client(id));
        let Some(client) = named.filter(|client| !client.assertion_issuers.is_empty()) else {
            let url = request.token_endpoint_url.as_deref();
            return self.authenticate(authentication, url, now).await.map(|client| (client, None));
        };
        // A secret is no substitute for the assertion, and a wrong one is no ornament.
        if let Some(secret) = authentication.secret() {
            let proof = Proof::Secret { client_id: &client.id, secret, method: method(authentication) };
            self.server.authenticate(proof, now).await.map_err(issue_error)?;
        }
        let assertion =
            authentication.client_assertion().ok_or(IssueError::InvalidAssertion { what: "it is missing" })?;
        let carried = self.verify_carried(&client, assertion, now).await?;
        if !self.server.is_client_enabled(&client) {
            let client_id = Arc::clone(&client.id);
            return Err(IssueError::Refused { client_id, refusal: IssueRefusal::ClientDisabled });
        }
        Ok((client, Some(carried)))
    }

    /// What a token of one of the client's `assertion_issuers` says.
    async fn verify_carried(
        &self,
        client: &Client,
        assertion: &Secret,
        now: UnixTime,
    ) -> Result<Map<String, Value>, IssueError> {
        let invalid = |what| IssueError::InvalidAssertion { what };
        let token = BearerToken::parse(assertion.expose()).map_err(|_| invalid("it is no token"))?;
        let verified = verify_once(token, self.issuers, now).await.map_err(|error| match error.fault() {
            Fault::Downstream | Fault::Request => invalid("it is not good"),
            Fault::Issuer => IssueError::Unavailable { client_id: None, source: error.into() },
        })?;
        let issuer =
            self.issuers.by_name(verified.issuer()).filter(|_| client.assertion_issuers.contains(verified.issuer()));
        let issuer = issuer.ok_or_else(|| invalid("its issuer is not one of the client's"))?;
        let own = std::iter::once(&**self.server.issuer());
        let mut meant = issuer.audience().iter().map(|audience| &**audience).chain(own);
        if !meant.any(|audience| verified.claims().has_audience(audience)) {
            return Err(invalid("it is not meant for this issuer"));
        }
        let owner = verified.claim(self.server.settings().owner_claim()).and_then(Member::as_text);
        let told =
            |text: Option<&str>| text.is_some_and(|text| !text.is_empty() && !text.chars().any(char::is_control));
        if !told(verified.subject()) || !told(owner) {
            return Err(invalid("it does not say whose it is"));
        }
        Ok(verified.claims().members().to_map())
    }
}

const fn method(authentication: &ClientAuthentication) -> AuthenticationMethod {
    match authentication.method() {
        token_endpoint::AuthenticationMethod::Basic => AuthenticationMethod::ClientSecretBasic,
        token_endpoint::AuthenticationMethod::Post | token_endpoint::AuthenticationMethod::Assertion => {
            AuthenticationMethod::ClientSecretPost
        }
    }
}

fn issue_error(error: GrantError) -> IssueError {
    let client_id = match error {
        GrantError::Authentication(failure) => return authentication_error(failure),
        GrantError::AssertionReplayed => return IssueError::InvalidAssertion { what: "it was used before" },
        GrantError::Refused { client_id, refusal } => return IssueError::Refused { client_id, refusal },
        GrantError::Signing { ref client_id, .. } | GrantError::Recording { ref client_id, .. } => {
            Some(Arc::clone(client_id))
        }
        GrantError::NoKey
        | GrantError::TooSoon
        | GrantError::StoreAway
        | GrantError::Store(_)
        | GrantError::Change(_) => None,
    };
    error!(error = &error as &dyn std::error::Error, "the embedded issuer cannot do what was asked");
    IssueError::Unavailable { client_id, source: error.into() }
}

fn authentication_error(failure: AuthenticationFailure) -> IssueError {
    match failure {
        AuthenticationFailure::UnknownClient => IssueError::UnknownClient,
        AuthenticationFailure::WrongSecret => IssueError::WrongSecret,
        // Being switched off is told with the client's id, before this.
        AuthenticationFailure::MethodNotAllowed | AuthenticationFailure::Disabled => {
            IssueError::AuthenticationMethodNotAllowed
        }
        AuthenticationFailure::Assertion(AssertionFault::KeysUnavailable) => {
            IssueError::Unavailable { client_id: None, source: AssertionFault::KeysUnavailable.into() }
        }
        AuthenticationFailure::Assertion(fault) => IssueError::InvalidAssertion { what: fault.in_words() },
    }
}

fn exchange_error(error: ExchangeError, client_id: Option<&str>) -> IssueError {
    match error {
        ExchangeError::UnknownClient => IssueError::UnknownClient,
        ExchangeError::WrongSecret => IssueError::WrongSecret,
        ExchangeError::BadRefreshToken => IssueError::InvalidRefreshToken,
        ExchangeError::Disabled => IssueError::ApiTokensDisabled { client_id: client_id.map(Arc::from) },
        error => {
            error!(error = &error as &dyn std::error::Error, "an API token could not be exchanged");
            IssueError::Unavailable { client_id: None, source: error.into() }
        }
    }
}
