//! `[dns]`: how the names of upstreams become addresses.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::HumanDuration;

/// How the names of upstreams become addresses. Those of issuers and providers are looked up by the system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DnsConfig {
    /// The servers to ask, like `["10.0.0.53:53"]`. Empty: those of the system, with its search domains and its hosts file.
    #[schemars(with = "Vec<String>")]
    pub servers: Vec<SocketAddr>,
    /// How long one server may take to answer.
    pub timeout: HumanDuration,
    /// An answer is used for at least so long, however short its time to live is.
    pub min_ttl: HumanDuration,
    /// An answer is asked for anew after so long, however long its time to live is.
    pub max_ttl: HumanDuration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: HumanDuration::from_seconds(2),
            min_ttl: HumanDuration::from_seconds(1),
            max_ttl: HumanDuration::from_seconds(60),
        }
    }
}
