//! Owns: the host that a request asks for, in normal form.
//! Refuses: none, two, or two that differ; user information; what is neither a name nor an address.
//! Always holds: lower case, no dot at the end, no empty label; the port is kept apart. It is a valid header value.

use std::{fmt, net::Ipv6Addr, str};

use http::{HeaderValue, Version, header};
use thiserror::Error;

use super::{FieldLines as _, RequestHead};

/// The longest name of a host, in bytes (RFC 1035 section 2.3.4).
const LONGEST_HOST_BYTES: usize = 253;

/// A host in normal form, and its port if one was given.
#[derive(Clone, PartialEq, Eq)]
pub struct NormalHost {
    /// `host` or `host:port`, in memory of its own.
    value: HeaderValue,
    host_bytes: usize,
    port: Option<u16>,
}

impl NormalHost {
    /// The host of a request: out of its `:authority` or absolute-form target, and its `Host` field, which must agree
    /// (RFC 9110 section 7.2, RFC 9112 section 3.2, RFC 9113 section 8.3.1).
    ///
    /// # Errors
    /// If there is none, more than one, or one that is malformed.
    pub fn from_request(request: &RequestHead) -> Result<Self, HostError> {
        let mut fields = request.fields.lines(&header::HOST);
        let field = fields.next();
        if fields.next().is_some() {
            return Err(HostError::Repeated);
        }
        match (request.uri.authority(), field) {
            (None, None) => Err(HostError::Missing),
            (None, Some(field)) => Self::from_field(field),
            // RFC 9112 section 3.2: every HTTP/1.1 request has a Host field, whatever its target.
            (Some(_), None) if request.version == Version::HTTP_11 => Err(HostError::Missing),
            (Some(authority), None) => Self::parse(authority.as_str()),
            (Some(authority), Some(field)) => {
                let host = Self::from_field(field)?;
                if field != authority.as_str().as_bytes() && Self::parse(authority.as_str())? != host {
                    return Err(HostError::Disagreeing);
                }
                Ok(host)
            }
        }
    }

    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    /// If it is empty or malformed.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let parsed = parse(text.as_bytes())?;
        let text = parsed.rewritten.as_deref().unwrap_or(text);
        Ok(Self {
            value: HeaderValue::from_str(text).map_err(|_control| HostError::BadCharacter)?,
            host_bytes: parsed.host_bytes,
            port: parsed.port,
        })
    }

    /// The host without its port: a name, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.value.as_bytes().get(..self.host_bytes).and_then(|host| str::from_utf8(host).ok()).unwrap_or_default()
    }

    /// The port, if one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// `host` or `host:port` in normal form, as a value for `Host` or `X-Forwarded-Host`. Cloning it copies no text.
    #[must_use]
    pub const fn header_value(&self) -> &HeaderValue {
        &self.value
    }

    fn from_field(field: &[u8]) -> Result<Self, HostError> {
        let parsed = parse(field)?;
        let value = match parsed.rewritten {
            None => HeaderValue::from_bytes(field),
            Some(text) => HeaderValue::try_from(text),
        };
        let value = value.map_err(|_control| HostError::BadCharacter)?;
        Ok(Self { value, host_bytes: parsed.host_bytes, port: parsed.port })
    }
}

impl fmt::Debug for NormalHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, formatter)
    }
}

impl fmt::Display for NormalHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(str::from_utf8(self.value.as_bytes()).unwrap_or_default())
    }
}

/// Why a request's host is refused. All of these are the caller's fault (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// There is none, or it is empty.
    #[error("the request names no host")]
    Missing,
    /// There is more than one `Host` field.
    #[error("the request has more than one Host field")]
    Repeated,
    /// `Host` says otherwise than the target.
    #[error("the Host field differs from the request target's authority")]
    Disagreeing,
    /// There is an `@`.
    #[error("the host has user information before it")]
    UserInformation,
    /// A character that a host cannot have, an empty label, a bad IPv6 address, or more than 253 bytes.
    #[error("the host is neither a name nor an address")]
    BadCharacter,
    /// The port is empty, zero, too big, or not a plain decimal number.
    #[error("the host's port is no port")]
    BadPort,
}

