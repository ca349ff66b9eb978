//! The function that callgrind watches: instructions are counted from its beginning to its end, and nowhere else.

use std::hint::black_box;

/// Iterations that are not counted: what is made at the first use is made then.
const WARMING_UP: u32 = 8;

/// Repeats what a case is about.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    iterations: u32,
}

impl Counter {
    /// How often something was done and counted.
    pub(crate) const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// Does `work`, `iterations` times, and throws away what it gives, which is counted as well.
    pub(crate) fn count<T>(&mut self, iterations: u32, mut work: impl FnMut() -> T) {
        self.count_each(iterations, || (), |()| work());
    }

    /// The same, on something made anew for each time, whose making and end are not counted.
    pub(crate) fn count_each<I, T>(
        &mut self,
        iterations: u32,
        mut make: impl FnMut() -> I,
        mut work: impl FnMut(&mut I) -> T,
    ) {
        for turn in 0..WARMING_UP + iterations {
            let mut input = make();
            let mut once = || drop(black_box(work(black_box(&mut input))));
            if turn < WARMING_UP {
                // By the same way, so that the compiler makes one piece of code of it. Not through a function like the other one: two of
                // the same shape become one.
                black_box(&mut once as &mut dyn FnMut())();
            } else {
                counted_by_callgrind(&mut once);
            }
        }
        self.iterations += iterations;
    }
}

/// Known to `callgrind.rs` by its name. What is generic would be there many times, and a closure within it would bear its name.
#[inline(never)]
fn counted_by_callgrind(work: &mut dyn FnMut()) {
    work();
    // Else the call is a jump, and callgrind does not see this function's end.
    black_box(work);
}
