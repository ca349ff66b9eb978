//! Owns: who asks the provider at the moment, and what was learnt of those credentials since they asked.
//! Refuses: growing: whoever does not ask any more is not in it.
//! Always holds: whatever is said against a credential reaches every question that was begun with it before.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Asker;

/// Whoever asks at the moment.
#[derive(Default)]
pub(super) struct UnderWay {
    askers: Mutex<HashMap<Asker, Questions>>,
}

/// The questions of one asker.
#[derive(Default)]
struct Questions {
    asked: usize,
    /// Counts what was said against the credential while any of them was under way.
    epoch: u64,
}

/// A question that is under way until this is dropped.
pub(super) struct Asked<'a> {
    under_way: &'a UnderWay,
    asker: Asker,
    epoch: u64,
}

impl UnderWay {
    /// `asker` begins to ask.
    pub(super) fn begin(&self, asker: Asker) -> Asked<'_> {
        let mut askers = self.lock();
        let questions = askers.entry(asker).or_default();
        questions.asked += 1;
        Asked { under_way: self, asker, epoch: questions.epoch }
    }

    /// What `asker` has under way was asked with a credential that is not accepted any more.
    pub(super) fn refuse(&self, asker: Asker) {
        if let Some(questions) = self.lock().get_mut(&asker) {
            questions.epoch += 1;
        }
    }

    /// What the client of `asker` has under way with other credentials was asked before this one was known.
    pub(super) fn supersede_all_but(&self, asker: Asker) {
        let mut askers = self.lock();
        let others = askers.iter_mut().filter(|(other, _)| other.client == asker.client && **other != asker);
        others.for_each(|(_, questions)| questions.epoch += 1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Asker, Questions>> {
        self.askers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

impl Asked<'_> {
    /// Whether nothing was said against its credential since it was begun.
    pub(super) fn stands(&self) -> bool {
        self.under_way.lock().get(&self.asker).is_some_and(|questions| questions.epoch == self.epoch)
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let mut askers = self.under_way.lock();
        if let Some(questions) = askers.get_mut(&self.asker) {
            questions.asked = questions.asked.saturating_sub(1);
            if questions.asked == 0 {
                askers.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::asker, *};

    #[test]
    fn what_is_said_against_a_credential_reaches_what_was_begun_before_and_nothing_else() {
        let under_way = UnderWay::default();
        let (old, new, other) = (asker("billing", "old"), asker("billing", "new"), asker("shipping", "old"));
        let [first, second, of_new, of_other] = [old, old, new, other].map(|asker| under_way.begin(asker));
        under_way.refuse(old);
        drop(second);
        let later = under_way.begin(old);
        assert_eq!([&first, &later, &of_new, &of_other].map(Asked::stands), [false, true, true, true]);
        under_way.supersede_all_but(new);
        assert_eq!([&first, &later, &of_new, &of_other].map(Asked::stands), [false, false, true, true]);
        drop([first, later, of_new, of_other]);
        assert!(under_way.is_empty());
        under_way.refuse(old);
        assert!(under_way.is_empty());
    }
}
