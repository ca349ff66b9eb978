//! Owns: one attempt to learn what an issuer's keys are now: where they are, what they are.
//! Refuses: an answer that is no key set or has no usable key.
//! Always holds: a failure leaves nothing changed but what is known about where the keys are.

use std::time::Duration;

use thiserror::Error;

use super::{
    counters::FetchResult,
    discovery::DiscoveryError,
    freshness::{self, Validators},
    known_keys::{FetchedKeys, KnownKeys},
    pace::Pace,
    settings::KeySetSettings,
    transport::{Answer, Transport, TransportError},
    whereabouts::Whereabouts,
};
use crate::{
    clock::{Clock, Moment},
    jose::{KeyDocument, KeyDocumentError},
    outbound::RemoteUrl,
};

/// Why the keys could not be learnt.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    /// The issuer does not say where they are.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// They could not be fetched.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What was fetched is no usable key set.
    #[error(transparent)]
    Document(#[from] KeyDocumentError),
}

/// What was learnt.
#[derive(Debug)]
pub(super) enum Learnt {
    /// A document.
    Fetched(Box<FetchedKeys>),
    /// The keys are what they were.
    Confirmed(Box<KnownKeys>),
}

/// Fetches one issuer's keys, remembering where they are.
pub(super) struct Fetcher {
    transport: Transport,
    whereabouts: Whereabouts,
    max_age: Duration,
    clock: Clock,
    pace: Pace,
}

/// What an attempt is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is time to, or the last one failed.
    Scheduled,
    /// A token names a key that is not known, and its request waits.
    UnknownKey,
    /// An operator wants everything asked for anew: where the keys are, and the whole of them.
    Operator,
}

impl Fetcher {
    /// Makes one. `found` is where an earlier run found the keys.
    pub(super) fn new(
        transport: Transport,
        settings: &KeySetSettings,
        found: Option<RemoteUrl>,
        clock: Clock,
        pace: Pace,
    ) -> Self {
        Self {
            transport,
            whereabouts: Whereabouts::new(&settings.place, found),
            max_age: settings.max_age,
            clock,
            pace,
        }
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// Why they could not be learnt.
    pub(super) async fn attempt(&mut self, known: Option<&KnownKeys>, cause: Cause) -> Result<Learnt, FetchError> {
        let url = self.whereabouts.locate(cause, &self.transport, &self.pace).await?;
        let outcome = self.fetch(url, known, cause).await;
        self.whereabouts.note_fetch(outcome.is_ok());
        outcome
    }

    /// Why the issuer's metadata were not followed when they were last asked for, while an earlier answer still is.
    pub(super) fn discovery_error(&self) -> Option<&str> {
        self.whereabouts.error()
    }

    async fn fetch(&self, url: RemoteUrl, known: Option<&KnownKeys>, cause: Cause) -> Result<Learnt, FetchError> {
        // What was fetched elsewhere cannot be recognised here.
        let comparable = known.filter(|known| cause != Cause::Operator && known.url == url);
        let recognised = comparable.map(|known| known.validators.clone()).unwrap_or_default();
        let asked = Moment::present(self.clock.now());
        match self.transport.get(&url, &recognised).await? {
            Answer::NotModified { headers } => {
                let known = comparable.ok_or(TransportError::NothingToCompare)?;
                let lifetime = freshness::lifetime(&headers, self.clock.now());
                Ok(Learnt::Confirmed(Box::new(known.renewed(Validators::of(&headers), lifetime, asked))))
            }
            Answer::Document { headers, body } => Ok(Learnt::Fetched(Box::new(FetchedKeys {
                parsed: KeyDocument::parse(&body)?,
                document: body,
                url,
                validators: Validators::of(&headers),
                lifetime: freshness::lifetime(&headers, self.clock.now()).unwrap_or(self.max_age),
                asked,
            }))),
        }
    }
}

impl FetchError {
    /// Under which name it is counted.
    pub(super) const fn result(&self) -> FetchResult {
        match self {
            Self::Discovery(_) => FetchResult::DiscoveryFailed,
            Self::Transport(error) => match error {
                TransportError::TimedOut(_) => FetchResult::TimedOut,
                TransportError::Redirect(_) => FetchResult::Redirected,
                TransportError::Status(_) | TransportError::NothingToCompare => FetchResult::RefusedByIssuer,
                TransportError::TooLarge => FetchResult::TooLarge,
                TransportError::Connect(_) | TransportError::Request(_) | TransportError::Exchange(_) => {
                    FetchResult::Unreachable
                }
            },
            Self::Document(error) => match error {
                KeyDocumentError::NoUsableKey { .. } => FetchResult::NoUsableKey,
                KeyDocumentError::NotJson(_) | KeyDocumentError::NoKeyList | KeyDocumentError::TooManyKeys { .. } => {
                    FetchResult::NotAKeySet
                }
            },
        }
    }
}
