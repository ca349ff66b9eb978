//! Owns: what is kept of clients that are switched off or gone.
//! Refuses: forgetting one that is gone while a token of it may live.
//! Always holds: presence alone withdraws the tokens, whatever the document says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ChangeError, Registry};
use crate::{clock::UnixTime, store::Kind};

/// The document of a client that is switched off until it is switched on.
pub(in crate::authorization_server) const SUSPENSION: &str = "{}";
/// How long a client that is gone is remembered: longer than any token lasts that expires. The others are revoked by name.
const REMEMBERED: Duration = Duration::from_secs(31 * 24 * 60 * 60);

#[derive(Serialize, Deserialize)]
struct Removed {
    removed_at: UnixTime,
}

/// The document of a client, or an API token, that was removed at `now`.
pub(in crate::authorization_server) fn suspension_of_removed(now: UnixTime) -> String {
    serde_json::json!(Removed { removed_at: now }).to_string()
}

/// When the client was removed that this document is about, if it was.
pub(super) fn removed_at(document: &str) -> Option<UnixTime> {
    serde_json::from_str(document).ok().map(|Removed { removed_at }| removed_at)
}

impl Registry {
    /// Forgets clients that are gone, and so are all of their tokens.
    pub(super) async fn forget_removed(&self, now: UnixTime) -> Result<(), ChangeError> {
        let old = |removed_at: &UnixTime| now.since(*removed_at) > REMEMBERED;
        let state = self.memory.state();
        let forgotten: Vec<String> = state
            .suspended
            .iter()
            .filter(|(_, removed_at)| removed_at.as_ref().is_some_and(old))
            .map(|(id, _)| id.to_string())
            .collect();
        drop(state);
        if forgotten.is_empty() {
            return Ok(());
        }
        let mut change = self.amend().await?;
        for id in forgotten {
            change.remove(Kind::Suspension, &id).await?;
        }
        self.commit(change).await
    }
}