impl HostError {
    /// A stable name for logs, metrics and the caller.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "host_missing",
            Self::Repeated | Self::Disagreeing => "host_ambiguous",
            Self::UserInformation | Self::BadCharacter | Self::BadPort => "host_malformed",
        }
    }
}

struct Parsed {
    host_bytes: usize,
    port: Option<u16>,
    /// The normal form, if what came was not.
    rewritten: Option<String>,
}

fn parse(text: &[u8]) -> Result<Parsed, HostError> {
    if text.is_empty() {
        return Err(HostError::Missing);
    }
    if text.contains(&b'@') {
        return Err(HostError::UserInformation);
    }
    if text.first() == Some(&b'[') { parse_ipv6(text) } else { parse_name(text) }
}

fn parse_name(text: &[u8]) -> Result<Parsed, HostError> {
    let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
    let (given, after) = text.split_at_checked(end).ok_or(HostError::BadCharacter)?;
    let port = parse_port(after)?;
    let name = given.strip_suffix(b".").unwrap_or(given);
    if name.is_empty() || name.len() > LONGEST_HOST_BYTES {
        return Err(HostError::BadCharacter);
    }
    let mut upper_case = false;
    let mut previous = b'.';
    for &byte in name {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'A'..=b'Z' => upper_case = true,
            b'.' if previous != b'.' => {}
            _ => return Err(HostError::BadCharacter),
        }
        previous = byte;
    }
    if previous == b'.' {
        return Err(HostError::BadCharacter);
    }
    let rewritten = (upper_case || name.len() != given.len()).then(|| {
        let name = name.iter().chain(after).map(|byte| char::from(byte.to_ascii_lowercase()));
        name.collect()
    });
    Ok(Parsed { host_bytes: name.len(), port, rewritten })
}

fn parse_ipv6(text: &[u8]) -> Result<Parsed, HostError> {
    let end = text.iter().position(|&byte| byte == b']').ok_or(HostError::BadCharacter)?;
    let (address, after) = text.split_at_checked(end + 1).ok_or(HostError::BadCharacter)?;
    let inner = address.get(1..end).and_then(|inner| str::from_utf8(inner).ok()).ok_or(HostError::BadCharacter)?;
    let parsed: Ipv6Addr = inner.parse().map_err(|_no_address| HostError::BadCharacter)?;
    let port = parse_port(after)?;
    // One address has many spellings; RFC 5952 names one of them.
    let mut normal = format!("[{parsed}]");
    let host_bytes = normal.len();
    let unchanged = normal.as_bytes() == address;
    normal.extend(after.iter().map(|&byte| char::from(byte)));
    Ok(Parsed { host_bytes, port, rewritten: (!unchanged).then_some(normal) })
}

