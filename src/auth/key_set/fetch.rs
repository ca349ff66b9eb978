//! Owns: one attempt to learn what an issuer's keys are now: where they are, what they are.
//! Refuses: an answer that is no key set or has no usable key.
//! Always holds: a failure leaves nothing changed but what is known about where the keys are.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::{
    counters::FetchResult,
    discovery::{Discovery, DiscoveryError},
    document_url::DocumentUrl,
    freshness::{self, Validators},
    known_keys::{FetchedKeys, KnownKeys},
    moment::Moment,
    pace::Pace,
    settings::{KeySetSettings, Place},
    transport::{Answer, Transport, TransportError},
};
use crate::{
    clock::Clock,
    jose::{KeyDocument, KeyDocumentError},
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
    place: Whereabouts,
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

/// Where the keys are.
enum Whereabouts {
    Given(DocumentUrl),
    Discovered {
        discovery: Discovery,
        /// Kept apart from the keys: it outlives failures of theirs, and they of it.
        found: Option<DocumentUrl>,
        asked: Option<Instant>,
        /// Failed fetches from there in a row, since the issuer was last asked.
        failures: u32,
        /// Why the issuer's last answer was not followed.
        error: Option<String>,
    },
}

impl Fetcher {
    /// Makes one. `found` is where an earlier run found the keys.
    pub(super) fn new(
        transport: Transport,
        settings: &KeySetSettings,
        found: Option<DocumentUrl>,
        clock: Clock,
        pace: Pace,
    ) -> Self {
        let place = match &settings.place {
            Place::Given(url) => Whereabouts::Given(url.clone()),
            Place::Discovered(discovery) => Whereabouts::Discovered {
                found: found.filter(|url| discovery.accepts(url)),
                discovery: discovery.clone(),
                asked: None,
                failures: 0,
                error: None,
            },
        };
        Self { transport, place, max_age: settings.max_age, clock, pace }
    }

    /// Makes one attempt.
    ///
    /// # Errors
    /// Why they could not be learnt.
    pub(super) async fn attempt(&mut self, known: Option<&KnownKeys>, cause: Cause) -> Result<Learnt, FetchError> {
        let url = self.locate(cause).await?;
        let outcome = self.fetch(url, known, cause).await;
        if let Whereabouts::Discovered { failures, .. } = &mut self.place {
            *failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
        }
        outcome
    }

    /// Why the issuer's metadata were not followed when they were last asked for, while an earlier answer still is.
    pub(super) fn discovery_error(&self) -> Option<&str> {
        match &self.place {
            Whereabouts::Given(_) => None,
            Whereabouts::Discovered { error, .. } => error.as_deref(),
        }
    }

    async fn locate(&mut self, cause: Cause) -> Result<DocumentUrl, FetchError> {
        let (discovery, found, asked, failures, error) = match &mut self.place {
            Whereabouts::Given(url) => return Ok(url.clone()),
            Whereabouts::Discovered { discovery, found, asked, failures, error } => {
                (discovery, found, asked, failures, error)
            }
        };
        let is_old = asked.is_none_or(|asked| asked.elapsed() >= self.pace.rediscover_after);
        let ask = match cause {
            Cause::Operator => true,
            Cause::Scheduled => is_old || *failures >= self.pace.rediscover_after_failures,
            // A request waits: it is not made to wait for the metadata too.
            Cause::UnknownKey => false,
        };
        if let Some(url) = found.as_ref().filter(|_| !ask) {
            return Ok(url.clone());
        }
        match discovery.discover(&self.transport).await {
            Ok(url) => {
                (*asked, *failures, *error) = (Some(Instant::now()), 0, None);
                *found = Some(url.clone());
                Ok(url)
            }
            Err(failure) => {
                // The keys may well be where they were; an issuer whose metadata are away or wrong keeps its keys.
                let Some(url) = found else { return Err(failure.into()) };
                (*asked, *failures, *error) = (Some(Instant::now()), 0, Some(failure.to_string()));
                Ok(url.clone())
            }
        }
    }

    async fn fetch(&self, url: DocumentUrl, known: Option<&KnownKeys>, cause: Cause) -> Result<Learnt, FetchError> {
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
                TransportError::Connect(_)
                | TransportError::NotLoopback(_)
                | TransportError::Tls(_)
                | TransportError::TlsSettings(_)
                | TransportError::HostName
                | TransportError::Request(_)
                | TransportError::Exchange(_) => FetchResult::Unreachable,
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
