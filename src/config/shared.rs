//! `[shared]`: what replicas count together.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HumanDuration, SecretConfig};

/// Where replicas count together what each of them would otherwise count alone: limits, quotas, failures that lock out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedConfig {
    /// The URL of a Redis or Valkey server: `"redis://host:6379/0"`, or `"rediss://..."` for TLS. It may hold a password, so it
    /// is treated as a secret.
    pub redis: SecretConfig,
    /// How long an answer is waited for. When none comes, the replica goes by what it has counted itself.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// What the names of all keys there begin with.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

const fn default_timeout() -> HumanDuration {
    HumanDuration(std::time::Duration::from_millis(20))
}

fn default_prefix() -> String {
    "postern".to_owned()
}
