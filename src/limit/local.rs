//! Owns: one limit as this replica counts it.
//! Always holds: from whenever on, in no time are more let through than `requests`, and as many again as come back in that time.

use std::{fmt, time::Duration};

use governor::{Quota, RateLimiter, clock::Clock as _, middleware::StateInformationMiddleware};

use super::{Rate, Taken, buckets::Buckets, key::Key, steady::Steady};
use crate::clock::Clock;

/// The buckets of one limit.
pub(super) struct Local {
    limiter: RateLimiter<Key, Buckets, Steady, StateInformationMiddleware>,
    /// The same that the limiter has.
    buckets: Buckets,
    rate: Rate,
    /// In what time one comes back.
    each: Duration,
}

impl Local {
    /// None if the rate leaves no time.
    pub(super) fn new(rate: Rate, clock: Clock) -> Option<Self> {
        // Rounded up: rounded down, more would come back than the limit says.
        let each = rate.per.as_nanos().div_ceil(u128::from(rate.requests.get()));
        let each = Duration::from_nanos(u64::try_from(each).unwrap_or(u64::MAX));
        let quota = Quota::with_period(each)?.allow_burst(rate.requests);
        let clock = Steady::new(clock);
        let buckets = Buckets::new(clock.clone());
        let limiter = RateLimiter::new(quota, buckets.clone(), clock);
        Some(Self { limiter, buckets, rate, each })
    }

