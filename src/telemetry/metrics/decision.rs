//! Owns: what decisions are told apart by, in each worker once for all routes.
//! Refuses: an issuer's name unless a token of that issuer was verified.
//! Always holds: a worker keeps a key as long as it lives; there are few, since they are made of names of the configuration and of the
//! program's reasons.

use std::{cell::RefCell, sync::Arc};

/// What was decided about one request.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    /// The name of the verified token's issuer in the configuration. None for every other token: whose it is, is then
    /// anybody's word.
    pub issuer: Option<&'a str>,
    /// How it was decided.
    pub result: DecisionResult,
    /// Why: one of the program's closed list of reasons.
    pub reason: &'static str,
    /// Whether it was enforced.
    pub mode: DecisionMode,
}

/// How a request was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionResult {
    /// It may be forwarded.
    Allowed,
    /// It may not.
    Refused,
}

/// What a decision is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionMode {
    /// A refusal is a refusal.
    Enforce,
    /// A refusal is only noted.
    Report,
}

/// The labels of decisions that are counted as one.
#[derive(Debug)]
pub(super) struct DecisionKey {
    issuer: Option<Box<str>>,
    result: DecisionResult,
    reason: &'static str,
    mode: DecisionMode,
}

/// The keys that one worker has met. A route's counters only point to them: their texts would be two cache lines more of each route.
#[derive(Debug, Default)]
pub(super) struct DecisionKeys {
    known: RefCell<Vec<Arc<DecisionKey>>>,
}

impl DecisionKeys {
    /// The key of `decision`. It is looked for among those of all issuers, one by one: to be asked when a route meets it first.
    pub(super) fn key_of(&self, decision: &Decision<'_>) -> Arc<DecisionKey> {
        let mut known = self.known.borrow_mut();
        if let Some(key) = known.iter().find(|key| key.is_of(decision)) {
            return Arc::clone(key);
        }
        let key = Arc::new(DecisionKey::of(decision));
        known.push(Arc::clone(&key));
        key
    }
}

impl DecisionKey {
    fn of(decision: &Decision<'_>) -> Self {
        let Decision { issuer, result, reason, mode } = *decision;
        Self { issuer: issuer.map(Into::into), result, reason, mode }
    }

    /// Whether this is the key of `decision`.
    pub(super) fn is_of(&self, decision: &Decision<'_>) -> bool {
        self.result == decision.result
            && self.mode == decision.mode
            && self.reason == decision.reason
            && self.issuer.as_deref() == decision.issuer
    }

    /// As labels: issuer, result, reason and mode.
    pub(super) fn labels(&self) -> [&str; 4] {
        [self.issuer.as_deref().unwrap_or_default(), self.result.label(), self.reason, self.mode.label()]
    }
}

impl DecisionResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
        }
    }
}

impl DecisionMode {
    const fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Report => "report",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_each_key_once() {
        let keys = DecisionKeys::default();
        let decision = |issuer, result, reason, mode| Decision { issuer, result, reason, mode };
        let (allowed, refused) = (DecisionResult::Allowed, DecisionResult::Refused);
        let decisions = [
            decision(Some("corp"), allowed, "authorized", DecisionMode::Enforce),
            decision(Some("partner"), allowed, "authorized", DecisionMode::Enforce),
            decision(None, allowed, "authorized", DecisionMode::Enforce),
            decision(Some("corp"), refused, "authorized", DecisionMode::Enforce),
            decision(Some("corp"), allowed, "public", DecisionMode::Enforce),
            decision(Some("corp"), allowed, "authorized", DecisionMode::Report),
        ];
        let first: Vec<_> = decisions.iter().map(|decision| keys.key_of(decision)).collect();
        for (own, decision) in first.iter().zip(&decisions) {
            assert!(Arc::ptr_eq(own, &keys.key_of(decision)), "{decision:?}");
            assert_eq!(decisions.iter().filter(|other| own.is_of(other)).count(), 1, "{decision:?}");
        }
        assert_eq!(keys.known.borrow().len(), decisions.len());
    }
}
