//! Owns: how an answer is written: its head, and what frames its body (RFC 9112 sections 4, 6 and 9).
//! Refuses: a body that is longer or shorter than was said; trailers that nobody asked for.
//! Always holds: where the body ends is said in one way, or the connection ends with it.

use std::{cell::RefCell, time::SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING},
};
use hyper::ext::ReasonPhrase;
use thiserror::Error;

use super::{head::Said, output::Output};
use crate::http::{
    Fields, ResponseHead,
    headers::{announced_trailers, names_connection_option},
    write_field,
};

/// How the body of an answer is framed, and how far it has come.
#[derive(Debug)]
pub(super) enum Framing {
    /// There is none.
    Empty,
    /// So many bytes are left.
    Length(u64),
    /// In chunks; with the trailers that were announced to somebody who takes them.
    Chunked(Vec<HeaderName>),
    /// Until the connection is closed.
    UntilClose,
}

/// The body is not as long as was said.
#[derive(Debug, Error)]
#[error("the body of the answer is not as long as its head says")]
pub(in crate::server) struct LengthNotKept;

/// Writes the head of an answer. `length` is how long its body is, if that is known. `keep_alive` becomes `false` if the connection
/// has to be closed behind it.
pub(super) fn write_head(
    output: &mut Vec<u8>,
    head: &ResponseHead,
    said: Said,
    length: Option<u64>,
    keep_alive: &mut bool,
) -> Framing {
    let switches = said.is_connect && head.status.is_success();
    let status = head.status.as_u16();
    let is_switch = switches || status == 101;
    let is_bare = head.status.is_informational() || status == 204 || switches;
    let is_empty = is_bare || said.is_head || status == 304;
    *keep_alive &= !names_connection_option(&head.fields, "close");
    let framing = if is_empty {
        Framing::Empty
    } else if let Some(length) = length.or_else(|| stated_length(&head.fields)) {
        Framing::Length(length)
    } else if said.is_http10 {
        *keep_alive = false;
        Framing::UntilClose
    } else {
        Framing::Chunked(if said.takes_trailers { announced_trailers(&head.fields) } else { Vec::new() })
    };
    output.reserve(512);
    output.extend_from_slice(if said.is_http10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    output.extend_from_slice(head.status.as_str().as_bytes());
    output.push(b' ');
    let reason = head.extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes);
    output.extend_from_slice(reason.unwrap_or(head.status.canonical_reason().unwrap_or_default().as_bytes()));
    output.extend_from_slice(b"\r\n");
    // The framing is said below; but an answer without a body may say how long it would be.
    let (says_length, says_connection) = (is_empty && !is_bare, *keep_alive || is_switch);
    head.fields.write(output, |name| {
        *name == TRANSFER_ENCODING
            || (*name == CONTENT_LENGTH && !says_length)
            || (*name == CONNECTION && !says_connection)
    });
    match &framing {
        Framing::Length(length) => {
            output.extend_from_slice(b"content-length: ");
            write_decimal(output, *length);
            output.extend_from_slice(b"\r\n");
        }
        Framing::Chunked(_) => output.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Empty | Framing::UntilClose => {}
    }
    if !*keep_alive && !is_switch {
        output.extend_from_slice(b"connection: close\r\n");
    } else if *keep_alive && said.is_http10 && !names_connection_option(&head.fields, "keep-alive") {
        output.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if !head.fields.contains(&DATE) {
        write_date(output);
    }
    output.extend_from_slice(b"\r\n");
    framing
}

impl Framing {
    /// Puts a piece of the body into `output`.
    pub(super) fn write(&mut self, output: &mut Output, piece: Bytes) -> Result<(), LengthNotKept> {
        if piece.is_empty() {
            return Ok(());
        }
        match self {
            // What nobody reads is not sent.
            Self::Empty => {}
            Self::UntilClose => output.push(piece, b""),
            Self::Length(left) => {
                let bytes = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(bytes).ok_or(LengthNotKept)?;
                output.push(piece, b"");
            }
            Self::Chunked(_) => {
                write_chunk_size(output.gather(), piece.len());
                output.push(piece, b"\r\n");
            }
        }
        Ok(())
    }

    /// Ends the body.
    pub(super) fn end(&self, output: &mut Output, trailers: Option<HeaderMap>) -> Result<(), LengthNotKept> {
        match self {
            Self::Length(1..) => return Err(LengthNotKept),
            Self::Empty | Self::Length(0) | Self::UntilClose => {}
            Self::Chunked(announced) => {
                let output = output.gather();
                output.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.iter().flatten().filter(|(name, _)| announced.contains(name)) {
                    write_field(output, name, value.as_bytes());
                }
                output.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// Digit by digit: 70 instructions for three of them, where the formatting of the standard library takes 350.
fn write_decimal(output: &mut Vec<u8>, number: u64) {
    if number >= 10 {
        write_decimal(output, number / 10);
    }
    output.push(b'0' + (number % 10) as u8);
}

/// The size of a chunk and the end of its line (RFC 9112 section 7.1).
fn write_chunk_size(output: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let digit = u32::try_from((size >> (digit * 4)) & 0xf).unwrap_or_default();
        output.push(char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8));
    }
    output.extend_from_slice(b"\r\n");
}

/// The one length that an answer says it has.
fn stated_length(fields: &Fields) -> Option<u64> {
    std::str::from_utf8(fields.first(&CONTENT_LENGTH)?).ok()?.parse().ok()
}

/// The time by the wall clock (RFC 9110 section 6.6.1), written anew once a second.
fn write_date(output: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now();
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(second, line)| {
        if *second != seconds || line.is_empty() {
            (*second, *line) = (seconds, format!("date: {}\r\n", httpdate::fmt_http_date(now)));
        }
        output.extend_from_slice(line.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are() {
        for number in [0, 9, 10, 105, 99_999, u64::MAX] {
            let mut output = Vec::new();
            write_decimal(&mut output, number);
            assert_eq!(String::from_utf8(output).unwrap(), number.to_string());
        }
    }
}
