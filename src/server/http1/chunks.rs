//! Owns: what frames a chunked body, followed to its end, and the trailers behind it (RFC 9112 section 7.1).
//! Refuses: a size, an extension, a line's end or a trailer that another parser might read otherwise; trailers without an end.
//! Always holds: the data of chunks is not looked at.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::grammar::{hexadecimal, is_blank, is_text, is_token_character, trimmed};

/// Where in a chunked body the stream is.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// What is left of the chunk, or the part of its size that was read.
    left: u64,
    digits: u8,
    /// How many bytes stood behind the sizes of chunks.
    extensions: usize,
    /// The trailer section, as it stands.
    trailers: Vec<u8>,
}

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Followed {
    /// So many that are good and no data.
    pub(super) framing: usize,
    pub(super) then: Then,
}

/// What comes behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing yet.
    More,
    /// So many bytes of data.
    Data(usize),
    /// The body is whole.
    Whole,
    /// A byte that may not come there.
    Broken,
}

/// The most bytes that trailers may have.
const MOST_TRAILER_BYTES: usize = 16 * 1024;

/// The most bytes that the extensions of all chunks may have together (RFC 9112 section 7.1.1 asks for a bound).
const MOST_EXTENSION_BYTES: usize = 16 * 1024;

/// The most digits of a chunk's size, beyond which even leading zeros are no honest size.
const MOST_DIGITS: u8 = 16;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    /// White space that must be followed by an extension.
    BeforeExtension,
    Extension(Extension),
    SizeLineFeed,
    Data,
    DataReturn,
    DataLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Whole,
}

/// `";" BWS name [BWS "=" BWS (token / quoted-string)]` (RFC 9112 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Value,
    Quoted,
    QuotedPair,
    AfterQuoted,
    AfterValue,
}

impl Chunks {
    /// Follows `bytes`, which come next, up to data. Data that it tells of is taken to have been read.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Followed {
        let mut at = 0_usize;
        loop {
            if self.place == Place::Data {
                let available = u64::try_from(bytes.len().saturating_sub(at)).unwrap_or(u64::MAX);
                let data = self.left.min(available);
                self.left = self.left.saturating_sub(data);
                if self.left == 0 {
                    self.place = Place::DataReturn;
                }
                let data = usize::try_from(data).unwrap_or(usize::MAX);
                return Followed { framing: at, then: if data == 0 { Then::More } else { Then::Data(data) } };
            }
            let Some(byte) = bytes.get(at) else { return Followed { framing: at, then: Then::More } };
            let Some(place) = self.after(*byte).filter(|_| self.has_room_for(*byte)) else {
                return Followed { framing: at, then: Then::Broken };
            };
            self.place = place;
            at = at.saturating_add(1);
            if place == Place::Whole {
                return Followed { framing: at, then: Then::Whole };
            }
        }
    }

    /// What stood behind the last chunk; nothing if nothing did. For a body that is whole.
    pub(super) fn trailers(&self) -> Option<HeaderMap> {
        let lines = self.trailers.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let mut trailers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
            let name = HeaderName::from_bytes(name).ok()?;
            let value = HeaderValue::from_bytes(trimmed(value.strip_prefix(b":")?)).ok()?;
            trailers.try_append(name, value).ok()?;
        }
        (!trailers.is_empty()).then_some(trailers)
    }

    /// Notes a byte of what is bounded; `false` if there are too many.
    fn has_room_for(&mut self, byte: u8) -> bool {
        match self.place {
            Place::TrailerStart | Place::TrailerName | Place::TrailerValue | Place::TrailerLineFeed => {
                self.trailers.push(byte);
                self.trailers.len() <= MOST_TRAILER_BYTES
            }
            Place::BeforeExtension | Place::Extension(_) => {
                self.extensions = self.extensions.saturating_add(1);
                self.extensions <= MOST_EXTENSION_BYTES
            }
            _ => true,
        }
    }

    /// The place behind `byte`; nothing if it may not stand here.
    fn after(&mut self, byte: u8) -> Option<Place> {
        match (self.place, byte) {
            (Place::Size, b';') if self.digits > 0 => Some(Place::Extension(Extension::BeforeName)),
            (Place::Size, b'\r') if self.digits > 0 => Some(Place::SizeLineFeed),
            (Place::Size, byte) if self.digits > 0 && is_blank(byte) => Some(Place::BeforeExtension),
            (Place::Size, digit) => self.digit(digit),
            (Place::BeforeExtension, b';') => Some(Place::Extension(Extension::BeforeName)),
            (Place::BeforeExtension, byte) if is_blank(byte) => Some(Place::BeforeExtension),
            (Place::Extension(extension), byte) => extension.after(byte),
            (Place::SizeLineFeed, b'\n') => {
                self.digits = 0;
                Some(if self.left == 0 { Place::TrailerStart } else { Place::Data })
            }
            (Place::DataReturn, b'\r') => Some(Place::DataLineFeed),
            (Place::DataLineFeed, b'\n') => Some(Place::Size),
            (Place::TrailerStart, b'\r') => Some(Place::LastLineFeed),
            (Place::TrailerStart | Place::TrailerName, byte) if is_token_character(byte) => Some(Place::TrailerName),
            (Place::TrailerName, b':') => Some(Place::TrailerValue),
            (Place::TrailerValue, b'\r') => Some(Place::TrailerLineFeed),
            (Place::TrailerValue, byte) if is_text(byte) => Some(Place::TrailerValue),
            (Place::TrailerLineFeed, b'\n') => Some(Place::TrailerStart),
            (Place::LastLineFeed, b'\n') => Some(Place::Whole),
            _ => None,
        }
    }

    fn digit(&mut self, digit: u8) -> Option<Place> {
        let value = hexadecimal(digit)?;
        self.digits = self.digits.checked_add(1).filter(|digits| *digits <= MOST_DIGITS)?;
        let left = self.left.checked_mul(16)?.checked_add(value)?;
        self.left = i64::try_from(left).is_ok().then_some(left)?;
        Some(Place::Size)
    }
}

