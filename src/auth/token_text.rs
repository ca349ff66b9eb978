//! Owns: the text of a token that is remembered.
//! Refuses: being printed.
//! Always holds: it is overwritten before its memory goes to somebody else.

use zeroize::{ZeroizeOnDrop, optimization_barrier};

/// A token's text. `Zeroizing` would overwrite it byte by byte, one instruction or more for each.
pub(super) struct TokenText(Box<[u8]>);

impl TokenText {
    pub(super) fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for TokenText {
    fn drop(&mut self) {
        self.0.fill(0);
        // Nobody reads it any more, but the compiler must not conclude that it needs not be written.
        optimization_barrier(&*self.0);
    }
}

impl ZeroizeOnDrop for TokenText {}
