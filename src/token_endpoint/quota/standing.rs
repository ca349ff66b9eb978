//! Owns: how matters stand: what is left of each quota, and until when.
//! Always holds: only what is bounded is in it.

use std::time::Duration;

use super::{HolderKind, Period, allowance::Allowance, tally::Tallies};
use crate::clock::UnixTime;

/// What is left to a client, and to the organisation that it asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub(super) client: Option<HolderStanding>,
    pub(super) organization: Option<HolderStanding>,
}

/// What is left to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HolderStanding {
    hour: Option<WindowStanding>,
    day: Option<WindowStanding>,
}

/// What is left in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WindowStanding {
    pub(super) period: Period,
    pub(super) quota: u64,
    pub(super) remaining: u64,
    pub(super) resets_at: UnixTime,
    /// When that is, in whole seconds from now, at least one: coming back early is of no use.
    pub(super) resets_in: u64,
    /// Whether it is used up whatever becomes of the tokens that are under way.
    is_settled: bool,
}

impl HolderStanding {
    pub(super) fn new(allowance: Allowance, tallies: &Tallies, now: UnixTime) -> Self {
        let window = |period: Period| {
            let (quota, tally) = (allowance.bound(period)?, tallies.of(period));
            let resets_at = period.end(tally.window);
            let resets_in = resets_at.since(now).as_millis().div_ceil(1000).max(1);
            Some(WindowStanding {
                period,
                quota,
                remaining: quota.saturating_sub(tally.used()),
                resets_at,
                resets_in: u64::try_from(resets_in).unwrap_or(u64::MAX),
                is_settled: tally.settled() >= quota,
            })
        };
        Self { hour: window(Period::Hour), day: window(Period::Day) }
    }

    pub(super) fn windows(&self) -> impl Iterator<Item = WindowStanding> {
        self.hour.into_iter().chain(self.day)
    }

    /// For how many seconds nothing is had, if any window is used up: until the last of them ends. One that only what is under way
    /// uses up may have something again in a moment.
    fn used_up(&self) -> Option<u64> {
        let used_up = self.windows().filter(|window| window.remaining == 0);
        used_up.map(|window| if window.is_settled { window.resets_in } else { 1 }).max()
    }
}

impl Standing {
    pub(super) fn tightest(&self) -> Option<WindowStanding> {
        tightest(self.client.iter().chain(&self.organization).flat_map(HolderStanding::windows))
    }

    /// Whose quota is used up, and how long: if both are, the client's is named, and the longer time.
    pub(super) fn used_up(&self) -> Option<(HolderKind, Duration)> {
        let of = |kind, standing: Option<HolderStanding>| Some((kind, standing?.used_up()?));
        let client = of(HolderKind::Client, self.client);
        let organization = of(HolderKind::Organization, self.organization);
        let kind = client.or(organization)?.0;
        let seconds = client.into_iter().chain(organization).map(|(_, seconds)| seconds).max()?;
        Some((kind, Duration::from_secs(seconds)))
    }
}

fn tightest(windows: impl Iterator<Item = WindowStanding>) -> Option<WindowStanding> {
    windows.min_by_key(|window| (window.remaining, std::cmp::Reverse(window.resets_at)))
}
