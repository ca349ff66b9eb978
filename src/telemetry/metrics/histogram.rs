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

/// One worker's part of a histogram.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Histogram {
    // Beside the buckets of short durations.
    sum_nanoseconds: Counter,
    buckets: [Counter; 17],
}

impl Histogram {
    pub(super) fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROSECONDS.partition_point(|bound| bound * 1000 < nanoseconds);
        if let Some(bucket) = self.buckets.get(bucket) {
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
        for (sum, bucket) in self.buckets.iter_mut().zip(&part.buckets) {
            *sum += bucket.value();
        }
        self.sum = self.sum.saturating_add(Duration::from_nanos(part.sum_nanoseconds.value()));
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
