//! `[process]`: the program as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{FilePath, HumanDuration};

/// The program as a whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Threads that carry requests, each with its own runtime; default: the number of cores. Read at start only.
    pub workers: Option<u16>,
    /// How long a stop waits for the requests under way.
    pub grace_period: HumanDuration,
    /// How long a stop goes on accepting after `/readyz` began to fail, so that a load balancer can notice.
    pub drain_delay: HumanDuration,
    /// The most requests under way at a time, over all workers; further ones are answered 503 at once. Under load there may be a quarter
    /// more. Answers of Postern's own that wait for their reader do not count, nor do upgraded connections.
    pub max_requests: u32,
    /// How far a worker may fall behind its own clock, twice in a row, before it answers further requests 503 until it has caught up.
    pub max_lateness: HumanDuration,
    /// Where signing keys and the last good key sets are kept. Absent: key sets are not kept on disk, and the embedded
    /// issuer cannot be used. Read at start only.
    pub data_directory: Option<FilePath>,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            workers: None,
            grace_period: HumanDuration::from_seconds(30),
            drain_delay: HumanDuration::from_seconds(0),
            max_requests: 20_000,
            max_lateness: HumanDuration::from_seconds(1),
            data_directory: None,
        }
    }
}
