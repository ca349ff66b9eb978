//! Client assertions: good ones, and every way in which one can be bad.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::{
    clock::ManualClock,
    jose::{
        Algorithm, JwsError,
        forge::{EC, ED, RSA, SigningKey, changed},
    },
};

const ISSUER: &str = "https://id.example/";
const ENDPOINT: &str = "https://id.example/oauth/token";
const ACCEPTED: AssertionAudiences<'_> = AssertionAudiences { issuer: ISSUER, token_endpoint: Some(ENDPOINT) };
const SHARED: &str = "a-secret-of-at-least-thirty-two-bytes";

fn seconds(offset: i64) -> i64 {
    1_800_000_000 + offset
}

/// The claims of a good assertion of `billing`, with `changes` laid over them.
fn claims(changes: Value) -> Value {
    let good = json!({
        "iss": "billing", "sub": "billing", "aud": ISSUER, "exp": seconds(300), "iat": seconds(0), "jti": "one",
    });
    changed(good, changes)
}

fn keyed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", encode(header), encode(claims));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn with_keys(keys: &[Value]) -> Client {
    definition(json!({ "public_keys": keys })).compile("billing").unwrap()
}

async fn judge(client: &Client, assertion: &str) -> Result<VerifiedAssertion, AssertionFault> {
    verify(&secret(assertion), client, &ACCEPTED, NOW).await
}

#[tokio::test]
async fn a_good_assertion_names_what_is_to_be_remembered() {
    let client = with_keys(&[EC.jwk(), ED.jwk()]);
    for key in [&*EC, &*ED] {
        let assertion = key.sign(&claims(json!({})));
        let verified = VerifiedAssertion { jti: "one".to_owned(), expires_at: later(310) };
        assert_eq!(judge(&client, &assertion).await, Ok(verified));
        assert_eq!(client_id_of(&secret(&assertion)).as_deref(), Some("billing"));
    }
    let typed = EC.sign_with_header(&EC.header(json!({ "typ": "client-authentication+jwt" })), &claims(json!({})));
    assert!(judge(&client, &typed).await.is_ok());
}

#[tokio::test]
async fn every_claim_is_judged() {
    let client = with_keys(&[EC.jwk()]);
    use AssertionFault::{Audience, Expired, ExpiryMissing, NotYetValid, OtherClient, TokenId, TooLong};
    for (changes, expected) in [
        (json!({}), None),
        (json!({ "iss": "other" }), Some(OtherClient)),
        (json!({ "sub": "other" }), Some(OtherClient)),
        (json!({ "iss": "other", "sub": "other" }), Some(OtherClient)),
        (json!({ "iss": null }), Some(OtherClient)),
        (json!({ "sub": ["billing"] }), Some(OtherClient)),
        (json!({ "sub": "Billing" }), Some(OtherClient)),
        (json!({ "aud": null }), Some(Audience)),
        (json!({ "aud": "https://id.example" }), Some(Audience)),
        (json!({ "aud": ENDPOINT }), Some(Audience)),
        (json!({ "aud": [ISSUER] }), Some(Audience)),
        (json!({ "aud": [ISSUER, "https://other.example/"] }), Some(Audience)),
        (json!({ "aud": "https://other.example/" }), Some(Audience)),
        (json!({ "aud": { "a": ISSUER } }), Some(Audience)),
        (json!({ "exp": null }), Some(ExpiryMissing)),
        (json!({ "exp": "1800000300" }), Some(ExpiryMissing)),
        (json!({ "exp": -1 }), Some(ExpiryMissing)),
        (json!({ "exp": seconds(-9) }), None),
        (json!({ "exp": seconds(-10) }), Some(Expired)),
        (json!({ "exp": 0 }), Some(Expired)),
        (json!({ "exp": 1_800_000_000.5 }), None),
        (json!({ "exp": seconds(310) }), None),
        (json!({ "exp": seconds(311) }), Some(TooLong)),
        (json!({ "exp": seconds(360) }), Some(TooLong)),
        (json!({ "exp": u64::MAX }), Some(TooLong)),
        (json!({ "exp": 1e300 }), Some(TooLong)),
        (json!({ "iat": null }), None),
        (json!({ "iat": seconds(10), "nbf": seconds(10) }), None),
        (json!({ "iat": seconds(11) }), Some(NotYetValid)),
        (json!({ "nbf": seconds(11) }), Some(NotYetValid)),
        (json!({ "iat": "now" }), Some(NotYetValid)),
        (json!({ "jti": null }), Some(TokenId)),
        (json!({ "jti": "" }), Some(TokenId)),
        (json!({ "jti": 7 }), Some(TokenId)),
        (json!({ "jti": "x".repeat(256) }), None),
        (json!({ "jti": "x".repeat(257) }), Some(TokenId)),
    ] {
        let outcome = judge(&client, &EC.sign(&claims(changes.clone()))).await;
        assert_eq!(outcome.err(), expected, "{changes}");
    }
}

