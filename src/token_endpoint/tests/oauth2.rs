//! The `oauth2` dialect, by its RFCs.

use super::*;

const TOKEN: Operation = Operation::Oauth2(Oauth2Operation::Token);
const REVOCATION: Operation = Operation::Oauth2(Oauth2Operation::Revocation);
const INTROSPECTION: Operation = Operation::Oauth2(Oauth2Operation::Introspection);
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
        let method = if headers.iter().any(|(name, _)| name == header::AUTHORIZATION) { "Basic" } else { "Post" };
        let (answer, json) = answer_of(TOKEN, &issuer, &head("POST", &headers), body.as_bytes());
        assert_eq!(answer.response.status(), 200, "{body}: {json}");
        assert_eq!(json, json!({ "access_token": "the.access.token", "token_type": "Bearer", "expires_in": 600 }));
        assert_eq!(issuer.asked(), [format!("{method}|billing|canary-secret|- aud=- scope=- org=- name=- exp=None")]);
        assert_eq!(answer.outcome.reason(), "issued");
        assert_eq!(answer.outcome.client_id().map(|id| &**id), Some("billing"));
    }
}

#[test]
fn audience_resource_and_scope_are_passed_on() {
    for (extra, expected) in [
        ("&audience=https%3A%2F%2Fa%2Fb&scope=a+b%3Ac", "aud=https://a/b scope=a b:c "),
        ("&resource=https://a", "aud=https://a scope=- "),
        ("&resource=x&audience=x", "aud=x scope=- "),
        ("&resource=&audience=&scope=", "aud=- scope=- "),
    ] {
        let issuer = ScriptedIssuer::default();
        let body = format!("{GOOD}{extra}");
        let (_, json) = answer_of(TOKEN, &issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), body.as_bytes());
        assert!(issuer.asked()[0].contains(expected), "{extra} {json}");
    }
    let issuer = ScriptedIssuer::default();
    let (_, json) = answer_of(
        TOKEN,
        &issuer,
        &head("POST", &[(header::CONTENT_TYPE, FORM)]),
        format!("{GOOD}&scope=a+b").as_bytes(),
    );
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
            answer_of(TOKEN, &issuer, &parts, b"grant_type=client_credentials");
        }
        assert_eq!(issuer.asked().len(), 3, "{joined}");
        assert!(issuer.asked()[0].starts_with(&format!("Basic|{expected}|- ")), "{joined}");
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
    let bad_assertion = "grant_type=client_credentials&client_assertion=canary.bad.assertion\
                         &client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
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
        ("POST", vec![form.clone()], with_assertion, 401, "invalid_client", "unsupported_assertion_type"),
        (
            "POST",
            vec![form.clone()],
            "grant_type=client_credentials&client_assertion=canary.a.b",
            400,
            "invalid_request",
            "assertion_incomplete",
        ),
        ("POST", vec![form.clone()], bad_assertion, 401, "invalid_client", "invalid_assertion"),
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
        let (answer, json) = answer_of(TOKEN, &issuer, &head(method, &headers), body.as_bytes());
        let shown: String = body.chars().take(100).collect();
        assert_eq!(
            (answer.response.status().as_u16(), json["error"].as_str(), answer.outcome.reason()),
            (status, Some(code), reason),
            "{method} {shown}"
        );
        assert_eq!(answer.outcome.client_id(), None, "{shown}");
        let headers = answer.response.headers();
        assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), status == 401, "{shown}");
    }
}

