//! The `plgd` dialect, word for word.

use super::*;

const TOKEN: Operation = Operation::Plgd(PlgdOperation::Token);
const TOKENS: Operation = Operation::Plgd(PlgdOperation::Tokens);
const GOOD: &str = r#"{"grant_type":"client_credentials","client_id":"billing","client_secret":"canary-secret"}"#;

fn good_with(members: &str) -> String {
    format!("{},{members}}}", GOOD.strip_suffix('}').unwrap())
}

#[test]
fn json_is_read_whatever_the_content_type_says() {
    let expected = ["Post|billing|canary-secret|- aud=- scope=- org=- name=- exp=None"];
    for content_type in [Some(JSON), Some("text/plain"), Some("application/vnd.ocf+cbor"), Some(""), None] {
        let issuer = ScriptedIssuer::default();
        let headers: Vec<_> = content_type.map(|value| (header::CONTENT_TYPE, value)).into_iter().collect();
        let (answer, json) = answer_of(TOKEN, &issuer, &head("POST", &headers), GOOD.as_bytes());
        assert_eq!(answer.response.status(), 200);
        assert_eq!(
            json,
            json!({ "access_token": "the.access.token", "token_type": "Bearer", "scope": "", "expires_in": 600 })
        );
        assert_eq!(issuer.asked(), expected);
    }
    let issuer = ScriptedIssuer::default();
    let form = "grant_type=client_credentials&client_id=billing&client_secret=canary-secret";
    assert_eq!(answered(TOKEN, &issuer, form).0, 200);
    assert_eq!(issuer.asked(), expected);
    let two = [(header::CONTENT_TYPE, FORM), (header::CONTENT_TYPE, JSON)];
    let (answer, _) = answer_of(TOKEN, &ScriptedIssuer::default(), &head("POST", &two), GOOD.as_bytes());
    assert_eq!(answer.outcome.reason(), "unsupported_media_type");
}

#[test]
fn every_parameter_is_passed_on() {
    let request = good_with(
        r#""audience":"https://api","scope":"a b","token_name":"my token","expiration":1700000100,"client_assertion":"canary.good.assertion","client_assertion_type":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer""#,
    );
    let expected = "Post|billing|canary-secret|canary.good.assertion aud=https://api scope=a b org=- name=my token exp=Some(1700000100)";
    let issuer = ScriptedIssuer::default();
    let (status, json, _) = answered(TOKEN, &issuer, &request);
    assert_eq!((status, &json["scope"], issuer.asked()), (200, &json!("a b"), vec![expected.to_owned()]));

    let form = "grant_type=client_credentials&client_id=billing&client_secret=canary-secret&audience=https%3A%2F%2Fapi&scope=a+b\
                &token_name=my+token&expiration=1700000100&client_assertion=canary.good.assertion";
    let issuer = ScriptedIssuer::default();
    assert_eq!((answered(TOKEN, &issuer, form).0, issuer.asked()), (200, vec![expected.to_owned()]));

    // Protocol Buffers write other names and lists, numbers as text, and take the names of the other place too.
    for request in [
        r#"{"grantType":"client_credentials","clientId":"billing","clientSecret":"canary-secret","audience":["https://api"],"scope":["a","b"],"tokenName":"my token","expiration":"1700000100","clientAssertion":"canary.good.assertion","clientAssertionType":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}"#,
        r#"{"grant_type":"client_credentials","client_id":"billing","clientSecret":"canary-secret","audience":["https://api"],"scope":["a","b"],"token_name":"my token","expiration":1700000100,"clientAssertion":"canary.good.assertion"}"#,
    ] {
        let issuer = ScriptedIssuer::default();
        let (status, json, _) = answered(TOKENS, &issuer, request);
        assert_eq!(status, 200, "{json}");
        assert_eq!(
            json,
            json!({ "accessToken": "the.access.token", "tokenType": "Bearer", "expiresIn": "600", "scope": ["a", "b"] })
        );
        assert_eq!(issuer.asked(), [expected]);
    }
}

#[test]
fn a_token_that_never_expires_has_no_lifetime() {
    let issuer = ScriptedIssuer { unlimited: true, ..ScriptedIssuer::default() };
    let (_, json, _) = answered(TOKEN, &issuer, GOOD);
    assert_eq!(json, json!({ "access_token": "the.access.token", "token_type": "Bearer", "scope": "" }));
    let (_, json, _) = answered(TOKENS, &issuer, GOOD);
    assert_eq!(json, json!({ "accessToken": "the.access.token", "tokenType": "Bearer", "scope": [] }));
}