#[tokio::test]
async fn a_client_marked_for_it_may_name_the_endpoint_and_nobody_else_beside_it() {
    let marked = json!({ "public_keys": [EC.jwk()], "assertion_audience": "token_endpoint" });
    let client = definition(marked).compile("billing").unwrap();
    for (audience, good) in [
        (json!(ISSUER), true),
        (json!(ENDPOINT), true),
        (json!([ENDPOINT]), true),
        (json!([ISSUER, ENDPOINT]), true),
        (json!([]), false),
        (json!([ENDPOINT, "https://other.example/"]), false),
        (json!("https://other.example/oauth/token"), false),
        (json!([7]), false),
    ] {
        let outcome = judge(&client, &EC.sign(&claims(json!({ "aud": audience })))).await;
        assert_eq!(outcome.is_ok(), good, "{audience}: {outcome:?}");
    }
    let nowhere = AssertionAudiences { issuer: ISSUER, token_endpoint: None };
    let assertion = secret(&EC.sign(&claims(json!({ "aud": ENDPOINT }))));
    assert_eq!(verify(&assertion, &client, &nowhere, NOW).await, Err(AssertionFault::Audience));
}

#[tokio::test]
async fn forged_headers_and_foreign_keys_are_refused() {
    let client = with_keys(&[EC.jwk(), RSA.jwk()]);
    let good = claims(json!({}));
    let stranger = SigningKey::generate("ec", Algorithm::Es256);
    let unknown = SigningKey::generate("new", Algorithm::Es256);
    let unsigned = keyed(&json!({ "alg": "none" }), &good, b"");
    let stripped = unsigned.rsplit_once('.').unwrap().0;
    let form = AssertionFault::Form;
    for (assertion, expected) in [
        (unsigned.clone(), form(JwsError::AlgorithmNone)),
        (format!("{stripped}."), form(JwsError::AlgorithmNone)),
        (String::new(), form(JwsError::NotThreeParts)),
        (
            EC.sign_with_header(&EC.header(json!({ "crit": ["b64"] })), &good),
            form(JwsError::ForbiddenMember { member: "crit" }),
        ),
        (
            stranger.sign_with_header(&stranger.header(json!({ "jwk": stranger.jwk(), "kid": null })), &good),
            form(JwsError::ForbiddenMember { member: "jwk" }),
        ),
        (
            stranger.sign_with_header(&stranger.header(json!({ "jku": "https://evil.example/" })), &good),
            form(JwsError::ForbiddenMember { member: "jku" }),
        ),
        (EC.sign_with_header(&EC.header(json!({ "typ": "at+jwt" })), &good), form(JwsError::TypeUnknown)),
        (EC.sign_with_header(&EC.header(json!({ "kid": ["ec"] })), &good), form(JwsError::KeyIdUnusable)),
        // Another key under the id of a registered one, and one under an id of its own.
        (stranger.sign(&good), AssertionFault::BadSignature),
        (unknown.sign(&good), AssertionFault::UnknownKey),
        // A registered key under the id of the other registered one.
        (EC.sign_with_header(&EC.header(json!({ "kid": "rsa" })), &good), AssertionFault::UnknownKey),
        // No key id: every fitting key is tried, and no other.
        (stranger.sign_with_header(&stranger.header(json!({ "kid": null })), &good), AssertionFault::BadSignature),
        (ED.sign_with_header(&ED.header(json!({ "kid": null })), &good), AssertionFault::UnknownKey),
    ] {
        assert_eq!(judge(&client, &assertion).await.unwrap_err(), expected, "{assertion}");
    }
    assert!(judge(&client, &EC.sign_with_header(&EC.header(json!({ "kid": null })), &good)).await.is_ok());
    let (input, _) = EC.sign(&good).rsplit_once('.').map(|(input, mac)| (input.to_owned(), mac.to_owned())).unwrap();
    let (_, other) =
        EC.sign(&claims(json!({ "jti": "two" }))).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(judge(&client, &format!("{input}.{other}")).await, Err(AssertionFault::BadSignature));
}

