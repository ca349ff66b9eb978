//! Owns: the text of a token that is remembered.
//! Refuses: being printed.
//! Always holds: it is overwritten before its memory goes to somebody else.

use std::mem;

use zeroize::{ZeroizeOnDrop, optimization_barrier};

/// The memory of a text that others take the place of grows to a multiple of this.
const GROWTH_BYTES: usize = 256;

/// A token's text. `Zeroizing` would overwrite it byte by byte, one instruction or more for each.
#[derive(Default)]
pub(super) struct TokenText {
    /// What is behind the text is zero.
    memory: Box<[u8]>,
    length: usize,
}

impl TokenText {
    pub(super) fn new(text: &[u8]) -> Self {
        Self { memory: text.into(), length: text.len() }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    /// How many bytes it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.len()
    }

    /// Writes another text over this one, if there is room where this one is.
    pub(super) fn replace(&mut self, text: &[u8]) {
        if text.len() > self.memory.len() {
            *self = Self { memory: vec![0; text.len().next_multiple_of(GROWTH_BYTES)].into(), length: 0 };
        }
        // Until all of it is written, there is no text.
        let before = mem::take(&mut self.length);
        if let Some((place, rest)) = self.memory.split_at_mut_checked(text.len()) {
            place.copy_from_slice(text);
            if let Some(longer) = rest.get_mut(..before.saturating_sub(text.len())) {
                erase(longer);
            }
            self.length = text.len();
        }
    }
}

impl Drop for TokenText {
    fn drop(&mut self) {
        erase(&mut self.memory);
    }
}

impl ZeroizeOnDrop for TokenText {}

fn erase(text: &mut [u8]) {
    text.fill(0);
    // Nobody reads it any more, but the compiler must not conclude that it needs not be written.
    optimization_barrier(&*text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_after_the_other_is_in_one_place_and_leaves_nothing_behind() {
        let mut text = TokenText::default();
        text.replace(b"the first one");
        let (at, room) = (text.memory.as_ptr(), text.memory.len());
        for next in [&b"second"[..], b"", b"and a longer one", b"x", b"the last one"] {
            text.replace(next);
            assert_eq!((text.as_bytes(), text.memory.as_ptr(), text.memory.len()), (next, at, room));
            assert!(text.memory[next.len()..].iter().all(|byte| *byte == 0), "{:?}", text.memory);
        }
        let long = vec![b'l'; room + 1];
        text.replace(&long);
        assert_eq!((text.as_bytes(), text.memory.len()), (&*long, 2 * room));
        text.replace(b"");
        assert!(text.memory.iter().all(|byte| *byte == 0) && text.as_bytes().is_empty());
    }

    #[test]
    fn one_that_is_kept_takes_no_more_than_its_length() {
        let text = TokenText::new(b"kept");
        assert_eq!((text.as_bytes(), text.memory.len()), (&b"kept"[..], 4));
    }
}
