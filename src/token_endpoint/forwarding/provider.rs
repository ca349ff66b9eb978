//! Owns: one outside provider: where it is asked, how, and what is counted of it.
//! Refuses: more requests at once than the operator allows.
//! Always holds: each request is counted once; a failing provider is told of in the log once in a while, not for each request.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::Method;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tracing::{error, warn};

use super::{
    super::Terms,
    Counters, Failure, ProviderToken, incoming,
    outgoing::{Manner, Written},
};
use crate::{
    clock::UnixTime,
    outbound::{OutboundAnswer, OutboundClient, OutboundRequest, RemoteUrl},
};

/// How long the log is silent about a provider after it told of a failure.
const SILENCE: Duration = Duration::from_secs(10);

/// Who issues the tokens of a forwarded endpoint.
pub(super) struct Provider {
    /// The name of the endpoint.
    pub(super) endpoint: Arc<str>,
    pub(super) manner: Manner,
    pub(super) token: RemoteUrl,
    pub(super) revocation: Option<RemoteUrl>,
    pub(super) introspection: Option<RemoteUrl>,
    pub(super) client: Arc<OutboundClient>,
    /// Room for requests under way.
    pub(super) room: Arc<Semaphore>,
    pub(super) counters: Arc<Counters>,
    /// When the log last told of a failure, in seconds since the epoch.
    pub(super) told_at: AtomicU64,
    /// When it last told that the operator's credentials are refused, which nothing else may drown.
    pub(super) told_of_credentials_at: AtomicU64,
}

impl Provider {
    /// Asks for a token at `now`.
    pub(super) async fn token(&self, written: Written, now: UnixTime) -> Result<ProviderToken, Failure> {
        let url = self.token.clone();
        self.ask(url, written, now, |answer| incoming::token(self.manner.dialect, answer, now)).await
    }

    /// Asks for the next token, in the dialect that has refresh tokens.
    pub(super) async fn refresh(&self, written: Written, now: UnixTime) -> Result<ProviderToken, Failure> {
        let url = self.token.with_path(&format!("{}/token/refresh", self.token.path()));
        self.ask(url, written, now, |answer| incoming::token(self.manner.dialect, answer, now)).await
    }

    /// Has a token revoked.
    pub(super) async fn revoke(&self, written: Written, now: UnixTime) -> Result<(), Failure> {
        let url = self.revocation.clone().ok_or(Failure::GivenUp)?;
        self.ask(url, written, now, |answer| incoming::done(self.manner.dialect, answer)).await
    }

    /// Asks what a token is; none if it is not active.
    pub(super) async fn introspect(
        &self,
        written: Written,
        now: UnixTime,
    ) -> Result<Option<Map<String, Value>>, Failure> {
        let url = self.introspection.clone().ok_or(Failure::GivenUp)?;
        self.ask(url, written, now, |answer| incoming::introspected(self.manner.dialect, answer)).await
    }

    async fn ask<T>(
        &self,
        url: RemoteUrl,
        written: Written,
        now: UnixTime,
        read: impl FnOnce(&OutboundAnswer) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let asked = async {
            let _room = self.room.try_acquire().map_err(|_| Failure::Busy)?;
            self.counters.forwarded.fetch_add(1, Ordering::Relaxed);
            let Written { headers, body } = written;
            read(&self.client.send(OutboundRequest { method: Method::POST, url, headers, body }).await?)
        };
        let asked = asked.await;
        if let Err(failure) = &asked {
            self.note(failure, now);
        }
        asked
    }

    /// Has a question asked to its end even if whoever waits for the answer leaves: the provider works on it all the same.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let control = self.client.control().ok_or(Failure::GivenUp)?;
        control.spawn(question).await.unwrap_or(Err(Failure::GivenUp))
    }

    /// What an answer comes to for the client, `mapped` if it is known here and stands for another. Credentials that the operator
    /// gave are not the client's: that they are refused says nothing about it.
    ///
    /// To be asked by the question itself, not by whoever waits for it: whoever guesses need not wait.
    pub(super) fn judged<T>(
        &self,
        mapped: Option<&Arc<str>>,
        answered: Result<T, Failure>,
        terms: &Terms,
    ) -> Result<T, Failure> {
        let judged = answered.map_err(|failure| match mapped {
            Some(client_id) if failure.is_invalid_client() => {
                let refused = Failure::CredentialsRefused { client_id: Arc::clone(client_id) };
                self.note(&refused, terms.arrival.at);
                refused
            }
            _ => failure,
        });
        terms.attempt.note(judged.as_ref().err().map_or(Some(true), Failure::proven));
        judged
    }

    /// Counts a failure, and tells of it unless the log did so just now.
    fn note(&self, failure: &Failure, now: UnixTime) {
        let Some(reason) = failure.reason() else { return };
        self.counters.failed(reason);
        let is_of_credentials = matches!(failure, Failure::CredentialsRefused { .. });
        let last = if is_of_credentials { &self.told_of_credentials_at } else { &self.told_at };
        let (told_at, seconds) = (last.load(Ordering::Relaxed), now.as_seconds());
        let is_silent = seconds.abs_diff(told_at) < SILENCE.as_secs();
        if is_silent || last.compare_exchange(told_at, seconds, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (endpoint, source) = (&*self.endpoint, failure as &dyn Error);
        if is_of_credentials {
            error!(endpoint, error = source, "the provider's credentials in the configuration are wrong");
        } else {
            warn!(endpoint, reason, error = source, "the provider of a token endpoint failed");
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, token, manner, .. } = self;
        formatter
            .debug_struct("Provider")
            .field("endpoint", endpoint)
            .field("token", token)
            .field("manner", manner)
            .finish_non_exhaustive()
    }
}
