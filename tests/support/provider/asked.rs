//! One request as it reached the provider.

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::Value;
use tokio::time::Instant;

/// Where a client put what proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// In HTTP Basic (RFC 6749 section 2.3.1).
    Basic,
    /// In the body, as a secret.
    Body,
    /// In the body, as an assertion (RFC 7523).
    Assertion,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    pub(crate) method: Method,
    /// Path and query, byte for byte.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The members of the body, form or JSON, in their order; what is no text is as JSON writes it.
    pub(crate) parameters: Vec<(String, String)>,
    /// Whether its body came to its end.
    pub(crate) complete: bool,
}

/// Who somebody says to be, and what is to prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Presented {
    pub(super) client_id: String,
    /// Empty if it is an assertion.
    pub(super) secret: String,
    pub(super) placed: Placed,
}

impl Asked {
    pub(super) fn new(method: Method, target: String, headers: HeaderMap, body: Option<Bytes>) -> Self {
        let complete = body.is_some();
        let body = body.unwrap_or_default();
        let parameters = parse(&headers, &body);
        Self { at: Instant::now(), method, target, headers, body, parameters, complete }
    }

    /// The path alone.
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A parameter of the body, by any of the names that the dialects have for it; panics if it is there more than once.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} twice in {:?}", self.parameters);
        first
    }

    /// The id of the client in whose name it was asked, wherever it stood.
    pub(crate) fn client_id(&self) -> Option<String> {
        self.presented().map(|presented| presented.client_id)
    }

    /// Where the proof stood.
    pub(crate) fn placed(&self) -> Option<Placed> {
        self.presented().map(|presented| presented.placed)
    }

    /// The secret that was presented, wherever it stood.
    pub(crate) fn secret(&self) -> Option<String> {
        self.presented().map(|presented| presented.secret)
    }

    pub(super) fn presented(&self) -> Option<Presented> {
        if let Some((client_id, secret)) = self.basic() {
            return Some(Presented { client_id, secret, placed: Placed::Basic });
        }
        if let Some(assertion) = self.parameter("client_assertion") {
            let client_id = subject(assertion)?;
            return Some(Presented { client_id, secret: String::new(), placed: Placed::Assertion });
        }
        let client_id = self.parameter("client_id").or_else(|| self.parameter("clientId"))?.to_owned();
        let secret = self.parameter("client_secret").or_else(|| self.parameter("secret"))?.to_owned();
        Some(Presented { client_id, secret, placed: Placed::Body })
    }

    fn basic(&self) -> Option<(String, String)> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, credentials) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some((unescaped(id), unescaped(secret)))
    }
}

/// A half of the pair, which RFC 6749 section 2.3.1 has form-encoded.
fn unescaped(text: &str) -> String {
    let whole = format!("x={}", text.replace('&', "%26"));
    form_urlencoded::parse(whole.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn subject(assertion: &str) -> Option<String> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok()?;
    payload["sub"].as_str().map(str::to_owned)
}

fn parse(headers: &HeaderMap, body: &Bytes) -> Vec<(String, String)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        return form_urlencoded::parse(body).into_owned().collect();
    }
    let members = serde_json::from_slice::<serde_json::Map<String, Value>>(body).unwrap_or_default();
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.into_iter().map(|(name, value)| (name, text(value))).collect()
}
