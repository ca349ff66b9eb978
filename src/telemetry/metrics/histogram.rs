//! Owns: durations counted by size, in fixed buckets.
//! Always holds: an observation falls into the first bucket whose bound is not below it (`le`); the sum loses nothing.

use std::time::Duration;

use super::shard::Counter;

/// The upper bounds of the buckets, in seconds; one more bucket takes the rest.
pub const BUCKETS_SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The same bounds in microseconds, to compare without floating point.
const BUCKETS_MICROSECONDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000, 60_000_000,
];

/// How many buckets are of short durations, up to 5 ms: to be elsewhere matters least to those that took longer.
const SHORT: usize = 4;

/// One worker's part of a histogram.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    short: ShortDurations,
    long: LongDurations,
}

/// What most observations count in: the sum of all, and the first buckets. The others may be elsewhere.
#[derive(Debug, Default)]
pub(super) struct ShortDurations {
    sum_nanoseconds: Counter,
    buckets: [Counter; SHORT],
}

/// The other buckets.
#[derive(Debug, Default)]
pub(super) struct LongDurations {
    buckets: [Counter; 17 - SHORT],
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        self.short.observe(duration, || &self.long);
    }
}

impl ShortDurations {
    /// Counts one here, or in what `long` gives.
    pub(super) fn observe<'l>(&self, duration: Duration, long: impl FnOnce() -> &'l LongDurations) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROSECONDS.partition_point(|bound| bound * 1000 < nanoseconds);
        if let Some(bucket) = self.buckets.get(bucket).or_else(|| long().buckets.get(bucket - SHORT)) {
            bucket.add(1);
        }
        self.sum_nanoseconds.add(nanoseconds);
    }
}

/// A histogram added up over the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCount {
    /// Observations in each bucket, not cumulative; the last one is of those above every bound.
    pub buckets: [u64; 17],
    /// The sum of all observations.
    pub sum: Duration,
}

impl HistogramCount {
    /// Adds one worker's part.
    pub(super) fn add(&mut self, part: &Histogram) {
        self.add_parts(&part.short, &part.long);
    }

    /// The same of one whose long durations are elsewhere.
    pub(super) fn add_parts(&mut self, short: &ShortDurations, long: &LongDurations) {
        for (sum, bucket) in self.buckets.iter_mut().zip(short.buckets.iter().chain(&long.buckets)) {
            *sum += bucket.value();
        }
        self.sum = self.sum.saturating_add(Duration::from_nanos(short.sum_nanoseconds.value()));
    }

    /// Adds another count.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, bucket) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += bucket;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for (bucket, (seconds, microseconds)) in BUCKETS_SECONDS.into_iter().zip(BUCKETS_MICROSECONDS).enumerate() {
            assert_eq!(Duration::from_secs_f64(seconds), Duration::from_micros(microseconds));
            let histogram = Histogram::default();
            histogram.observe(Duration::from_micros(microseconds));
            histogram.observe(Duration::from_micros(microseconds) + Duration::from_nanos(1));
            let mut count = HistogramCount::default();
            count.add(&histogram);
            assert_eq!((count.buckets[bucket], count.buckets[bucket + 1]), (1, 1), "{seconds}");
        }
    }
}
