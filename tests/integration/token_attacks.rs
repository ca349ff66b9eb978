//! One table of token attacks over the wire. Behind each comes a control request that gets through, and the upstream has
//! seen the controls only.

mod world;

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::support::{
    client::HttpClient,
    forge::{SigningKey, base64url, changed, claims, now},
    gateway::GatewayBuilder,
    issuer::ScriptedIssuer,
    observe::metric,
    raw::RawServer,
    upstream::RecordedUpstream,
};
use world::{Attack, CONFIG, CORP, PARTNER, World};

#[tokio::test]
async fn headers_that_lie_are_refused() {
    let world = World::new().await;
    let evil = SigningKey::es256("evil");
    let bait = RawServer::silent().await;
    let url = bait.url();
    let mut attacks = Vec::new();
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        let header = json!({ "alg": algorithm, "typ": "JWT" }).to_string();
        let input = format!("{}.{}", base64url(&header), base64url(claims(CORP).to_string()));
        attacks.push(Attack::new(format!("{algorithm}, no signature"), format!("{input}."), "algorithm_not_accepted"));
        attacks.push(Attack::new(format!("{algorithm}, signed"), format!("{input}.c2ln"), "algorithm_not_accepted"));
    }
    for (header, reason) in [
        (json!({ "alg": "es256" }), "algorithm_not_accepted"),
        (json!({ "alg": "ES512" }), "algorithm_not_accepted"),
        (json!({ "alg": "ES256K" }), "algorithm_not_accepted"),
        (json!({ "alg": null }), "algorithm_not_accepted"),
        (json!({ "alg": ["ES256"] }), "algorithm_not_accepted"),
        (json!({ "alg": "RS256" }), "key_mismatch"),
        (json!({ "alg": "ES384" }), "key_mismatch"),
        (json!({ "alg": "RS256", "kid": "rsa" }), "bad_signature"),
        (json!({ "jwk": evil.jwk() }), "header_not_accepted"),
        (json!({ "jku": url, "kid": "evil" }), "header_not_accepted"),
        (json!({ "jku": format!("{url}/jwks") }), "header_not_accepted"),
        (json!({ "x5u": url }), "header_not_accepted"),
        (json!({ "x5c": ["MIIBszCCAVmgAwIBAgIUQ"] }), "header_not_accepted"),
        (json!({ "kid": "../../../../../../dev/null" }), "unknown_key"),
        (json!({ "kid": "ec' UNION SELECT 'key" }), "unknown_key"),
        (json!({ "kid": url }), "unknown_key"),
        (json!({ "kid": "EC" }), "unknown_key"),
        (json!({ "kid": "ec\r\nx-admin: 1" }), "header_not_accepted"),
        (json!({ "kid": "ec\u{0}" }), "header_not_accepted"),
        (json!({ "kid": "" }), "header_not_accepted"),
        (json!({ "kid": 7 }), "header_not_accepted"),
        (json!({ "kid": ["ec"] }), "header_not_accepted"),
        (json!({ "kid": "k".repeat(1000) }), "header_not_accepted"),
        (json!({ "kid": "k".repeat(64 * 1024) }), "token_too_large"),
        (json!({ "crit": [] }), "header_not_accepted"),
        (json!({ "crit": ["exp"] }), "header_not_accepted"),
        (json!({ "crit": ["http://x.example/"], "http://x.example/": true }), "header_not_accepted"),
        (json!({ "crit": "exp" }), "header_not_accepted"),
        (json!({ "crit": {} }), "header_not_accepted"),
        (json!({ "crit": ["b64"], "b64": false }), "header_not_accepted"),
        (json!({ "b64": false }), "header_not_accepted"),
        (json!({ "zip": "DEF" }), "header_not_accepted"),
        (json!({ "enc": "A256GCM" }), "header_not_accepted"),
        (json!({ "typ": "logout+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "dpop+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "secevent+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": 1 }), "token_type_not_accepted"),
    ] {
        let what: String = header.to_string().chars().take(80).collect();
        attacks.push(Attack::new(what, world.token(&header, &json!({})), reason));
    }
    let own_key = json!({ "alg": "ES256", "kid": "evil", "jwk": evil.jwk() }).to_string();
    let own = evil.token_of("ES256", &own_key, &claims(CORP).to_string());
    attacks.push(Attack::new("signed with the key that it brings", own, "header_not_accepted"));
    let raw = r#"{"alg":"ES256","kid":"ec","crit":null}"#;
    let with_null = world.token_of_text(raw, &claims(CORP).to_string());
    attacks.push(Attack::new("crit: null", with_null, "header_not_accepted"));
    world.suffer(attacks).await;
    assert_eq!(bait.connections(), 0, "whatever a token names, nobody connects to it");
}

