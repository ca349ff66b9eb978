//! Owns: revoking all that belongs to somebody, however much it is.
//! Refuses: keeping everybody else waiting for it: it is done in parts.
//! Always holds: what was revoked before a failure stays revoked; asking again goes on where it ended.

use super::{ChangeError, Registry};
use crate::{
    clock::UnixTime,
    store::{AuditEntry, REVOKED_AT_ONCE, Selection},
};

impl Registry {
    /// Revokes what `what` selects, and gives how many tokens that were. What is said of it in the audit is made of that number.
    pub(in crate::authorization_server) async fn revoke_all(
        &self,
        what: &Selection,
        at: UnixTime,
        entry: impl FnOnce(u64) -> AuditEntry,
    ) -> Result<u64, ChangeError> {
        let mut total = 0;
        loop {
            let mut change = self.amend().await?;
            let revoked = change.revoke(what, at).await?;
            total += revoked;
            if revoked < REVOKED_AT_ONCE {
                change.note(entry(total)).await?;
                self.commit(change).await?;
                return Ok(total);
            }
            self.commit(change).await?;
        }
    }
}
