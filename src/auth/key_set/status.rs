//! Owns: a key set as the admin API and the metrics show it.
//! Refuses: key material; the document is public, but nobody needs it here.
//! Always holds: a moment is text as RFC 3339 has it, a length of time a number of seconds.

use std::time::{Duration, Instant};

use serde::Serialize;
use utoipa::ToSchema;

use super::{counters::FetchResult, known_keys::KnownKeys, report::Report, shared::Shared};
use crate::{
    auth::TrustedKey,
    clock::UnixTime,
    jose::{Algorithm, SkippedKey},
};

/// What an operator wants to know about a key set.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeySetStatus {
    /// Where the key document is, or the issuer that says so.
    pub place: String,
    /// Where it was fetched last.
    pub url: Option<String>,
    /// Whether its keys may be used.
    pub state: KeySetState,
    /// Seconds since the issuer last confirmed the keys.
    pub age_seconds: Option<u64>,
    /// For how many seconds after that they count as fresh.
    pub lifetime_seconds: Option<u64>,
    /// The age in seconds at which they are no longer used.
    pub max_stale_seconds: u64,
    /// When the issuer last confirmed them.
    pub confirmed_at: Option<String>,
    /// Seconds until the next attempt.
    pub next_refresh_in_seconds: Option<u64>,
    /// When the last attempt ended.
    pub last_attempt_at: Option<String>,
    /// Why the last failed attempt failed.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// How many attempts have failed since the last success.
    pub consecutive_failures: u32,
    /// How attempts ended, by result.
    pub fetches: Vec<FetchCount>,
    /// How many tokens named a key that is not listed.
    pub unknown_keys: u64,
    /// The usable keys.
    pub keys: Vec<KeyStatus>,
    /// The keys of the document that are not used.
    pub skipped: Vec<SkippedKeyStatus>,
    /// Keys that were listed before, the last removed first.
    pub removed: Vec<RemovedKeyStatus>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}

/// Whether keys may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeySetState {
    /// Within their lifetime.
    Fresh,
    /// Past it, and used until `max_stale`.
    Stale,
    /// None yet, or too old.
    Unavailable,
}

/// How often attempts ended in one way.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct FetchCount {
    /// The way, as in the metrics.
    pub result: &'static str,
    /// How often.
    pub count: u64,
}

/// A usable key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KeyStatus {
    /// Its id.
    pub key_id: Option<String>,
    /// The SHA-256 thumbprint of RFC 7638.
    pub thumbprint: String,
    /// What it can verify.
    pub algorithms: Vec<&'static str>,
    /// When its issuer first listed it.
    pub first_seen: String,
    /// When it last verified a token.
    pub last_used: Option<String>,
}

/// A listed key that is not used.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SkippedKeyStatus {
    /// Its id, if it has one.
    pub key_id: Option<String>,
    /// Why.
    pub reason: String,
}

/// A key that is no longer listed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RemovedKeyStatus {
    /// Its id.
    pub key_id: String,
    /// When it was no longer listed.
    pub removed_at: String,
    /// When it last verified a token.
    pub last_used: Option<String>,
    /// How many tokens named it since.
    pub presented: u64,
    /// When the last of them came.
    pub last_presented: Option<String>,
}

/// What the metrics say about a key set.
#[derive(Clone, Debug)]
pub struct KeySetMeasures {
    /// Time since the issuer last confirmed the keys; none if there never were any.
    pub age: Option<Duration>,
    /// How many keys are usable; 0 if they are too old.
    pub keys: usize,
    /// How many attempts ended how.
    pub fetches: Vec<(FetchResult, u64)>,
    /// How many tokens named a key that is not listed.
    pub unknown_keys: u64,
}

impl KeySetMeasures {
    pub(super) fn of(shared: &Shared) -> Self {
        let known = shared.known.load();
        let age = known.as_ref().map(|known| known.age(shared.clock.now()));
        let usable = age.is_some_and(|age| age <= shared.settings.max_stale);
        Self {
            age,
            keys: known.as_ref().filter(|_| usable).map_or(0, |known| known.keys.len()),
            fetches: shared.counters.fetches(),
            unknown_keys: shared.counters.unknown_keys(),
        }
    }
}

