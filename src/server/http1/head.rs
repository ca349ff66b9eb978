//! Owns: the head of one request, judged line by line as it comes.
//! Refuses: a line that could end elsewhere, a name that could be another, a length that could be another (RFC 9112
//! sections 2.2, 5.1, 5.2, 6.3).
//! Always holds: the verdict is the same into whatever pieces the bytes were cut, and no byte of a line is searched twice
//! but one at a cut.

use std::ops::Range;

use http::Uri;

use super::fault::RequestFault;
use crate::http::{
    FieldNames, Fields,
    grammar::{is_token, length, text_length, trimmed},
};

/// The longest name of a field that can be held.
const LONGEST_NAME: usize = 65_535;

/// The longest target that can be held.
const LONGEST_TARGET: usize = 65_534;

/// For so many fields room is made at first: those of most programs' requests, and those that a gateway adds. That is 1,008 bytes; what
/// is beyond 1,024 the allocator does not have at hand.
const USUAL_FIELDS: usize = 14;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct HeadBounds {
    pub(in crate::server) bytes: usize,
    pub(in crate::server) fields: usize,
}

/// How a request's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// A head that is good.
#[derive(Debug)]
pub(super) struct Head {
    /// Its bytes, the empty line included.
    pub(super) length: usize,
    pub(super) framing: Framing,
    pub(super) said: Said,
    /// Where in it the method and the target stand.
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    /// Its fields, whose values have to be told yet what they stand in.
    pub(super) fields: Fields,
}

/// What a head says about its connection and its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) is_http10: bool,
    pub(super) is_connect: bool,
    pub(super) is_head: bool,
    /// `Upgrade`.
    pub(super) upgrade: bool,
    /// `Connection: close` and `Connection: keep-alive` (RFC 9112 section 9.3).
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    /// `Expect: 100-continue` (RFC 9110 section 10.1.1).
    pub(super) expects_continue: bool,
    /// `TE: trailers` (RFC 9110 section 10.1.4).
    pub(super) takes_trailers: bool,
}

/// How far a head has come.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// Where the line begins that is not whole yet.
    line: usize,
    /// Up to where its end was looked for.
    searched: usize,
    empty_line_seen: bool,
    fields: usize,
    request: Option<Request>,
}

/// What was said so far.
#[derive(Debug, Default)]
struct Request {
    said: Said,
    method: Range<usize>,
    target: Range<usize>,
    fields: Fields,
    length: Option<u64>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    Other,
}

impl HeadScan {
    /// Reads on in a head of which `bytes` is all that has come so far; nothing as long as it is not whole.
    pub(super) fn read(&mut self, bytes: &[u8], bounds: HeadBounds) -> Result<Option<Head>, RequestFault> {
        FieldNames::of_this_thread(|names| self.read_lines(bytes, bounds, names))
    }

    fn read_lines(
        &mut self,
        bytes: &[u8],
        bounds: HeadBounds,
        names: &mut FieldNames,
    ) -> Result<Option<Head>, RequestFault> {
        // What comes behind the bound is not looked at, so that it makes no difference whether it has come already.
        let within = bytes.get(..bounds.bytes).unwrap_or(bytes);
        loop {
            let text = text_length(within.get(self.searched..).unwrap_or_default());
            self.searched = self.searched.saturating_add(text);
            match within.get(self.searched..).unwrap_or_default() {
                // It may still become one.
                [] | [b'\r'] if bytes.len() == within.len() => return Ok(None),
                [] | [b'\r'] => return Err(RequestFault::HeadTooLarge),
                [b'\r', b'\n', ..] => {}
                // Some take a line feed alone for the end of a line, and others do not. What is no HTTP at all may never end a line.
                _ => return Err(RequestFault::Malformed),
            }
            let begin = self.line;
            let line = within.get(begin..self.searched).unwrap_or_default();
            self.line = self.searched.saturating_add(2);
            self.searched = self.line;
            if line.is_empty() {
                if let Some(request) = self.request.take() {
                    return request.head(self.line).map(Some);
                }
                // RFC 9112 section 2.2: one too many after the body before.
                if std::mem::replace(&mut self.empty_line_seen, true) {
                    return Err(RequestFault::Malformed);
                }
                continue;
            }
            let Some(request) = &mut self.request else {
                self.request = Some(Request::begun_by(line, begin)?);
                continue;
            };
            self.fields = self.fields.saturating_add(1);
            if self.fields > bounds.fields {
                return Err(RequestFault::TooManyFields);
            }
            request.field(line, begin, names)?;
        }
    }
}

impl Request {
    /// `method SP target SP version` (RFC 9112 section 3), and no other white space.
    fn begun_by(line: &[u8], begin: usize) -> Result<Self, RequestFault> {
        let parts = || {
            let (method, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
            let rest = rest.strip_prefix(b" ")?;
            let (target, version) = rest.split_at_checked(memchr::memrchr(b' ', rest)?)?;
            Some((method, target, version.strip_prefix(b" ")?))
        };
        let (method, target, version) = parts().ok_or(RequestFault::Malformed)?;
        if !is_token(method) || !is_target(target) || !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
            return Err(RequestFault::Malformed);
        }
        let said = Said {
            is_http10: version == b"HTTP/1.0",
            is_connect: method == b"CONNECT",
            is_head: method == b"HEAD",
            ..Said::default()
        };
        let method_end = begin.saturating_add(method.len());
        let target_begin = method_end.saturating_add(1);
        Ok(Self {
            said,
            method: begin..method_end,
            target: target_begin..target_begin.saturating_add(target.len()),
            fields: Fields::with_room(USUAL_FIELDS),
            length: None,
            coding: None,
        })
    }

