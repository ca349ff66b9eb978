//! Owns: the quick way to read a JSON object as tokens nearly always have it: on one line, its members texts without escapes, integers or
//! literals.
//! Refuses: to judge. Of anything else it says nothing, and the strict reader says what it is.
//! Always holds: what it does read, the strict reader would read alike.

use serde_json::Number;

use super::{
    object::{Kept, Members, Span},
    shape::Shape,
};

/// The longest integer that is read here, in digits: it always fits.
const MOST_DIGITS: usize = 18;
/// In each of eight bytes: one, the highest bit, a quote.
const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST_BITS: u64 = u64::from_le_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);

/// The members of the object that `text` is, if it is as plain as that, and whether it has this `shape`, which takes half as much.
pub(super) fn read(text: &str, shape: Option<&Shape>) -> Option<(Members, bool)> {
    // Then a quote ends a text, and there is nothing in texts to resolve or to refuse. Without a way out in the middle, 16 bytes are looked
    // at at a time.
    if !text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'\\')) {
        return None;
    }
    let alike = shape.and_then(|shape| members_of_shape(text, shape));
    alike.map(|members| (members, true)).or_else(|| members_of(text).map(|members| (members, false)))
}

/// All members of a plain object. Takes 3,000 instructions for the nine claims of a usual token, where serde_json and a visitor take 5,000.
fn members_of(text: &str) -> Option<Members> {
    let mut reader = Reader::of(text);
    let mut members = Members::with_usual_capacity();
    reader.take(b'{')?;
    loop {
        reader.take(b'"')?;
        let name = reader.text_to_quote()?;
        if members.are_many() || members.have(text, name) {
            return None;
        }
        reader.take(b':')?;
        let value = reader.value()?;
        members.push(text, name, value);
        match reader.next()? {
            b',' => {}
            b'}' => return reader.is_at_end().then_some(members),
            _ => return None,
        }
    }
}

/// The same if it has this `shape`.
fn members_of_shape(text: &str, shape: &Shape) -> Option<Members> {
    let mut reader = Reader::of(text);
    let leads = shape.leads();
    let mut members = Members::of_shape(shape, leads.len());
    for (lead, name) in leads {
        let start = reader.at;
        reader.take_all(lead)?;
        members.push_next(Span::new(start + name.start, start + name.end), reader.value()?);
    }
    (reader.next()? == b'}' && reader.is_at_end()).then_some(members)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text: text.as_bytes(), at: 0 }
    }

    fn take_all(&mut self, expected: &[u8]) -> Option<()> {
        let found = self.text.get(self.at..)?.starts_with(expected);
        self.at += expected.len();
        found.then_some(())
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            self.at += 1;
            if byte != b' ' {
                return Some(byte);
            }
        }
    }

    fn take(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    /// Whether there is nothing left but spaces.
    fn is_at_end(&self) -> bool {
        self.text.get(self.at..).is_some_and(|rest| rest.iter().all(|byte| *byte == b' '))
    }

    fn value(&mut self) -> Option<Kept> {
        match self.next()? {
            b'"' => self.text_to_quote().map(Kept::Text),
            b't' => self.literal(b"rue", Kept::Boolean(true)),
            b'f' => self.literal(b"alse", Kept::Boolean(false)),
            b'n' => self.literal(b"ull", Kept::Null),
            digit @ b'0'..=b'9' => self.integer(digit),
            _ => None,
        }
    }

    /// What stands before the quote that ends a text. Names and values are short: to look at eight bytes at a time takes 20 instructions
    /// where `memchr` takes 55.
    fn text_to_quote(&mut self) -> Option<Span> {
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            let Some(eight) = rest.first_chunk() else {
                self.at += rest.iter().position(|byte| *byte == b'"')?;
                break;
            };
            let unequal = u64::from_le_bytes(*eight) ^ QUOTES;
            // The highest bit of a byte that is zero; above the first such byte others may have it as well.
            let quotes = unequal.wrapping_sub(ONES) & !unequal & HIGHEST_BITS;
            self.at += quotes.trailing_zeros() as usize / 8;
            if quotes != 0 {
                break;
            }
        }
        let span = Span::new(start, self.at);
        self.at += 1;
        Some(span)
    }

    fn literal(&mut self, rest: &[u8], value: Kept) -> Option<Kept> {
        self.take_all(rest).map(|()| value)
    }

    /// An integer that begins with `first`. What follows is for the caller to look at: a fraction, say, is neither comma nor brace.
    fn integer(&mut self, first: u8) -> Option<Kept> {
        let digits = self.text.get(self.at..)?.iter().take_while(|byte| byte.is_ascii_digit());
        let mut value = u64::from(first - b'0');
        let mut length = 1;
        for digit in digits.take(MOST_DIGITS) {
            value = value * 10 + u64::from(digit - b'0');
            length += 1;
        }
        self.at += length - 1;
        let sound = length <= MOST_DIGITS && (first != b'0' || length == 1);
        sound.then(|| Kept::Number(Number::from(value)))
    }
}
