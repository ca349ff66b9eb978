//! Owns: JSON on one line, for logs.
//! Always holds: a line ends with the only line break in it, and has no character that a terminal obeys.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::escape::{is_harmful, is_harmless};

/// Compact JSON that also escapes what JSON itself would let pass: DEL, C1 controls, Unicode line breaks, direction marks.
struct LineFormatter;

impl Formatter for LineFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if is_harmless(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if is_harmful(character) {
                // All of them lie in the basic plane, so one escape of four digits is enough (RFC 8259 section 7).
                write!(writer, "\\u{:04x}", u32::from(character))?;
            } else {
                write!(writer, "{character}")?;
            }
        }
        Ok(())
    }
}

/// `value` as one line, its line break included; nothing if it does not serialize. `size_bytes` is a guess at the length.
pub(super) fn to_line<T: Serialize>(value: &T, size_bytes: usize) -> Option<Vec<u8>> {
    let mut line = Vec::with_capacity(size_bytes);
    value.serialize(&mut Serializer::with_formatter(&mut line, LineFormatter)).ok()?;
    line.push(b'\n');
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_one_harmless_line_and_reads_back(text in any::<String>()) {
            let line = to_line(&text, 16).unwrap();
            let (last, rest) = line.split_last().unwrap();
            prop_assert_eq!(*last, b'\n');
            prop_assert!(is_harmless(std::str::from_utf8(rest).unwrap()));
            prop_assert_eq!(serde_json::from_slice::<String>(rest).unwrap(), text);
        }
    }

    #[test]
    fn c1_controls_and_line_separators_are_escaped() {
        assert_eq!(
            to_line(&"\u{9b}\u{2028}\u{7f}\r\n\"é", 0).unwrap(),
            "\"\\u009b\\u2028\\u007f\\r\\n\\\"é\"\n".as_bytes()
        );
    }
}
