//! Owns: handing out again a token that a provider gave before, to whoever asks for the same with the same proof.
//! Refuses: requests whose proof is good once or is more than a secret (assertions, DPoP, certificates); tokens that are more than
//! a text, whose end is not known, or of which too little is left.
//! Always holds: whoever does not present the very proof that a token was had with does not meet it; a failure is never kept; no
//! secret of a client is.
//!
//! A question that is under way is not asked twice, and whoever asks for what is kept with little left has the next one asked for
//! in the background, with the proof that it brought: proofs are not kept for that.

mod compile;
mod counts;
mod credentials;
mod fingerprint;
mod kept;
mod memory;
mod reuses;
mod shelf;
mod under_way;

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use tokio::runtime::Handle;

pub(super) use self::{compile::compile, fingerprint::KeyBuilder};
use self::{
    counts::Counts,
    fingerprint::{Fingerprint, ReuseKey},
    memory::{Found, Landed, Memory, Question},
};
pub use self::{
    counts::DropReason,
    memory::ReuseMemories,
    reuses::{NoSuchReuse, ReuseStatus, Reuses},
};
use super::{
    Arrival, ClientAuthentication,
    forwarding::{Failure, ProviderToken},
};
use crate::{clock::UnixTime, oauth::AccessTokenType};

/// The reuse of one endpoint's tokens: its settings, and what it keeps, which outlives a reload.
#[derive(Debug)]
pub struct Reuse {
    endpoint: Arc<str>,
    settings: Settings,
    memory: Arc<Memory>,
    /// Where providers are asked; none in a process that asks nobody.
    control: Option<Handle>,
}

/// What an endpoint says about reuse.
#[derive(Clone, Copy, Debug)]
struct Settings {
    min_remaining: Duration,
    most_bytes: u64,
    drop_on_upstream_401: bool,
}

/// Whoever asks: a client, and the credential that it presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    client: Fingerprint,
    credential: Fingerprint,
}

/// A token for whoever asked.
#[derive(Clone, Debug)]
pub(super) struct Obtained {
    /// The token.
    pub(super) token: Arc<ProviderToken>,
    /// How long it lasts from now on, in whole seconds; none if the provider does not say.
    pub(super) lifetime: Option<Duration>,
    /// Whether it was had without a question of one's own.
    pub(super) is_reused: bool,
}

impl Reuse {
    /// Whether a request with this proof may be answered with a kept token at all: neither an assertion, which is good once, nor
    /// what binds the token to a key (RFC 9449) or a certificate (RFC 8705).
    pub(super) fn is_for(
        authentication: &ClientAuthentication,
        proof_of_possession: Option<&HeaderValue>,
        arrival: Arrival,
    ) -> bool {
        authentication.secret().is_some()
            && authentication.client_assertion().is_none()
            && proof_of_possession.is_none()
            && !arrival.with_certificate
    }

    /// Whoever claims to be `client_id` and presents the texts of `credential`, each by its name.
    pub(super) fn asker(&self, client_id: &str, credential: &[(&str, Option<&[u8]>)]) -> Asker {
        let begun = self.memory.fingerprinting.begin("credential");
        let hashing = credential.iter().fold(begun, |hashing, (name, value)| hashing.field(name, *value));
        Asker { client: self.memory.client(client_id), credential: hashing.finish() }
    }

    /// Begins the key of a request of `asker`, to which everything belongs that the answer depends on.
    pub(super) fn key(&self, asker: Asker) -> KeyBuilder {
        let hashing = self.memory.fingerprinting.begin("request");
        KeyBuilder::new(hashing.fingerprint(asker.client).fingerprint(asker.credential))
    }

    /// The token kept for `key`, with what is left of its lifetime, or the one that `ask` gets, which is asked once for all who
    /// come with this key at the same time. What `ask` gives is begun only if it is needed.
    ///
    /// # Errors
    /// Why the provider gives none.
    pub(super) async fn obtain<F>(
        &self,
        asker: Asker,
        key: ReuseKey,
        now: UnixTime,
        ask: impl FnOnce() -> F + Send,
    ) -> Result<Obtained, Failure>
    where
        F: Future<Output = Result<ProviderToken, Failure>> + Send + 'static,
    {
        let question = Question { asker, key, now, settings: self.settings };
        let answer = |ask| Memory::answer(Arc::clone(&self.memory), question, ask);
        let Some(control) = &self.control else { return ask().await.map(Obtained::fresh) };
        if let Some(Found { token, left, is_due }) = self.memory.find(question) {
            if is_due {
                // If too much is under way, whoever comes next has it asked for.
                let _ = self.memory.flights.ask_ahead(self.memory.flight(key), control, || answer(Some(ask())));
            }
            return Ok(self.again(token, Some(left)));
        }
        let mut own = Some(ask);
        let flight = self.memory.flight(key);
        let landed = self.memory.flights.join(flight, control, || answer(own.take().map(|ask| ask()))).await??;
        match (landed, own) {
            (Landed::Kept { token, left }, _) => Ok(self.again(token, Some(left))),
            (Landed::Fresh { token, .. }, None) => Ok(Obtained { lifetime: token.lifetime, token, is_reused: false }),
            // It was issued while all of them waited, so it is as fresh for each.
            (Landed::Fresh { copy, .. }, Some(_)) if copy.token_type == AccessTokenType::Bearer => {
                let lifetime = copy.lifetime;
                Ok(self.again(copy, lifetime))
            }
            (Landed::Fresh { .. }, Some(ask)) => ask().await.map(Obtained::fresh),
        }
    }

    /// Ends the reuse of a token. Cheap where nothing is kept; otherwise one HMAC and a look-up.
    pub fn drop_token(&self, text: &str, reason: DropReason) -> bool {
        if reason == DropReason::UpstreamRefused && !self.settings.drop_on_upstream_401 {
            return false;
        }
        self.memory.drop_token(text, reason)
    }

    /// Ends the reuse of all tokens, or of all that a client got, by its id here; gives back how many were kept. What is under way
    /// meanwhile is not kept either.
    pub fn drop_client(&self, client_id: Option<&str>) -> u64 {
        self.memory.clear(client_id)
    }

    fn again(&self, token: Arc<ProviderToken>, lifetime: Option<Duration>) -> Obtained {
        self.memory.counts.reuse();
        Obtained { token, lifetime, is_reused: true }
    }
}

impl Obtained {
    /// A token that was issued just now.
    pub(super) fn fresh(token: ProviderToken) -> Self {
        Self { lifetime: token.lifetime, token: Arc::new(token), is_reused: false }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