#[tokio::test]
async fn signatures_that_prove_nothing_are_refused() {
    let world = World::new().await;
    let good = world.token(&json!({}), &json!({}));
    let (input, signature) = good.rsplit_once('.').expect("three parts");
    let mut attacks = vec![
        Attack::new("no signature", format!("{input}."), "token_malformed"),
        Attack::new("r = s = 0", format!("{input}.{}", base64url([0; 64])), "bad_signature"),
        Attack::new("a signature too short", format!("{input}.{}", base64url([1; 63])), "bad_signature"),
        Attack::new("a signature too long", format!("{input}.{}", base64url([1; 65])), "bad_signature"),
        Attack::new("another's key", world.partner_ec.token(&claims(CORP)), "bad_signature"),
        Attack::new("another's name", world.ec.token(&claims(PARTNER)), "bad_signature"),
        Attack::new("another's key id", world.rsa.token(&claims(PARTNER)), "unknown_key"),
        Attack::new(
            "another payload",
            swap_payload(&good, &changed(claims(CORP), &json!({ "sub": "root" }))),
            "bad_signature",
        ),
        // RFC 7515 has fixed-size signatures; DER is how others write them.
        Attack::new("a DER signature", format!("{input}.{}", base64url([0x30, 6, 2, 1, 1, 2, 1, 1])), "bad_signature"),
        Attack::new("a signature of zeros in RSA", zeroed(&world.rsa.token(&claims(CORP)), 256), "bad_signature"),
        Attack::new("RS256 signed as PS256", mislabelled(&world.rsa, "RS256", "PS256"), "bad_signature"),
        Attack::new("half of it", format!("{input}.{}", signature.get(..40).expect("ASCII")), "bad_signature"),
    ];
    // RFC 8725 section 2.1: a public key taken for the secret of a MAC.
    let der = world.rsa.public_der();
    let pem_body: Vec<String> = BASE64_STANDARD.encode(&der).as_bytes().chunks(64).map(text).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", pem_body.join("\n"));
    let jwk = world.rsa.jwk();
    let modulus = jwk["n"].as_str().expect("a modulus").to_owned();
    for (encoding, secret) in [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
        ("DER", der.clone()),
        ("DER in base64", BASE64_STANDARD.encode(&der).into_bytes()),
        ("JWK", jwk.to_string().into_bytes()),
        ("JWKS", json!({ "keys": [jwk] }).to_string().into_bytes()),
        ("the modulus as it stands in the JWK", modulus.into_bytes()),
        ("nothing", Vec::new()),
    ] {
        for algorithm in ["HS256", "hs256", "HS512"] {
            let header = json!({ "alg": algorithm, "kid": "rsa" }).to_string();
            let input = format!("{}.{}", base64url(header), base64url(claims(CORP).to_string()));
            let kind = if algorithm == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
            let tag = hmac::sign(&hmac::Key::new(kind, &secret), input.as_bytes());
            let what = format!("{algorithm} with {encoding}");
            attacks.push(Attack::new(what, format!("{input}.{}", base64url(tag)), "algorithm_not_accepted"));
        }
    }
    world.suffer(attacks).await;
    assert_eq!(world.status_of(&world.partner_ec.token(&claims(PARTNER))).await, 200, "partner's own key and name");
    assert!(world.partner.key_fetches() <= 2, "at most the first fetch and one for the unknown key");
}

