//! Owns: bringing a raw path into normal form, and the form of it that routes are compared with.
//! Always holds: normalising a normal path changes nothing; after one more percent-decoding a normal path still has the
//! same segments.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::{LONGEST_PATH_BYTES, PathError};

const UPPER_HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

/// The path in normal form, borrowed if it was in normal form already.
pub(super) fn normalise(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if raw.len() > LONGEST_PATH_BYTES {
        return Err(PathError::TooLong);
    }
    if is_plainly_normal(raw.as_bytes()) { Ok(Cow::Borrowed(raw)) } else { rewrite(raw) }
}

/// The path with every escape undone that stands for a character which could also stand there plainly: `%3A` and `:` are
/// the same to whoever decodes the path, so they must be the same to a route. Borrowed if there is nothing to undo.
pub(super) fn for_matching(normal: &str) -> Cow<'_, str> {
    if !normal.contains('%') {
        return Cow::Borrowed(normal);
    }
    let mut form = String::with_capacity(normal.len());
    let mut bytes = normal.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            form.push(char::from(byte));
            continue;
        }
        let mut ahead = bytes.clone();
        match escaped_byte(&mut ahead) {
            Some(escaped) if may_stand_plainly(escaped) => {
                form.push(char::from(escaped));
                bytes = ahead;
            }
            _ => form.push('%'),
        }
    }
    Cow::Owned(form)
}

/// Whether a path is in normal form at first sight: nothing escaped, nothing odd, no segment that begins with a dot. One
/// pass without allocation, for the paths that nearly everybody sends.
fn is_plainly_normal(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'/') {
        return false;
    }
    let mut previous = b'a';
    for &byte in bytes {
        if previous == b'/' && (byte == b'/' || byte == b'.') {
            return false;
        }
        if byte != b'/' && !may_stand_plainly(byte) {
            return false;
        }
        previous = byte;
    }
    true
}

/// The long way: every byte is looked at for itself, then the outcome as a whole.
fn rewrite(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if !raw.starts_with('/') {
        return Err(PathError::NotAPath);
    }
    let mut normal = String::with_capacity(raw.len());
    let mut beyond_ascii = false;
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let escaped = escaped_byte(&mut bytes).ok_or(PathError::BadEscape)?;
                match escaped {
                    b'/' | b'\\' => return Err(PathError::EscapedSeparator),
                    b';' => return Err(PathError::SegmentParameter),
                    0..=0x1f | 0x7f => return Err(PathError::EscapedControl),
                    // RFC 3986 section 6.2.2.2: an escaped unreserved character is that character.
                    unreserved if is_unreserved(unreserved) => normal.push(char::from(unreserved)),
                    other => {
                        beyond_ascii |= !other.is_ascii();
                        push_escape(&mut normal, other);
                    }
                }
            }
            b'\\' => return Err(PathError::Backslash),
            b';' => return Err(PathError::SegmentParameter),
            b'#' => return Err(PathError::Fragment),
            b'/' => normal.push('/'),
            plain if may_stand_plainly(plain) => normal.push(char::from(plain)),
            _ => return Err(PathError::BadCharacter),
        }
    }
    refuse_odd_segments(&normal)?;
    refuse_second_escaping(&normal)?;
    if beyond_ascii {
        refuse_bad_text(&normal)?;
    }
    Ok(if normal == raw { Cow::Borrowed(raw) } else { Cow::Owned(normal) })
}

fn refuse_odd_segments(normal: &str) -> Result<(), PathError> {
    let mut segments = normal.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(PathError::DotSegment),
            "" if segments.peek().is_some() => return Err(PathError::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

/// Looked for in the outcome, since the hex digits after `%25` may themselves have been escaped.
fn refuse_second_escaping(normal: &str) -> Result<(), PathError> {
    let twice = normal.split("%25").skip(1).any(|after| {
        let mut bytes = after.bytes();
        let mut hex = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        hex() && hex()
    });
    if twice { Err(PathError::EscapedTwice) } else { Ok(()) }
}

/// Parameters are handed out as text, and an overlong form of a slash or dot is refused on the way.
fn refuse_bad_text(normal: &str) -> Result<(), PathError> {
    let text = percent_decode_str(normal).decode_utf8().map_err(|_not_utf8| PathError::NotUtf8)?;
    if text.chars().any(char::is_control) { Err(PathError::EscapedControl) } else { Ok(()) }
}

fn escaped_byte(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let high = hex_value(bytes.next()?)?;
    let low = hex_value(bytes.next()?)?;
    Some(high << 4 | low)
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 section 6.2.2.1: the digits of an escape are upper case.
fn push_escape(normal: &mut String, byte: u8) {
    normal.push('%');
    normal.extend(UPPER_HEX.get(usize::from(byte >> 4)));
    normal.extend(UPPER_HEX.get(usize::from(byte & 0x0f)));
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~')
}

/// What a segment may hold unescaped: RFC 3986's pchar without `;`, and the three that browsers leave as they are.
const fn may_stand_plainly(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
        || matches!(byte, b'[' | b']' | b'|')
}
