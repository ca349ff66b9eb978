//! Owns: times as header fields tell them, in whole seconds (RFC 9110 section 10.2.3).
//! Always holds: they are rounded up: whoever comes back then is not too early.

use std::time::Duration;

/// So many seconds, rounded up. What is less than a microsecond is left over from dividing, and is nothing.
#[must_use]
pub fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_counts_and_what_dividing_left_over_does_not() {
        for (nanoseconds, seconds) in
            [(0, 0), (1, 0), (1_000, 1), (1_000_000_000, 1), (10_000_000_002, 10), (10_000_001_000, 11)]
        {
            assert_eq!(whole_seconds(Duration::from_nanos(nanoseconds)), seconds, "{nanoseconds}");
        }
    }
}
