//! Token requests and their answers, against an issuer that follows a script.

use std::{cell::Cell, sync::Mutex, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Full, StreamBody};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::UnixTime,
    config::TokenEndpointConfig,
    oauth::{IssueRefusal, IssuedToken},
    secret::Secret,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

/// Issues to `billing` with the secret `canary-secret`, and keeps what it was asked for.
#[derive(Debug, Default)]
struct ScriptedIssuer {
    answer: Option<IssueRefusal>,
    broken: bool,
    asked: Mutex<Vec<String>>,
}

impl TokenIssuer for ScriptedIssuer {
    fn issue(&self, request: &TokenRequest, _now: UnixTime) -> Result<IssuedToken, IssueError> {
        let secret = request.client_secret.expose();
        self.asked
            .lock()
            .unwrap()
            .push(format!("{}|{secret}|{:?}|{:?}", request.client_id, request.audience, request.scope));
        let client_id = "billing".into();
        match (request.client_id.as_str(), secret) {
            _ if self.broken => Err(IssueError::Unavailable { client_id: None, source: "the disk is full".into() }),
            ("billing", "canary-secret") => match self.answer {
                Some(refusal) => Err(IssueError::Refused { client_id, refusal }),
                None => Ok(IssuedToken {
                    access_token: Secret::new("the.access.token".to_owned()),
                    lifetime: Duration::from_secs(600),
                    scope: request.scope.clone(),
                    client_id,
                    token_id: "id-1".to_owned(),
                }),
            },
            ("billing", _) => Err(IssueError::WrongSecret),
            _ => Err(IssueError::UnknownClient),
        }
    }
}

fn endpoint() -> TokenEndpoint {
    let config: TokenEndpointConfig = toml::from_str("path = \"/oauth/token\"\nserve = \"embedded\"").unwrap();
    TokenEndpoint::new("oauth", &config)
}