#[test]
fn what_the_issuer_refuses_has_its_code() {
    for (refusal, code, reason) in [
        (IssueRefusal::Disabled, "unauthorized_client", "issuing_disabled"),
        (IssueRefusal::ClientDisabled, "unauthorized_client", "client_disabled"),
        (IssueRefusal::NoGrants, "unauthorized_client", "no_grants"),
        (IssueRefusal::AudienceMissing, "invalid_target", "audience_missing"),
        (IssueRefusal::UnknownAudience, "invalid_target", "unknown_audience"),
        (IssueRefusal::AudienceNotGranted, "invalid_target", "audience_not_granted"),
        (IssueRefusal::MalformedScope, "invalid_scope", "malformed_scope"),
        (IssueRefusal::ScopeNotGranted, "invalid_scope", "scope_not_granted"),
    ] {
        let issuer = ScriptedIssuer::refusing(refusal);
        let (answer, json) = answer_of(TOKEN, &issuer, &head("POST", &[(header::CONTENT_TYPE, FORM)]), GOOD.as_bytes());
        assert_eq!(answer.response.status(), 400);
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
fn an_assertion_is_a_proof_with_or_without_a_client_id() {
    let assertion = "grant_type=client_credentials&client_assertion=canary.good.assertion\
                     &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    for (extra, client_id) in [("", "-"), ("&client_id=billing", "billing")] {
        let issuer = ScriptedIssuer::default();
        let (status, _, reason) = answered(TOKEN, &issuer, &format!("{assertion}{extra}"));
        assert_eq!((status, reason), (200, "issued"));
        assert!(issuer.asked()[0].starts_with(&format!("Assertion|{client_id}|-|canary.good.assertion ")));
    }
}

#[test]
fn a_token_that_never_expires_has_no_lifetime() {
    let issuer = ScriptedIssuer { unlimited: true, ..ScriptedIssuer::default() };
    let (_, json, _) = answered(TOKEN, &issuer, GOOD);
    assert_eq!(json, json!({ "access_token": "the.access.token", "token_type": "Bearer" }));
}

const ABOUT: &str = "client_id=billing&client_secret=canary-secret&token=";

#[test]
fn revoking_is_answered_with_the_status_alone() {
    for (token, hint) in [
        ("canary.good.token", ""),
        ("canary-unknown", ""),
        ("canary.good.token", "&token_type_hint=refresh_token"),
        ("canary.good.token", "&token_type_hint=anything"),
    ] {
        let issuer = ScriptedIssuer::default();
        let (answer, body) = bytes_of(REVOCATION, &issuer, &post(FORM), format!("{ABOUT}{token}{hint}").as_bytes());
        assert_eq!((answer.response.status().as_u16(), body.len(), answer.outcome.reason()), (200, 0, "revoked"));
        assert_eq!(issuer.asked(), [format!("revoke Post|billing|canary-secret|- {token}")]);
    }
}

#[test]
fn introspection_says_whether_a_token_is_good_and_no_claim_contradicts_it() {
    for (token, expected) in [
        ("canary.good.token", json!({ "active": true, "client_id": "billing" })),
        ("canary-unknown", json!({ "active": false })),
    ] {
        let issuer = ScriptedIssuer::default();
        assert_eq!(
            answered(INTROSPECTION, &issuer, &format!("{ABOUT}{token}")),
            (200, expected, "introspected"),
            "{token}"
        );
    }
}

#[test]
fn whoever_revokes_or_introspects_authenticates_and_names_a_token() {
    for operation in [REVOCATION, INTROSPECTION] {
        for (body, status, code, reason) in [
            ("token=canary", 401, "invalid_client", "authentication_missing"),
            ("token=canary&client_id=billing&client_secret=wrong", 401, "invalid_client", "wrong_secret"),
            ("client_id=billing&client_secret=canary-secret", 400, "invalid_request", "parameter_missing"),
            ("token=&client_id=billing&client_secret=canary-secret", 400, "invalid_request", "parameter_missing"),
            ("token=a&token=b", 400, "invalid_request", "repeated_parameter"),
        ] {
            let (got_status, json, got_reason) = answered(operation, &ScriptedIssuer::default(), body);
            assert_eq!((got_status, json["error"].as_str(), got_reason), (status, Some(code), reason), "{body}");
        }
        let issuer = ScriptedIssuer::refusing(IssueRefusal::ClientDisabled);
        let (status, json, _) = answered(operation, &issuer, &format!("{ABOUT}canary"));
        assert_eq!((status, json["error"].as_str()), (400, Some("unauthorized_client")));
    }
}
