//! Owns: letting everything that is ready on this thread go first.
//! Refuses: waiting for anything else: what has nothing before it goes on at once.
//! Always holds: it is one turn of the runtime's queue, not a moment of time.
//!
//! A gateway that writes as soon as it can wakes whoever it writes to, who is asleep again before it has come to the next request.
//! Written one after the other, when all that had come was thought through, only the first of them wakes anybody: of a request of 200
//! bytes on one core, 2 of 10 us of the kernel's time.

use std::{
    mem,
    task::{Context, Poll},
};

/// Whether the others have gone first.
#[derive(Debug, Default)]
pub struct Turn {
    have_others_gone: bool,
}

impl Turn {
    /// Ready when every task that was ready when this was first asked has had its turn.
    pub fn poll_others(&mut self, context: &Context<'_>) -> Poll<()> {
        if mem::replace(&mut self.have_others_gone, true) {
            return Poll::Ready(());
        }
        // A task that is woken goes to the end of its thread's queue.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::poll_fn, rc::Rc};

    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn whatever_is_ready_goes_first() {
        let (tasks, said) = (LocalSet::new(), Rc::new(RefCell::new(Vec::new())));
        for name in ["one", "two", "three"] {
            let said = Rc::clone(&said);
            tasks.spawn_local(async move {
                said.borrow_mut().push(format!("{name} begins"));
                let mut turn = Turn::default();
                poll_fn(|context| turn.poll_others(context)).await;
                said.borrow_mut().push(format!("{name} ends"));
            });
        }
        tasks.await;
        let expected = ["one begins", "two begins", "three begins", "one ends", "two ends", "three ends"];
        assert_eq!(*said.borrow(), expected);
    }
}
