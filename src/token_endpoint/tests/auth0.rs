//! The `auth0` dialect, word for word.

use super::*;

const AUTH0: Operation = Operation::Auth0;

fn body(members: &str) -> String {
    format!(
        r#"{{"grant_type":"client_credentials","client_id":"billing","client_secret":"canary-secret","audience":"https://api.example/"{members}}}"#
    )
}

#[test]
fn json_form_and_basic_get_a_token() {
    let token = json!({ "access_token": "the.access.token", "token_type": "Bearer", "expires_in": 600 });
    let asked =
        |way: &str, rest: &str| format!("{way}|billing|canary-secret|- aud=https://api.example/ {rest} exp=None");
    let form = "grant_type=client_credentials&client_id=billing&client_secret=canary-secret&audience=https%3A%2F%2Fapi.example%2F";
    for (request, expected) in [
        (body(""), asked("Post", "scope=- org=- name=-")),
        (form.to_owned(), asked("Post", "scope=- org=- name=-")),
        (body(r#","organization":"org_1""#), asked("Post", "scope=- org=org_1 name=-")),
    ] {
        let issuer = ScriptedIssuer::default();
        assert_eq!(answered(AUTH0, &issuer, &request), (200, token.clone(), "issued"));
        assert_eq!(issuer.asked(), [expected]);
    }
    let issuer = ScriptedIssuer::default();
    let (_, json, _) = answered(AUTH0, &issuer, &body(r#","scope":"read:a write:a""#));
    assert_eq!(json["scope"], "read:a write:a");

    let credentials = basic("billing:canary-secret");
    let parts = head("POST", &[(header::CONTENT_TYPE, JSON), (header::AUTHORIZATION, &credentials)]);
    let request = br#"{"grant_type":"client_credentials","audience":"https://api.example/"}"#;
    let (_, json) = answer_of(AUTH0, &issuer, &parts, request);
    assert_eq!(json, token);
    assert_eq!(issuer.asked()[1], asked("Basic", "scope=- org=- name=-"));
}

#[test]
fn bad_credentials_are_unauthorized_without_a_difference() {
    let unauthorized = json!({ "error": "access_denied", "error_description": "Unauthorized" });
    let assertion = |kind: &str, jwt: &str| {
        format!(
            r#"{{"grant_type":"client_credentials","client_id":"billing","client_assertion":"{jwt}","client_assertion_type":"{kind}"}}"#
        )
    };
    let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    for (request, reason) in [
        (body("").replace("canary-secret", "canary-wrong"), "wrong_secret"),
        (body("").replace("billing", "canary-id"), "unknown_client"),
        (r#"{"grant_type":"client_credentials"}"#.to_owned(), "authentication_missing"),
        (r#"{"grant_type":"client_credentials","client_id":"billing"}"#.to_owned(), "authentication_missing"),
        (r#"{"grant_type":"client_credentials","client_secret":"canary"}"#.to_owned(), "authentication_missing"),
        (assertion(jwt_bearer, "canary.bad.assertion"), "invalid_assertion"),
        (assertion("other", "canary.good.assertion"), "unsupported_assertion_type"),
    ] {
        assert_eq!(answered(AUTH0, &ScriptedIssuer::default(), &request), (401, unauthorized.clone(), reason));
    }
    assert_eq!(answered(AUTH0, &ScriptedIssuer::default(), &assertion(jwt_bearer, "canary.good.assertion")).0, 200);
}

#[test]
fn refusals_are_forbidden_in_the_products_words() {
    let forbidden = |error: &str, description: &str| (403, json!({ "error": error, "error_description": description }));
    for (refusal, (status, said)) in [
        (
            IssueRefusal::AudienceNotGranted,
            forbidden(
                "access_denied",
                "Client is not authorized to access \"https://api.example/\". You need to create a \"client-grant\" associated to this API.",
            ),
        ),
        (
            IssueRefusal::UnknownAudience,
            forbidden("access_denied", "Service not enabled within domain: https://api.example/"),
        ),
        (
            IssueRefusal::AudienceMissing,
            forbidden("access_denied", "Non-global clients are not allowed access to APIv1"),
        ),
    ] {
        let (got_status, got, _) = answered(AUTH0, &ScriptedIssuer::refusing(refusal), &body(""));
        assert_eq!((got_status, got), (status, said), "{refusal:?}");
    }
    let password = body("").replace("client_credentials", "password");
    assert_eq!(
        answered(AUTH0, &ScriptedIssuer::default(), &password),
        (
            403,
            json!({ "error": "unauthorized_client", "error_description": "Grant type 'password' not allowed for the client." }),
            "unsupported_grant_type"
        )
    );
    assert_eq!(
        answered(AUTH0, &ScriptedIssuer::default(), r#"{"client_id":"billing","client_secret":"canary-secret"}"#),
        (
            400,
            json!({ "error": "invalid_request", "error_description": "Missing required parameter: grant_type" }),
            "grant_type_missing"
        )
    );
}

#[test]
fn what_is_repeated_is_cut_and_escaped() {
    let hostile = format!("https://x/\\\"<script>\\r\\nSet-Cookie: a{}", "b".repeat(5000));
    let request = body("").replace("https://api.example/", &hostile);
    let issuer = ScriptedIssuer::refusing(IssueRefusal::UnknownAudience);
    let (status, json, _) = answered(AUTH0, &issuer, &request);
    let description = json["error_description"].as_str().unwrap();
    assert!(description.starts_with("Service not enabled within domain: https://x/\"<script>Set-Cookie: abbb"));
    assert_eq!((status, description.chars().count()), (403, "Service not enabled within domain: ".len() + 256));
    assert!(!description.chars().any(char::is_control));
}