#[tokio::test]
async fn another_clients_key_is_no_key() {
    let billing = with_keys(&[EC.jwk()]);
    let assertion = ED.sign_with_header(&ED.header(json!({ "kid": "ec" })), &claims(json!({})));
    assert_eq!(judge(&billing, &assertion).await, Err(AssertionFault::UnknownKey));
    // A good assertion of another client does not become this one's.
    let others = EC.sign(&claims(json!({ "iss": "shop", "sub": "shop" })));
    assert_eq!(judge(&billing, &others).await, Err(AssertionFault::OtherClient));
}

#[tokio::test]
async fn the_text_of_a_public_key_is_no_shared_secret() {
    let listed = json!(["client_secret_jwt", "private_key_jwt"]);
    let both =
        sound(json!({ "secret": SHARED, "jwks_uri": "https://a.example/jwks", "authentication_methods": listed }));
    let keys_alone = with_keys(&[EC.jwk()]);
    let header = json!({ "alg": "HS256", "kid": "ec" });
    for key in [EC.jwk().to_string(), EC.jwk()["x"].as_str().unwrap().to_owned(), String::new()] {
        let assertion = keyed(&header, &claims(json!({})), key.as_bytes());
        assert_eq!(judge(&keys_alone, &assertion).await, Err(AssertionFault::MethodNotAllowed));
        assert_eq!(judge(&both, &assertion).await, Err(AssertionFault::BadSignature));
    }
    assert!(judge(&both, &keyed(&header, &claims(json!({})), SHARED.as_bytes())).await.is_ok());
}

#[tokio::test]
async fn a_shared_secret_signs_only_where_it_may_and_while_it_is_good() {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let assertion = keyed(&header, &claims(json!({})), SHARED.as_bytes());
    let unmarked = sound(json!({ "secret": SHARED }));
    assert_eq!(judge(&unmarked, &assertion).await, Err(AssertionFault::MethodNotAllowed));
    let signing = json!({ "authentication_methods": ["client_secret_jwt"] });
    let mut record = ClientRecord::new(definition(signing), NOW);
    let old = record.add_secret("billing", &HASHING, &unsealed(), NOW).unwrap().into_secret();
    let new = record.rotate("billing", &HASHING, &unsealed(), NOW, Duration::from_secs(60)).unwrap().into_secret();
    let client = record.compile("billing", &unsealed()).unwrap();
    for (key, at, good) in [(&old, 0, true), (&new, 0, true), (&old, 60, false), (&new, 60, true)] {
        let assertion = secret(&keyed(&header, &claims(json!({})), key.expose().as_bytes()));
        let outcome = verify(&assertion, &client, &ACCEPTED, later(at)).await;
        assert_eq!(outcome.is_ok(), good, "{at}: {outcome:?}");
    }
    assert_eq!(judge(&client, &assertion).await, Err(AssertionFault::BadSignature));
    // Its own `alg` cannot be turned into one of a public key: it has none.
    assert_eq!(judge(&client, &EC.sign(&claims(json!({})))).await, Err(AssertionFault::MethodNotAllowed));
}

