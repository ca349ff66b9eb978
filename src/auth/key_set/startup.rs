//! Owns: how a start waits for the keys of its issuers.
//! Refuses: waiting longer than 10 s, or one issuer after the other.
//! Always holds: what is still missing afterwards is named.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::remote::RemoteKeySet;
use crate::config::StartupConfig;

/// How long a start waits for keys.
pub const STARTUP_PATIENCE: Duration = Duration::from_secs(10);

/// An issuer whose keys a start needs.
#[derive(Clone, Debug)]
pub struct AwaitedKeys {
    /// Its name in the configuration.
    pub issuer: Arc<str>,
    /// What the start does about it.
    pub startup: StartupConfig,
    /// Its keys, started.
    pub keys: Arc<RemoteKeySet>,
}

/// The issuers whose keys are not there after the wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingKeys {
    /// Those without which the program must not start (`startup = "require"`).
    pub required: Vec<Arc<str>>,
    /// Those whose routes answer that keys are unavailable until they come.
    pub tolerated: Vec<Arc<str>>,
}

/// Waits for the keys of all of `awaited` at once, those with `startup = "degraded"` excepted, for as long as `patience`
/// ([`STARTUP_PATIENCE`], but for tests).
pub async fn await_first_keys(awaited: &[AwaitedKeys], patience: Duration) -> MissingKeys {
    join_all(
        awaited.iter().filter(|one| one.startup != StartupConfig::Degraded).map(|one| one.keys.wait_ready(patience)),
    )
    .await;
    let mut missing = MissingKeys::default();
    for one in awaited.iter().filter(|one| !one.keys.is_ready()) {
        let list = match one.startup {
            StartupConfig::Require => &mut missing.required,
            StartupConfig::Wait | StartupConfig::Degraded => &mut missing.tolerated,
        };
        list.push(Arc::clone(&one.issuer));
    }
    missing
}