#[tokio::test]
async fn claims_of_the_wrong_kind_are_refused() {
    let world = World::new().await;
    let mut attacks = Vec::new();
    for (payload, reason) in [
        (json!({ "exp": "9" }), "claim_invalid"),
        (json!({ "exp": (now() + 600).to_string() }), "claim_invalid"),
        (json!({ "exp": [now() + 600] }), "claim_invalid"),
        (json!({ "exp": true }), "claim_invalid"),
        (json!({ "exp": -1 }), "claim_invalid"),
        (json!({ "exp": null }), "claim_missing"),
        (json!({ "exp": now() - 100, "iat": now() - 200 }), "token_expired"),
        (json!({ "exp": 0, "iat": 0 }), "token_expired"),
        (json!({ "nbf": "soon" }), "claim_invalid"),
        (json!({ "nbf": (now() - 10).to_string() }), "claim_invalid"),
        (json!({ "nbf": now() + 300 }), "token_not_yet_valid"),
        (json!({ "iat": now() + 300 }), "token_from_future"),
        (json!({ "iat": "now" }), "claim_invalid"),
        (json!({ "iat": now() + 700 }), "claim_invalid"),
        (json!({ "aud": 42 }), "claim_invalid"),
        (json!({ "aud": {} }), "claim_invalid"),
        (json!({ "aud": { "https://api.test/orders": true } }), "claim_invalid"),
        (json!({ "aud": ["https://api.test/orders", 1] }), "claim_invalid"),
        (json!({ "aud": [["https://api.test/orders"]] }), "claim_invalid"),
        (json!({ "iss": [CORP] }), "claim_invalid"),
        (json!({ "iss": [CORP, PARTNER] }), "claim_invalid"),
        (json!({ "iss": { "name": CORP } }), "claim_invalid"),
        (json!({ "iss": null }), "claim_missing"),
        (json!({ "iss": "https://id.corp.example" }), "unknown_issuer"),
        (json!({ "iss": "https://id.corp.example//" }), "unknown_issuer"),
        (json!({ "iss": "HTTPS://id.corp.example/" }), "unknown_issuer"),
        (json!({ "iss": "https://id.corp.example/\u{0}" }), "unknown_issuer"),
        (json!({ "iss": "" }), "unknown_issuer"),
        (json!({ "sub": 1 }), "claim_invalid"),
        (json!({ "jti": {} }), "claim_invalid"),
        (json!({ "client_id": ["billing"] }), "claim_invalid"),
        (json!({ "azp": 1 }), "claim_invalid"),
        (json!({ "scope": 1 }), "claim_invalid"),
        (json!({ "scope": true }), "claim_invalid"),
        (json!({ "scope": { "orders:read": true } }), "claim_invalid"),
        (json!({ "scope": ["orders:read", 1] }), "claim_invalid"),
        (json!({ "scope": ["orders:read orders:write"] }), "claim_invalid"),
        (json!({ "scope": "orders:read  orders:write" }), "claim_invalid"),
        (json!({ "scope": "orders:read\torders:write" }), "claim_invalid"),
        (json!({ "scp": 1 }), "claim_invalid"),
        (json!({ "scp": { "a": 1 } }), "claim_invalid"),
        (json!({ "scopes": [["orders:read"]] }), "claim_invalid"),
        (json!({ "token_use": "id" }), "not_an_access_token"),
        (json!({ "typ": "ID" }), "not_an_access_token"),
        (json!({ "typ": "Refresh" }), "not_an_access_token"),
        (json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }), "token_bound_to_key"),
        (json!({ "cnf": { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" } }), "token_bound_to_key"),
    ] {
        attacks.push(Attack::new(payload.to_string(), world.token(&json!({}), &payload), reason));
    }
    // An ID token says JWT or nothing, and has claims that only it has.
    for id_claims in [json!({ "nonce": "n" }), json!({ "at_hash": "h" }), json!({ "c_hash": "h" })] {
        for header in [json!({ "typ": "JWT" }), json!({ "typ": null })] {
            let what = format!("ID token: {id_claims} {header}");
            attacks.push(Attack::new(what, world.token(&header, &id_claims), "not_an_access_token"));
        }
    }
    let logout = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } });
    let what = "a logout token";
    attacks.push(Attack::new(what, world.token(&json!({ "typ": "JWT" }), &logout), "not_an_access_token"));
    world.suffer(attacks).await;
}

