//! Owns: what the management API says, as plain data.
//! Always holds: every moment is RFC 3339 in UTC; no field is made to hold a secret.

use std::{path::PathBuf, sync::Arc};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{clock::UnixTime, telemetry::Rfc3339};

/// Whether requests should be sent here, and what an operator should know before sending any.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Readiness {
    /// The program is stopping.
    pub draining: bool,
    /// What is needed and not there.
    pub missing: Vec<Missing>,
    /// Routes that need no token.
    pub public_routes: Vec<Arc<str>>,
    /// Routes whose rules are decided but not enforced.
    pub report_only_routes: Vec<Arc<str>>,
}

/// One thing that is needed and not there.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// What it is.
    pub kind: MissingKind,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Why it is not there.
    pub reason: String,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// The keys of an issuer.
    Issuer,
    /// A listener's certificate.
    Certificate,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize)]
pub struct Configuration {
    /// How often a configuration has been applied since the start; the first is 1.
    pub generation: u64,
    /// SHA-256 of its sources, in hexadecimal.
    pub hash: String,
    /// When it was applied.
    #[serde(serialize_with = "moment")]
    pub applied_at: UnixTime,
    /// The files that it was read from.
    pub files: Vec<PathBuf>,
    /// Routes that need no token.
    pub public_routes: Vec<Arc<str>>,
    /// Routes whose rules are decided but not enforced.
    pub report_only_routes: Vec<Arc<str>>,
    /// The `danger_` options that are switched on, by their place.
    pub danger_options: Vec<String>,
    /// The last attempt to apply another one, if it was refused and none was applied since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rejected: Option<RejectedReload>,
    /// The configuration itself, its secrets redacted.
    pub configuration: Value,
}

/// An attempt to apply a configuration that was refused. What was in it is not told.
#[derive(Clone, Debug, Serialize)]
pub struct RejectedReload {
    /// When.
    #[serde(serialize_with = "moment")]
    pub at: UnixTime,
    /// What was wrong with it.
    pub diagnostics: Value,
}

/// What a reload did.
#[derive(Clone, Debug, Serialize)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: u64,
    /// The hash of its sources.
    pub hash: String,
    /// What changed, in words; nothing if the files say what they said before.
    pub changes: Vec<String>,
}

/// The keys of one issuer.
#[derive(Clone, Debug, Serialize)]
pub struct IssuerStatus {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The value of `iss`.
    pub issuer: String,
    /// Whether its tokens can be verified.
    pub state: IssuerState,
    /// Where its keys come from; none for the embedded issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// How old its keys are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// When they were last fetched.
    #[serde(serialize_with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub last_fetched: Option<UnixTime>,
    /// When they will be fetched next.
    #[serde(serialize_with = "moment_option", skip_serializing_if = "Option::is_none")]
    pub next_refresh: Option<UnixTime>,
    /// Why the last attempt failed, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The keys in use.
    pub keys: Vec<KeyStatus>,
    /// Keys that the issuer lists and that are not used.
    pub skipped_keys: Vec<SkippedKey>,
    /// What deserves a look, like a removed key that is still being presented.
    pub warnings: Vec<String>,
}

/// Whether an issuer's tokens can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerState {
    /// Yes.
    Usable,
    /// Yes, with keys that could not be refreshed in time.
    Stale,
    /// No: there are no keys, or they are too old.
    Unavailable,
    /// No: the issuer is switched off, and every token of it is refused.
    Disabled,
}

/// One key of an issuer.
#[derive(Clone, Debug, Serialize)]
pub struct KeyStatus {
    /// Its id, if it has one.
    pub key_id: Option<String>,
    /// The algorithms that it verifies.
    pub algorithms: Vec<String>,
    /// When the issuer first listed it.
    #[serde(serialize_with = "moment")]
    pub first_seen: UnixTime,
    /// When it last verified a token.
    #[serde(serialize_with = "moment_option")]
    pub last_used: Option<UnixTime>,
}

/// A key that is listed and not used.
#[derive(Clone, Debug, Serialize)]
pub struct SkippedKey {
    /// Its id, if it has one.
    pub key_id: Option<String>,
    /// Why it is not used.
    pub reason: String,
}

impl Readiness {
    /// Whether requests should be sent here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining && self.missing.is_empty()
    }
}

fn moment<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    Rfc3339(*time).serialize(serializer)
}

fn moment_option<S: Serializer>(time: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Rfc3339).serialize(serializer)
}
