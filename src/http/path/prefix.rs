//! Owns: a prefix that is taken off a path before it is forwarded.
//! Always holds: it ends where a segment ends.

use super::{NormalPath, PathError, normalise};

/// The first segments of a path, like `/v1`, in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPrefix {
    /// In the form that routes are compared with, so that the prefix is found however the caller escaped it.
    text: Box<str>,
    /// How many slashes it has, which is how many segments.
    segments: usize,
}

impl PathPrefix {
    /// Reads a prefix; a slash at its end means nothing.
    ///
    /// # Errors
    /// What [`NormalPath::parse`] refuses, and `/`, of which nothing could be taken off.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let path = NormalPath::parse(text)?;
        let form = path.for_matching();
        let form = form.strip_suffix('/').unwrap_or(&form);
        if form.is_empty() {
            return Err(PathError::EmptySegment);
        }
        Ok(Self { segments: form.matches('/').count(), text: form.into() })
    }

    /// The prefix as text, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is left of `normal` after the prefix: empty, or beginning with a slash. `None` if it begins otherwise.
    pub(super) fn strip_from<'a>(&self, normal: &'a str) -> Option<&'a str> {
        let end = normal.match_indices('/').nth(self.segments).map_or(normal.len(), |(index, _)| index);
        let (head, tail) = normal.split_at_checked(end)?;
        (head == &*self.text || normalise::for_matching(head) == *self.text).then_some(tail)
    }
}
