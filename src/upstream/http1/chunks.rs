//! Owns: a response's body in chunks (RFC 9112 section 7.1).
//! Refuses: a size that is none, a line that ends otherwise than in CR and LF, a chunk that is longer than its size, too many bytes
//! around the data.
//! Always holds: what is broken is never taken for the end.

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;

use super::{
    Http1Error,
    body_in::{Step, piece},
};
use crate::received::Received;

/// The most digits of a chunk's size, beyond which even leading zeros are no honest size.
const MOST_DIGITS: usize = 16;
/// The most bytes of extensions in one body, and of its trailers.
const MOST_EXTENSIONS: usize = 16 * 1024;
const MOST_TRAILERS: usize = 16 * 1024;
/// The most trailers.
const MOST_FIELDS: usize = 100;

/// Where in a chunked body the reading is.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    place: Place,
    /// Bytes of extensions so far.
    extensions: usize,
    /// So much of what was read is no whole line, or no whole trailer section.
    seen: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Ended,
}

impl Chunks {
    pub(super) fn is_ended(&self) -> bool {
        self.place == Place::Ended
    }

    /// Takes what comes next off what was `read`.
    pub(super) fn next(&mut self, read: &mut Received) -> Result<Step, Http1Error> {
        loop {
            match self.place {
                Place::Ended => return Ok(Step::End),
                Place::Size => {
                    let Some(size) = self.size(read)? else { return Ok(Step::More) };
                    self.place = if size == 0 { Place::Trailers } else { Place::Data(size) };
                }
                Place::Data(left) => {
                    let Some(piece) = piece(read, left) else { return Ok(Step::More) };
                    let left = left.saturating_sub(piece.len() as u64);
                    self.place = if left == 0 { Place::DataEnd } else { Place::Data(left) };
                    if left == 0 {
                        self.look_for_end(read);
                    }
                    return Ok(Step::Frame(Frame::data(piece)));
                }
                Place::DataEnd => match read.get(..2) {
                    Some(b"\r\n") => {
                        read.skip(2);
                        self.place = Place::Size;
                    }
                    None if b"\r\n".starts_with(read) => return Ok(Step::More),
                    _ => return Err(Http1Error::Chunk),
                },
                Place::Trailers => {
                    let Some(trailers) = self.trailers(read)? else { return Ok(Step::More) };
                    self.place = Place::Ended;
                    if !trailers.is_empty() {
                        return Ok(Step::Frame(Frame::trailers(trailers)));
                    }
                }
            }
        }
    }

    /// What nearly always is behind the last data: who knows at once that it was the last needs not ask again.
    fn look_for_end(&mut self, read: &mut Received) {
        const END: &[u8] = b"\r\n0\r\n\r\n";
        if read.starts_with(END) {
            read.skip(END.len());
            self.place = Place::Ended;
        }
    }

    /// Reads the line of a size; nothing if it is not whole.
    fn size(&mut self, read: &mut Received) -> Result<Option<u64>, Http1Error> {
        let fresh = read.get(self.seen..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', fresh).map(|at| at.saturating_add(self.seen)) else {
            self.seen = read.len();
            let is_short = self.seen.saturating_add(self.extensions) <= MOST_EXTENSIONS;
            return if is_short { Ok(None) } else { Err(Http1Error::Chunk) };
        };
        self.seen = 0;
        let line = read.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Http1Error::Chunk)?;
        let (size, rest) = line.split_at(line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count());
        let value = hexadecimal(size).ok_or(Http1Error::Chunk)?;
        self.extensions = self.extensions.saturating_add(rest.len());
        if !is_extension(rest) || self.extensions > MOST_EXTENSIONS {
            return Err(Http1Error::Chunk);
        }
        read.skip(end.saturating_add(1));
        Ok(Some(value))
    }

    /// Reads the trailer section; nothing if it is not whole.
    fn trailers(&mut self, read: &mut Received) -> Result<Option<HeaderMap>, Http1Error> {
        if read.starts_with(b"\r\n") {
            read.skip(2);
            return Ok(Some(HeaderMap::new()));
        }
        let from = self.seen.saturating_sub(3);
        let end = memchr::memmem::find(read.get(from..).unwrap_or_default(), b"\r\n\r\n");
        let Some(length) = end.map(|at| at.saturating_add(from).saturating_add(4)) else {
            self.seen = read.len();
            return if self.seen <= MOST_TRAILERS { Ok(None) } else { Err(Http1Error::Trailers) };
        };
        let section = read.take(length);
        if length > MOST_TRAILERS || has_bare_line_feed(&section) {
            return Err(Http1Error::Trailers);
        }
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let fields = match httparse::parse_headers(&section, &mut fields) {
            Ok(httparse::Status::Complete((read, fields))) if read == length => fields,
            _ => return Err(Http1Error::Trailers),
        };
        let field = |field: &httparse::Header<'_>| {
            let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_bytes(field.value).ok()?))
        };
        let mut trailers = HeaderMap::with_capacity(fields.len());
        for each in fields.iter() {
            let (name, value) = field(each).ok_or(Http1Error::Trailers)?;
            trailers.append(name, value);
        }
        Ok(Some(trailers))
    }
}

/// Such a size as a length may be.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.len() <= MOST_DIGITS)?;
    let value = u64::from_str_radix(text, 16).ok()?;
    i64::try_from(value).is_ok().then_some(value)
}

/// Blanks, and behind them extensions, which mean nothing to us: anything but another kind of line end.
fn is_extension(rest: &[u8]) -> bool {
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(blanks..).unwrap_or_default();
    rest.is_empty()
        || rest.starts_with(b";") && rest.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f)
}

fn has_bare_line_feed(section: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', section)
        .any(|at| at.checked_sub(1).and_then(|before| section.get(before)) != Some(&b'\r'))
}
