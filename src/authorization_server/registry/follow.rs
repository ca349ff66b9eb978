//! Owns: keeping this replica's memory in step with the store, and the store tidy, one beside the other: sweeping may take long.
//! Refuses: giving up: while the store is away it goes on asking, and what is known stays in force.
//! Always holds: a change made anywhere is in force here within two seconds while the store can be reached: by its
//! notification, or by the poll behind it. After a notification may have been missed, everything is loaded anew.

use std::{sync::Weak, time::Duration};

use tokio::time::sleep;
use tracing::{error, info, warn};

use super::Registry;
use crate::store::{Notifications, StoreError};

/// How long at most between two looks at the store.
const POLL: Duration = Duration::from_millis(1000);
/// How long between two attempts to reach a store that is away.
const RETRY: Duration = Duration::from_millis(500);
/// How long between two rounds of tidying up.
const TIDY: Duration = Duration::from_secs(60);

/// Follows the store of `registry` until that is gone.
pub(super) async fn follow(registry: Weak<Registry>) {
    let mut follower = Follower { notifications: None, reachable: true };
    while let Some(strong) = registry.upgrade() {
        let outcome = follower.step(&strong).await;
        follower.note(outcome.as_ref().err());
        strong.note_reachable(outcome.is_ok());
        drop(strong);
        follower.wait(&registry, outcome.is_ok()).await;
    }
}

/// Tidies up the store of `registry` from time to time, until that is gone.
pub(super) async fn tidy(registry: Weak<Registry>) {
    loop {
        sleep(TIDY).await;
        let Some(registry) = registry.upgrade() else { return };
        match registry.tidy().await {
            Err(error) if !error.is_unavailable() => {
                error!(error = &error as &dyn std::error::Error, "the store cannot be tidied up");
            }
            // While it is away, which the follower tells, there is nothing to be done.
            Ok(()) | Err(_) => {}
        }
    }
}

struct Follower {
    notifications: Option<Notifications>,
    reachable: bool,
}

impl Follower {
    /// One look at the store. It is asked also while there is no connection to listen on.
    async fn step(&mut self, registry: &Registry) -> Result<(), StoreError> {
        registry.catch_up().await?;
        if self.notifications.is_none() {
            self.notifications = registry.store().listen().await?;
            if self.notifications.is_some() {
                // What happened before the first word was listened to, or while none was heard.
                registry.load_whole().await?;
            }
        }
        Ok(())
    }

    /// Waits for a reason to look again.
    async fn wait(&mut self, registry: &Weak<Registry>, reached: bool) {
        let Some(memory) = registry.upgrade().map(|registry| registry.memory().clone()) else { return };
        let pause = if reached { POLL } else { RETRY };
        let lost = tokio::select! {
            () = sleep(pause) => false,
            () = memory.keys.wanted(), if reached => false,
            word = next(&mut self.notifications), if reached => word.is_err(),
        };
        if lost {
            self.notifications = None;
        }
    }

    /// Says once that the store is away, and once that it is back.
    fn note(&mut self, error: Option<&StoreError>) {
        match (error, self.reachable) {
            (Some(error), true) => {
                self.reachable = false;
                // A connection that was lost may have swallowed a word.
                self.notifications = None;
                let error = error as &dyn std::error::Error;
                warn!(error, "the store is away: tokens are judged by what is known, and none are issued or revoked");
            }
            (Some(error), false) if !error.is_unavailable() => {
                error!(error = error as &dyn std::error::Error, "the store cannot be followed");
            }
            (None, false) => {
                self.reachable = true;
                info!("the store is back");
            }
            _ => {}
        }
    }
}

/// The next word of a change; never, without somebody to say it.
async fn next(notifications: &mut Option<Notifications>) -> Result<(), StoreError> {
    match notifications {
        Some(notifications) => notifications.next().await,
        None => std::future::pending().await,
    }
}
