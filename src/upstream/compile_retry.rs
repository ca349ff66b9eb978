//! Owns: turning `[upstreams.*.retry]` into a [`RetryPolicy`].
//! Refuses: a table that would never have a request tried again, and statuses that are no failures.

use super::retry::RetryPolicy;
use crate::{
    config::{RetryCauseConfig, RetryConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// The most tries of one request: beyond that, trying is the fault and not the cure.
const MOST_ATTEMPTS: u32 = 10;

/// The most that may be kept of each body that is under way.
const MOST_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// Compiles the table at `path`.
pub(super) fn compile(raw: &RetryConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<RetryPolicy> {
    let before = diagnostics.error_count();
    if !(2..=MOST_ATTEMPTS).contains(&raw.attempts) {
        let message = format!("`attempts` cannot be {}: the first try is one of them", raw.attempts);
        let remedy = format!("write a number from 2 to {MOST_ATTEMPTS}, or take the table out");
        diagnostics.error(&path.key("attempts"), message, remedy);
    }
    if raw.on.is_empty() {
        let remedy = "name causes, like [\"connect\", \"reset\", 503], or take the key out for the default";
        diagnostics.error(&path.key("on"), "without a cause no request is ever tried again", remedy);
    }
    if raw.max_body.0 > MOST_BODY_BYTES {
        let message = "so much of every body under way would fill the memory";
        diagnostics.error(&path.key("max_body"), message, "write a size of at most \"16MiB\", like \"64KiB\"");
    }
    let mut statuses = Vec::new();
    for (position, cause) in raw.on.iter().enumerate() {
        if let RetryCauseConfig::Status(status) = *cause {
            if !(400..=599).contains(&status) {
                let remedy = "write a status from 400 to 599, like 503";
                diagnostics.error(&path.key("on").index(position), format!("{status} is not a failure"), remedy);
            }
            statuses.push(status);
        }
    }
    (diagnostics.error_count() == before).then(|| RetryPolicy {
        attempts: raw.attempts,
        after_connect: raw.on.contains(&RetryCauseConfig::Connect),
        after_reset: raw.on.contains(&RetryCauseConfig::Reset),
        after_statuses: statuses.into_boxed_slice(),
        budget: raw.budget,
        most_body_bytes: raw.max_body.0,
    })
}
