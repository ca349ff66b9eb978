//! Owns: which key ids are taken seriously (RFC 7515 section 4.1.4, RFC 7517 section 4.5).
//! Refuses: ids that are empty, longer than 256 bytes or hold control characters: they are looked up and logged.

/// The longest key id, in bytes.
const LONGEST_BYTES: usize = 256;

/// Whether `text` may name a key.
pub(super) fn is_acceptable(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_BYTES && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_log_line_is_no_key_id() {
        for good in ["a", "../../etc/passwd", "' OR 1=1 --", &"k".repeat(256)] {
            assert!(is_acceptable(good), "{good:?}");
        }
        for wrong in ["", "a\r\nb", "\u{1b}[31m", "a\0", "a\u{85}", &"k".repeat(257)] {
            assert!(!is_acceptable(wrong), "{wrong:?}");
        }
    }
}
