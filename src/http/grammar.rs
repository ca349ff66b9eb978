//! Owns: the characters of HTTP/1.1 (RFC 9110 section 5.6.2, RFC 9112), for those who read callers and those who read upstreams.
//! Refuses: knowing what a field means.
//! Always holds: a control character is never text, whatever surrounds it.

/// The characters of a token.
const TOKEN: [bool; 256] = token_characters();

const fn token_characters() -> [bool; 256] {
    let mut characters = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let is_token = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_')
            || matches!(byte, b'`' | b'|' | b'~');
        if let Some(character) = characters.split_at_mut(byte as usize).1.first_mut() {
            *character = is_token;
        }
        byte += 1;
    }
    characters
}

/// Whether `byte` may stand in a token (RFC 9110 section 5.6.2).
#[must_use]
pub fn is_token_character(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Whether `bytes` are a token.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_token_character(*byte))
}

/// Whether `byte` may stand in a field's value: anything but control characters, among which a tab does not count.
#[must_use]
pub const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// One in each of eight bytes.
const EACH: u64 = u64::from_le_bytes([1; 8]);

/// So many times eight bytes are looked at one after the other: a usual line ends within them.
const USUAL_WORDS: usize = 5;

/// With how many bytes of text `bytes` begin. That takes 65 to 130 instructions for a usual line. In a longer one printable ASCII is
/// passed over by 32 bytes at once, which a compiler makes vectors of: 600 instructions for a token of 700 bytes, instead of 1,100.
#[must_use]
pub fn text_length(bytes: &[u8]) -> usize {
    let is_plain = |chunk: &&[u8; 32]| chunk.iter().fold(true, |all, byte| all & (byte.wrapping_sub(b' ') < 0x5f));
    let mut length = 0_usize;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        for word in rest.as_chunks().0.iter().take(USUAL_WORDS) {
            let marks = controls(*word);
            if marks != 0 {
                return text_length_from(bytes, length.saturating_add((marks.trailing_zeros() / 8) as usize));
            }
            length = length.saturating_add(8);
        }
        let rest = bytes.get(length..).unwrap_or_default();
        if rest.len() < 8 {
            return text_length_from(bytes, length);
        }
        length = length.saturating_add(rest.as_chunks().0.iter().take_while(is_plain).count().saturating_mul(32));
    }
}

/// The same byte by byte, where so many are known to be text.
fn text_length_from(bytes: &[u8], known: usize) -> usize {
    let rest = bytes.get(known..).unwrap_or_default().iter();
    known.saturating_add(rest.take_while(|byte| is_text(**byte)).count())
}

/// Marks the control characters among eight: the lowest bit that is set is the highest of the first of them. What is marked above
/// that may be none, as a subtraction borrows from its upper neighbours.
const fn controls(word: [u8; 8]) -> u64 {
    let bytes = u64::from_le_bytes(word);
    let below_space = bytes.wrapping_sub(EACH * 0x20) & !bytes;
    let unlike_delete = bytes ^ (EACH * 0x7f);
    let delete = unlike_delete.wrapping_sub(EACH) & !unlike_delete;
    (below_space | delete) & (EACH << 7)
}

/// Whether `byte` is white space within a line (RFC 9110 section 5.6.3).
#[must_use]
pub const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without the optional white space around it (RFC 9110 section 5.6.3).
#[must_use]
pub fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_blank(*last)
    {
        bytes = rest;
    }
    bytes
}

/// A length in digits, and nothing but digits: no sign, no space, no list (RFC 9110 section 8.6). Nothing above 2^63 - 1,
/// which many have no number for.
#[must_use]
pub fn length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length = digits
        .iter()
        .try_fold(0_u64, |length, digit| length.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))));
    length.filter(|length| i64::try_from(*length).is_ok())
}

/// The value of a hexadecimal digit.
#[must_use]
pub const fn hexadecimal(digit: u8) -> Option<u64> {
    match digit {
        b'0'..=b'9' => Some((digit - b'0') as u64),
        b'a'..=b'f' => Some((digit - b'a') as u64 + 10),
        b'A'..=b'F' => Some((digit - b'A') as u64 + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_what_the_grammar_says() {
        for byte in 0..=255_u8 {
            let expected = byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token_character(byte), expected, "{byte:#x}");
        }
        assert!(is_token(b"X-1") && !is_token(b"") && !is_token(b"a b"));
    }

    #[test]
    fn text_has_no_control_characters() {
        for length in 0..50 {
            let text = b" a\t\xff~".repeat(10).split_off(50 - length);
            assert_eq!(text_length(&text), length);
            for bad in [0, b'\r', b'\n', 0x1b, 0x7f, 0x0b] {
                let bytes = [&text[..], &[bad], b" and so on with text".as_slice()].concat();
                assert_eq!(text_length(&bytes), length, "{bad}");
            }
        }
    }

    #[test]
    fn a_length_is_digits_and_no_more() {
        for (text, expected) in [("0", 0), ("005", 5), ("9223372036854775807", (1 << 63) - 1)] {
            assert_eq!(length(text.as_bytes()), Some(expected), "{text}");
        }
        let bad = ["", "+5", "-1", "0x5", "5,5", "5 ", "5.0", "9223372036854775808", "18446744073709551617"];
        for text in bad.iter().chain(&["00000000000000000005"]) {
            assert_eq!(length(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_ends_where_a_look_at_each_byte_ends_it(
            bytes in prop::collection::vec(prop_oneof![40 => b' '..=b'~', 2 => 0x80..=0xff_u8, 2 => Just(b'\t'), 1 => any::<u8>()], 0..120),
        ) {
            let expected = bytes.iter().position(|byte| !is_text(*byte)).unwrap_or(bytes.len());
            prop_assert_eq!(text_length(&bytes), expected);
        }
    }
}
