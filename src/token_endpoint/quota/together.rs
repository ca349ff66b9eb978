//! Owns: counting tokens together with the other replicas.
//! Refuses: telling the server whose tokens they are; holding up a request for longer than `shared.timeout`.
//! Always holds: what was counted and given back here is given back there, if anybody answers.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::{Period, counts::Place};
use crate::{
    clock::UnixTime,
    limit::{Away, SharedCounters, Window},
    token_endpoint::name_hash::NameHash,
};

/// Where replicas count together.
#[derive(Clone, Debug)]
pub(super) struct Together {
    counters: Arc<SharedCounters>,
    pub(super) control: Handle,
}

/// One counter there.
struct Named {
    name: String,
    ends_in: Duration,
}

impl Together {
    pub(super) fn new(counters: Arc<SharedCounters>, control: Handle) -> Self {
        Self { counters, control }
    }

    /// Counts one token; the sums of all replicas, in the order of [`bounded`].
    pub(super) async fn reserve(&self, endpoint: &str, places: &[Place], now: UnixTime) -> Result<Vec<u64>, Away> {
        self.add(&named(endpoint, places, now), 1).await
    }

    /// Gives one token back, without anybody waiting for it.
    pub(super) fn release(&self, endpoint: &str, places: &[Place], now: UnixTime) {
        let (this, windows) = (self.clone(), named(endpoint, places, now));
        // Whether anybody is there is counted and logged already.
        self.control.spawn(async move { this.add(&windows, -1).await });
    }

    async fn add(&self, windows: &[Named], by: i64) -> Result<Vec<u64>, Away> {
        let windows: Vec<Window<'_>> =
            windows.iter().map(|window| Window { name: &window.name, ends_in: window.ends_in }).collect();
        self.counters.add(&windows, by).await
    }
}

/// The windows that are bounded, and by how much.
pub(super) fn bounded(places: &[Place]) -> impl Iterator<Item = (&Place, Period, u64)> {
    let bounds = |place| Period::ALL.into_iter().map(move |period| (place, period));
    places
        .iter()
        .flat_map(bounds)
        .filter_map(|(place, period): (&Place, Period)| Some((place, period, place.holder.allowance.bound(period)?)))
}

fn named(endpoint: &str, places: &[Place], now: UnixTime) -> Vec<Named> {
    let named = |(place, period, _): (&Place, Period, u64)| {
        let holder = &place.holder;
        let hash = NameHash::of_all(&[endpoint.as_bytes(), holder.kind.word().as_bytes(), holder.key.as_bytes()]);
        let (period_word, window) = (period.word(), place.windows.of(period));
        Named { name: format!("quota:{hash}:{period_word}:{window}"), ends_in: period.end(window).since(now) }
    };
    bounded(places).map(named).collect()
}
