//! Owns: when a server that does not answer is held to be away.
//! Refuses: giving it up for one late answer, or for many that were waited for side by side.
//! Always holds: any answer ends a silence; noting one takes no lock unless there was a silence.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::time::Instant;

/// How many questions must go unanswered one after another.
const ENOUGH: u32 = 3;

/// For how many questions in a row there was no answer.
#[derive(Debug, Default)]
pub(super) struct Silence {
    unanswered: AtomicU32,
    /// When the last of them was given up.
    last: Mutex<Option<Instant>>,
}

impl Silence {
    /// Notes an answer, whatever it says.
    pub(super) fn is_broken(&self) {
        if self.unanswered.load(Ordering::Relaxed) > 0 {
            self.unanswered.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that what was asked at `asked` had no answer until `now`. Gives back whether that is enough. What was asked while
    /// another was still waited for is the same silence, and adds nothing.
    pub(super) fn goes_on(&self, asked: Instant, now: Instant) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.unanswered.load(Ordering::Relaxed);
        if before > 0 && last.is_some_and(|last| asked < last) {
            return before >= ENOUGH;
        }
        *last = Some(now);
        self.unanswered.store(before.saturating_add(1), Ordering::Relaxed);
        before.saturating_add(1) >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn questions_one_after_another_are_enough_and_those_side_by_side_are_not() {
        let (silence, begun) = (Silence::default(), Instant::now());
        let at = |milliseconds| begun + Duration::from_millis(milliseconds);
        for _ in 0..100 {
            assert!(!silence.goes_on(at(0), at(20)), "side by side");
        }
        assert!(!silence.goes_on(at(19), at(39)) && !silence.goes_on(at(20), at(40)));
        assert!(!silence.goes_on(at(39), at(59)), "the second is still waited for");
        assert!(silence.goes_on(at(40), at(60)), "the third");
        assert!(silence.goes_on(at(0), at(61)), "and it is enough for all who ask");
    }

    #[test]
    fn any_answer_ends_a_silence() {
        let (silence, begun) = (Silence::default(), Instant::now());
        for round in 0..10_u64 {
            let at = |milliseconds| begun + Duration::from_millis(100 * round + milliseconds);
            assert!(!silence.goes_on(at(0), at(20)) && !silence.goes_on(at(20), at(40)), "{round}");
            silence.is_broken();
        }
    }
}
