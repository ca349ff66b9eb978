//! Owns: what is counted of a route.
//! Always holds: what every request counts lies together.

use std::{
    marker::PhantomData,
    rc::Rc,
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::{
    Decision, HistogramCount, Samples, WorkerMetrics, catalogue,
    decision::DecisionKey,
    directory::Shard,
    histogram::{LongDurations, ShortDurations},
    shard::{Counter, Sharded},
    tally::Tally,
};
use crate::ahead;

/// The classes of status by their first digit; the first is for no status at all.
pub(super) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
/// Which of them is 2xx.
const SUCCESS: usize = 2;

/// The series of one route. Cloning it gives the same series.
#[derive(Clone, Debug)]
pub struct RouteMetrics(pub(super) Sharded<RouteShard>);

/// What one worker counts of one route. It stays on that worker's thread, and does not keep the series alive.
#[derive(Clone, Debug)]
pub struct RouteCounters {
    shard: Arc<RouteShard>,
    stays_on_its_thread: PhantomData<Rc<()>>,
}

/// A request whose answer has ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedRequest {
    /// The status; none if downstream left before there was one.
    pub status: Option<u16>,
    /// From the request's head to the end of the answer's body.
    pub duration: Duration,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
}

/// One worker's counters of one route: what every request counts, in two cache lines, which processors fetch as one: the allocator puts
/// what takes 128 bytes at a multiple of that. With 10,000 routes it is where no request has been for long, and all of them together
/// should be as near as can be.
#[derive(Debug, Default)]
pub(super) struct RouteShard {
    /// Statuses of the class 2xx.
    successes: Counter,
    bytes_out: Counter,
    decisions: Tally<Arc<DecisionKey>>,
    duration: ShortDurations,
    seldom: OnceLock<Box<Seldom>>,
}

const _: () =
    assert!(size_of::<RouteShard>() + size_of::<[usize; 2]>() == 128, "two cache lines, with the counts of an `Arc`");

/// What not every request counts: long durations, bodies that came, refusals. Not there until one does.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Seldom {
    /// All classes but 2xx, whose place stays empty.
    statuses: [Counter; 6],
    duration: LongDurations,
    bytes_in: Counter,
    token_ended: Counter,
    rejections: Tally<&'static str>,
}

impl RouteMetrics {
    /// What `worker` counts of it. To be kept: with 10,000 routes, every step on the way there is one into memory where nobody has been
    /// for long. What a worker of other metrics counts is told nowhere.
    #[must_use]
    pub fn of(&self, worker: &Rc<WorkerMetrics>) -> RouteCounters {
        RouteCounters { shard: self.0.of(worker).cloned().unwrap_or_default(), stays_on_its_thread: PhantomData }
    }
}

impl RouteCounters {
    /// Has them fetched, as they will be needed soon: among those of 10,000 routes, waiting for them took 50 ns.
    pub fn fetch(&self) {
        ahead::fetch(&self.shard.successes.value());
        ahead::fetch(&self.shard.decisions.is_empty());
    }

    /// Counts a request whose answer has ended.
    pub fn finished(&self, request: &FinishedRequest) {
        let shard = &*self.shard;
        shard.count_status(request.status);
        if request.bytes_in > 0 {
            shard.seldom().bytes_in.add(request.bytes_in);
        }
        shard.bytes_out.add(request.bytes_out);
        shard.duration.observe(request.duration, || &shard.seldom().duration);
    }

    /// Counts a decision of `worker`, whose counters these are.
    pub fn decided(&self, worker: &WorkerMetrics, decision: Decision<'_>) {
        // A route meets few kinds of decision, a worker those of all issuers.
        self.shard.decisions.count(|known| known.is_of(&decision), || worker.decision_keys().key_of(&decision));
    }

    /// Counts an answer or an upgraded connection that was cut because its token had ended.
    pub fn token_ended(&self) {
        self.shard.seldom().token_ended.add(1);
    }

    /// Counts an error that Postern itself answered.
    pub fn rejected(&self, reason: &'static str) {
        self.shard.seldom().rejections.count(|key| *key == reason, || reason);
    }
}

impl RouteShard {
    fn seldom(&self) -> &Seldom {
        self.seldom.get_or_init(Box::default)
    }

    /// Counts a status in its class.
    fn count_status(&self, status: Option<u16>) {
        if class_of(status) == SUCCESS {
            self.successes.add(1);
        } else {
            count_status(&self.seldom().statuses, status);
        }
    }

    /// How many answers were of each class.
    fn statuses(&self, seldom: &Seldom) -> [u64; 6] {
        let mut statuses = seldom.statuses.each_ref().map(Counter::value);
        statuses[SUCCESS] = self.successes.value();
        statuses
    }
}

impl Shard for RouteShard {
    fn collect(name: &str, shards: &Sharded<Self>, samples: &mut Samples) {
        let mut duration = HistogramCount::default();
        let none = Seldom::default();
        let mut is_used = false;
        for shard in shards.iter() {
            is_used = true;
            let seldom = shard.seldom.get().map_or(&none, |seldom| &**seldom);
            for (class, count) in STATUS_CLASSES.iter().zip(shard.statuses(seldom)) {
                samples.add(&catalogue::REQUESTS, &[name, class], count);
            }
            samples.add(&catalogue::REQUEST_BYTES, &[name], seldom.bytes_in.value());
            samples.add(&catalogue::RESPONSE_BYTES, &[name], shard.bytes_out.value());
            samples.add(&catalogue::TOKEN_ENDED, &[name], seldom.token_ended.value());
            for (key, count) in shard.decisions.iter() {
                let [issuer, result, reason, mode] = key.labels();
                let labels = [name, issuer, result, reason, mode];
                samples.add(&catalogue::AUTH_DECISIONS, &labels, count);
            }
            for (reason, count) in seldom.rejections.iter() {
                samples.add(&catalogue::REJECTIONS, &[name, reason], count);
            }
            duration.add_parts(&shard.duration, &seldom.duration);
        }
        // A route that nobody has asked for yet is left out: there may be thousands.
        if is_used {
            samples.add(&catalogue::REQUEST_DURATION, &[name], duration);
        }
    }
}

/// Counts a status in its class.
pub(super) fn count_status(classes: &[Counter; 6], status: Option<u16>) {
    if let Some(count) = classes.get(class_of(status)) {
        count.add(1);
    }
}

/// Which of the [`STATUS_CLASSES`] a status is of; the first for one that is of no other.
fn class_of(status: Option<u16>) -> usize {
    let class = status.map_or(0, |status| usize::from(status / 100));
    if class < STATUS_CLASSES.len() { class } else { 0 }
}