impl Extension {
    fn after(self, byte: u8) -> Option<Place> {
        let next = match (self, byte) {
            (Self::Name | Self::Value | Self::AfterQuoted, b'\r') => return Some(Place::SizeLineFeed),
            (Self::Name | Self::AfterName | Self::Value | Self::AfterQuoted | Self::AfterValue, b';') => {
                Self::BeforeName
            }
            (Self::Name | Self::AfterName, b'=') => Self::BeforeValue,
            (Self::BeforeName | Self::BeforeValue, byte) if is_blank(byte) => self,
            (Self::BeforeName | Self::Name, byte) if is_token_character(byte) => Self::Name,
            (Self::Name | Self::AfterName, byte) if is_blank(byte) => Self::AfterName,
            (Self::BeforeValue | Self::Quoted, b'"') => {
                if self == Self::Quoted {
                    Self::AfterQuoted
                } else {
                    Self::Quoted
                }
            }
            (Self::BeforeValue | Self::Value, byte) if is_token_character(byte) => Self::Value,
            (Self::Value | Self::AfterQuoted | Self::AfterValue, byte) if is_blank(byte) => Self::AfterValue,
            (Self::Quoted, b'\\') => Self::QuotedPair,
            (Self::Quoted | Self::QuotedPair, byte) if is_text(byte) => Self::Quoted,
            _ => return None,
        };
        Some(Place::Extension(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are good, and what comes then.
    fn follow(chunks: &mut Chunks, bytes: &[u8]) -> (usize, Then) {
        let mut good = 0;
        loop {
            let Followed { framing, then } = chunks.follow(&bytes[good..]);
            good += framing;
            match then {
                Then::Data(data) => good += data,
                end => return (good, end),
            }
        }
    }

    fn followed(body: &str) -> (usize, Then) {
        follow(&mut Chunks::default(), body.as_bytes())
    }

    #[test]
    fn trailers_are_read_and_bounded() {
        let mut chunks = Chunks::default();
        assert_eq!(follow(&mut chunks, b"0\r\nA: b \r\nc:\t\r\nA: d\r\n\r\n").1, Then::Whole);
        let trailers = chunks.trailers().unwrap();
        assert_eq!(trailers.get_all("a").iter().collect::<Vec<_>>(), ["b", "d"]);
        assert_eq!((&trailers["c"], trailers.len()), (&HeaderValue::from_static(""), 3));
        let mut chunks = Chunks::default();
        assert_eq!(follow(&mut chunks, b"0\r\n\r\n").1, Then::Whole);
        assert!(chunks.trailers().is_none());
        let endless = format!("0\r\n{}", "a: b\r\n".repeat(MOST_TRAILER_BYTES / 6 + 1));
        assert_eq!(followed(&endless).1, Then::Broken);
        for extended in
            [format!("5;{}", "a".repeat(MOST_EXTENSION_BYTES + 1)), "1 ;a\r\nx\r\n".repeat(MOST_EXTENSION_BYTES / 2)]
        {
            assert_eq!(followed(&extended).1, Then::Broken);
        }
    }

    #[test]
    fn good_bodies_are_followed_to_their_end() {
        for body in [
            "0\r\n\r\n",
            "000\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
            "5;a\r\nhello\r\n0;b=c;d=\"e\\\"f;\"\r\n\r\n",
            "5 ; a = b ; c\r\nhello\r\n0\r\nx: y\r\nz:\t\u{e4}\r\n\r\n",
        ] {
            let with_more = format!("{body}GET");
            assert_eq!(followed(&with_more), (body.len(), Then::Whole), "{body:?}");
            for cut in 0..body.len() {
                let (first, second) = body.as_bytes().split_at(cut);
                let mut chunks = Chunks::default();
                assert_eq!(follow(&mut chunks, first), (cut, Then::More), "{body:?} at {cut}");
                assert_eq!(follow(&mut chunks, second), (second.len(), Then::Whole), "{body:?} at {cut}");
            }
        }
    }

    #[test]
    fn what_could_be_read_otherwise_is_broken_where_it_begins_to_be() {
        for (body, good) in [
            ("", 0),
            ("x", 0),
            ("\r\n", 0),
            ("+5\r\nhello", 0),
            ("-0\r\n", 0),
            (" 5\r\n", 0),
            ("0x5\r\nhello", 1),
            ("5\nhello", 1),
            ("5\rhello", 2),
            ("5 \r\nhello", 2),
            ("5 5\r\n", 2),
            ("5;\r\nhello", 2),
            ("5;a=\r\nhello", 4),
            ("5;a b\r\nhello", 4),
            ("5;a\nhello", 3),
            ("5;a\0\r\nhello", 3),
            ("5;a=\"\r\nhello", 5),
            ("5;a=\"b\"c\r\nhello", 7),
            ("8000000000000000\r\n", 15),
            ("FFFFFFFFFFFFFFFFF\r\n", 15),
            ("00000000000000005\r\n", 16),
            ("5\r\nhello0\r\n", 8),
            ("5\r\nhello\n0\r\n", 8),
            ("5\r\nhello\r0\r\n", 9),
            ("0\r\nbad name: x\r\n\r\n", 6),
            ("0\r\n: x\r\n\r\n", 3),
            ("0\r\n folded\r\n\r\n", 3),
            ("0\r\nx: a\nb\r\n\r\n", 7),
            ("0\r\nx: a\0\r\n\r\n", 7),
            ("0\r\nx: a\rb\r\n\r\n", 8),
            ("0\r\n\n", 3),
            ("0\r\n\rx", 4),
        ] {
            let end = if body.is_empty() { Then::More } else { Then::Broken };
            assert_eq!(followed(body), (good, end), "{body:?}");
        }
    }
}
