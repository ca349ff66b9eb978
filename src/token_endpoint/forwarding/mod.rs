//! Owns: token endpoints whose tokens an outside provider issues: who the client is there, what the provider is asked, and what
//! its answer comes to.
//! Refuses: telling a client that it is unknown unless its own proof was judged; passing on what the provider says beside its
//! answer: its headers and cookies.
//! Always holds: a client's dialect and the provider's do not know each other; a request is parsed by the one and written by the
//! other.

mod clients;
mod compile;
mod counters;
mod failure;
mod incoming;
mod outgoing;
mod provider;
mod reusing;
mod token;

use std::{pin::Pin, sync::Arc};

pub use self::failure::{ProviderRefusal, ProviderRefusalKind};
use self::{
    clients::{ClientMap, Presented},
    outgoing::Written,
    provider::Provider,
};
pub(super) use self::{
    compile::compile,
    counters::{AllCounters, Counters},
    failure::Failure,
    token::ProviderToken,
};
use super::{
    ClientAuthentication, DropReason, ExchangeRequest, Introspected, IntrospectionRequest, IssueError, Reuse,
    ReuseMemories, RevocationRequest, Terms, TokenIssuer, TokenRequest,
};
use crate::{
    clock::UnixTime,
    oauth::{ExchangedToken, IssuedToken},
    secret::Secret,
    telemetry::Samples,
};

/// The issuer of a forwarded endpoint.
#[derive(Debug)]
pub struct Forwarding {
    provider: Arc<Provider>,
    clients: ClientMap,
    reuse: Option<Arc<Reuse>>,
    /// What is handed out again anywhere: a token that is revoked here may be kept by another endpoint.
    reused: ReuseMemories,
}

impl TokenIssuer for Forwarding {
    fn issue<'a>(
        &'a self,
        request: &'a TokenRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<IssuedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let presented = self.clients.resolve(&request.authentication)?;
            let written = self.provider.manner.token(request, &presented.authentication);
            let asking = self.asking(&presented, written, terms, request.organization.clone());
            let proof = request.proof_of_possession.as_ref();
            let obtained = self.obtain(&presented, &request.authentication, proof, asking).await?;
            Ok(obtained.token.issued(&presented.named(), obtained.lifetime))
        })
    }

    fn exchange<'a>(
        &'a self,
        request: &'a ExchangeRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let authentication = ClientAuthentication::post(request.client_id.clone(), request.secret.clone());
            let presented = self.clients.resolve(&authentication)?;
            let written = self.provider.manner.exchange(&presented.authentication);
            let asking = self.asking(&presented, written, terms, None);
            let obtained = self.obtain(&presented, &authentication, None, asking).await?;
            Ok(obtained.token.exchanged(&presented.named(), obtained.lifetime))
        })
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let written = self.provider.manner.refresh(refresh_token);
            let token = self.provider.refresh(written, terms.arrival.at).await.map_err(|failure| match failure {
                Failure::Refused(ProviderRefusal {
                    kind: ProviderRefusalKind::InvalidClient | ProviderRefusalKind::InvalidGrant,
                    ..
                }) => IssueError::InvalidRefreshToken,
                failure => failure.into(),
            })?;
            // A refresh token does not say whose it is, so nobody is named.
            Ok(token.exchanged(&Arc::from(""), token.lifetime))
        })
    }

    fn revoke<'a>(
        &'a self,
        request: &'a RevocationRequest,
        now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let presented = self.clients.resolve(&request.authentication)?;
            let written = self.provider.manner.about_token(&request.token, &presented.authentication);
            let revoked = self.provider.revoke(written, now).await;
            // Whatever came of it: whoever wants it revoked does not want it handed out again.
            self.reused.drop_token(request.token.expose(), DropReason::Revoked);
            Ok(presented.judged(revoked)?)
        })
    }

    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        now: UnixTime,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let presented = self.clients.resolve(&request.authentication)?;
            let written = self.provider.manner.about_token(&request.token, &presented.authentication);
            let said = presented.judged(self.provider.introspect(written, now).await)?;
            if said.is_none() {
                self.reused.drop_token(request.token.expose(), DropReason::Revoked);
            }
            Ok(said.map_or(Introspected::Inactive, Introspected::Active))
        })
    }
}

impl Forwarding {
    /// The reuse of its tokens, if they are.
    #[must_use]
    pub const fn reuse(&self) -> Option<&Arc<Reuse>> {
        self.reuse.as_ref()
    }

    /// Adds what is counted of its provider.
    pub fn collect(&self, samples: &mut Samples) {
        self.provider.counters.collect(&self.provider.endpoint, samples);
    }

    fn asking(&self, presented: &Presented, written: Written, terms: Terms, organization: Option<String>) -> Asking {
        Asking {
            provider: Arc::clone(&self.provider),
            client_id: presented.client_id.clone(),
            is_mapped: presented.is_mapped,
            written,
            terms,
            organization,
        }
    }
}

/// One question to a provider, which goes on by itself once it is asked.
struct Asking {
    provider: Arc<Provider>,
    client_id: Option<Arc<str>>,
    is_mapped: bool,
    written: Written,
    terms: Terms,
    organization: Option<String>,
}

impl Asking {
    /// Asks, to the end even if whoever waits for the answer leaves: the provider has made the token by then.
    async fn go(self) -> Result<ProviderToken, Failure> {
        let control = self.provider.client.control().cloned().ok_or(Failure::GivenUp)?;
        control.spawn(self.ask()).await.unwrap_or(Err(Failure::GivenUp))
    }

    /// Asks, which costs the client one token if there is one.
    async fn ask(self) -> Result<ProviderToken, Failure> {
        let Self { provider, client_id, is_mapped, written, terms, organization } = self;
        let spent = terms.spend(client_id.as_deref().unwrap_or_default(), organization.as_deref()).await;
        let spent = spent.map_err(|error| match error {
            IssueError::QuotaExceeded { exceeded, .. } => Failure::QuotaExceeded(*exceeded),
            _ => Failure::Busy,
        })?;
        let now = terms.arrival.at;
        let answered = provider.token(written, now).await;
        let token = judged(is_mapped, client_id.as_ref(), answered).inspect_err(|failure| {
            if matches!(failure, Failure::CredentialsRefused { .. }) {
                provider.note(failure, now);
            }
        })?;
        spent.kept();
        Ok(token)
    }
}

impl Presented {
    /// The client's id, for the log.
    fn named(&self) -> Arc<str> {
        self.client_id.clone().unwrap_or_default()
    }

    fn judged<T>(&self, answered: Result<T, Failure>) -> Result<T, Failure> {
        judged(self.is_mapped, self.client_id.as_ref(), answered)
    }
}

/// Credentials that the operator gave are not the client's: that they are refused says nothing about it.
fn judged<T>(is_mapped: bool, client_id: Option<&Arc<str>>, answered: Result<T, Failure>) -> Result<T, Failure> {
    answered.map_err(|failure| {
        if is_mapped && failure.is_invalid_client() {
            return Failure::CredentialsRefused { client_id: client_id.cloned().unwrap_or_default() };
        }
        failure
    })
}
