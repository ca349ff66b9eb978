//! How much of a body is read, in which order things are judged, and what a failing issuer looks like, in every dialect.

use std::cell::Cell;

use http_body_util::{Full, StreamBody};

use super::*;

const GOOD: &str = "grant_type=client_credentials&client_id=billing&client_secret=canary-secret";

#[tokio::test]
async fn a_body_is_read_up_to_its_bound_and_no_further() {
    let issuer = ScriptedIssuer::default();
    let operation = Operation::Oauth2(Oauth2Operation::Token);
    let endpoint = endpoint_of(operation);
    fn request<B>(body: B) -> Request<B> {
        Request::builder().method("POST").header(header::CONTENT_TYPE, FORM).body(body).unwrap()
    }
    let good = endpoint.respond(operation, request(Full::new(Bytes::from(GOOD))), &issuer, ARRIVAL).await;
    assert_eq!(good.response.status(), 200);

    // Endless: the answer comes because reading stops, and so does throwing away the rest, after 4 MiB.
    let pieces = Cell::new(0);
    let endless = futures_util::stream::repeat_with(|| {
        pieces.set(pieces.get() + 1);
        Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from_static(&[b'a'; 1024])))
    });
    let large = endpoint.respond(operation, request(StreamBody::new(endless)), &issuer, ARRIVAL).await;
    assert_eq!((large.outcome.reason(), pieces.get()), ("body_too_large", 65 + 4 * 1024));

    let broken = futures_util::stream::iter([
        Ok(hyper::body::Frame::data(Bytes::from(GOOD))),
        Err(std::io::Error::other("gone")),
    ]);
    let broken = endpoint.respond(operation, request(StreamBody::new(broken)), &issuer, ARRIVAL).await;
    assert_eq!(broken.outcome.reason(), "body_incomplete");
    assert_eq!(issuer.asked().len(), 1);
}

#[test]
fn every_dialect_bounds_bodies_and_refuses_repetition() {
    let long = format!("{{\"a\":\"{}\"}}", "a".repeat(64 * 1024));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(40), "]".repeat(40));
    for (_, place) in places() {
        for (body, status, reason) in [
            (long.as_str(), 413, "body_too_large"),
            (deep.as_str(), 400, "malformed_body"),
            ("[]", 400, "malformed_body"),
            ("{", 400, "malformed_body"),
            (r#"{"a":1,"\u0061":2}"#, 400, "repeated_parameter"),
            (r#"{"a":{"b":1,"b":2}}"#, 400, "repeated_parameter"),
        ] {
            let issuer = ScriptedIssuer::default();
            let (answer, _) = answer_of(place.operation, &issuer, &post(JSON), body.as_bytes());
            let got = (answer.response.status().as_u16(), answer.outcome.reason());
            assert_eq!(got, (status, reason), "{place:?} {}", body.chars().take(40).collect::<String>());
            assert!(issuer.asked().is_empty());
        }
        let (answer, _) = answer_of(place.operation, &ScriptedIssuer::default(), &head("GET", &[]), b"");
        assert_eq!((answer.response.status().as_u16(), answer.outcome.reason()), (405, "method_not_allowed"));
    }
}

/// What each place takes as a request that is in order.
fn in_order(operation: Operation) -> &'static str {
    match operation {
        Operation::Oauth2(Oauth2Operation::Token) | Operation::Auth0 | Operation::Plgd(PlgdOperation::Token) => {
            r#"{"grant_type":"client_credentials","client_id":"billing","client_secret":"canary-secret"}"#
        }
        Operation::Oauth2(_) => r#"{"token":"canary","client_id":"billing","client_secret":"canary-secret"}"#,
        Operation::Plgd(PlgdOperation::Tokens) => {
            r#"{"grantType":"client_credentials","clientId":"billing","clientSecret":"canary-secret"}"#
        }
        Operation::Frontegg(FronteggOperation::Exchange(_)) => r#"{"clientId":"billing","secret":"canary-secret"}"#,
        Operation::Frontegg(FronteggOperation::Refresh(_)) => r#"{"refreshToken":"canary-refresh"}"#,
        Operation::Plgd(_) | Operation::Frontegg(_) => panic!("no endpoint of these tests is managed"),
    }
}

#[test]
fn a_broken_issuer_is_our_fault_and_not_the_clients() {
    for (_, place) in places() {
        let issuer = ScriptedIssuer { broken: true, ..ScriptedIssuer::default() };
        let (answer, json) = answer_of(place.operation, &issuer, &post(JSON), in_order(place.operation).as_bytes());
        assert_eq!(answer.response.status(), 503, "{place:?}");
        assert_eq!(answer.response.headers()[header::RETRY_AFTER], "5");
        assert_eq!(answer.outcome.reason(), "issuer_unavailable");
        assert!(!json.to_string().contains("disk"));
        assert_eq!(issuer.asked().len(), 1);
    }
}

#[test]
fn a_locked_out_client_is_told_when_to_come_back() {
    for (_, place) in places() {
        for (wait, header_value) in [(Duration::from_secs(300), "300"), (Duration::from_millis(1500), "2")] {
            let issuer = ScriptedIssuer { locked_out: Some(wait), ..ScriptedIssuer::default() };
            let (answer, _) = answer_of(place.operation, &issuer, &post(JSON), in_order(place.operation).as_bytes());
            assert_eq!((answer.response.status().as_u16(), answer.outcome.reason()), (429, "locked_out"), "{place:?}");
            assert_eq!(answer.response.headers()[header::RETRY_AFTER], header_value);
        }
    }
}

#[test]
fn what_is_in_order_is_done_everywhere() {
    for (_, place) in places() {
        let issuer = ScriptedIssuer::default();
        let (answer, _) = bytes_of(place.operation, &issuer, &post(JSON), in_order(place.operation).as_bytes());
        assert_eq!(answer.response.status(), 200, "{place:?}");
        let expected = match place.operation {
            Operation::Oauth2(Oauth2Operation::Revocation) => "revoked",
            Operation::Oauth2(Oauth2Operation::Introspection) => "introspected",
            _ => "issued",
        };
        assert_eq!(answer.outcome.reason(), expected);
        if let Outcome::Issued { client_id, token_id } = &answer.outcome {
            assert_eq!((&**client_id, *token_id), ("billing", TOKEN_ID));
        }
    }
}