#[tokio::test]
async fn the_client_itself_is_judged_too() {
    let good = secret(&keyed(&json!({ "alg": "HS256" }), &claims(json!({})), SHARED.as_bytes()));
    let unknown = authenticate_by_assertion(None, &good, &ACCEPTED, NOW).await;
    assert_eq!(unknown, Err(AuthenticationFailure::UnknownClient));
    let methods = json!(["client_secret_jwt"]);
    let disabled = sound(json!({ "secret": SHARED, "authentication_methods": methods, "enabled": false }));
    let outcome = authenticate_by_assertion(Some(&disabled), &good, &ACCEPTED, NOW).await;
    assert_eq!(outcome, Err(AuthenticationFailure::Disabled));
    let enabled = sound(json!({ "secret": SHARED, "authentication_methods": methods }));
    assert!(authenticate_by_assertion(Some(&enabled), &good, &ACCEPTED, NOW).await.is_ok());
    for text in ["", "a.b.c", &keyed(&json!({ "alg": "HS256" }), &json!({ "sub": 7 }), b"")] {
        assert_eq!(client_id_of(&secret(text)), None);
    }
}

/// Serves `document` to everybody who asks, one connection after the other.
async fn publish(document: &Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    let body = document.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn published_keys_are_fetched_once_they_are_needed() {
    let jwks_uri = publish(&json!({ "keys": [EC.jwk(), ED.jwk(), RSA.jwk()] })).await;
    let client = definition(json!({ "jwks_uri": jwks_uri })).compile("billing").unwrap();
    let good = EC.sign(&claims(json!({})));
    assert_eq!(judge(&client, &good).await, Err(AssertionFault::KeysUnavailable), "nobody opened them");
    let key_sets = KeySets::new(ManualClock::starting_at(NOW).clock(), None);
    for _ in 0..2 {
        client.open_keys(&key_sets, &tokio::runtime::Handle::current());
    }
    // The first one waits for the fetch that has just begun.
    assert!(judge(&client, &good).await.is_ok());
    assert!(judge(&client, &ED.sign(&claims(json!({})))).await.is_ok());
    let unknown = SigningKey::generate("unknown", Algorithm::Es256);
    assert_eq!(judge(&client, &unknown.sign(&claims(json!({})))).await, Err(AssertionFault::UnknownKey));
    let stranger = SigningKey::generate("ec", Algorithm::Es256);
    assert_eq!(judge(&client, &stranger.sign(&claims(json!({})))).await, Err(AssertionFault::BadSignature));
    let Some(ClientKeys::Remote(remote)) = &client.keys else { panic!() };
    let used = remote.set().unwrap().status().keys;
    assert_eq!(used.len(), 3);
    // Another client with the same address has the same set.
    let other = definition(json!({ "jwks_uri": jwks_uri })).compile("shop").unwrap();
    other.open_keys(&key_sets, &tokio::runtime::Handle::current());
    let Some(ClientKeys::Remote(others)) = &other.keys else { panic!() };
    assert!(Arc::ptr_eq(remote.set().unwrap(), others.set().unwrap()));
}

#[tokio::test]
async fn published_keys_that_are_away_are_nobodys_fault() {
    // Nothing listens at a port that was given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let jwks_uri = format!("http://127.0.0.1:{port}/jwks");
    let client = definition(json!({ "jwks_uri": jwks_uri })).compile("billing").unwrap();
    let key_sets = KeySets::new(ManualClock::starting_at(NOW).clock(), None);
    client.open_keys(&key_sets, &tokio::runtime::Handle::current());
    assert_eq!(judge(&client, &EC.sign(&claims(json!({})))).await, Err(AssertionFault::KeysUnavailable));
}

proptest::proptest! {
    #[test]
    fn no_text_panics_or_is_accepted(text in "\\PC{0,120}") {
        let client = with_keys(&[ED.jwk()]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        proptest::prop_assert!(runtime.block_on(judge(&client, &text)).is_err());
        let _ = client_id_of(&secret(&text));
    }
}
