//! Owns: what the management API says, as plain data.
//! Always holds: every moment is RFC 3339 in UTC; no field is made to hold a secret.

use std::{path::PathBuf, sync::Arc};

use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use super::moment::Moment;
use crate::{
    auth::{
        InquiryStatus,
        key_set::{KeySetStatus, KeyStatus},
    },
    clock::UnixTime,
    telemetry::Rfc3339,
};

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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Missing {
    /// What it is.
    pub kind: MissingKind,
    /// Its name in the configuration.
    #[schema(value_type = String, example = "corp")]
    pub name: Arc<str>,
    /// Why it is not there.
    pub reason: String,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingKind {
    /// The keys of an issuer.
    Issuer,
    /// A listener's certificate.
    Certificate,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Configuration {
    /// How often a configuration has been applied since the start; the first is 1.
    pub generation: u64,
    /// SHA-256 of its sources, in hexadecimal.
    pub hash: String,
    /// When it was applied.
    #[serde(serialize_with = "moment")]
    #[schema(value_type = Moment)]
    pub applied_at: UnixTime,
    /// The files that it was read from.
    #[schema(value_type = Vec<String>, example = json!(["/etc/postern/postern.toml"]))]
    pub files: Vec<PathBuf>,
    /// Routes that need no token.
    #[schema(value_type = Vec<String>, example = json!(["health"]))]
    pub public_routes: Vec<Arc<str>>,
    /// Routes whose rules are decided but not enforced.
    #[schema(value_type = Vec<String>, example = json!([]))]
    pub report_only_routes: Vec<Arc<str>>,
    /// The `danger_` options that are switched on, by their place.
    pub danger_options: Vec<String>,
    /// The last attempt to apply another one, if it was refused and none was applied since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_rejected: Option<RejectedReload>,
    /// The configuration itself, its secrets redacted.
    #[schema(value_type = Object)]
    pub configuration: Value,
}

/// An attempt to apply a configuration that was refused. What was in it is not told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RejectedReload {
    /// When.
    #[serde(serialize_with = "moment")]
    #[schema(value_type = Moment)]
    pub at: UnixTime,
    /// What was wrong with it.
    #[schema(value_type = Vec<Object>)]
    pub diagnostics: Value,
}

/// What a reload did.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// The generation now in force.
    pub generation: u64,
    /// The hash of its sources.
    pub hash: String,
    /// What changed, in words; nothing if the files say what they said before.
    #[schema(example = json!(["route orders-read: scopes +orders:write"]))]
    pub changes: Vec<String>,
}

/// One issuer and its keys.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IssuerStatus {
    /// Its name in the configuration.
    #[schema(value_type = String, example = "corp")]
    pub name: Arc<str>,
    /// The value of `iss`.
    #[schema(example = "https://id.corp.example/")]
    pub issuer: String,
    /// Whether its tokens can be verified.
    pub state: IssuerState,
    /// How its keys are kept; none for the embedded issuer, whose keys are never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub key_set: Option<KeySetStatus>,
    /// The keys that the embedded issuer publishes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub embedded_keys: Vec<KeyStatus>,
    /// How asking it about opaque tokens goes, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub introspection: Option<InquiryStatus>,
    /// How asking it about revoked tokens goes, where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revocation: Option<InquiryStatus>,
}

/// Whether an issuer's tokens can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
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
