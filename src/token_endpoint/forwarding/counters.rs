//! Owns: what is counted of the requests to outside providers, by the names of their endpoints.
//! Always holds: counts outlive reloads.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::telemetry::{Samples, metrics::catalogue};

/// The counts of one endpoint.
#[derive(Debug, Default)]
pub(in super::super) struct Counters {
    pub(super) forwarded: AtomicU64,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counts of all forwarded endpoints. There is one of these for the life of the process.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct AllCounters {
    by_endpoint: Arc<Mutex<HashMap<Box<str>, Arc<Counters>>>>,
}

impl AllCounters {
    /// The counts of the endpoint `name`.
    pub(super) fn of(&self, name: &str) -> Arc<Counters> {
        let mut by_endpoint = self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_endpoint.entry(name.into()).or_default())
    }
}

impl Counters {
    pub(super) fn failed(&self, reason: &'static str) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    pub(super) fn collect(&self, endpoint: &str, samples: &mut Samples) {
        let forwarded = self.forwarded.load(Ordering::Relaxed);
        samples.add(&catalogue::TOKEN_ENDPOINT_FORWARDED, &[endpoint], forwarded);
        for (reason, count) in &*self.failures.lock().unwrap_or_else(PoisonError::into_inner) {
            samples.add(&catalogue::TOKEN_ENDPOINT_PROVIDER_FAILURES, &[endpoint, reason], *count);
        }
    }
}
