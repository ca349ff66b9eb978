//! Owns: finding API tokens in memory: by id, and by what is presented.
//! Refuses: access tokens that are client credentials' secrets, and the other way round.
//! Always holds: looking for a presented token compares keyed hashes, so that neither time nor place tells anything about others.

use std::{collections::HashMap, sync::Arc};

use super::ApiTokenRecord;
use crate::authorization_server::client::SecretHash;

/// All API tokens that there are.
#[derive(Clone, Debug, Default)]
pub(in crate::authorization_server) struct ApiTokens {
    by_id: HashMap<Box<str>, Arc<ApiTokenRecord>>,
    /// The opaque access tokens, by the keyed hash of their text.
    by_hash: HashMap<SecretHash, Arc<ApiTokenRecord>>,
}

impl ApiTokens {
    /// Puts the token `id` in its place, or takes it out.
    pub(in crate::authorization_server) fn replace(&mut self, id: &str, record: Option<ApiTokenRecord>) {
        if let Some(before) = self.by_id.remove(id).as_deref().and_then(presented_hash) {
            self.by_hash.remove(&before);
        }
        let Some(record) = record else { return };
        let record = Arc::new(record);
        if let Some(hash) = presented_hash(&record) {
            self.by_hash.insert(hash, Arc::clone(&record));
        }
        self.by_id.insert(id.into(), record);
    }

    /// The token of this id.
    pub(in crate::authorization_server) fn find(&self, id: &str) -> Option<&Arc<ApiTokenRecord>> {
        self.by_id.get(id)
    }

    /// The opaque access token whose text has this hash.
    pub(in crate::authorization_server) fn presented(&self, hash: &SecretHash) -> Option<&Arc<ApiTokenRecord>> {
        self.by_hash.get(hash)
    }

    /// All of them, in no order.
    pub(in crate::authorization_server) fn all(&self) -> impl Iterator<Item = &Arc<ApiTokenRecord>> {
        self.by_id.values()
    }
}

/// The hash by which an opaque access token is found.
fn presented_hash(record: &ApiTokenRecord) -> Option<SecretHash> {
    if record.kind.is_credentials() {
        return None;
    }
    record.secret_hash
}