    /// `name ":" OWS value OWS` (RFC 9112 section 5). A line that goes on the one before (obs-fold) has no token for a name.
    fn field(&mut self, line: &[u8], begin: usize, names: &mut FieldNames) -> Result<(), RequestFault> {
        let colon = memchr::memchr(b':', line).ok_or(RequestFault::Malformed)?;
        let (name, value) = line.split_at_checked(colon).ok_or(RequestFault::Malformed)?;
        let value = value.get(1..).unwrap_or_default();
        if name.len() > LONGEST_NAME && is_token(name) {
            return Err(RequestFault::HeadTooLarge);
        }
        let read_name = names.read(name).ok_or(RequestFault::Malformed)?;
        let without_start = value.trim_ascii_start();
        let value_begin = begin.saturating_add(line.len()).saturating_sub(without_start.len());
        let value = without_start.trim_ascii_end();
        let value_end = value_begin.saturating_add(value.len());
        self.fields.push_read(read_name, begin, value_begin..value_end);
        // Few names matter here, and each has a length of its own.
        match name.len() {
            2 if name.eq_ignore_ascii_case(b"te") => self.said.takes_trailers |= lists(value, b"trailers"),
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.said.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.said.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.said.close |= lists(value, b"close");
                self.said.keep_alive |= lists(value, b"keep-alive");
            }
            14 if is_read_as(name, b"content-length") => {
                let length = length(value).filter(|_| is_written_as(name, b"content-length"));
                let length = length.ok_or(RequestFault::FramingAmbiguous)?;
                // Even where both say the same: not everybody sees both.
                if self.length.replace(length).is_some() {
                    return Err(RequestFault::FramingAmbiguous);
                }
            }
            17 if is_read_as(name, b"transfer-encoding") => {
                let coding = coding(value).filter(|_| is_written_as(name, b"transfer-encoding"));
                let coding = coding.ok_or(RequestFault::FramingAmbiguous)?;
                if self.coding.replace(coding).is_some() {
                    return Err(RequestFault::FramingAmbiguous);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The head, now that there is nothing more to be said.
    fn head(self, length: usize) -> Result<Head, RequestFault> {
        let framing = match (self.coding, self.length) {
            (None, length) => Framing::Length(length.unwrap_or(0)),
            (Some(_), Some(_)) => return Err(RequestFault::FramingAmbiguous),
            // HTTP/1.0 has no transfer codings; who sends one is not who it says (RFC 9112 section 6.1).
            (Some(_), None) if self.said.is_http10 => return Err(RequestFault::FramingAmbiguous),
            (Some(Coding::Other), None) => return Err(RequestFault::TransferCoding),
            (Some(Coding::Chunked), None) => Framing::Chunked,
        };
        let Self { said, method, target, fields, .. } = self;
        Ok(Head { length, framing, said, method, target, fields })
    }
}

/// Whether the target of a request can be read. Nearly all of them are told at a glance.
fn is_target(target: &[u8]) -> bool {
    let is_ordinary = |byte: &u8| {
        matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'/' | b'-' | b'.' | b'_' | b'~' | b'%' | b'?' | b'=' | b'&')
            || matches!(byte, b'+' | b':' | b',' | b';' | b'@' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*')
    };
    let is_plain = target.starts_with(b"/") && target.len() <= LONGEST_TARGET && target.iter().all(is_ordinary);
    is_plain || Uri::try_from(target).is_ok()
}

/// Whether one member of a list is `member` (RFC 9110 section 5.6.1).
fn lists(value: &[u8], member: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|each| trimmed(each).eq_ignore_ascii_case(member))
}

fn is_written_as(name: &[u8], field: &[u8]) -> bool {
    name.eq_ignore_ascii_case(field)
}

/// Whether somebody could take `name` for `field`: many a server knows no difference between `-` and `_`.
fn is_read_as(name: &[u8], field: &[u8]) -> bool {
    let same = |(ours, theirs): (&u8, &u8)| ours.eq_ignore_ascii_case(theirs) || (*ours == b'_' && *theirs == b'-');
    name.len() == field.len() && name.iter().zip(field).all(same)
}

/// What a Transfer-Encoding asks for; nothing if where the body ends cannot be told by it, for `chunked` is not the last
/// coding or not only the last (RFC 9112 section 6.3).
fn coding(value: &[u8]) -> Option<Coding> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Some(Coding::Chunked);
    }
    let mut members = value.rsplit(|byte| *byte == b',').map(trimmed);
    let ends_chunked = members.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let others_differ = members.all(|other| is_token(other) && !other.eq_ignore_ascii_case(b"chunked"));
    (ends_chunked && others_differ).then_some(Coding::Other)
}
