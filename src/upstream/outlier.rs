//! Owns: when an endpoint that fails requests is left alone, and for how long.
//! Refuses: leaving alone more endpoints than allowed, or the last one that is available.
//! Always holds: each further time in a row is twice as long as the one before, up to a bound.

use std::time::Duration;

use super::{
    Outcome,
    vigilance::{above_zero, statuses},
};
use crate::{
    config::{OutlierConfig, Percent},
    diagnostic::{Diagnostics, KeyPath},
};

/// When endpoints are left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outlier {
    /// After so many failures in a row.
    pub(super) consecutive_failures: u32,
    /// The statuses that are failures.
    pub(super) statuses: Box<[u16]>,
    /// For so long the first time.
    pub(super) eject_for: Duration,
    /// For so long at most.
    pub(super) max_eject_for: Duration,
    /// So many at a time.
    pub(super) max_ejected: Percent,
}

impl Outlier {
    /// Compiles `raw`, which stands at `path`.
    pub(super) fn compile(raw: &OutlierConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<Self> {
        let errors_before = diagnostics.error_count();
        if raw.consecutive_failures == 0 {
            let remedy = "write a number of at least 1, or take the key out for the default";
            diagnostics.error(&path.key("consecutive_failures"), "no failure at all would put an endpoint out", remedy);
        }
        if raw.max_ejected.0 == 0 {
            let remedy = "write a share like \"50%\", or take the whole table out";
            diagnostics.error(&path.key("max_ejected"), "nothing would ever be left alone", remedy);
        }
        let statuses = statuses(&raw.statuses, &path.key("statuses"), diagnostics);
        let eject_for = above_zero(raw.eject_for, &path.key("eject_for"), diagnostics);
        let max_eject_for = above_zero(raw.max_eject_for, &path.key("max_eject_for"), diagnostics);
        let (statuses, eject_for, max_eject_for) = (statuses?, eject_for?, max_eject_for?);
        if max_eject_for < eject_for {
            let remedy = "make `max_eject_for` at least as long as `eject_for`";
            let message = format!("the longest time would be shorter than the first one, {}", raw.eject_for);
            diagnostics.error(&path.key("max_eject_for"), message, remedy);
        }
        (diagnostics.error_count() == errors_before).then_some(Self {
            consecutive_failures: raw.consecutive_failures,
            statuses,
            eject_for,
            max_eject_for,
            max_ejected: raw.max_ejected,
        })
    }

    /// Whether it speaks against the endpoint.
    pub(super) fn is_failure(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered(status) => self.statuses.contains(&status),
            Outcome::Failed => true,
        }
    }

    /// How long the ejection lasts that is the `in_a_row`th.
    pub(super) fn length(&self, in_a_row: u32) -> Duration {
        let doubled = 2u32.saturating_pow(in_a_row.saturating_sub(1));
        self.eject_for.saturating_mul(doubled).min(self.max_eject_for)
    }

    /// How many of so many endpoints may be out at a time.
    pub(super) fn most(&self, endpoints: usize) -> usize {
        match endpoints.checked_sub(1) {
            None | Some(0) => 0,
            Some(all_but_one) => self.max_ejected.of(endpoints).clamp(1, all_but_one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlier(max_ejected: u8) -> Outlier {
        Outlier {
            consecutive_failures: 5,
            statuses: Box::new([503]),
            eject_for: Duration::from_secs(10),
            max_eject_for: Duration::from_secs(300),
            max_ejected: Percent(max_ejected),
        }
    }

    #[test]
    fn each_ejection_in_a_row_is_longer_up_to_the_bound() {
        let lengths = [1, 2, 3, 4, 5, 6, 7, 33, u32::MAX].map(|in_a_row| outlier(50).length(in_a_row).as_secs());
        assert_eq!(lengths, [10, 20, 40, 80, 160, 300, 300, 300, 300]);
    }

    #[test]
    fn of_two_or_more_one_may_be_out_and_never_all() {
        for (endpoints, max_ejected, expected) in
            [(0, 100, 0), (1, 100, 0), (2, 1, 1), (2, 100, 1), (3, 50, 1), (4, 50, 2), (10, 100, 9), (10, 29, 2)]
        {
            assert_eq!(outlier(max_ejected).most(endpoints), expected, "{max_ejected}% of {endpoints}");
        }
    }

    #[test]
    fn statuses_that_are_not_named_speak_for_an_endpoint() {
        for (outcome, expected) in [
            (Outcome::Answered(200), false),
            (Outcome::Answered(500), false),
            (Outcome::Answered(503), true),
            (Outcome::Failed, true),
        ] {
            assert_eq!(outlier(50).is_failure(outcome), expected, "{outcome:?}");
        }
    }
}
