//! Owns: the problems that one worker has told callers of, ready to be told again.
//! Refuses: knowing whose request is refused: that is said with each answer.
//! Always holds: there are no more of them than there are reasons and statuses: neither is made of what a caller sends.

use std::{cell::RefCell, ptr, rc::Rc};

use super::Rejection;
use crate::http::Problem;

/// The problems of one worker. To look one up takes 30 instructions, to find its sentence and to write what all of its documents have
/// in common 1,400.
#[derive(Debug, Default)]
pub(super) struct Problems {
    known: RefCell<Vec<Rc<Problem>>>,
}

impl Problems {
    /// How `rejection` is told.
    pub(super) fn of(&self, rejection: &Rejection) -> Rc<Problem> {
        let (status, reason) = (rejection.status(), rejection.reason());
        let mut known = self.known.borrow_mut();
        let find = |is: fn(&str, &str) -> bool| {
            known.iter().find(|problem| problem.status() == status && is(problem.reason(), reason)).cloned()
        };
        // A reason that stands in one place of the program is mostly the same one.
        let problem = find(|one, other| ptr::eq(one, other)).or_else(|| find(|one, other| one == other));
        problem.unwrap_or_else(|| {
            let problem = Rc::new(Problem::new(status, reason, rejection.detail()));
            known.push(Rc::clone(&problem));
            problem
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_made_once_and_is_its_own() {
        let problems = Problems::default();
        let (no_route, no_token) = (problems.of(&Rejection::NoRoute), problems.of(&Rejection::NoToken));
        assert!(Rc::ptr_eq(&no_route, &problems.of(&Rejection::NoRoute)) && !Rc::ptr_eq(&no_route, &no_token));
        for (problem, rejection) in [(no_route, Rejection::NoRoute), (no_token, Rejection::NoToken)] {
            assert_eq!((problem.status(), problem.reason()), (rejection.status(), rejection.reason()));
        }
        assert_eq!(problems.known.borrow().len(), 2);
    }
}