impl KeySetStatus {
    pub(super) fn of(shared: &Shared) -> Self {
        let now = shared.clock.now();
        let known = shared.known.load_full();
        let known = known.as_deref();
        let report = shared.report.load();
        let age = known.map(|known| known.age(now));
        let state = match (known, age) {
            (Some(known), Some(age)) if age <= known.lifetime.min(shared.settings.max_stale) => KeySetState::Fresh,
            (_, Some(age)) if age <= shared.settings.max_stale => KeySetState::Stale,
            _ => KeySetState::Unavailable,
        };
        let last_error = report.last_error.as_ref();
        Self {
            place: shared.settings.place_in_words(),
            url: known.map(|known| known.url.to_string()),
            state,
            age_seconds: age.map(|age| age.as_secs()),
            lifetime_seconds: known.map(|known| known.lifetime.as_secs()),
            max_stale_seconds: shared.settings.max_stale.as_secs(),
            confirmed_at: known.map(|known| moment(known.confirmed.wall())),
            next_refresh_in_seconds: report
                .next_attempt
                .map(|next| next.saturating_duration_since(Instant::now()).as_secs()),
            last_attempt_at: report.last_attempt.map(moment),
            last_error: last_error.map(|(_, text)| text.clone()),
            last_error_at: last_error.map(|(at, _)| moment(*at)),
            consecutive_failures: report.failures,
            fetches: counted(shared),
            unknown_keys: shared.counters.unknown_keys(),
            keys: known.map(keys).unwrap_or_default(),
            skipped: known.map(skipped).unwrap_or_default(),
            removed: known.map(removed).unwrap_or_default(),
            warnings: warnings(state, known, &report, shared.disk_error.load().as_deref().map(String::as_str)),
        }
    }
}

fn counted(shared: &Shared) -> Vec<FetchCount> {
    let counts = shared.counters.fetches().into_iter();
    counts.map(|(result, count)| FetchCount { result: result.label(), count }).collect()
}

fn keys(known: &KnownKeys) -> Vec<KeyStatus> {
    let status = |key: &TrustedKey| KeyStatus {
        key_id: key.key().key_id().map(str::to_owned),
        thumbprint: key.key().thumbprint().to_owned(),
        algorithms: key.key().algorithms().map(Algorithm::name).collect(),
        first_seen: moment(key.first_seen()),
        last_used: key.last_used().map(moment),
    };
    known.keys.iter().map(|key| status(key)).collect()
}

fn skipped(known: &KnownKeys) -> Vec<SkippedKeyStatus> {
    let status = |key: &SkippedKey| SkippedKeyStatus { key_id: key.key_id.clone(), reason: key.why.to_string() };
    known.skipped.iter().map(status).collect()
}

fn removed(known: &KnownKeys) -> Vec<RemovedKeyStatus> {
    let keys = known.removed.iter();
    keys.map(|key| RemovedKeyStatus {
        key_id: key.key_id.clone(),
        removed_at: moment(key.removed_at),
        last_used: key.last_used.map(moment),
        presented: key.presented(),
        last_presented: key.last_presented().map(moment),
    })
    .collect()
}

fn warnings(state: KeySetState, known: Option<&KnownKeys>, report: &Report, disk_error: Option<&str>) -> Vec<String> {
    let mut warnings = Vec::new();
    match (state, known) {
        (KeySetState::Fresh, _) => {}
        (KeySetState::Stale, _) => warnings.push("the keys are stale: they could not be refreshed in time".to_owned()),
        (KeySetState::Unavailable, Some(_)) => {
            warnings.push("the keys are older than max_stale and are no longer used".to_owned());
        }
        (KeySetState::Unavailable, None) => warnings.push("no keys have been fetched yet".to_owned()),
    }
    if let Some(error) = &report.discovery_error {
        warnings.push(format!("the issuer's metadata are not followed, the earlier key address is used: {error}"));
    }
    if let Some(error) = disk_error {
        warnings.push(format!("the last good key set could not be kept on disk: {error}"));
    }
    let Some(known) = known else { return warnings };
    if !known.skipped.is_empty() {
        warnings.push(format!("{} of the listed keys cannot be used", known.skipped.len()));
    }
    for key in known.removed.iter().filter(|key| key.presented() > 0) {
        let (id, count) = (&key.key_id, key.presented());
        warnings.push(format!("a removed key is still being presented: {id:?}, {count} times since it was removed"));
    }
    warnings
}

fn moment(time: UnixTime) -> String {
    let milliseconds = i64::try_from(time.as_milliseconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}