    /// Lets one through, or does not.
    pub(super) fn take(&self, key: &Key) -> Taken {
        let limit = self.rate.requests;
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity().min(limit.get());
                let used = limit.get().saturating_sub(remaining);
                Taken { limit, remaining, reset: self.each.saturating_mul(used), retry_after: None }
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now()).max(Duration::from_nanos(1));
                let reset = wait.saturating_add(self.each.saturating_mul(limit.get().saturating_sub(1)));
                Taken { limit, remaining: 0, reset, retry_after: Some(wait) }
            }
        }
    }

    /// Undoes letting one through that was stopped all the same.
    pub(super) fn give_back(&self, key: &Key) {
        self.buckets.give_back(key, self.each);
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Local").field("rate", &self.rate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, num::NonZeroU32, sync::Arc};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        clock::{ManualClock, UnixTime},
        limit::{
            Whose,
            buckets::{MOST_KEYS, OVERFLOW},
        },
    };

    fn limit(requests: u32, per: Duration) -> (Local, ManualClock) {
        let clock = ManualClock::starting_at(UnixTime::from_seconds(1_700_000_000));
        let rate = Rate { requests: NonZeroU32::new(requests).unwrap(), per };
        (Local::new(rate, clock.clock()).unwrap(), clock)
    }

    fn peer(number: u32) -> Key {
        Key::of(&Whose::Peer(Ipv4Addr::from_bits(number).into()))
    }

    #[test]
    fn a_bucket_empties_and_fills_evenly_and_tells_how_it_stands() {
        let (local, clock) = limit(4, Duration::from_secs(8));
        let told = |key: &Key| {
            let taken = local.take(key);
            (taken.remaining, taken.reset.as_secs(), taken.retry_after.map(|wait| wait.as_secs()))
        };
        let key = peer(1);
        assert_eq!([told(&key), told(&key), told(&key)], [(3, 2, None), (2, 4, None), (1, 6, None)]);
        assert_eq!([told(&key), told(&key)], [(0, 8, None), (0, 8, Some(2))]);
        assert_eq!(told(&peer(2)), (3, 2, None), "the control: another's bucket is full");
        clock.advance(Duration::from_millis(1999));
        assert!(local.take(&key).retry_after.is_some());
        clock.advance(Duration::from_millis(1));
        assert_eq!([told(&key), told(&key)], [(0, 8, None), (0, 8, Some(2))]);
        clock.advance(Duration::from_secs(5));
        assert_eq!((told(&key).0, told(&key).0), (1, 0));
        clock.advance(Duration::from_hours(1));
        assert_eq!(told(&key), (3, 2, None), "never more than all of them");
    }

    #[test]
    fn made_up_callers_take_bounded_memory_and_newcomers_share_a_bucket() {
        let (local, clock) = limit(1, Duration::from_secs(3600));
        let old = peer(0);
        assert_eq!(local.take(&old).retry_after, None);
        let most = u32::try_from(MOST_KEYS).unwrap();
        let passed = (1..3 * most).filter(|number| local.take(&peer(*number)).retry_after.is_none()).count();
        assert!(passed > MOST_KEYS * 9 / 10 && passed <= MOST_KEYS + OVERFLOW, "{passed}");
        assert!(local.take(&old).retry_after.is_some(), "whoever was there before is still known");
        assert!(local.take(&peer(4 * most)).retry_after.is_some(), "the buckets of newcomers are empty");
        clock.advance(Duration::from_secs(3601));
        let passed = (4 * most..5 * most).filter(|number| local.take(&peer(*number)).retry_after.is_none()).count();
        assert!(passed > MOST_KEYS * 9 / 10, "the old ones were let go of: {passed}");
    }

    #[test]
    fn one_newcomer_shuts_out_few_others() {
        let (local, _) = limit(1, Duration::from_secs(3600));
        let most = u32::try_from(MOST_KEYS).unwrap();
        // All room is taken by now, and some of the newcomers' buckets.
        (0..most + most / 16).for_each(|number| _ = local.take(&peer(number)));
        let strangers = |from| (from..from + 64).filter(|number| local.take(&peer(*number)).retry_after.is_none());
        let greedy = peer(9 * most);
        (0..100).for_each(|_| _ = local.take(&greedy));
        assert!(local.take(&greedy).retry_after.is_some());
        assert!(strangers(8 * most).count() > 0, "others are let through all the same");
    }

    #[test]
    fn what_is_given_back_may_be_taken_again_and_no_more() {
        let (local, clock) = limit(2, Duration::from_secs(10));
        let passes = |key: &Key| local.take(key).retry_after.is_none();
        for key in [peer(1), Key::Everybody] {
            assert!(passes(&key) && passes(&key) && !passes(&key));
            local.give_back(&key);
            assert!(passes(&key) && !passes(&key));
            local.give_back(&key);
            clock.advance(Duration::from_secs(60));
            assert!(passes(&key) && passes(&key) && !passes(&key), "never more than all of them");
        }
        local.give_back(&peer(2));
        assert!(passes(&peer(2)) && passes(&peer(2)) && !passes(&peer(2)), "from whom nothing was taken");
    }

    #[test]
    fn workers_together_let_through_what_the_limit_says() {
        let (local, _) = limit(1000, Duration::from_secs(3600));
        let local = Arc::new(local);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let local = Arc::clone(&local);
                std::thread::spawn(move || {
                    (0..1000).filter(|_| local.take(&Key::Everybody).retry_after.is_none()).count()
                })
            })
            .collect();
        let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(passed, 1000);
    }

    proptest! {
        #[test]
        fn never_more_than_the_limit_and_what_came_back(
            requests in 1_u32..50,
            per in 1_u64..100_000,
            steps in proptest::collection::vec((0_u64..5_000, 1_usize..60), 1..40),
        ) {
            let (local, clock) = limit(requests, Duration::from_millis(per));
            let mut passes: Vec<u64> = Vec::new();
            let mut now = 0_u64;
            for (pause, attempts) in steps {
                now += pause;
                clock.advance(Duration::from_millis(pause));
                for _ in 0..attempts {
                    let taken = local.take(&Key::Everybody);
                    match taken.retry_after {
                        None => passes.push(now),
                        Some(wait) => prop_assert!(wait <= Duration::from_millis(per) + Duration::from_micros(1)),
                    }
                    prop_assert!(taken.remaining < requests);
                }
            }
            // Of every stretch from one that passed to a later one.
            for (first, begun) in passes.iter().enumerate() {
                for (last, ended) in passes.iter().enumerate().skip(first) {
                    let count = u64::try_from(last - first + 1).unwrap();
                    let elapsed = ended - begun;
                    prop_assert!(count * per <= u64::from(requests) * per + u64::from(requests) * elapsed);
                }
            }
        }
    }
}