/// The port out of what follows a host: nothing, or `:` and a decimal number without leading zeros.
fn parse_port(after: &[u8]) -> Result<Option<u16>, HostError> {
    if after.is_empty() {
        return Ok(None);
    }
    let digits = after.strip_prefix(b":").ok_or(HostError::BadCharacter)?;
    let plain = matches!(digits.first(), Some(b'1'..=b'9')) && digits.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(digits).ok().filter(|_| plain).and_then(|digits| digits.parse().ok());
    number.map(Some).ok_or(HostError::BadPort)
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn of(version: Version, target: &str, hosts: &[&str]) -> Result<String, HostError> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header("host", *host);
        }
        NormalHost::from_request(&request.body(()).unwrap().into_parts().0.into()).map(|host| host.to_string())
    }

    #[test]
    fn one_host_has_one_spelling() {
        let cases = [
            ("a", "a", None),
            ("Api.Example.COM", "api.example.com", None),
            ("api.example.com.", "api.example.com", None),
            ("API.example.com.:8443", "api.example.com", Some(8443)),
            ("my_service:80", "my_service", Some(80)),
            ("127.0.0.1:1", "127.0.0.1", Some(1)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8:0::1]:443", "[2001:db8::1]", Some(443)),
        ];
        for (raw, host, port) in cases {
            let normal = NormalHost::parse(raw).unwrap();
            assert_eq!((normal.as_str(), normal.port()), (host, port), "{raw}");
            let expected = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            assert_eq!(normal.to_string(), expected);
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        let cases = [
            ("", HostError::Missing),
            ("user@a", HostError::UserInformation),
            ("a:", HostError::BadPort),
            ("a:0", HostError::BadPort),
            ("a:080", HostError::BadPort),
            ("a:+80", HostError::BadPort),
            ("a:65536", HostError::BadPort),
            ("a:1:2", HostError::BadPort),
            ("[::1]x", HostError::BadCharacter),
            ("[::1", HostError::BadCharacter),
            ("[1.2.3.4]", HostError::BadCharacter),
            ("[fe80::1%25eth0]", HostError::BadCharacter),
            ("::1", HostError::BadPort),
            (".", HostError::BadCharacter),
            ("..", HostError::BadCharacter),
            (".a", HostError::BadCharacter),
            ("a..b", HostError::BadCharacter),
            ("a..", HostError::BadCharacter),
            (":80", HostError::BadCharacter),
            ("a b", HostError::BadCharacter),
            ("a,b", HostError::BadCharacter),
            ("a/b", HostError::BadCharacter),
            ("a%2eb", HostError::BadCharacter),
            ("caf\u{e9}", HostError::BadCharacter),
        ];
        for (raw, expected) in cases {
            assert_eq!(NormalHost::parse(raw), Err(expected), "{raw:?}");
        }
        assert_eq!(NormalHost::parse(&"a".repeat(254)), Err(HostError::BadCharacter));
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
        assert_eq!(of(h1, "/", &["A.example.:80"]).as_deref(), Ok("a.example:80"));
        assert_eq!(of(h1, "/", &[]), Err(HostError::Missing));
        assert_eq!(of(h1, "/", &[""]), Err(HostError::Missing));
        assert_eq!(of(h1, "/", &["a", "a"]), Err(HostError::Repeated));
        assert_eq!(of(h1, "http://a/", &[]), Err(HostError::Missing));
        assert_eq!(of(h1, "http://a/", &["A."]).as_deref(), Ok("a"));
        assert_eq!(of(h1, "http://a/", &["b"]), Err(HostError::Disagreeing));
        assert_eq!(of(h1, "http://a:81/", &["a:82"]), Err(HostError::Disagreeing));
        assert_eq!(of(h1, "http://u:p@a/", &["a"]), Err(HostError::UserInformation));
        assert_eq!(of(Version::HTTP_10, "http://a/", &[]).as_deref(), Ok("a"));
        assert_eq!(of(h2, "https://A.example:8443/", &[]).as_deref(), Ok("a.example:8443"));
        assert_eq!(of(h2, "https://a/", &["b"]), Err(HostError::Disagreeing));
        assert_eq!(of(h2, "/", &["a"]).as_deref(), Ok("a"));
    }

    #[test]
    fn reasons_are_of_a_closed_list() {
        assert_eq!(HostError::Missing.reason(), "host_missing");
        assert_eq!(HostError::Disagreeing.reason(), "host_ambiguous");
        assert_eq!(HostError::BadPort.reason(), "host_malformed");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_idempotent(raw in "\\PC{0,12}|[a-cA-C.:\\[\\]0-9_-]{0,16}") {
            if let Ok(host) = NormalHost::parse(&raw) {
                prop_assert_eq!(NormalHost::parse(&host.to_string()), Ok(host.clone()));
                prop_assert!(!host.as_str().ends_with('.') && !host.as_str().is_empty());
                prop_assert_eq!(host.as_str().to_ascii_lowercase(), host.as_str());
            }
        }

        #[test]
        fn bytes_never_panic(raw in proptest::collection::vec(any::<u8>(), 0..16)) {
            drop(parse(&raw));
        }
    }
}
