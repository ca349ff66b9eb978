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
    /// Whether clients are given the provider's refresh tokens.
    gives_refresh_tokens: bool,
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
            self.provider.manner.admits(request)?;
            let written = self.provider.manner.token(request, &presented.authentication);
            let organization = request.organization.clone().or_else(|| request.other("organization"));
            let asking = self.asking(&presented, written, terms, organization);
            let proof = request.proof_of_possession.as_ref();
            let obtained = self.obtain(&presented, &request.authentication, proof, asking).await;
            let obtained = obtained.map_err(|failure| presented.told(failure))?;
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
            let obtained = self.obtain(&presented, &authentication, None, asking).await;
            let obtained = obtained.map_err(|failure| presented.told(failure))?;
            let exchanged = obtained.token.exchanged(&presented.named(), obtained.lifetime);
            // A refresh token is the provider's own proof, and would go round the map and the quota.
            let refresh_token = exchanged.refresh_token.filter(|_| self.gives_refresh_tokens && !presented.is_mapped);
            Ok(ExchangedToken { refresh_token, ..exchanged })
        })
    }

    fn refresh<'a>(
        &'a self,
        refresh_token: &'a Secret,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<ExchangedToken, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let (written, now) = (self.provider.manner.refresh(refresh_token), terms.arrival.at);
            let asked = self.ask(None, &terms, |provider| async move { provider.refresh(written, now).await });
            let token = asked.await.map_err(|failure| match failure {
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
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<(), IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let presented = self.clients.resolve(&request.authentication)?;
            let written = self.provider.manner.about_token(&request.token, &presented.authentication);
            let (reused, token, now) = (self.reused.clone(), request.token.clone(), terms.arrival.at);
            let ask = |provider: Arc<Provider>| async move {
                // Whatever comes of it: whoever wants it revoked does not want it handed out again. And once more when it is,
                // since somebody may have been given it anew meanwhile.
                reused.drop_token(token.expose(), DropReason::Revoked);
                let revoked = provider.revoke(written, now).await;
                reused.drop_token(token.expose(), DropReason::Revoked);
                revoked
            };
            let revoked = self.ask(presented.mapped(), &terms, ask).await;
            revoked.map_err(|failure| presented.told(failure))
        })
    }

    fn introspect<'a>(
        &'a self,
        request: &'a IntrospectionRequest,
        terms: Terms,
    ) -> Pin<Box<dyn Future<Output = Result<Introspected, IssueError>> + Send + 'a>> {
        Box::pin(async move {
            let presented = self.clients.resolve(&request.authentication)?;
            let written = self.provider.manner.about_token(&request.token, &presented.authentication);
            let (reused, token, now) = (self.reused.clone(), request.token.clone(), terms.arrival.at);
            let ask = |provider: Arc<Provider>| async move {
                let said = provider.introspect(written, now).await;
                if matches!(said, Ok(None)) {
                    reused.drop_token(token.expose(), DropReason::Revoked);
                }
                said
            };
            let said = self.ask(presented.mapped(), &terms, ask).await;
            let said = said.map_err(|failure| presented.told(failure))?;
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

    /// Asks something that costs no token.
    async fn ask<T, F>(
        &self,
        mapped: Option<&Arc<str>>,
        terms: &Terms,
        ask: impl FnOnce(Arc<Provider>) -> F,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failure>> + Send + 'static,
    {
        let (asked, provider) = (ask(Arc::clone(&self.provider)), Arc::clone(&self.provider));
        let (mapped, terms) = (mapped.cloned(), terms.clone());
        self.provider.to_the_end(async move { provider.judged(mapped.as_ref(), asked.await, &terms) }).await
    }

    fn asking(&self, presented: &Presented, written: Written, terms: Terms, organization: Option<String>) -> Asking {
        Asking {
            provider: Arc::clone(&self.provider),
            client_id: presented.client_id.clone(),
            mapped: presented.mapped().cloned(),
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
    /// The client, if it is known here and stands for another.
    mapped: Option<Arc<str>>,
    written: Written,
    terms: Terms,
    organization: Option<String>,
}

impl Asking {
    /// Asks to the end, whoever waits: the provider has made the token by then.
    async fn go(self) -> Result<ProviderToken, Failure> {
        let provider = Arc::clone(&self.provider);
        provider.to_the_end(self.ask()).await
    }

    /// Asks, which costs the client one token if there is one.
    async fn ask(self) -> Result<ProviderToken, Failure> {
        let Self { provider, client_id, mapped, written, terms, organization } = self;
        let spent = terms.spend(client_id.as_deref().unwrap_or_default(), organization.as_deref()).await?;
        let answered = provider.token(written, terms.arrival.at).await;
        let token = provider.judged(mapped.as_ref(), answered, &terms)?;
        spent.kept();
        Ok(token)
    }
}

impl Presented {
    /// The client's id, for the log.
    fn named(&self) -> Arc<str> {
        self.client_id.clone().unwrap_or_default()
    }

    /// The client, if it has proven itself here.
    fn mapped(&self) -> Option<&Arc<str>> {
        self.client_id.as_ref().filter(|_| self.is_mapped)
    }

    /// What the client is told of a failure.
    fn told(&self, failure: Failure) -> IssueError {
        let error = IssueError::from(failure);
        match self.mapped() {
            Some(client_id) => error.of_client(client_id),
            None => error,
        }
    }
}
