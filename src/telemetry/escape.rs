//! Owns: which characters may not stand raw in a log line, and their harmless spelling.
//! Refuses: whatever ends a line, drives a terminal, or turns the direction of what follows.
//! Always holds: what was escaped is printable, and the original can be told from it.

use std::fmt::{self, Write};

/// Whether `character` must not reach a log line as it is: C0 and C1 controls, DEL, the Unicode line breaks, and the
/// characters that change the direction of text.
pub(super) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether nothing in `text` is harmful; one pass over the bytes where the text is plain ASCII.
pub(super) fn is_harmless(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_harmful)
}

/// A writer that passes text on with everything harmful spelt `\n`, `\r`, `\t` or `\u{1b}`.
pub(super) struct Escaping<'a>(pub(super) &'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_harmless(text) {
            self.0.push_str(text);
            return Ok(());
        }
        for character in text.chars() {
            if is_harmful(character) {
                self.0.extend(character.escape_default());
            } else {
                self.0.push(character);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_harmful_passes() {
        let mut line = String::new();
        let hostile = "a\r\nb\u{1b}[31m\u{9b}0m\u{7f}\0\u{2028}\u{202e}é";
        Escaping(&mut line).write_str(hostile).unwrap();
        assert_eq!(line, r"a\r\nb\u{1b}[31m\u{9b}0m\u{7f}\u{0}\u{2028}\u{202e}é");
        assert!(is_harmless(&line) && !is_harmless(hostile));
    }
}
