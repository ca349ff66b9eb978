//! Owns: what is kept of clients that are switched off or gone.
//! Refuses: forgetting one that is gone while a token of it may live.
//! Always holds: presence alone withdraws the tokens, whatever the document says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ChangeError, Registry};
use crate::{
    clock::UnixTime,
    store::{AuditEntry, Kind, Selection},
};

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
    /// Forgets clients that are gone, when all of their tokens are; and API tokens that have expired.
    pub(super) async fn forget_removed(&self, now: UnixTime) -> Result<(), ChangeError> {
        let old = |removed_at: UnixTime| now.since(removed_at) > REMEMBERED;
        let state = self.memory.state();
        let gone = state.suspended.iter().filter(|(_, removed_at)| removed_at.is_some_and(old));
        let gone: Vec<String> = gone.map(|(id, _)| id.to_string()).collect();
        let expired = |end: UnixTime| now.since(end) > REMEMBERED;
        let ended = state.api_tokens.all().filter(|token| token.expires_at.is_some_and(expired));
        let ended: Vec<String> = ended.map(|token| token.id.clone()).collect();
        drop(state);
        for id in gone {
            // One without end was recorded after the removal by a replica that did not know yet.
            let entry = |revoked| forgotten(&id, revoked, now);
            self.revoke_all(&Selection::Client(id.clone()), now, entry).await?;
            let mut change = self.amend().await?;
            // Somebody may have taken its place meanwhile.
            let kept = change.find(Kind::Suspension, &id).await?;
            if kept.as_deref().and_then(removed_at).is_some_and(old) {
                change.remove(Kind::Suspension, &id).await?;
                self.commit(change).await?;
            }
        }
        for id in ended {
            let mut change = self.amend().await?;
            change.remove(Kind::ApiToken, &id).await?;
            self.commit(change).await?;
        }
        Ok(())
    }
}

fn forgotten(id: &str, revoked: u64, at: UnixTime) -> AuditEntry {
    let detail = serde_json::json!({ "revoked": revoked });
    AuditEntry { at, actor: "postern".to_owned(), action: "client.forget".to_owned(), subject: id.to_owned(), detail }
}
