//! Owns: the time that limits go by.
//! Always holds: it goes on evenly when somebody sets the wall clock; a test holds it in its hand.

use std::time::Duration;

use governor::{clock, nanos::Nanos};

use crate::clock::Clock;

/// A steady clock that began when it was made.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    clock: Clock,
    began: Duration,
}

impl Steady {
    pub(super) fn new(clock: Clock) -> Self {
        Self { began: clock.steady(), clock }
    }
}

impl clock::Clock for Steady {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.clock.steady().saturating_sub(self.began))
    }
}