fn head(method: &str, headers: &[(header::HeaderName, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri("/oauth/token");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn answer_of(issuer: &ScriptedIssuer, parts: &Parts, body: &[u8]) -> (Answer, Value) {
    let mut answer = endpoint().respond_to_whole(parts, body, issuer, NOW);
    let body = std::mem::take(answer.response.body_mut());
    let collected = futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes();
    assert_eq!(answer.response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.response.headers()[header::PRAGMA], "no-cache");
    assert_eq!(answer.response.headers()[header::CONTENT_TYPE], JSON);
    let json: Value = serde_json::from_slice(&collected).unwrap();
    (answer, json)
}

fn basic(id_and_secret: &str) -> String {
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, id_and_secret);
    format!("Basic {encoded}")
}

const GOOD: &str = "grant_type=client_credentials&client_id=billing&client_secret=canary-secret";

#[test]
fn form_json_and_basic_ask_for_the_same() {
    let with_basic = basic("billing:canary-secret");
    let json_good = r#"{"grant_type":"client_credentials","client_id":"billing","client_secret":"canary-secret"}"#;
    let cases: Vec<(Vec<(header::HeaderName, &str)>, &str)> = vec![
        (vec![(header::CONTENT_TYPE, FORM)], GOOD),
        (vec![(header::CONTENT_TYPE, "Application/X-WWW-Form-Urlencoded; charset=UTF-8")], GOOD),
        (vec![(header::CONTENT_TYPE, JSON)], json_good),
        (vec![(header::CONTENT_TYPE, "application/json;charset=utf-8")], json_good),
        (vec![(header::CONTENT_TYPE, FORM), (header::AUTHORIZATION, &with_basic)], "grant_type=client_credentials"),
        (
            vec![(header::CONTENT_TYPE, FORM), (header::AUTHORIZATION, &with_basic)],
            "grant_type=client_credentials&client_id=billing&unknown=1",
        ),
        (
            vec![(header::CONTENT_TYPE, JSON), (header::AUTHORIZATION, &with_basic)],
            r#"{"grant_type":"client_credentials"}"#,
        ),
        (
            vec![(header::CONTENT_TYPE, JSON)],
            r#" {"grant_type":"client_credentials","extra":{"a":[1,{}]},"client_id":"billing","client_secret":"canary-secret","scope":null} "#,
        ),
    ];
    for (headers, body) in cases {
        let issuer = ScriptedIssuer::default();
        let (answer, json) = answer_of(&issuer, &head("POST", &headers), body.as_bytes());
        assert_eq!(answer.response.status(), StatusCode::OK, "{body}: {json}");
        assert_eq!(json, json!({ "access_token": "the.access.token", "token_type": "Bearer", "expires_in": 600 }));
        assert_eq!(*issuer.asked.lock().unwrap(), ["billing|canary-secret|None|None"]);
        assert_eq!(answer.outcome.reason(), "issued");
        assert_eq!(answer.outcome.client_id().map(|id| &**id), Some("billing"));
    }
}

#[test]
fn audience_resource_and_scope_are_passed_on() {
    for (extra, expected) in [
        ("&audience=https%3A%2F%2Fa%2Fb&scope=a+b%3Ac", r#"Some("https://a/b")|Some("a b:c")"#),
        ("&resource=https://a", r#"Some("https://a")|None"#),
        ("&resource=x&audience=x", r#"Some("x")|None"#),
        ("&resource=&audience=&scope=", "None|None"),
    ] {
        let issuer = ScriptedIssuer::default();
        let body = format!("{GOOD}{extra}");
        let (_, json) = answer_of(&issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), body.as_bytes());
        assert!(issuer.asked.lock().unwrap()[0].ends_with(expected), "{extra} {json}");
    }
    let issuer = ScriptedIssuer::default();
    let (_, json) =
        answer_of(&issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), format!("{GOOD}&scope=a+b").as_bytes());
    assert_eq!(json["scope"], "a b");
}

#[test]
fn basic_credentials_are_form_decoded() {
    for (joined, expected) in [
        ("bill%69ng:canary-secret", "billing|canary-secret"),
        ("a%3Ab:c+d%2B:e", "a:b|c d+:e"),
        ("b%C3%A4r:%", "bär|%"),
        ("billing:", "billing|"),
        (":", "|"),
    ] {
        let issuer = ScriptedIssuer::default();
        for scheme in ["Basic", "basic", "BASIC"] {
            let value = basic(joined).replacen("Basic", scheme, 1);
            let parts = head("POST", &[(header::CONTENT_TYPE, FORM), (header::AUTHORIZATION, &value)]);
            answer_of(&issuer, &parts, b"grant_type=client_credentials");
        }
        assert_eq!(issuer.asked.lock().unwrap().len(), 3, "{joined}");
        assert!(issuer.asked.lock().unwrap()[0].starts_with(&format!("{expected}|")), "{joined}");
    }
}

/// A request, and the status, error code and reason that it must be answered with.
type Case<'a> = (&'a str, Vec<(header::HeaderName, &'a str)>, &'a str, u16, &'a str, &'a str);

#[test]
fn every_misshapen_request_is_refused_as_the_rfc_says() {
    let form = (header::CONTENT_TYPE, FORM);
    let json = (header::CONTENT_TYPE, JSON);
    let good_basic = basic("billing:canary-secret");
    let with_basic = (header::AUTHORIZATION, good_basic.as_str());
    let not_utf8 =
        format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, b"bill\xff:x"));
    let no_colon = basic("billing");
    let too_long = format!("{GOOD}&x={}", "a".repeat(64 * 1024));
    let too_many = format!("{GOOD}{}", (0..64).map(|number| format!("&p{number}=1")).collect::<String>());
    let deep = format!("{{\"x\":{}}}", "[".repeat(60_000));
    let twice = |name: &str| format!("{GOOD}&{name}=a&{name}=a");
    let (two_grants, two_scopes, two_unknown, two_resources) =
        (twice("grant_type"), twice("scope"), twice("x"), twice("resource"));
    let with_assertion =
        "grant_type=client_credentials&client_id=billing&client_assertion_type=t&client_assertion=canary.a.b";
    let cases: Vec<Case<'_>> = vec![
        ("GET", vec![], "", 405, "invalid_request", "method_not_allowed"),
        ("HEAD", vec![form.clone()], GOOD, 405, "invalid_request", "method_not_allowed"),
        ("PUT", vec![form.clone()], GOOD, 405, "invalid_request", "method_not_allowed"),
        ("POST", vec![], GOOD, 400, "invalid_request", "unsupported_media_type"),
        ("POST", vec![(header::CONTENT_TYPE, "text/plain")], GOOD, 400, "invalid_request", "unsupported_media_type"),
        (
            "POST",
            vec![(header::CONTENT_TYPE, "multipart/form-data; boundary=x")],
            GOOD,
            400,
            "invalid_request",
            "unsupported_media_type",
        ),
        ("POST", vec![form.clone(), json.clone()], GOOD, 400, "invalid_request", "unsupported_media_type"),
        ("POST", vec![form.clone()], &too_long, 413, "invalid_request", "body_too_large"),
        ("POST", vec![form.clone()], &too_many, 400, "invalid_request", "malformed_body"),
        ("POST", vec![form.clone()], "grant_type=%ff", 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], "", 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], "[]", 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], "\"a\"", 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], "{} {}", 400, "invalid_request", "malformed_body"),
        (
            "POST",
            vec![json.clone()],
            r#"{"grant_type":["client_credentials"]}"#,
            400,
            "invalid_request",
            "malformed_body",
        ),
        ("POST", vec![json.clone()], r#"{"client_secret":42}"#, 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], &deep, 400, "invalid_request", "malformed_body"),
        ("POST", vec![json.clone()], r#"{"scope":"a","scop\u0065":"b"}"#, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![json.clone()], r#"{"x":1,"x":1}"#, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], &two_grants, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], &two_scopes, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], &two_unknown, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], &two_resources, 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], "scope=a&sc%6Fpe=b", 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], "scope=&scope=", 400, "invalid_request", "repeated_parameter"),
        ("POST", vec![form.clone()], "", 400, "invalid_request", "grant_type_missing"),
        ("POST", vec![form.clone()], "grant_type=&client_id=billing", 400, "invalid_request", "grant_type_missing"),
        ("POST", vec![json.clone()], "{}", 400, "invalid_request", "grant_type_missing"),
        ("POST", vec![form.clone()], "grant_type=password", 400, "unsupported_grant_type", "unsupported_grant_type"),
        (
            "POST",
            vec![form.clone()],
            "grant_type=Client_Credentials",
            400,
            "unsupported_grant_type",
            "unsupported_grant_type",
        ),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&audience=a&resource=b",
            400,
            "invalid_target",
            "two_audiences",
        ),
        ("POST", vec![form.clone(), with_basic.clone()], GOOD, 400, "invalid_request", "two_authentications"),
        (
            "POST",
            vec![form.clone(), with_basic.clone(), with_basic.clone()],
            "grant_type=client_credentials",
            400,
            "invalid_request",
            "two_authentications",
        ),
        (
            "POST",
            vec![form.clone(), with_basic.clone()],
            "grant_type=client_credentials&client_id=other",
            400,
            "invalid_request",
            "two_authentications",
        ),
        ("POST", vec![form.clone(), with_basic], with_assertion, 400, "invalid_request", "two_authentications"),
        ("POST", vec![form.clone()], with_assertion, 401, "invalid_client", "assertion_not_available"),
        ("POST", vec![form.clone()], "grant_type=client_credentials", 401, "invalid_client", "authentication_missing"),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&client_id=billing",
            401,
            "invalid_client",
            "authentication_missing",
        ),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&client_id=billing&client_secret=",
            401,
            "invalid_client",
            "authentication_missing",
        ),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&client_secret=x",
            401,
            "invalid_client",
            "authentication_missing",
        ),
        (
            "POST",
            vec![form.clone(), (header::AUTHORIZATION, "Bearer canary")],
            "grant_type=client_credentials",
            401,
            "invalid_client",
            "unsupported_authentication_scheme",
        ),
        (
            "POST",
            vec![form.clone(), (header::AUTHORIZATION, "Basic")],
            "grant_type=client_credentials",
            401,
            "invalid_client",
            "unsupported_authentication_scheme",
        ),
        (
            "POST",
            vec![form.clone(), (header::AUTHORIZATION, "Basic ***")],
            "grant_type=client_credentials",
            401,
            "invalid_client",
            "malformed_basic_credentials",
        ),
        (
            "POST",
            vec![form.clone(), (header::AUTHORIZATION, &no_colon)],
            "grant_type=client_credentials",
            401,
            "invalid_client",
            "malformed_basic_credentials",
        ),
        (
            "POST",
            vec![form.clone(), (header::AUTHORIZATION, &not_utf8)],
            "grant_type=client_credentials",
            401,
            "invalid_client",
            "malformed_basic_credentials",
        ),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&client_id=billing&client_secret=canary-wrong",
            401,
            "invalid_client",
            "wrong_secret",
        ),
        (
            "POST",
            vec![form],
            "grant_type=client_credentials&client_id=canary-id&client_secret=x",
            401,
            "invalid_client",
            "unknown_client",
        ),
    ];
    for (method, headers, body, status, code, reason) in cases {
        let issuer = ScriptedIssuer::default();
        let (answer, json) = answer_of(&issuer, &head(method, &headers), body.as_bytes());
        let shown: String = body.chars().take(100).collect();
        assert_eq!(
            (answer.response.status().as_u16(), json["error"].as_str(), answer.outcome.reason()),
            (status, Some(code), reason),
            "{method} {shown}"
        );
        assert_eq!(answer.outcome.client_id(), None, "{shown}");
        assert!(!json.to_string().contains("canary") && !format!("{answer:?}").contains("canary"), "{json}");
        let headers = answer.response.headers();
        assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), status == 401, "{shown}");
        assert_eq!(headers.get(header::ALLOW).is_some_and(|allow| allow == "POST"), status == 405, "{shown}");
    }
}

