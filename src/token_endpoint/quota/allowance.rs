//! Owns: how many tokens somebody gets, as it was configured.
//! Refuses: a quota of nothing, and one that bounds nothing.

use std::collections::HashMap;

use super::Period;
use crate::{
    config::{AllowanceConfig, QuotaConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// The greatest quota; what is shared is counted in 64 bits with a sign.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// How many tokens somebody gets in each period; none: as many as it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowance {
    per_hour: Option<u64>,
    per_day: Option<u64>,
}

/// How many tokens everybody gets at one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Allowances {
    clients: Allowance,
    exceptions: HashMap<Box<str>, Allowance>,
    organizations: Option<Allowance>,
}

impl Allowance {
    pub(super) const fn bound(self, period: Period) -> Option<u64> {
        match period {
            Period::Hour => self.per_hour,
            Period::Day => self.per_day,
        }
    }

    fn compile(raw: AllowanceConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Self {
        let compiled = Self { per_hour: raw.per_hour, per_day: raw.per_day };
        for period in Period::ALL {
            let Some(bound) = compiled.bound(period) else { continue };
            let at = path.key(period.key());
            if bound == 0 {
                let help = "disable the client, or take the key out for a client that is not bounded";
                diagnostics.error(&at, "a quota of 0 leaves nobody a token", help);
            } else if bound > MOST_TOKENS {
                let message = format!("{bound} is more than can be counted");
                diagnostics.error(&at, message, "write at most 1000000000000, or leave it out");
            }
        }
        compiled
    }

    fn is_unbounded(self) -> bool {
        self == Self::default()
    }
}

impl Allowances {
    pub(super) fn compile(raw: &QuotaConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Self {
        let own = AllowanceConfig { per_hour: raw.per_hour, per_day: raw.per_day };
        let clients = Allowance::compile(own, path, diagnostics);
        let at = path.key("organizations");
        let organizations = raw.organizations.map(|raw| Allowance::compile(raw, &at, diagnostics));
        let at = path.key("clients");
        let exceptions: HashMap<Box<str>, Allowance> = raw
            .clients
            .iter()
            .map(|(name, raw)| (Box::from(&**name), Allowance::compile(*raw, &at.key(name), diagnostics)))
            .collect();
        let mut all = std::iter::once(clients).chain(organizations).chain(exceptions.values().copied());
        if all.all(Allowance::is_unbounded) {
            diagnostics.key_error(path, "this quota bounds nothing", "write `per_hour` or `per_day`, or take it out");
        }
        Self { clients, exceptions, organizations }
    }

    pub(super) fn of_client(&self, client_id: &str) -> Allowance {
        self.exceptions.get(client_id).copied().unwrap_or(self.clients)
    }

    pub(super) const fn of_organizations(&self) -> Option<Allowance> {
        self.organizations
    }
}
