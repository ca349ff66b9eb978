//! Owns: whether a request is tried again: by cause, by method, under a budget.
//! Refuses: sending again what may have been acted on, unless the method says that twice is as good as once (RFC 9110 section
//! 9.2.2); more at a time than the budget.
//! Always holds: without a `retry` table, what was not sent is tried once at each endpoint, and nothing else is tried again.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use http::Method;

use super::error::ExchangeError;
use crate::config::Percent;

/// How many may be tried again at a time however few requests there are.
const ALWAYS: usize = 3;

/// When requests are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RetryPolicy {
    /// How often a request is tried in all.
    pub(super) attempts: u32,
    /// Whether after nothing was sent.
    pub(super) after_connect: bool,
    /// Whether after the connection broke before the answer.
    pub(super) after_reset: bool,
    /// After which statuses.
    pub(super) after_statuses: Box<[u16]>,
    /// How many at a time, as a share of the requests under way.
    pub(super) budget: Percent,
    /// How much of a body is kept.
    pub(super) most_body_bytes: u64,
}

/// After what a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing was sent, or nothing was done with what was.
    Connect,
    /// The connection or stream ended before the answer began.
    Reset,
    /// It was answered so.
    Status(u16),
}

/// How often requests of an upstream were tried again so far, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// Nothing had been sent, or nothing been done with what was.
    pub connect: u64,
    /// The connection or stream had ended before the answer began.
    pub reset: u64,
    /// The answer had one of the given statuses.
    pub status: u64,
    /// Not tried again, because the budget was spent.
    pub out_of_budget: u64,
}

/// The requests of an upstream that are being tried again now. It outlives reloads with the upstream's name.
#[derive(Debug, Default)]
pub(super) struct Retries {
    spent: Arc<AtomicUsize>,
    connect: AtomicU64,
    reset: AtomicU64,
    status: AtomicU64,
    out_of_budget: AtomicU64,
}

/// One request that is being tried again; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Retrying {
    spent: Arc<AtomicUsize>,
}

impl RetryPolicy {
    /// Whether requests are tried again after this.
    pub(super) fn covers(&self, cause: Cause) -> bool {
        match cause {
            Cause::Connect => self.after_connect,
            Cause::Reset => self.after_reset,
            Cause::Status(status) => self.after_statuses.contains(&status),
        }
    }
}

impl RetryPolicy {
    /// Whether a request with this method may ever be sent again once it was sent. `may_refuse`: whether an endpoint may say that it did
    /// nothing with it.
    pub(super) fn may_send_again(&self, method: &Method, may_refuse: bool) -> bool {
        let after_it = self.after_reset || !self.after_statuses.is_empty();
        (may_refuse && self.after_connect) || (after_it && is_idempotent(method))
    }
}

impl Retries {
    /// The right to try one request again, where so many are under way, unless the budget is spent.
    pub(super) fn spend(&self, share: Percent, under_way: usize) -> Option<Retrying> {
        let most = share.of(under_way).max(ALWAYS);
        let one_more = |spent: usize| (spent < most).then(|| spent.saturating_add(1));
        if self.spent.fetch_update(Relaxed, Relaxed, one_more).is_err() {
            self.out_of_budget.fetch_add(1, Relaxed);
            return None;
        }
        Some(Retrying { spent: Arc::clone(&self.spent) })
    }

    /// Notes that a request is tried again.
    pub(super) fn note(&self, cause: Cause) {
        let counter = match cause {
            Cause::Connect => &self.connect,
            Cause::Reset => &self.reset,
            Cause::Status(_) => &self.status,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> RetryCounts {
        RetryCounts {
            connect: self.connect.load(Relaxed),
            reset: self.reset.load(Relaxed),
            status: self.status.load(Relaxed),
            out_of_budget: self.out_of_budget.load(Relaxed),
        }
    }
}

impl Drop for Retrying {
    fn drop(&mut self) {
        self.spent.fetch_sub(1, Relaxed);
    }
}

/// RFC 9110 section 9.2.2, of the methods that are registered there. Whatever else there is may do anything.
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
}

/// Whether the other side says itself that it did nothing with the request: a refused stream, or one that came after those that a
/// GOAWAY still counts (RFC 9113 sections 8.7 and 6.8).
pub(super) fn is_refused(error: &ExchangeError) -> bool {
    let ExchangeError::Http2(error) = error else { return false };
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(error) = found.downcast_ref::<h2::Error>() {
            let is_refused_stream = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
            return error.is_remote() && (is_refused_stream || error.is_go_away());
        }
        cause = found.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_registered_idempotent_methods_are() {
        for (method, expected) in [
            ("GET", true),
            ("HEAD", true),
            ("PUT", true),
            ("DELETE", true),
            ("OPTIONS", true),
            ("POST", false),
            ("PATCH", false),
            ("get", false),
            ("PROPFIND", false),
        ] {
            assert_eq!(is_idempotent(&method.parse().unwrap()), expected, "{method}");
        }
    }

    #[test]
    fn a_budget_is_a_share_of_what_is_under_way_and_three_at_least() {
        let budget = Retries::default();
        let few: Vec<_> = (0..10).map_while(|_| budget.spend(Percent(20), 5)).collect();
        assert_eq!(few.len(), 3);
        let many: Vec<_> = (0..100).map_while(|_| budget.spend(Percent(20), 100)).collect();
        assert_eq!(many.len(), 17, "those from before count");
        drop((few, many));
        assert!(budget.spend(Percent(0), 1000).is_some());
    }
}
