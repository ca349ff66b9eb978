//! Owns: how a body ended.

/// How much of a body passed, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyEnd {
    /// The bytes of data that passed; trailers are not counted.
    pub bytes: u64,
    /// How it ended.
    pub outcome: BodyOutcome,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyOutcome {
    /// All of it passed.
    Complete,
    /// Its reader let go of it before its end.
    Aborted,
    /// It was longer than allowed.
    TooLarge,
    /// It paused for too long, or the whole exchange took too long.
    TimedOut,
    /// Its sender failed.
    Failed,
}

/// Who is told when a body has ended. A closure is one; a type of its own saves the allocation of a boxed one.
pub trait OnBodyEnd {
    /// Called once.
    fn body_ended(self, end: BodyEnd);
}

impl<F: FnOnce(BodyEnd)> OnBodyEnd for F {
    fn body_ended(self, end: BodyEnd) {
        self(end);
    }
}
