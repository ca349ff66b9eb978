//! The `frontegg` dialect, word for word.

use super::*;

const V1: Operation = Operation::Frontegg(FronteggOperation::Exchange(Naming::CamelCase));
const V2: Operation = Operation::Frontegg(FronteggOperation::Exchange(Naming::SnakeCase));
const REFRESH_V1: Operation = Operation::Frontegg(FronteggOperation::Refresh(Naming::CamelCase));
const REFRESH_V2: Operation = Operation::Frontegg(FronteggOperation::Refresh(Naming::SnakeCase));
const GOOD: &str = r#"{"clientId":"billing","secret":"canary-secret"}"#;

#[test]
fn credentials_and_refresh_tokens_are_exchanged_in_two_spellings() {
    let expires = "Tue, 14 Nov 2023 22:23:20 GMT";
    let camel = json!({
        "accessToken": "the.access.token", "refreshToken": "the-refresh-token", "expiresIn": 600, "expires": expires
    });
    let snake = json!({
        "access_token": "the.access.token", "refresh_token": "the-refresh-token", "expires_in": 600, "expires": expires
    });
    let refresh = r#"{"refreshToken":"canary-refresh"}"#;
    for (operation, request, expected, asked) in [
        (V1, GOOD, &camel, "exchange billing|canary-secret"),
        (V2, GOOD, &snake, "exchange billing|canary-secret"),
        (REFRESH_V1, refresh, &camel, "refresh canary-refresh"),
        (REFRESH_V2, refresh, &snake, "refresh canary-refresh"),
        (REFRESH_V2, r#"{"refresh_token":"canary-refresh"}"#, &snake, "refresh canary-refresh"),
    ] {
        let issuer = ScriptedIssuer::default();
        assert_eq!(answered(operation, &issuer, request), (200, expected.clone(), "issued"), "{operation:?}");
        assert_eq!(issuer.asked(), [asked]);
    }
    let issuer = ScriptedIssuer { unlimited: true, ..ScriptedIssuer::default() };
    let (_, json, _) = answered(V1, &issuer, GOOD);
    assert_eq!(json, json!({ "accessToken": "the.access.token", "refreshToken": "the-refresh-token" }));
}

#[test]
fn errors_are_a_list_of_one_sentence() {
    let form = "clientId=billing&secret=canary-secret";
    for (operation, request, status, sentence) in [
        (V1, GOOD.replace("canary-secret", "canary-wrong"), 401, "Invalid authentication"),
        (V1, GOOD.replace("billing", "canary-id"), 401, "Invalid authentication"),
        (REFRESH_V1, r#"{"refreshToken":"canary-used"}"#.to_owned(), 401, "Invalid authentication"),
        (V1, "{}".to_owned(), 400, "clientId should not be empty"),
        (V1, r#"{"clientId":"billing","secret":""}"#.to_owned(), 400, "secret should not be empty"),
        (REFRESH_V2, "{}".to_owned(), 400, "refreshToken should not be empty"),
        (V1, r#"{"clientId":5,"secret":"x"}"#.to_owned(), 400, "Invalid input json"),
        (V1, "{".to_owned(), 400, "Invalid input json"),
        (V1, form.to_owned(), 400, "Content-Type must be application/json"),
        (V1, r#"{"clientId":"a","clientId":"b"}"#.to_owned(), 400, "A member must not be repeated"),
        (REFRESH_V1, r#"{"refreshToken":"a","refresh_token":"b"}"#.to_owned(), 400, "A member must not be repeated"),
    ] {
        let (got_status, json, _) = answered(operation, &ScriptedIssuer::default(), &request);
        assert_eq!((got_status, json), (status, json!({ "errors": [sentence] })), "{request}");
    }
}

#[test]
fn a_switch_that_is_off_is_forbidden() {
    for refusal in [None, Some(IssueRefusal::Disabled)] {
        for (operation, request) in [(V1, GOOD), (V2, GOOD), (REFRESH_V1, r#"{"refreshToken":"canary-refresh"}"#)] {
            let issuer = ScriptedIssuer { refusal, api_tokens_off: refusal.is_none(), ..ScriptedIssuer::default() };
            let (status, json, _) = answered(operation, &issuer, request);
            assert_eq!((status, json), (403, json!({ "errors": ["Api tokens are disabled"] })));
        }
    }
}
