//! Owns: when a name is looked up again after it could not be.
//! Always holds: no two replicas keep in step; a name is never given up.

use std::time::Duration;

use rand::Rng;

const FIRST: Duration = Duration::from_secs(1);
/// The longest time between two lookups in vain.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// How long to wait after `failures` in a row: 1 s, doubled each time up to 30 s, less a random quarter of it.
pub(super) fn backoff(failures: u32, random: &mut impl Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    full.mul_f64(random.random_range(0.75..=1.0))
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn it_grows_to_its_bound_and_differs() {
        let mut random = SmallRng::seed_from_u64(7);
        for (failures, full) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (u32::MAX, 30)] {
            let full = Duration::from_secs(full);
            let waits: Vec<Duration> = (0..50).map(|_| backoff(failures, &mut random)).collect();
            assert!(waits.iter().all(|wait| (full.mul_f64(0.75)..=full).contains(wait)), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{failures}");
        }
    }
}
