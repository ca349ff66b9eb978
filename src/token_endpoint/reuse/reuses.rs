//! Owns: the reuse of all endpoints of one configuration: where it ends from outside, and what an operator is shown of it.
//! Always holds: where no endpoint reuses tokens, asking costs nothing.

use std::sync::Arc;

use thiserror::Error;

use super::{DropReason, Reuse};
use crate::clock::UnixTime;

/// The reuse of all endpoints of one configuration.
#[derive(Debug, Default)]
pub struct Reuses {
    reuses: Box<[Arc<Reuse>]>,
    follows_upstreams: bool,
}

/// What one endpoint keeps and kept, since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReuseStatus {
    /// The endpoint's name.
    pub endpoint: Arc<str>,
    /// How many tokens are kept.
    pub tokens: u64,
    /// How many bytes they take, about.
    pub bytes: u64,
    /// How many requests were answered without one of their own to the provider.
    pub reused: u64,
    /// How many tokens were dropped, by why.
    pub dropped: Vec<(DropReason, u64)>,
}

/// No endpoint of that name reuses tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no token endpoint of this name reuses tokens")]
pub struct NoSuchReuse;

impl Reuses {
    /// Of these endpoints.
    #[must_use]
    pub fn new(reuses: impl IntoIterator<Item = Arc<Reuse>>) -> Self {
        let reuses: Box<[_]> = reuses.into_iter().collect();
        let follows_upstreams = reuses.iter().any(|reuse| reuse.settings.drop_on_upstream_401);
        Self { reuses, follows_upstreams }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reuses.is_empty()
    }

    /// Whether any of them ends with an upstream's 401.
    #[must_use]
    pub const fn follows_upstreams(&self) -> bool {
        self.follows_upstreams
    }

    /// Ends the reuse of a token at every endpoint; gives back whether it was kept anywhere.
    pub fn drop_token(&self, text: &str, reason: DropReason) -> bool {
        self.reuses.iter().fold(false, |dropped, reuse| reuse.drop_token(text, reason) | dropped)
    }

    /// Ends the reuse of what is kept, at one endpoint or all, of one client or all; gives back how many tokens that were.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn clear(&self, endpoint: Option<&str>, client_id: Option<&str>) -> Result<u64, NoSuchReuse> {
        let is_meant = |reuse: &&Arc<Reuse>| endpoint.is_none_or(|name| *reuse.endpoint == *name);
        if endpoint.is_some() && !self.reuses.iter().any(|reuse| is_meant(&reuse)) {
            return Err(NoSuchReuse);
        }
        Ok(self.reuses.iter().filter(is_meant).map(|reuse| reuse.drop_client(client_id)).sum())
    }

    /// How each of them stands.
    pub fn status(&self, now: UnixTime) -> impl Iterator<Item = ReuseStatus> {
        self.reuses.iter().map(move |reuse| {
            let (tokens, bytes) = reuse.memory.size(now);
            ReuseStatus {
                endpoint: Arc::clone(&reuse.endpoint),
                tokens: u64::try_from(tokens).unwrap_or(u64::MAX),
                bytes,
                reused: reuse.memory.counts.reused(),
                dropped: reuse.memory.counts.dropped().collect(),
            }
        })
    }
}
