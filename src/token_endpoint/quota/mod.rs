//! Owns: how many tokens each client and each organisation gets at one endpoint, by hours and days of UTC.
//! Refuses: a token beyond that; with `enforce` off, nobody: it counts and warns.
//! Always holds: a token is counted once, when it is made; what was reserved for one that was not made is given back, so that
//! whoever fails uses nothing up. Counts outlive reloads, and so do not begin anew when the numbers change.

mod allowance;
mod counts;
mod headers;
mod holder;
mod period;
mod spent;
mod standing;
mod tally;
mod together;
mod warnings;

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;

use self::{
    allowance::Allowances,
    counts::Counts,
    holder::Holder,
    together::Together,
    warnings::{Threshold, Warnings},
};
pub use self::{holder::HolderKind, period::Period, spent::Spent, standing::Standing};
use crate::{
    clock::UnixTime,
    config::QuotaConfig,
    diagnostic::{Diagnostics, KeyPath},
    limit::SharedCounters,
    living::Living,
};

/// The quota of one token endpoint: how much everybody gets, and what was used, which outlives a reload. From [`Quotas::of`].
#[derive(Debug)]
pub struct Quota {
    endpoint: Arc<str>,
    allowances: Allowances,
    enforce: bool,
    memory: Arc<Memory>,
    /// Where replicas count together, if they do.
    together: Option<Together>,
}

/// What one endpoint remembers.
#[derive(Debug, Default)]
struct Memory {
    counts: Counts,
    warnings: Warnings,
}

/// What all endpoints remember, by their names. There is one of these for the life of the process, so that a reload gives nobody a
/// quota anew.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    by_endpoint: Arc<Living<Arc<str>, Memory>>,
}

/// Somebody has used up what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the quota of the {} is used up for {} s", .whose.word(), .retry_after.as_secs())]
pub struct QuotaExceeded {
    /// Whose quota it is.
    pub whose: HolderKind,
    /// When there is some again, in whole seconds; more than nothing.
    pub retry_after: Duration,
    /// How matters stand.
    pub standing: Standing,
}

impl Quotas {
    /// The quota of the endpoint `endpoint`, compiled; it is of no use if `diagnostics` now says what is wrong with it. It shares
    /// what was used with every other one of that endpoint that is still in use.
    #[must_use]
    pub fn of(&self, endpoint: &Arc<str>, raw: &QuotaConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Quota {
        let memory = self.by_endpoint.obtain(Arc::clone(endpoint), |_| Memory::default());
        Quota {
            endpoint: Arc::clone(endpoint),
            allowances: Allowances::compile(raw, path, diagnostics),
            enforce: raw.enforce,
            memory,
            together: None,
        }
    }
}

impl Quota {
    /// The same, counted together with other replicas by `counters`, which are asked by whatever runs on `control`.
    #[must_use]
    pub fn together(self, counters: Option<&Arc<SharedCounters>>, control: Option<&Handle>) -> Self {
        let together = counters.zip(control);
        let together = together.map(|(counters, control)| Together::new(Arc::clone(counters), control.clone()));
        Self { together, ..self }
    }

    /// Reserves one token for a client, and for the organisation that it is asked for.
    ///
    /// # Errors
    /// One of them gets no more for now.
    pub async fn spend(
        self: &Arc<Self>,
        client_id: &str,
        organization: Option<&str>,
        now: UnixTime,
    ) -> Result<Spent, Box<QuotaExceeded>> {
        let holders = self.holders(client_id, organization);
        let places = self.memory.counts.reserve(holders, self.enforce, now);
        let places = places.map_err(|holders| Box::new(self.exceeded(&holders, now)))?;
        let spent = Spent::new(Arc::clone(self), places, now);
        let Some(together) = &self.together else { return Ok(spent) };
        // As a task of its own: if nobody waits for it any more, what it counted is given back all the same.
        let counting = together.control.spawn(spent.also(together.clone()));
        // It only fails to end when the program does.
        counting.await.unwrap_or_else(|_| Ok(Spent::default()))
    }

    /// How matters stand for a client, and for an organisation.
    #[must_use]
    pub fn standing(&self, client_id: &str, organization: Option<&str>, now: UnixTime) -> Standing {
        self.memory.counts.standing(&self.holders(client_id, organization), now)
    }

    /// How often somebody was warned of, by the share of the quota in hundredths.
    pub fn warnings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Threshold::ALL.into_iter().map(|threshold| (threshold.percent(), self.memory.warnings.count(threshold)))
    }

    fn holders(&self, client_id: &str, organization: Option<&str>) -> Vec<Holder> {
        let client = Holder::new(HolderKind::Client, client_id, self.allowances.of_client(client_id));
        let organization = organization.zip(self.allowances.of_organizations());
        let organization = organization.map(|(name, allowance)| Holder::new(HolderKind::Organization, name, allowance));
        std::iter::once(client).chain(organization).collect()
    }

    fn exceeded(&self, holders: &[Holder], now: UnixTime) -> QuotaExceeded {
        let standing = self.memory.counts.standing(holders, now);
        // Whoever was refused a moment ago, and has something again now, may come back at once.
        let (whose, retry_after) = standing.used_up().unwrap_or((HolderKind::Client, Duration::from_secs(1)));
        QuotaExceeded { whose, retry_after, standing }
    }
}

#[cfg(test)]
mod tests;