#[test]
fn what_the_issuer_refuses_has_its_code() {
    for (refusal, code, reason) in [
        (IssueRefusal::Disabled, "unauthorized_client", "issuing_disabled"),
        (IssueRefusal::NoGrants, "unauthorized_client", "no_grants"),
        (IssueRefusal::AudienceMissing, "invalid_target", "audience_missing"),
        (IssueRefusal::UnknownAudience, "invalid_target", "unknown_audience"),
        (IssueRefusal::AudienceNotGranted, "invalid_target", "audience_not_granted"),
        (IssueRefusal::MalformedScope, "invalid_scope", "malformed_scope"),
        (IssueRefusal::ScopeNotGranted, "invalid_scope", "scope_not_granted"),
    ] {
        let issuer = ScriptedIssuer { answer: Some(refusal), ..ScriptedIssuer::default() };
        let (answer, json) = answer_of(&issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), GOOD.as_bytes());
        assert_eq!(answer.response.status(), StatusCode::BAD_REQUEST);
        assert_eq!((json["error"].as_str(), answer.outcome.reason()), (Some(code), reason));
        // The client is known by now.
        assert_eq!(answer.outcome.client_id().map(|id| &**id), Some("billing"));
        // RFC 6749 section 5.2 leaves these characters out of descriptions.
        let description = json["error_description"].as_str().unwrap();
        assert!(
            description.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
            "{description}"
        );
    }
}

