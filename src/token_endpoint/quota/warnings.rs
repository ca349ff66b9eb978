//! Owns: when an operator is warned that a quota will be used up, and how often that was.
//! Always holds: once for each holder, window and threshold on each replica, and only of holders that proved who they are.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

use super::{Period, holder::Holder};
use crate::token_endpoint::Echo;

/// A share of a quota that is warned of when it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Threshold {
    Most,
    Nearly,
    All,
}

/// Somebody has used up a share of a quota that nobody was warned of yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warning<'p> {
    pub(super) holder: &'p Holder,
    pub(super) period: Period,
    pub(super) quota: u64,
    pub(super) threshold: Threshold,
    pub(super) used: u64,
}

/// How often somebody was warned of.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    most: AtomicU64,
    nearly: AtomicU64,
    all: AtomicU64,
}

impl Threshold {
    pub(super) const ALL: [Self; 3] = [Self::Most, Self::Nearly, Self::All];

    /// In hundredths of the quota, as the metric's label has it.
    pub(super) const fn percent(self) -> &'static str {
        match self {
            Self::Most => "60",
            Self::Nearly => "80",
            Self::All => "100",
        }
    }

    const fn fifths(self) -> u64 {
        match self {
            Self::Most => 3,
            Self::Nearly => 4,
            Self::All => 5,
        }
    }

    /// The highest that `used` of `quota` has reached.
    pub(super) fn reached(used: u64, quota: u64) -> Option<Self> {
        let is_reached = |threshold: &Self| used.saturating_mul(5) >= quota.saturating_mul(threshold.fifths());
        Self::ALL.into_iter().rfind(is_reached)
    }
}

impl Warnings {
    /// Warns of somebody at this endpoint.
    pub(super) fn warn(&self, endpoint: &str, warning: &Warning<'_>) {
        let Warning { holder, period, quota, threshold, used } = *warning;
        self.counter(threshold).fetch_add(1, Ordering::Relaxed);
        let (kind, name) = (holder.kind.word(), Echo::of(&holder.name));
        let (percent, period) = (threshold.percent(), period.word());
        warn!(
            used,
            quota, "token endpoint {endpoint}: {kind} {name} has used {percent} % of its quota of this {period}"
        );
    }

    /// How often this one was warned of.
    pub(super) fn count(&self, threshold: Threshold) -> u64 {
        self.counter(threshold).load(Ordering::Relaxed)
    }

    const fn counter(&self, threshold: Threshold) -> &AtomicU64 {
        match threshold {
            Threshold::Most => &self.most,
            Threshold::Nearly => &self.nearly,
            Threshold::All => &self.all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_threshold_counts() {
        for (used, quota, expected) in [
            (0, 1, None),
            (1, 1, Some(Threshold::All)),
            (5, 10, None),
            (6, 10, Some(Threshold::Most)),
            (7, 10, Some(Threshold::Most)),
            (8, 10, Some(Threshold::Nearly)),
            (10, 10, Some(Threshold::All)),
            (11, 10, Some(Threshold::All)),
            (3, 4, Some(Threshold::Most)),
            (1, 3, None),
            (2, 3, Some(Threshold::Most)),
        ] {
            assert_eq!(Threshold::reached(used, quota), expected, "{used} of {quota}");
        }
    }
}
