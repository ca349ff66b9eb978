//! Whatever is sent, nothing panics, and nobody gets a token without the proof.

use proptest::prelude::*;

use super::*;

/// Sends `body` to every place of every dialect.
fn never_issues(body: &[u8], authorization: Option<&[u8]>, content_type: &str) {
    let mut parts = post(content_type);
    if let Some(value) = authorization.and_then(|value| http::HeaderValue::from_bytes(value).ok()) {
        parts.headers.insert(header::AUTHORIZATION, value);
    }
    for (_, place) in places() {
        let (answer, json) = answer_of(place.operation, &ScriptedIssuer::default(), &parts, body);
        assert!(matches!(answer.outcome, Outcome::Refused(_)), "{place:?}");
        assert!(answer.response.status().is_client_error(), "{place:?}");
        assert!(json.get("access_token").is_none() && json.get("accessToken").is_none());
    }
}

/// Words out of which requests of all dialects can be put together; the right secret is not among them.
const WORDS: &[&str] = &[
    "grant_type",
    "grantType",
    "client_credentials",
    "client_id",
    "clientId",
    "billing",
    "client_secret",
    "secret",
    "wrong",
    "scope",
    "audience",
    "expiration",
    "token",
    "=",
    "&",
    "%",
    "%3d",
    "+",
    "{",
    "}",
    "\"",
    ":",
    ",",
    "[",
    "]",
    "null",
    "\\u0063",
    " ",
    "-1",
    "1e9",
    "grant_type=client_credentials&",
    "client_id=billing&",
    "client_secret=x&",
    "token=x&",
    "client_assertion=x&",
    "\"grant_type\":\"client_credentials\",",
    "\"clientId\":\"billing\",",
    "\"secret\":\"x\",",
    "\"client_id\":\"billing\",",
    "\"client_secret\":\"x\"",
    "\"expiration\":1",
    "\"refreshToken\":\"x\"",
    "\"token\":\"x\",",
];

proptest! {
    #[test]
    fn no_body_panics_or_issues(
        body in proptest::collection::vec(any::<u8>(), 0..512),
        authorization in proptest::option::of(proptest::collection::vec(0x20u8..0xff, 0..64)),
        content_type in proptest::sample::select(vec![FORM, JSON, "text/plain"]),
    ) {
        never_issues(&body, authorization.as_deref(), content_type);
    }

    #[test]
    fn no_body_out_of_the_right_words_issues_without_the_secret(
        pieces in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..24),
        content_type in proptest::sample::select(vec![FORM, JSON]),
    ) {
        never_issues(pieces.concat().as_bytes(), None, content_type);
    }
}
