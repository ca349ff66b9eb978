//! Owns: base64url as JOSE wants it (RFC 7515 section 2).
//! Refuses: padding, white space, characters of the other alphabet, bits that nobody uses.
//! Always holds: one text for one sequence of bytes, so that a changed text is a changed token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The bytes that `text` stands for.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_spelling_is_refused() {
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
        for wrong in ["-_8=", "-_9", "-_ 8", "+/8", "-_8\n", "-", "-_8==", "\u{e9}"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }
}