#[test]
fn an_expiration_of_nought_is_none_and_one_before_it_is_in_the_past() {
    for (written, passed_on) in [("0", "None"), ("-5", "Some(-5)"), ("null", "None")] {
        let issuer = ScriptedIssuer::default();
        answered(TOKEN, &issuer, &good_with(&format!("\"expiration\":{written}")));
        assert!(issuer.asked()[0].ends_with(&format!("exp={passed_on}")), "{written}");
    }
}

#[test]
fn credentials_in_the_header_go_before_those_in_the_body() {
    // As they are: nothing in them is encoded another time.
    for (credentials, asked) in [
        ("billing:canary-secret", "Basic|billing|canary-secret|-"),
        ("other:a%2Bb+c:d", "Basic|other|a%2Bb+c:d|-"),
        (":", "Basic|||-"),
    ] {
        let issuer = ScriptedIssuer::default();
        let value = basic(credentials);
        answer_of(TOKEN, &issuer, &head("POST", &[(header::AUTHORIZATION, &value)]), GOOD.as_bytes());
        assert!(issuer.asked()[0].starts_with(asked), "{:?}", issuer.asked());
    }
    // A header of another scheme is no client authentication.
    let issuer = ScriptedIssuer::default();
    let (answer, _) = answer_of(TOKEN, &issuer, &head("POST", &[(header::AUTHORIZATION, "Bearer x")]), GOOD.as_bytes());
    assert_eq!(answer.response.status(), 200);
}

#[test]
fn errors_are_grpc_statuses() {
    let refused =
        |what: &str| (401, json!({ "code": 16, "message": format!("cannot create token: {what}"), "details": [] }));
    let bad_client = refused("invalid request: invalid client or client secret");
    let jwt_bearer = r#""client_assertion_type":"urn:ietf:params:oauth:client-assertion-type:jwt-bearer""#;
    for (request, expected) in [
        (GOOD.replace("canary-secret", "canary-wrong"), &bad_client),
        (GOOD.replace("billing", "canary-id"), &bad_client),
        (r#"{"grant_type":"client_credentials"}"#.to_owned(), &bad_client),
        // The known fault: whoever comes with nothing but an id.
        (r#"{"grant_type":"client_credentials","client_id":"billing"}"#.to_owned(), &bad_client),
        (format!(r#"{{"grant_type":"client_credentials","client_id":"billing",{jwt_bearer}}}"#), &bad_client),
        (GOOD.replace("client_credentials", "password"), &refused("invalid request: invalid grant type")),
        (r#"{"client_id":"billing","client_secret":"x"}"#.to_owned(), &refused("invalid request: invalid grant type")),
        (good_with(r#""audience":"a b""#), &refused("invalid request: invalid audience")),
        (
            good_with(r#""client_assertion":"canary.bad.assertion""#),
            // The same as for a client that there is not.
            &refused("invalid request: invalid client or client secret"),
        ),
        (
            good_with(r#""client_assertion":"canary.good.assertion","client_assertion_type":"other""#),
            &refused("invalid request: invalid client assertion type"),
        ),
        (
            good_with(r#""expiration":"soon""#),
            &(400, json!({ "code": 3, "message": "cannot create token: invalid body", "details": [] })),
        ),
        (
            good_with(&format!(r#""token_name":"{}""#, "a".repeat(513))),
            &(400, json!({ "code": 3, "message": "cannot create token: invalid body", "details": [] })),
        ),
        ("{".to_owned(), &(400, json!({ "code": 3, "message": "cannot create token: invalid body", "details": [] }))),
    ] {
        let (status, json, _) = answered(TOKEN, &ScriptedIssuer::default(), &request);
        assert_eq!((status, json), *expected, "{request}");
    }
    for (refusal, what) in [
        (IssueRefusal::UnknownAudience, "invalid request: invalid audience"),
        (IssueRefusal::ScopeNotGranted, "invalid request: invalid scope"),
        (IssueRefusal::ExpirationPast, "invalid request: expiration must be in the future"),
        (IssueRefusal::ExpirationTooFar, "invalid request: expiration exceeds the lifetime that is allowed"),
    ] {
        let (status, json, _) = answered(TOKENS, &ScriptedIssuer::refusing(refusal), GOOD);
        assert_eq!((status, json), refused(what), "{refusal:?}");
    }
}

#[test]
fn one_parameter_under_two_names_is_refused() {
    let request = r#"{"grantType":"client_credentials","clientId":"billing","client_id":"other","clientSecret":"x"}"#;
    let issuer = ScriptedIssuer::default();
    let (status, _, reason) = answered(TOKENS, &issuer, request);
    assert_eq!((status, reason, issuer.asked().len()), (400, "repeated_parameter", 0));
}
