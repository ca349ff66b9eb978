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

impl Taken {
    /// How it stands for one that `self` and `other` both let through: whoever goes by it is refused by neither.
    pub(super) fn and(self, other: Self) -> Self {
        Self { remaining: self.remaining.min(other.remaining), reset: self.reset.max(other.reset), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_counts_the_one_that_leaves_less_is_told() {
        let taken = |remaining, seconds| Taken {
            limit: NonZeroU32::MIN.saturating_add(9),
            remaining,
            reset: Duration::from_secs(seconds),
            retry_after: None,
        };
        for (one, other, both) in [
            (taken(3, 7), taken(8, 2), taken(3, 7)),
            (taken(8, 2), taken(3, 7), taken(3, 7)),
            (taken(3, 2), taken(8, 7), taken(3, 7)),
        ] {
            assert_eq!(one.and(other), both);
        }
    }
}