#[test]
fn a_broken_issuer_is_our_fault_and_not_the_clients() {
    let issuer = ScriptedIssuer { broken: true, ..ScriptedIssuer::default() };
    let (answer, json) = answer_of(&issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), GOOD.as_bytes());
    assert_eq!(answer.response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.response.headers()[header::RETRY_AFTER], "5");
    assert_eq!(
        (json["error"].as_str(), answer.outcome.reason()),
        (Some("temporarily_unavailable"), "issuer_unavailable")
    );
    assert!(!json.to_string().contains("disk"));
}

#[tokio::test]
async fn a_body_is_read_up_to_its_bound_and_no_further() {
    let issuer = ScriptedIssuer::default();
    fn request<B>(body: B) -> Request<B> {
        Request::builder().method("POST").header(header::CONTENT_TYPE, FORM).body(body).unwrap()
    }
    let good = endpoint().respond(request(Full::new(Bytes::from(GOOD))), &issuer, NOW).await;
    assert_eq!(good.response.status(), StatusCode::OK);

    // Endless: the answer comes because reading stops.
    let pieces = Cell::new(0);
    let endless = futures_util::stream::repeat_with(|| {
        pieces.set(pieces.get() + 1);
        Ok::<_, std::io::Error>(hyper::body::Frame::data(Bytes::from_static(&[b'a'; 1024])))
    });
    let large = endpoint().respond(request(StreamBody::new(endless)), &issuer, NOW).await;
    assert_eq!((large.outcome.reason(), pieces.get()), ("body_too_large", 65));

    let broken = futures_util::stream::iter([
        Ok(hyper::body::Frame::data(Bytes::from(GOOD))),
        Err(std::io::Error::other("gone")),
    ]);
    let broken = endpoint().respond(request(StreamBody::new(broken)), &issuer, NOW).await;
    assert_eq!(broken.outcome.reason(), "body_incomplete");
    assert_eq!(issuer.asked.lock().unwrap().len(), 1);
}

proptest! {
    #[test]
    fn no_body_panics_or_issues(
        body in proptest::collection::vec(any::<u8>(), 0..512),
        authorization in proptest::option::of(proptest::collection::vec(0x20u8..0xff, 0..64)),
        json in any::<bool>(),
    ) {
        never_issues(&body, authorization.as_deref(), json);
    }

    #[test]
    fn no_body_out_of_the_right_words_issues_without_the_secret(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "grant_type", "client_credentials", "client_id", "billing", "client_secret", "canary-wrong", "scope", "=", "&",
                "%", "%3d", "+", "{", "}", "\"", ":", ",", "[", "]", "null", "\\u0063", " ",
                "grant_type=client_credentials&", "client_id=billing&", "client_secret=x&",
                "\"grant_type\":\"client_credentials\",",
            ]),
            0..24,
        ),
        json in any::<bool>(),
    ) {
        never_issues(pieces.concat().as_bytes(), None, json);
    }
}

fn never_issues(body: &[u8], authorization: Option<&[u8]>, json: bool) {
    let mut parts = head("POST", &[(header::CONTENT_TYPE, if json { JSON } else { FORM })]);
    if let Some(value) = authorization.and_then(|value| http::HeaderValue::from_bytes(value).ok()) {
        parts.headers.insert(header::AUTHORIZATION, value);
    }
    let issuer = ScriptedIssuer::default();
    let (answer, json) = answer_of(&issuer, &parts, body);
    assert!(matches!(answer.outcome, Outcome::Refused(_)));
    assert!(answer.response.status().is_client_error() && json.get("access_token").is_none());
}
