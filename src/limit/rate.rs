//! Owns: how often something may be done, and what became of doing it once.
//! Always holds: a rate lets something through.

use std::{num::NonZeroU32, time::Duration};

/// So many in such a time. They come back evenly over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many at once, and how many in the time.
    pub requests: NonZeroU32,
    /// The time; more than nothing.
    pub per: Duration,
}

/// What became of one request under a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many may come at once when none has come for a while.
    pub limit: NonZeroU32,
    /// How many more would be let through now.
    pub remaining: u32,
    /// In what time all of them are there again, if none comes meanwhile.
    pub reset: Duration,
    /// None: it is let through. Otherwise it is not, and this is in what time one like it would be; more than nothing.
    pub retry_after: Option<Duration>,
}
