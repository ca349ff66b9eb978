//! Owns: what the management API said to a request.
//! Refuses: what is not JSON, which no management API says.
//! Always holds: it has no `Debug`, since a secret may be in it.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::Value;

/// An answer, read.
pub(super) enum Answer {
    /// It was done.
    Done(Value),
    /// It was not done.
    Refused {
        /// The problem document (RFC 9457).
        document: Value,
        /// What it says, and what can be done about it.
        words: String,
    },
}

/// What answered is no management API; its status.
#[derive(Debug, thiserror::Error)]
#[error("what answers is no management API of Postern (status {status})")]
pub(super) struct NotOurs {
    status: StatusCode,
}

impl Answer {
    /// Reads a response.
    pub(super) fn read(response: &Response<Bytes>) -> Result<Self, NotOurs> {
        let status = response.status();
        let Ok(document @ Value::Object(_)) = serde_json::from_slice::<Value>(response.body()) else {
            return Err(NotOurs { status });
        };
        if status.is_success() {
            return Ok(Self::Done(document));
        }
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        // A proxy in between has error documents of its own, and so may have what is not Postern at all.
        let (Some(code), Some(detail)) = (text("code"), text("detail")) else { return Err(NotOurs { status }) };
        let words = match (text("field"), text("message"), text("remedy"), remedy(code)) {
            (Some(field), Some(message), Some(remedy), _) => format!("{field}: {message}; {remedy}"),
            (_, _, _, Some(remedy)) => format!("{detail} {remedy}"),
            _ => detail.to_owned(),
        };
        Ok(Self::Refused { document, words })
    }
}

/// What can be done on the command line about a problem whose own words speak of HTTP.
fn remedy(code: &str) -> Option<&'static str> {
    match code {
        "unauthorized" => Some("Give it with --admin-token-file, or as POSTERN_ADMIN_TOKEN."),
        "next_key_too_new" => Some("With --now it signs all the same."),
        "too_many_secrets" => Some("With --grace 0s both end at once."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &'static str) -> Result<Answer, NotOurs> {
        let response = Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
        Answer::read(&response)
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_helps() {
        let refused = |status, body| match read(status, body) {
            Ok(Answer::Refused { words, .. }) => words,
            _ => panic!("{body} is no refusal"),
        };
        let gone = r#"{"status":404,"code":"unknown_client","detail":"There is no client \"x\"."}"#;
        assert_eq!(refused(404, gone), "There is no client \"x\".");
        let closed = r#"{"status":401,"code":"unauthorized","detail":"Present the admin token."}"#;
        assert!(refused(401, closed).contains("--admin-token-file"));
        let invalid = r#"{"status":422,"code":"invalid_client","detail":"Grants.x: there is no API; did you mean `y`?.",
            "field":"grants.x","message":"there is no API","remedy":"did you mean `y`?"}"#;
        assert_eq!(refused(422, invalid), "grants.x: there is no API; did you mean `y`?");
        assert!(matches!(read(201, r#"{"id":"a"}"#), Ok(Answer::Done(document)) if document["id"] == "a"));
    }

    #[test]
    fn what_is_no_management_api_is_said_to_be_none() {
        for (status, body) in [
            (200, "<html>"),
            (200, ""),
            (200, "[]"),
            (302, ""),
            (404, r#"{"error":"nothing here"}"#),
            (502, r#"{"detail":"of a proxy"}"#),
        ] {
            let error = read(status, body).err().unwrap().to_string();
            assert!(error.contains(&status.to_string()), "{error}");
        }
    }
}
