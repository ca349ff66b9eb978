//! Owns: where one issuer's keys are, as far as is known, and when to ask again.
//! Refuses: forgetting a good address because the metadata that led to it are away or have become wrong.
//! Always holds: a request that waits for a key never waits for metadata too, if an address is known.

use std::time::Instant;

use super::{
    discovery::{Discovery, DiscoveryError},
    fetch::Cause,
    pace::Pace,
    settings::Place,
    transport::Transport,
};
use crate::outbound::RemoteUrl;

/// Where the keys are.
pub(super) enum Whereabouts {
    /// The operator says it.
    Given(RemoteUrl),
    /// The issuer says it.
    Discovered(Box<Discovered>),
}

/// What an issuer said about where its keys are. It is kept apart from the keys: it outlives failures of theirs, and they
/// of it.
pub(super) struct Discovered {
    discovery: Discovery,
    found: Option<RemoteUrl>,
    asked: Option<Instant>,
    /// Failed fetches from there in a row, since the issuer was last asked.
    failures: u32,
    /// Why the issuer's last answer was not followed.
    error: Option<String>,
}

impl Whereabouts {
    /// Those that the settings ask for. `found` is where an earlier run found the keys.
    pub(super) fn new(place: &Place, found: Option<RemoteUrl>) -> Self {
        match place {
            Place::Given(url) => Self::Given(url.clone()),
            Place::Discovered(discovery) => Self::Discovered(Box::new(Discovered {
                found: found.filter(|url| discovery.accepts(url)),
                discovery: discovery.clone(),
                asked: None,
                failures: 0,
                error: None,
            })),
        }
    }

    /// The address to fetch from now, the issuer being asked for it if that is due.
    ///
    /// # Errors
    /// The issuer does not say, and never did.
    pub(super) async fn locate(
        &mut self,
        cause: Cause,
        transport: &Transport,
        pace: &Pace,
    ) -> Result<RemoteUrl, DiscoveryError> {
        match self {
            Self::Given(url) => Ok(url.clone()),
            Self::Discovered(discovered) => discovered.locate(cause, transport, pace).await,
        }
    }

    /// Notes whether the keys were there.
    pub(super) const fn note_fetch(&mut self, succeeded: bool) {
        if let Self::Discovered(discovered) = self {
            discovered.failures = if succeeded { 0 } else { discovered.failures.saturating_add(1) };
        }
    }

    /// Why the issuer's last answer was not followed, while an earlier one still is.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Given(_) => None,
            Self::Discovered(discovered) => discovered.error.as_deref(),
        }
    }
}

impl Discovered {
    async fn locate(&mut self, cause: Cause, transport: &Transport, pace: &Pace) -> Result<RemoteUrl, DiscoveryError> {
        if let Some(url) = self.found.as_ref().filter(|_| !self.is_due(cause, pace)) {
            return Ok(url.clone());
        }
        let outcome = self.discovery.discover(transport).await;
        (self.asked, self.failures) = (Some(Instant::now()), 0);
        match (outcome, &self.found) {
            (Ok(url), _) => {
                self.error = None;
                Ok(self.found.insert(url).clone())
            }
            // The keys may well be where they were.
            (Err(error), Some(url)) => {
                self.error = Some(error.to_string());
                Ok(url.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    fn is_due(&self, cause: Cause, pace: &Pace) -> bool {
        match cause {
            Cause::Operator => true,
            Cause::Scheduled => {
                self.asked.is_none_or(|asked| asked.elapsed() >= pace.rediscover_after)
                    || self.failures >= pace.rediscover_after_failures
            }
            Cause::UnknownKey => false,
        }
    }
}
