//! Owns: the times and bounds of fetching that are the same for every issuer.
//! Refuses: being configured: what an operator may choose is in the settings. Tests shorten them.
//! Always holds: a failure is never followed by the next attempt at once.

use std::time::Duration;

use rand::Rng as _;

/// How fetching is paced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long making a TCP connection may take, all addresses of a name together.
    pub(super) connect: Duration,
    /// How long one exchange may take, from the name to the last byte.
    pub(super) exchange: Duration,
    /// How long a request waits for the fetch of an unknown key.
    pub(super) unknown_key_wait: Duration,
    /// How many requests wait at once.
    pub(super) waiting_requests: usize,
    /// The ceiling of the pause after the first failure.
    pub(super) first_pause: Duration,
    /// The ceiling of every pause after a failure.
    pub(super) longest_pause: Duration,
    /// How often the wall clock is looked at while nothing is due, since it may be set.
    pub(super) look_again: Duration,
    /// The age of a discovery at which the issuer is asked again.
    pub(super) rediscover_after: Duration,
    /// After so many failed fetches in a row the issuer is asked anew where its keys are.
    pub(super) rediscover_after_failures: u32,
}

impl Pace {
    /// The pause after `failures` failures in a row: full jitter below a ceiling that doubles, so that the instances of a
    /// fleet that lost their issuer together do not come back together. A tenth of the ceiling is the least.
    pub(super) fn pause_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let ceiling = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        rand::rng().random_range(ceiling / 10..=ceiling)
    }

    /// The part of its lifetime after which a set is refreshed: about 80 %, drawn anew for each set.
    pub(super) fn refresh_point(lifetime: Duration) -> Duration {
        lifetime.mul_f64(rand::rng().random_range(0.75..0.85))
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            exchange: Duration::from_secs(5),
            unknown_key_wait: Duration::from_secs(2),
            waiting_requests: 1024,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            look_again: Duration::from_secs(15),
            rediscover_after: Duration::from_secs(6 * 3600),
            rediscover_after_failures: 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_a_second_to_a_minute_and_are_never_nothing() {
        let pace = Pace::default();
        for failures in 1..100 {
            let ceiling = Duration::from_secs(1 << failures.min(7u32).saturating_sub(1)).min(Duration::from_secs(60));
            let pause = pace.pause_after(failures);
            assert!(pause <= ceiling && pause >= ceiling / 10, "{failures}: {pause:?}");
        }
        let many: Vec<Duration> = (0..20).map(|_| pace.pause_after(9)).collect();
        assert!(many.iter().any(|pause| pause != &many[0]), "there must be jitter");
    }

    #[test]
    fn refreshing_comes_ahead_of_the_end() {
        for _ in 0..100 {
            let point = Pace::refresh_point(Duration::from_secs(100)).as_secs();
            assert!((75..=85).contains(&point), "{point}");
        }
    }
}
