//! Owns: what is counted of a route.
//! Refuses: an issuer's name unless a token of that issuer was verified.

use std::{sync::Arc, time::Duration};

use super::{
    HistogramCount, Samples, WorkerMetrics, catalogue,
    directory::Shard,
    histogram::Histogram,
    shard::{Counter, Sharded},
    tally::Tally,
};

/// The classes of status by their first digit; the first is for no status at all.
pub(super) const STATUS_CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The series of one route. Cloning it gives the same series.
#[derive(Clone, Debug)]
pub struct RouteMetrics(pub(super) Sharded<RouteShard>);

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

/// What was decided about one request.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The name of the verified token's issuer in the configuration. None for every other token: whose it is, is then
    /// anybody's word.
    pub issuer: Option<&'a Arc<str>>,
    /// How it was decided.
    pub result: DecisionResult,
    /// Why: one of the program's closed list of reasons.
    pub reason: &'static str,
    /// Whether it was enforced.
    pub mode: DecisionMode,
}

/// How a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionResult {
    /// It may be forwarded.
    Allowed,
    /// It may not.
    Refused,
}

/// What a decision is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionMode {
    /// A refusal is a refusal.
    Enforce,
    /// A refusal is only noted.
    Report,
}

/// One worker's counters of one route. What every good request counts is side by side, in the first three cache lines of 64 bytes: with
/// 10,000 routes each of them is a miss.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(super) struct RouteShard {
    statuses: [Counter; 6],
    bytes_in: Counter,
    bytes_out: Counter,
    decisions: Tally<DecisionKey>,
    duration: Histogram,
    token_ended: Counter,
    rejections: Tally<&'static str>,
}

#[derive(Debug)]
struct DecisionKey {
    // The issuer's own, for all routes: the text is compared, and should be where the last request found it.
    issuer: Option<Arc<str>>,
    result: DecisionResult,
    reason: &'static str,
    mode: DecisionMode,
}

impl RouteMetrics {
    /// Counts a request whose answer has ended.
    pub fn finished(&self, worker: &WorkerMetrics, request: &FinishedRequest) {
        let Some(shard) = self.0.of(worker) else { return };
        count_status(&shard.statuses, request.status);
        shard.bytes_in.add(request.bytes_in);
        shard.bytes_out.add(request.bytes_out);
        shard.duration.observe(request.duration);
    }

    /// Counts a decision.
    pub fn decided(&self, worker: &WorkerMetrics, decision: Decision<'_>) {
        let Some(shard) = self.0.of(worker) else { return };
        let Decision { issuer, result, reason, mode } = decision;
        shard.decisions.count(
            |key| key.result == result && key.mode == mode && key.reason == reason && key.issuer.as_ref() == issuer,
            || DecisionKey { issuer: issuer.cloned(), result, reason, mode },
        );
    }

    /// Counts an answer or an upgraded connection that was cut because its token had ended.
    pub fn token_ended(&self, worker: &WorkerMetrics) {
        let Some(shard) = self.0.of(worker) else { return };
        shard.token_ended.add(1);
    }

    /// Counts an error that Postern itself answered.
    pub fn rejected(&self, worker: &WorkerMetrics, reason: &'static str) {
        let Some(shard) = self.0.of(worker) else { return };
        shard.rejections.count(|key| *key == reason, || reason);
    }
}

impl Shard for RouteShard {
    fn collect(name: &str, shards: &Sharded<Self>, samples: &mut Samples) {
        let mut duration = HistogramCount::default();
        let mut is_used = false;
        for shard in shards.iter() {
            is_used = true;
            for (class, count) in STATUS_CLASSES.iter().zip(&shard.statuses) {
                samples.add(&catalogue::REQUESTS, &[name, class], count.value());
            }
            samples.add(&catalogue::REQUEST_BYTES, &[name], shard.bytes_in.value());
            samples.add(&catalogue::RESPONSE_BYTES, &[name], shard.bytes_out.value());
            samples.add(&catalogue::TOKEN_ENDED, &[name], shard.token_ended.value());
            for (key, count) in shard.decisions.iter() {
                let issuer = key.issuer.as_deref().unwrap_or_default();
                let labels = [name, issuer, key.result.label(), key.reason, key.mode.label()];
                samples.add(&catalogue::AUTH_DECISIONS, &labels, count);
            }
            for (reason, count) in shard.rejections.iter() {
                samples.add(&catalogue::REJECTIONS, &[name, reason], count);
            }
            duration.add(&shard.duration);
        }
        // A route that nobody has asked for yet is left out: there may be thousands.
        if is_used {
            samples.add(&catalogue::REQUEST_DURATION, &[name], duration);
        }
    }
}

impl DecisionResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }
}

impl DecisionMode {
    const fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

/// Counts a status in its class.
pub(super) fn count_status(classes: &[Counter; 6], status: Option<u16>) {
    let class = status.map_or(0, |status| usize::from(status / 100));
    if let Some(count) = classes.get(class).or_else(|| classes.first()) {
        count.add(1);
    }
}
