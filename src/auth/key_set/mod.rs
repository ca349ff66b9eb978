//! Owns: the keys of remote issuers: where they are, fetching them, keeping them fresh, over failures, reloads and restarts.
//! Refuses: keys from anybody but the configured issuer; making a request wait whose key is known.
//! Always holds: a good set is replaced by a good set only, and is used no longer than `max_stale` after its issuer last
//! confirmed it.
//!
//! [`KeySetSettings`] come out of the configuration, [`KeySets`] hands out one [`RemoteKeySet`] for each of them, and that
//! runs one task on the control plane. Its parts, from the outside in:
//!
//! - `remote` and `shared`: what requests read, and how those with an unknown key wait for one fetch
//! - `refresh`: the task, which decides when to fetch and what follows
//! - `fetch`, `whereabouts`, `discovery`, `transport`: one attempt
//! - `known_keys`, `removed_keys`: one set, and how the next comes out of it
//! - `freshness`, `pace`, `cooldown`: everything about time
//! - `directory`, `kept_keys`: the last good set on disk

mod cooldown;
mod counters;
mod directory;
mod discovery;
mod fetch;
mod freshness;
mod kept_keys;
mod known_keys;
mod pace;
mod refresh;
mod registry;
mod remote;
mod removed_keys;
mod report;
mod settings;
mod shared;
mod startup;
mod status;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transport;
mod whereabouts;

pub(super) use self::report::in_words;
pub use self::{
    counters::FetchResult,
    directory::{DirectoryError, KeySetDirectory},
    registry::KeySets,
    remote::{RefreshError, RemoteKeySet},
    settings::{KeySetSettings, UnusableJwksUri},
    startup::{AwaitedKeys, MissingKeys, STARTUP_PATIENCE, await_first_keys},
    status::{FetchCount, KeySetMeasures, KeySetState, KeySetStatus, KeyStatus, RemovedKeyStatus, SkippedKeyStatus},
};
