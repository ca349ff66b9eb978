//! Owns: what is counted of an upstream.

use std::time::Duration;

use super::{
    HistogramCount, Samples, WorkerMetrics, catalogue,
    directory::Shard,
    histogram::Histogram,
    route::{STATUS_CLASSES, count_status},
    shard::{Counter, Sharded},
    tally::Tally,
};

/// The series of one upstream. Cloning it gives the same series.
#[derive(Clone, Debug)]
pub struct UpstreamMetrics(pub(super) Sharded<UpstreamShard>);

/// One attempt to have a request answered by an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// The status that the upstream gave, if it gave one.
    pub status: Option<u16>,
    /// Why it gave none, or broke off: one of the program's closed list of reasons.
    pub failure: Option<&'static str>,
    /// How long opening a connection took; none if one was open.
    pub connect: Option<Duration>,
    /// From sending until the answer's head had arrived.
    pub header: Option<Duration>,
}

/// One worker's counters of one upstream.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct UpstreamShard {
    statuses: [Counter; 6],
    failures: Tally<&'static str>,
    connect: Histogram,
    header: Histogram,
}

impl UpstreamMetrics {
    /// Counts an attempt.
    pub fn exchanged(&self, worker: &WorkerMetrics, exchange: &Exchange) {
        let Some(shard) = self.0.of(worker) else { return };
        count_status(&shard.statuses, exchange.status);
        if let Some(reason) = exchange.failure {
            shard.failures.count(|key| *key == reason, || reason);
        }
        if let Some(duration) = exchange.connect {
            shard.connect.observe(duration);
        }
        if let Some(duration) = exchange.header {
            shard.header.observe(duration);
        }
    }
}

impl Shard for UpstreamShard {
    fn collect(name: &str, shards: &Sharded<Self>, samples: &mut Samples) {
        let (mut connect, mut header) = (HistogramCount::default(), HistogramCount::default());
        let mut is_used = false;
        for shard in shards.iter() {
            is_used = true;
            for (class, count) in STATUS_CLASSES.iter().zip(&shard.statuses) {
                samples.add(&catalogue::UPSTREAM_REQUESTS, &[name, class], count.value());
            }
            for (reason, count) in shard.failures.iter() {
                samples.add(&catalogue::UPSTREAM_FAILURES, &[name, reason], count);
            }
            connect.add(&shard.connect);
            header.add(&shard.header);
        }
        if is_used {
            samples.add(&catalogue::UPSTREAM_CONNECT, &[name], connect);
            samples.add(&catalogue::UPSTREAM_RESPONSE_HEADER, &[name], header);
        }
    }
}
