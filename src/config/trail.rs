//! Owns: the way down from the top while the tree is read.
//! Refuses: allocating for it: a step lives on the stack, and becomes a path only when there is something to report.
//! Always holds: a trail lives no longer than the reading of the value that it leads to.

use crate::diagnostic::{KeyPath, Segment};

/// The steps from the top to a value, the last one first.
#[derive(Clone, Copy)]
pub(super) enum Trail<'t> {
    Top,
    Key(&'t Trail<'t>, &'t str),
    Index(&'t Trail<'t>, usize),
}

impl Trail<'_> {
    /// The same way as a path.
    pub(super) fn path(&self) -> KeyPath {
        match self {
            Self::Top => KeyPath::root(),
            Self::Key(above, key) => above.path().key(key),
            Self::Index(above, index) => above.path().child(Segment::Index(*index)),
        }
    }
}
