//! Owns: base64url as JOSE wants it (RFC 7515 section 2).
//! Refuses: padding, white space, characters of the other alphabet, bits that nobody uses.
//! Always holds: one text for one sequence of bytes, so that a changed text is a changed token. Vectors and tables judge alike.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::NO_PAD};

/// By vectors of 32 letters, if the processor has them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

/// The bytes that `text` stands for.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    ENGINE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_second_spelling_is_refused() {
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
        for wrong in ["-_8=", "-_9", "-_ 8", "+/8", "-_8\n", "-", "-_8==", "\u{e9}"] {
            assert_eq!(decode(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn every_byte_in_every_place_is_judged_as_base64_judges_it() {
        // Up to several vectors and a rest of each length.
        for length in (1..=17).chain(62..=68).chain([95, 96, 97, 129, 342]) {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'A'; length];
                    text[place] = byte;
                    assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
                }
            }
        }
    }

    /// Not by another way of the same crate, which could be wrong alike.
    #[test]
    fn bits_that_nobody_uses_and_letters_of_two_bytes_are_refused_wherever_they_stand() {
        for before in [0, 4, 60, 64, 96, 128, 340] {
            let before = "A".repeat(before);
            for rest in ["", "AA", "AAA", "AQ", "_w", "AAE", "__8"] {
                assert!(decode(format!("{before}{rest}")).is_some(), "{before}{rest}");
            }
            for wrong in ["A", "AB", "_x", "AAB", "AAF", "__9", "AA=", "AA==", "AAA="] {
                assert_eq!(decode(format!("{before}{wrong}")), None, "{before}{wrong}");
            }
        }
        for place in 0..127 {
            for letter in ["\u{e9}", "\u{7ff}", "\u{80}", "+", "/", "="] {
                let mut text = "A".repeat(128);
                text.replace_range(place..=place, letter);
                // Of one byte or two, it stands for some number of bytes if it is taken for letters.
                text.truncate(128);
                assert_eq!(decode(&text), None, "{letter} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(URL_SAFE_NO_PAD.encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_judged_as_base64_judges_it(text in "[A-Za-z0-9_-]{0,400}[AQgw048]{0,2}[-_=+/. \\PC]{0,1}") {
            prop_assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }
}
