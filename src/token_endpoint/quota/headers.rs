//! Owns: the fields that tell a client what is left of its quota, in each dialect.
//! Always holds: a 429 tells when there is some again.

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{QuotaExceeded, Standing, standing::HolderStanding};
use crate::config::DialectConfig;

const CLIENT: HeaderName = HeaderName::from_static("auth0-client-quota-limit");
const ORGANIZATION: HeaderName = HeaderName::from_static("auth0-organization-quota-limit");
const LIMITS: [HeaderName; 3] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
];
const LIMITS_WITH_EPOCH: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

impl Standing {
    /// Tells it in the fields of a dialect: in those of the product where it has some, else in those that are customary, which have
    /// room for one window, the one of which the least is left.
    pub(in super::super) fn tell(&self, dialect: DialectConfig, headers: &mut HeaderMap) {
        if dialect == DialectConfig::Auth0 {
            for (name, standing) in [(CLIENT, self.client), (ORGANIZATION, self.organization)] {
                let value = standing.map(|standing| buckets(&standing)).filter(|value| !value.is_empty());
                if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                    headers.insert(name, value);
                }
            }
        } else if let Some(window) = self.tightest() {
            insert(headers, LIMITS, [window.quota, window.remaining, window.resets_in]);
        }
    }
}

impl QuotaExceeded {
    /// The same for a refusal.
    pub(in super::super) fn tell(&self, dialect: DialectConfig, headers: &mut HeaderMap) {
        self.standing.tell(dialect, headers);
        if let (DialectConfig::Auth0, Some(window)) = (dialect, self.standing.tightest()) {
            insert(headers, LIMITS_WITH_EPOCH, [window.quota, window.remaining, window.resets_at.as_seconds()]);
        }
    }
}

/// `b=per_hour;q=10;r=7;t=3540,b=per_day;...`: bucket, quota, what remains, and the seconds until it is whole again.
fn buckets(standing: &HolderStanding) -> String {
    let mut value = String::new();
    for window in standing.windows() {
        let (comma, bucket) = (if value.is_empty() { "" } else { "," }, window.period.key());
        let (quota, remaining, seconds) = (window.quota, window.remaining, window.resets_in);
        // Writing to a text cannot fail.
        let _ = write!(value, "{comma}b={bucket};q={quota};r={remaining};t={seconds}");
    }
    value
}

fn insert(headers: &mut HeaderMap, names: [HeaderName; 3], values: [u64; 3]) {
    for (name, value) in names.into_iter().zip(values) {
        headers.insert(name, HeaderValue::from(value));
    }
}