#[tokio::test]
async fn texts_that_two_readers_read_differently_are_refused() {
    let world = World::new().await;
    let header = r#"{"alg":"ES256","kid":"ec"}"#;
    let sound = claims(CORP).to_string();
    let open = sound.strip_suffix('}').expect("an object");
    let without_exp = changed(claims(CORP), &json!({ "exp": null })).to_string();
    let without_exp = without_exp.strip_suffix('}').expect("an object");
    assert_eq!(world.status_of(&world.token_of_text(header, &sound)).await, 200);
    let mut attacks = Vec::new();
    for (what, header, payload, reason) in [
        ("alg twice", r#"{"alg":"ES256","kid":"ec","alg":"none"}"#, sound.clone(), "token_malformed"),
        ("alg twice by an escape", r#"{"alg":"ES256","kid":"ec","\u0061lg":"none"}"#, sound.clone(), "token_malformed"),
        ("kid twice", r#"{"alg":"ES256","kid":"ec","kid":"ec"}"#, sound.clone(), "token_malformed"),
        (
            "crit by an escape",
            r#"{"alg":"ES256","kid":"ec","\u0063rit":["exp"]}"#,
            sound.clone(),
            "header_not_accepted",
        ),
        ("scope twice", header, format!(r#"{open},"scope":"orders:read"}}"#), "token_malformed"),
        ("iss twice by an escape", header, format!(r#"{open},"\u0069ss":"{PARTNER}"}}"#), "token_malformed"),
        ("a deep member twice", header, format!(r#"{open},"a":{{"b":[{{"c":1,"c":2}}]}}}}"#), "token_malformed"),
        ("exp 1e400", header, format!(r#"{without_exp},"exp":1e400}}"#), "token_malformed"),
        ("exp -1e400", header, format!(r#"{without_exp},"exp":-1e400}}"#), "token_malformed"),
        ("exp NaN", header, format!(r#"{without_exp},"exp":NaN}}"#), "token_malformed"),
        ("a list", header, format!("[{sound}]"), "token_malformed"),
        ("a text", header, json!(sound).to_string(), "token_malformed"),
        ("null", header, "null".to_owned(), "token_malformed"),
        ("nothing", header, String::new(), "token_malformed"),
        ("two objects", header, format!("{sound}{sound}"), "token_malformed"),
        ("an object and a NUL", header, format!("{sound}\0"), "token_malformed"),
        ("a byte order mark", header, format!("\u{feff}{sound}"), "token_malformed"),
        ("a comment", header, format!("{open}/**/}}"), "token_malformed"),
        ("a comma too many", header, format!("{open},}}"), "token_malformed"),
        ("a header that is a list", r#"["ES256","ec"]"#, sound.clone(), "token_malformed"),
        (
            "lists in lists",
            header,
            format!(r#"{open},"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000)),
            "token_malformed",
        ),
        ("objects in objects", header, r#"{"a":"#.repeat(1500), "token_malformed"),
        (
            "a header of lists",
            r#"{"alg":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
            sound.clone(),
            "token_malformed",
        ),
    ] {
        attacks.push(Attack::new(what, world.token_of_text(header, &payload), reason));
    }
    world.suffer(attacks).await;
}

#[tokio::test]
async fn a_token_has_one_spelling() {
    let world = World::new().await;
    let good = world.token(&json!({}), &json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let jwe = ["a"; 5].map(|part| base64url(format!("{{\"{part}\":1}}"))).join(".");
    let mut attacks = vec![
        Attack::new("padding behind the signature", format!("{good}="), "token_malformed"),
        Attack::new("padding in full", format!("{good}=="), "token_malformed"),
        Attack::new(
            "unused bits of the signature",
            format!("{header}.{payload}.{}", nudged(signature)),
            "token_malformed",
        ),
        Attack::new("a dot behind", format!("{good}."), "token_malformed"),
        Attack::new("a dot before", format!(".{good}"), "token_malformed"),
        Attack::new("two parts", format!("{header}.{payload}"), "token_malformed"),
        Attack::new("one part", header, "token_malformed"),
        Attack::new("a JWE", jwe, "token_encrypted"),
        Attack::new("four dots", "....", "token_encrypted"),
        Attack::new("a million dots", ".".repeat(1_000_000), "token_too_large"),
        Attack::new("dots as many as fit", ".".repeat(16 * 1024), "token_malformed"),
        Attack::new("1 MB of a", "a".repeat(1_000_000), "token_too_large"),
        Attack::new("1 MB of payload", format!("{header}.{}.{signature}", "a".repeat(1_000_000)), "token_too_large"),
        Attack::new("1 MB of signature", format!("{header}.{payload}.{}", "a".repeat(1_000_000)), "token_too_large"),
    ];
    for (what, inside) in
        [("padding", "="), ("a space", " "), ("a tab", "\t"), ("a plus", "+"), ("a slash", "/"), ("a tilde", "~")]
    {
        for (part, token) in [
            ("the header", format!("{header}{inside}.{payload}.{signature}")),
            ("the payload", format!("{header}.{inside}{payload}.{signature}")),
            ("the signature", format!("{header}.{payload}.{inside}{signature}")),
        ] {
            attacks.push(Attack::new(format!("{what} in {part}"), token, "token_malformed"));
        }
    }
    world.suffer(attacks).await;
}

/// RFC 8725 section 3.1 and the issue's list: what is accepted, is.
#[tokio::test]
async fn every_algorithm_and_every_form_of_scope_is_accepted() {
    let world = World::new().await;
    for algorithm in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
        let token = world.rsa.token_with(algorithm, &claims(CORP));
        assert_eq!(world.status_of(&token).await, 200, "{algorithm}");
    }
    for key in [&world.ec, &world.es384, &world.ed] {
        assert_eq!(world.status_of(&key.token(&claims(CORP))).await, 200, "{}", key.algorithm());
    }
    for scopes in [
        json!({ "scope": "orders:read" }),
        json!({ "scope": "a orders:read b" }),
        json!({ "scope": ["a", "orders:read"] }),
        json!({ "scope": null, "scp": "a orders:read" }),
        json!({ "scope": null, "scp": ["orders:read"] }),
        json!({ "scope": null, "scopes": "orders:read" }),
        json!({ "scope": null, "scopes": ["orders:read", "b"] }),
        json!({ "scope": "a", "scp": ["orders:read"], "scopes": "b" }),
    ] {
        assert_eq!(world.status_of(&world.token(&json!({}), &scopes)).await, 200, "{scopes}");
    }
    for scopes in [json!({ "scope": null }), json!({ "scope": "" }), json!({ "scope": "orders:reader" })] {
        assert_eq!(world.status_of(&world.token(&json!({}), &scopes)).await, 403, "{scopes}");
    }
    for header in [
        json!({ "typ": null }),
        json!({ "typ": "JWT" }),
        json!({ "typ": "application/at+jwt" }),
        json!({ "kid": null, "alg": "ES256" }),
    ] {
        assert_eq!(world.status_of(&world.token(&header, &json!({}))).await, 200, "{header}");
    }
    let audiences = json!({ "aud": ["https://other.test/", "https://api.test/orders"] });
    assert_eq!(world.status_of(&world.token(&json!({}), &audiences)).await, 200);
    assert_eq!(world.upstream.count(), 22);
    // Every one of them was verified by its signature: none was taken out of the cache.
    assert_eq!(metric(&world.gateway, "postern_token_cache_hits_total", &[]).await, 0.0);
}

/// Behind the defaults, what is larger than a request's head may be does not even get that far.
#[tokio::test]
async fn a_token_larger_than_the_head_of_a_request_is_refused_before_it_is_read() {
    let key = SigningKey::es256("ec");
    let (issuer, upstream) = (ScriptedIssuer::start(&[&key]).await, RecordedUpstream::start().await);
    let config = CONFIG.replace("header_bytes = \"4MiB\"", "");
    let gateway = GatewayBuilder::new(&config)
        .variable("CORP_KEYS", &issuer.jwks_uri())
        .variable("PARTNER_KEYS", &issuer.jwks_uri())
        .upstream(&upstream)
        .start()
        .await;
    let client = HttpClient::http1();
    let answer = client.get(&gateway.url("/orders/1"), Some(&"a".repeat(40_000))).await;
    assert_eq!(answer.status, 431);
    assert_eq!(upstream.count(), 0);
    assert_eq!(client.get(&gateway.url("/orders/1"), Some(&key.token(&claims(CORP)))).await.status, 200);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("ASCII")
}

/// The token with another payload under the same signature.
fn swap_payload(token: &str, payload: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], base64url(payload.to_string()), parts[2])
}

/// The token with a signature of zeros.
fn zeroed(token: &str, signature_bytes: usize) -> String {
    let (input, _) = token.rsplit_once('.').expect("three parts");
    format!("{input}.{}", base64url(vec![0; signature_bytes]))
}

/// A token that was signed by one algorithm and says another.
fn mislabelled(key: &SigningKey, says: &str, is: &str) -> String {
    let header = json!({ "alg": says, "kid": key.key_id }).to_string();
    key.token_of(is, &header, &claims(CORP).to_string())
}

/// The same bytes, spelt with a bit that nobody uses.
fn nudged(part: &str) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (kept, last) = part.split_at(part.len() - 1);
    let value = alphabet.iter().position(|byte| *byte == last.as_bytes()[0]).expect("of the alphabet");
    format!("{kept}{}", char::from(alphabet[value + 1]))
}
