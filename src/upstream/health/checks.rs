//! Owns: the health checks that run, and their following the configuration in force and the endpoints that there are.
//! Refuses: running for an upstream that is not in force any more, or for an endpoint that it no longer has.
//! Always holds: what is asked of an upstream that stays goes on over a reload; all ends with the last configuration.

use std::{
    collections::HashMap,
    error::Error,
    mem,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use rand::Rng;
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{Health, answer::BadAnswer, ask::ask};
use crate::upstream::{
    Upstream,
    availability::{Thresholds, Verdict},
    endpoint::Endpoint,
    tick::Tick,
};

/// The checks of all upstreams, by their names.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Checks {
    running: Mutex<HashMap<Arc<str>, Running>>,
}

/// The checks of one upstream; they end when it is dropped.
#[derive(Debug)]
struct Running {
    upstream: Weak<Upstream>,
    task: JoinSet<()>,
}

impl Checks {
    /// Runs the checks that these upstreams ask for, and no others.
    pub(in crate::upstream) fn follow<'a>(&self, upstreams: impl Iterator<Item = &'a Arc<Upstream>>, control: &Handle) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = mem::take(&mut *running);
        for upstream in upstreams {
            let mut own = before.remove(&upstream.name);
            let Some(health) = &upstream.vigilance.health else {
                drop(own);
                upstream.endpoints().iter().for_each(|endpoint| endpoint.availability().forget_answers());
                continue;
            };
            let is_same = |own: &mut Running| own.upstream.as_ptr() == Arc::as_ptr(upstream) && goes_on(&mut own.task);
            let same = own.take_if(is_same);
            let now = same.unwrap_or_else(|| Running::begin(upstream, Arc::clone(health), control));
            running.insert(Arc::clone(&upstream.name), now);
        }
    }
}

impl Running {
    fn begin(upstream: &Arc<Upstream>, health: Arc<Health>, control: &Handle) -> Self {
        let mut task = JoinSet::new();
        task.spawn_on(follow_endpoints(Arc::downgrade(upstream), health), control);
        Self { upstream: Arc::downgrade(upstream), task }
    }
}

/// Whether its task has not ended, be it by a panic.
fn goes_on(task: &mut JoinSet<()>) -> bool {
    while task.try_join_next().is_some() {}
    !task.is_empty()
}

/// Has one task for each endpoint that the upstream has at the moment.
async fn follow_endpoints(upstream: Weak<Upstream>, health: Arc<Health>) {
    let mut asked: Vec<(Arc<Endpoint>, JoinSet<()>)> = Vec::new();
    while let Some(strong) = upstream.upgrade() {
        // Listening before looking: a change that comes in between is not missed.
        let mut changed = strong.members.changed();
        let current = strong.endpoints();
        asked.retain_mut(|(endpoint, task)| {
            goes_on(task) && current.iter().any(|current| Arc::ptr_eq(current, endpoint))
        });
        for endpoint in current {
            if asked.iter().any(|(known, _)| Arc::ptr_eq(known, &endpoint)) {
                continue;
            }
            let mut task = JoinSet::new();
            task.spawn(ask_again_and_again(Arc::clone(&strong.name), Arc::clone(&endpoint), Arc::clone(&health)));
            asked.push((endpoint, task));
        }
        drop(strong);
        // An error is an upstream that is gone.
        if changed.changed().await.is_err() {
            return;
        }
    }
}

async fn ask_again_and_again(upstream: Arc<str>, endpoint: Arc<Endpoint>, health: Arc<Health>) {
    loop {
        let began = Instant::now();
        let answer = ask(&endpoint, &health).await;
        endpoint.answers().count(&answer);
        let is_about_it = answer.as_ref().err().is_none_or(|bad| !bad.is_our_own());
        if is_about_it {
            note(&upstream, &endpoint, &answer, health.thresholds);
        }
        sleep_until(began + jittered(health.interval)).await;
    }
}

fn note(upstream: &str, endpoint: &Endpoint, answer: &Result<(), BadAnswer>, thresholds: Thresholds) {
    let label = endpoint.label();
    match (endpoint.availability().note_answer(answer.is_ok(), thresholds, Tick::now()), answer) {
        (Some(Verdict::Unwell), Err(why)) => {
            warn!(error = why as &dyn Error, "upstream {upstream}: {label} is not well and gets no requests");
        }
        (Some(Verdict::Well), _) => {
            info!("upstream {upstream}: {label} is well");
            endpoint.room().opened();
        }
        (Some(_) | None, _) => {}
    }
}

/// More or less a tenth, so that the questions of many gateways do not come together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.9..=1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_differ_by_a_tenth_at_most() {
        let interval = Duration::from_secs(10);
        let all: Vec<Duration> = (0..1000).map(|_| jittered(interval)).collect();
        assert!(all.iter().all(|one| (9..=11).contains(&one.as_secs()) && *one <= Duration::from_secs(11)));
        assert!(all.iter().max() > Some(&Duration::from_millis(10_500)));
        assert!(all.iter().min() < Some(&Duration::from_millis(9500)));
    }
}
