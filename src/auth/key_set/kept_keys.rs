//! Owns: a key set as it is kept on disk, and the way there and back.
//! Refuses: a set whose age nobody can tell, because the clock was set back since it was written.
//! Always holds: the time on disk is the time at which the issuer confirmed the keys, so a restart makes nothing younger.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{freshness::Validators, known_keys::KnownKeys, removed_keys::RemovedKeys, settings::Origin};
use crate::{
    auth::TrustedKey,
    clock::{Moment, UnixTime},
    jose::{KeyDocument, KeyDocumentError},
    outbound::{RemoteUrl, RemoteUrlError},
};

/// A key set on disk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptKeys {
    /// Whose keys these are, so that a renamed file is noticed.
    pub(super) origin: String,
    url: String,
    confirmed_milliseconds: u64,
    lifetime_milliseconds: u64,
    entity_tag: Option<String>,
    last_modified: Option<String>,
    /// One for each usable key, in the document's order.
    first_seen_milliseconds: Vec<u64>,
    document: String,
}

/// Why a set from disk is not used.
#[derive(Debug, Error)]
pub(super) enum UnusableKeptKeys {
    /// Its address is none.
    #[error("its address cannot be used")]
    Url(#[source] RemoteUrlError),
    /// Its document is none.
    #[error("its document cannot be used")]
    Document(#[source] KeyDocumentError),
    /// It is from the future.
    #[error("it was written later than now: the clock was set back, and its age is not known")]
    FromTheFuture,
}

impl KeptKeys {
    /// What is to be kept of `known`.
    pub(super) fn of(origin: &Origin, known: &KnownKeys) -> Self {
        let (entity_tag, last_modified) = known.validators.as_text();
        Self {
            origin: origin.as_str().to_owned(),
            url: known.url.as_str().to_owned(),
            confirmed_milliseconds: known.confirmed.wall().as_milliseconds(),
            lifetime_milliseconds: u64::try_from(known.lifetime.as_millis()).unwrap_or(u64::MAX),
            entity_tag: entity_tag.map(str::to_owned),
            last_modified: last_modified.map(str::to_owned),
            first_seen_milliseconds: known.keys.iter().map(|key| key.first_seen().as_milliseconds()).collect(),
            document: String::from_utf8_lossy(&known.document).into_owned(),
        }
    }

    /// The set that was kept.
    ///
    /// # Errors
    /// Why it is not used.
    pub(super) fn revive(self, now: UnixTime) -> Result<KnownKeys, UnusableKeptKeys> {
        let confirmed = UnixTime::from_milliseconds(self.confirmed_milliseconds);
        let confirmed = Moment::of_earlier_run(confirmed, now).ok_or(UnusableKeptKeys::FromTheFuture)?;
        let url = RemoteUrl::parse(&self.url).map_err(UnusableKeptKeys::Url)?;
        let parsed = KeyDocument::parse(self.document.as_bytes()).map_err(UnusableKeptKeys::Document)?;
        let mut first_seen = self.first_seen_milliseconds.into_iter().map(UnixTime::from_milliseconds);
        let keys = parsed.keys.into_iter().map(|key| {
            let first_seen = first_seen.next().unwrap_or_else(|| confirmed.wall());
            TrustedKey::new(key, first_seen).into()
        });
        Ok(KnownKeys {
            keys: keys.collect(),
            skipped: parsed.skipped.into(),
            removed: RemovedKeys::default(),
            document: Bytes::from(self.document),
            url,
            validators: Validators::from_text(self.entity_tag.as_deref(), self.last_modified.as_deref()),
            lifetime: Duration::from_millis(self.lifetime_milliseconds),
            confirmed,
        })
    }
}
