//! Owns: what the lock-outs of all endpoints remember, over reloads, and hearing what happens on other replicas.
//! Refuses: believing a message that does not parse, or is old; hearing twice what happened here.
//! Always holds: a failure that another replica tells of counts as if it happened here when that is heard, within the same bounds; a
//! success ends nothing that began after it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{runtime::Handle, task::AbortHandle};
use uuid::Uuid;

use super::{
    Lockout,
    memory::Memory,
    streak::LONGEST_ATTEMPT,
    told::{CHANNEL, Teller, Told, What},
};
use crate::{
    clock::{Clock, UnixTime},
    config::LockoutConfig,
    http::Peer,
    limit::SharedCounters,
    living::Living,
};

/// The lock-outs of all token endpoints by the endpoints' names. There is one of these for the life of the process, so that a
/// reload forgives nobody.
#[derive(Clone, Debug)]
pub struct Lockouts {
    all: Arc<All>,
}

#[derive(Debug)]
struct All {
    by_name: Living<Box<str>, Memory>,
    /// The lock-outs in use by the names of their endpoints, the one in force first: another may have been compiled for a
    /// configuration that does not come into force.
    by_endpoint: Mutex<HashMap<Arc<str>, Vec<Weak<Lockout>>>>,
    /// What this process is called among the replicas.
    replica: Uuid,
    followed: Mutex<Option<Followed>>,
    heard: AtomicU64,
    ignored: AtomicU64,
}

/// Over what the other replicas are heard.
#[derive(Debug)]
struct Followed {
    counters: Weak<SharedCounters>,
    task: AbortHandle,
}

impl Default for Lockouts {
    fn default() -> Self {
        let all = All {
            by_name: Living::default(),
            by_endpoint: Mutex::default(),
            replica: Uuid::new_v4(),
            followed: Mutex::default(),
            heard: AtomicU64::default(),
            ignored: AtomicU64::default(),
        };
        Self { all: Arc::new(all) }
    }
}

impl Lockouts {
    /// The lock-out of `endpoint` with `settings`, which tells other replicas over `shared`. It shares its memory with every other
    /// one for which that is called `name` and that is still in use; that memory goes with the last of them.
    #[must_use]
    pub fn of(
        &self,
        endpoint: &str,
        name: &str,
        settings: &LockoutConfig,
        shared: Option<&Arc<SharedCounters>>,
    ) -> Arc<Lockout> {
        let memory = self.all.by_name.obtain(name.into(), |_| Memory::new());
        let endpoint: Arc<str> = endpoint.into();
        let teller = shared.map(|shared| Teller::new(Arc::clone(shared), self.all.replica, Arc::clone(&endpoint)));
        let lockout = Arc::new(Lockout { settings: settings.clone(), memory, teller });
        let mut by_endpoint = self.all.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        by_endpoint.retain(|_, lockouts| {
            lockouts.retain(|lockout| lockout.strong_count() > 0);
            !lockouts.is_empty()
        });
        by_endpoint.entry(endpoint).or_default().push(Arc::downgrade(&lockout));
        lockout
    }

    /// Hears from now on what other replicas tell over `shared`, and over nothing else.
    pub fn follow(&self, shared: Option<&Arc<SharedCounters>>, clock: &Clock, control: &Handle) {
        let mut followed = self.all.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let now = followed.as_ref().map(|followed| followed.counters.as_ptr());
        if now == shared.map(Arc::as_ptr) {
            return;
        }
        if let Some(before) = followed.take() {
            before.task.abort();
        }
        *followed = shared.map(|shared| {
            let mut messages = shared.subscribe(CHANNEL);
            let (this, clock) = (self.clone(), clock.clone());
            let hearing = async move {
                while let Some(message) = messages.recv().await {
                    this.hear(&message, clock.now());
                }
            };
            Followed { counters: Arc::downgrade(shared), task: control.spawn(hearing).abort_handle() }
        });
    }

    /// How many messages of other replicas were heard.
    #[must_use]
    pub fn heard(&self) -> u64 {
        self.all.heard.load(Ordering::Relaxed)
    }

    /// How many messages were ignored because they made no sense, or were old.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.all.ignored.load(Ordering::Relaxed)
    }

    pub(super) fn hear(&self, message: &str, now: UnixTime) {
        let Some(told) = Told::parse(message) else {
            self.all.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if told.replica == self.all.replica {
            return;
        }
        // A message takes no time to come, so this one was held up, or is sent again by somebody else.
        if told.at.plus(LONGEST_ATTEMPT) < now {
            self.all.ignored.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.all.heard.fetch_add(1, Ordering::Relaxed);
        let by_endpoint = self.all.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let lockout = by_endpoint.get(&*told.endpoint).and_then(|lockouts| lockouts.iter().find_map(Weak::upgrade));
        drop(by_endpoint);
        // It may be an endpoint that this replica does not have yet.
        let Some(lockout) = lockout else { return };
        let pair = (told.client, Peer::of(told.peer));
        match told.what {
            // It counts from now on, whatever the clock says elsewhere: of two that come in the wrong order neither undoes the other.
            What::Failed => lockout.failed_elsewhere(pair, now),
            What::Succeeded => lockout.memory.succeeded_elsewhere(pair, told.at.min(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn a_reload_forgives_nobody_and_another_endpoint_knows_nothing() {
        let lockouts = Lockouts::default();
        let settings = LockoutConfig { failures: 2, ..LockoutConfig::default() };
        let peer = Ipv4Addr::LOCALHOST.into();
        let before = lockouts.of("oauth", "oauth", &settings, None);
        (0..2).for_each(|_| before.failed("billing", peer, NOW));
        let after = lockouts.of("oauth", "oauth", &settings, None);
        drop(before);
        assert!(after.judge("billing", peer, NOW).is_err());
        assert!(lockouts.of("plgd", "plgd", &settings, None).judge("billing", peer, NOW).is_ok());
        // A shorter lock is in force at once, and switching it off lets everybody in.
        let mut changed = LockoutConfig { lock_for: crate::config::HumanDuration(Duration::from_secs(5)), ..settings };
        let later = NOW.plus(Duration::from_secs(5));
        assert!(after.judge("billing", peer, later).is_err());
        assert!(lockouts.of("oauth", "oauth", &changed, None).judge("billing", peer, later).is_ok());
        changed.failures = 0;
        assert!(lockouts.of("oauth", "oauth", &changed, None).judge("billing", peer, NOW).is_ok());
        drop(after);
        assert!(
            lockouts.of("oauth", "oauth", &settings, None).judge("billing", peer, NOW).is_ok(),
            "the endpoint had gone"
        );
    }
}
