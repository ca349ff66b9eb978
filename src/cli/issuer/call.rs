//! Owns: a request to the management API, before it is known who will answer it.
//! Always holds: whatever a name consists of, it is one segment of the path or one value of the query.

use bytes::Bytes;
use http::{Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::form_urlencoded;

/// What the paths of the management API begin with.
const BASE: &str = "/api/v1";

/// What is asked for.
pub(super) struct Call {
    method: Method,
    path: String,
    query: String,
    body: Option<Value>,
}

impl Call {
    /// Asks for what is at the path of these segments.
    pub(super) fn get(segments: &[&str]) -> Self {
        Self::new(Method::GET, segments)
    }

    /// Has something done.
    pub(super) fn post(segments: &[&str]) -> Self {
        Self::new(Method::POST, segments)
    }

    /// Has something removed.
    pub(super) fn delete(segments: &[&str]) -> Self {
        Self::new(Method::DELETE, segments)
    }

    fn new(method: Method, segments: &[&str]) -> Self {
        let mut path = BASE.to_owned();
        for segment in segments {
            path.push('/');
            path.extend(utf8_percent_encode(segment, NON_ALPHANUMERIC));
        }
        Self { method, path, query: String::new(), body: None }
    }

    /// Adds those parameters of the query that have a value.
    pub(super) fn query(mut self, parameters: &[(&str, Option<&str>)]) -> Self {
        let given = parameters.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        self.query = form_urlencoded::Serializer::new(self.query).extend_pairs(given).finish();
        self
    }

    /// Sends `body`.
    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// The request as it is sent to `host`, where the API's paths begin below `prefix`.
    pub(super) fn request(&self, host: &str, prefix: &str) -> http::Result<Request<Bytes>> {
        let separator = if self.query.is_empty() { "" } else { "?" };
        let target = format!("{prefix}{}{separator}{}", self.path, self.query);
        let request = Request::builder().method(self.method.clone()).uri(target).header(header::HOST, host);
        match &self.body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string().into()),
            None => request.body(Bytes::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_stay_within_their_place() {
        for (name, path) in [
            ("billing", "/api/v1/clients/billing/rotate"),
            ("../keys", "/api/v1/clients/%2E%2E%2Fkeys/rotate"),
            ("a?b=c#d", "/api/v1/clients/a%3Fb%3Dc%23d/rotate"),
            ("ü %", "/api/v1/clients/%C3%BC%20%25/rotate"),
        ] {
            let request = Call::post(&["clients", name, "rotate"]).request("localhost", "").unwrap();
            assert_eq!(request.uri(), path);
        }
        let query = [("client_id", Some("a&b=c")), ("owner", None), ("limit", Some("5"))];
        let request = Call::get(&["tokens"]).query(&query).request("localhost", "/postern").unwrap();
        assert_eq!(request.uri(), "/postern/api/v1/tokens?client_id=a%26b%3Dc&limit=5");
        assert!(request.body().is_empty() && request.headers().get("content-type").is_none());
    }

    #[test]
    fn a_body_is_json() {
        let request = Call::post(&["clients"]).body(json!({ "id": "a" })).request("h:1", "").unwrap();
        assert_eq!((request.method(), request.headers()["host"].to_str().unwrap()), (&Method::POST, "h:1"));
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.body(), &Bytes::from_static(b"{\"id\":\"a\"}"));
    }
}
