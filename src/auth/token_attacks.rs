//! Owns: the table of token attacks, each beside a control that passes.

use std::sync::{Arc, LazyLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use jsonwebtoken::EncodingKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    BearerToken, Credential, Fault, Issuers, SharedTokenCache, TrustedKeySet, UnknownKeyFetch, VerifiedToken,
    VerifyError, WorkerTokenCache, credential_field,
    forge::{EC, ED, FixedKeys, RSA, SigningKey, changed, issuers, trusted},
    verify, verify_asking, verify_at_once,
};
use crate::{
    clock::UnixTime,
    http::{Fields, headers::X_API_KEY},
    jose::Algorithm,
};

const NOW: u64 = 1_700_000_000;
static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate("ec", Algorithm::Es256));

/// Two issuers: `corp` with one key of each kind, `partner` with a key that has the id of one of corp's.
struct World {
    corp_keys: Arc<FixedKeys>,
    partner_keys: Arc<FixedKeys>,
    issuers: Issuers,
    cache: WorkerTokenCache,
}

impl World {
    fn new() -> Self {
        Self::with(json!({}))
    }

    fn with(corp: Value) -> Self {
        let corp_keys = FixedKeys::of(&[&RSA, &EC, &ED]);
        let partner_keys = FixedKeys::of(&[&OTHER]);
        let config = Self::config(corp);
        let issuers = issuers(config, &[&corp_keys, &partner_keys], None);
        Self { corp_keys, partner_keys, issuers, cache: WorkerTokenCache::new(Arc::new(SharedTokenCache::new())) }
    }

    fn config(corp: Value) -> Value {
        let corp = changed(json!({ "issuer": "https://id.corp.example/" }), corp);
        json!({ "corp": corp, "partner": { "issuer": "https://id.partner.example/" } })
    }

    fn verify_at(&self, token: &str, seconds: u64) -> Result<Arc<VerifiedToken>, VerifyError> {
        let token = BearerToken::parse(token).expect("only what `bearer` lets through gets here");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = UnixTime::from_seconds(seconds);
        // Where both ways are open, they say the same.
        let new = || WorkerTokenCache::new(Arc::new(SharedTokenCache::new()));
        if let Some(at_once) = verify_at_once(Credential::from(token).into(), &self.issuers, &new(), now) {
            let asking = runtime.block_on(verify_asking(token.into(), &self.issuers, None, &new(), now));
            let [at_once, asking] =
                [at_once, asking].map(|verified| verified.map_or_else(|error| error.reason(), |_| ""));
            assert_eq!(at_once, asking);
        }
        runtime.block_on(verify(token, &self.issuers, None, &self.cache, now))
    }

    fn verify(&self, token: &str) -> Result<Arc<VerifiedToken>, VerifyError> {
        self.verify_at(token, NOW)
    }

    fn reason(&self, token: &str) -> &'static str {
        match self.verify(token) {
            Ok(_) => "verified",
            Err(error) => {
                assert_eq!(error.fault() == Fault::Issuer, error.reason() == "keys_unavailable");
                error.reason()
            }
        }
    }
}

fn claims(changes: Value) -> Value {
    changed(
        json!({ "iss": "https://id.corp.example/", "aud": "api", "sub": "billing", "iat": NOW, "exp": NOW + 600 }),
        changes,
    )
}

/// Every token refused here is one step away from one that passes.
#[test]
fn headers_that_lie_are_refused() {
    let world = World::new();
    let plain = claims(json!({}));
    for key in [&*RSA, &*EC, &*ED] {
        assert_eq!(world.reason(&key.sign(&plain)), "verified");
    }
    for (changes, reason) in [
        (json!({}), "verified"),
        (json!({ "typ": null }), "verified"),
        (json!({ "typ": "at+jwt" }), "verified"),
        (json!({ "x5t": "abc", "unknown": 1 }), "verified"),
        (json!({ "alg": "none" }), "algorithm_not_accepted"),
        (json!({ "alg": "NONE" }), "algorithm_not_accepted"),
        (json!({ "alg": "HS256" }), "algorithm_not_accepted"),
        (json!({ "alg": "es256" }), "algorithm_not_accepted"),
        (json!({ "alg": "ES384" }), "algorithm_not_accepted"),
        (json!({ "alg": "PS256" }), "algorithm_not_accepted"),
        (json!({ "alg": null }), "algorithm_not_accepted"),
        (json!({ "alg": "RS256" }), "key_mismatch"),
        (json!({ "alg": "RS256", "kid": "rsa" }), "bad_signature"),
        (json!({ "kid": "nobody" }), "unknown_key"),
        (json!({ "kid": "../../../dev/null" }), "unknown_key"),
        (json!({ "kid": "' OR '1'='1" }), "unknown_key"),
        (json!({ "kid": "a\r\nX: y" }), "header_not_accepted"),
        (json!({ "kid": "k".repeat(300) }), "header_not_accepted"),
        (json!({ "kid": 7 }), "header_not_accepted"),
        (json!({ "kid": ["ec"] }), "header_not_accepted"),
        (json!({ "crit": ["exp"] }), "header_not_accepted"),
        (json!({ "crit": [] }), "header_not_accepted"),
        (json!({ "crit": ["b64"], "b64": false }), "header_not_accepted"),
        (json!({ "b64": true }), "header_not_accepted"),
        (json!({ "jwk": OTHER.jwk() }), "header_not_accepted"),
        (json!({ "jku": "https://evil.example/jwks" }), "header_not_accepted"),
        (json!({ "x5u": "https://evil.example/cert" }), "header_not_accepted"),
        (json!({ "x5c": ["MIIB"] }), "header_not_accepted"),
        (json!({ "zip": "DEF" }), "header_not_accepted"),
        (json!({ "typ": "dpop+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "logout+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "secevent+jwt" }), "token_type_not_accepted"),
    ] {
        let token = EC.sign_with_header(&EC.header(changes.clone()), &plain);
        assert_eq!(world.reason(&token), reason, "{changes}");
    }
    assert_eq!(*world.partner_keys.fetches.lock().unwrap(), 0, "another issuer's keys are nobody's business");
}

#[test]
fn signatures_that_prove_nothing_are_refused() {
    let world = World::new();
    let good = EC.sign(&claims(json!({})));
    assert_eq!(world.reason(&good), "verified");
    let (input, _) = good.rsplit_once('.').unwrap();
    let zeros = URL_SAFE_NO_PAD.encode([0u8; 64]);
    for (token, reason) in [
        (format!("{input}."), "token_malformed"),
        (format!("{input}.{zeros}"), "bad_signature"),
        (format!("{input}.AA"), "bad_signature"),
        (format!("{good}AA"), "bad_signature"),
        (format!("{good}="), "token_malformed"),
        (OTHER.sign(&claims(json!({}))), "bad_signature"),
        (RSA.sign_with_header(&RSA.header(json!({ "kid": "ec" })), &claims(json!({}))), "key_mismatch"),
    ] {
        assert_eq!(world.reason(&token), reason, "{token}");
    }
    // RFC 8725 section 2.1: a public key used as the secret of a MAC.
    let jwk = RSA.jwk();
    for secret in [jwk.to_string(), STANDARD.encode(jwk.to_string()), jwk["n"].as_str().unwrap().to_owned()] {
        let header = json!({ "alg": "HS256", "kid": "rsa" }).to_string();
        let input =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims(json!({})).to_string()));
        let key = EncodingKey::from_secret(secret.as_bytes());
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        assert_eq!(world.reason(&format!("{input}.{signature}")), "algorithm_not_accepted");
    }
}

#[test]
fn claims_of_the_wrong_kind_are_refused() {
    let world = World::new();
    for (changes, reason) in [
        (json!({}), "verified"),
        (json!({ "exp": 1_700_000_600.5 }), "verified"),
        (json!({ "aud": ["a", "b"] }), "verified"),
        (json!({ "aud": null, "sub": null, "iat": null }), "verified"),
        (json!({ "scp": ["a"], "scope": "b" }), "verified"),
        (json!({ "exp": NOW - 59 }), "claim_invalid"),
        (json!({ "exp": NOW - 59, "iat": NOW - 100 }), "verified"),
        (json!({ "exp": NOW - 60, "iat": NOW - 100 }), "token_expired"),
        (json!({ "exp": null }), "claim_missing"),
        (json!({ "exp": "1700000600" }), "claim_invalid"),
        (json!({ "exp": -1 }), "claim_invalid"),
        (json!({ "exp": [NOW + 600] }), "claim_invalid"),
        (json!({ "nbf": NOW + 60 }), "verified"),
        (json!({ "nbf": NOW + 61 }), "token_not_yet_valid"),
        (json!({ "nbf": "soon" }), "claim_invalid"),
        (json!({ "iat": NOW + 60 }), "verified"),
        (json!({ "iat": NOW + 61 }), "token_from_future"),
        (json!({ "iat": true }), "claim_invalid"),
        (json!({ "aud": 42 }), "claim_invalid"),
        (json!({ "aud": {} }), "claim_invalid"),
        (json!({ "aud": ["api", 1] }), "claim_invalid"),
        (json!({ "sub": 1 }), "claim_invalid"),
        (json!({ "jti": {} }), "claim_invalid"),
        (json!({ "client_id": ["a"] }), "claim_invalid"),
        (json!({ "azp": 1 }), "claim_invalid"),
        (json!({ "cid": 1 }), "claim_invalid"),
        (json!({ "scope": 1 }), "claim_invalid"),
        (json!({ "scope": "a  b" }), "claim_invalid"),
        (json!({ "scopes": { "a": true } }), "claim_invalid"),
        (json!({ "nonce": "n" }), "not_an_access_token"),
        (json!({ "at_hash": "h" }), "not_an_access_token"),
        (json!({ "c_hash": "h" }), "not_an_access_token"),
        (json!({ "token_use": "id" }), "not_an_access_token"),
        (json!({ "token_use": "access" }), "verified"),
        (json!({ "typ": "ID" }), "not_an_access_token"),
        (json!({ "typ": "Bearer" }), "verified"),
        (json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }), "not_an_access_token"),
        (json!({ "cnf": { "jkt": "x" } }), "token_bound_to_key"),
        (json!({ "iss": "https://id.corp.example" }), "unknown_issuer"),
        (json!({ "iss": "HTTPS://id.corp.example/" }), "unknown_issuer"),
        (json!({ "iss": ["https://id.corp.example/"] }), "claim_invalid"),
        (json!({ "iss": ["https://id.corp.example/", "https://id.partner.example/"] }), "claim_invalid"),
        (json!({ "iss": null }), "claim_missing"),
        // corp's key under partner's name; partner lists another key of the same id.
        (json!({ "iss": "https://id.partner.example/" }), "bad_signature"),
    ] {
        assert_eq!(world.reason(&EC.sign(&claims(changes.clone()))), reason, "{changes}");
    }
    assert_eq!(world.reason(&OTHER.sign(&claims(json!({ "iss": "https://id.partner.example/" })))), "verified");
}

#[test]
fn texts_that_two_readers_read_differently_are_refused() {
    let world = World::new();
    let header = r#"{"alg":"ES256","kid":"ec"}"#;
    let rest = format!(r#""iss":"https://id.corp.example/","exp":{}"#, NOW + 600);
    for (header, payload, reason) in [
        (header, format!("{{{rest}}}"), "verified"),
        (r#"{"alg":"ES256","kid":"ec","kid":"ec"}"#, format!("{{{rest}}}"), "token_malformed"),
        (r#"{"alg":"ES256","kid":"ec","\u006bid":"ec"}"#, format!("{{{rest}}}"), "token_malformed"),
        (header, format!(r#"{{{rest},"scope":"a","scope":"b"}}"#), "token_malformed"),
        (header, format!(r#"{{{rest},"scope":"a","\u0073cope":"b"}}"#), "token_malformed"),
        (header, format!(r#"{{{rest},"a":{{"b":1,"b":2}}}}"#), "token_malformed"),
        (header, format!(r#"{{{rest},"nbf":1e400}}"#), "token_malformed"),
        (header, format!("[{{{rest}}}]"), "token_malformed"),
        (header, format!("{{{rest}}}{{}}"), "token_malformed"),
        (header, format!(r#"{{{rest},"a":{}{}}}"#, "[".repeat(40), "]".repeat(40)), "token_malformed"),
    ] {
        assert_eq!(world.reason(&EC.sign_text(header, &payload)), reason, "{header} {payload}");
    }
    assert_eq!(world.reason("a.b.c.d.e"), "token_encrypted");
    assert_eq!(world.reason(&".".repeat(10_000)), "token_malformed");
}

#[test]
fn an_issuer_may_ask_for_more() {
    // RFC 9068 section 2.2 requires these, too.
    let profile = |mut changes: Value| {
        for (name, value) in [("client_id", "billing"), ("jti", "1")] {
            changes.as_object_mut().unwrap().entry(name).or_insert(json!(value));
        }
        changes
    };
    let world = World::with(json!({
        "token_type": "at+jwt", "required_claims": ["tenant"], "max_lifetime": "10m", "algorithms": ["ES256", "PS256"],
    }));
    for (header, changes, reason) in [
        (json!({ "typ": "at+jwt" }), json!({ "tenant": "a" }), "verified"),
        (json!({ "typ": "at+jwt" }), json!({ "tenant": "a", "client_id": null }), "claim_missing"),
        (json!({ "typ": "application/at+JWT" }), json!({ "tenant": "a" }), "verified"),
        (json!({ "typ": "JWT" }), json!({ "tenant": "a" }), "token_type_not_accepted"),
        (json!({ "typ": null }), json!({ "tenant": "a" }), "token_type_not_accepted"),
        (json!({ "typ": "at+jwt" }), json!({}), "claim_missing"),
        (json!({ "typ": "at+jwt" }), json!({ "tenant": "a", "exp": NOW + 601 }), "lifetime_too_long"),
        (json!({ "typ": "at+jwt" }), json!({ "tenant": "a", "iat": null }), "claim_missing"),
    ] {
        let token = EC.sign_with_header(&EC.header(header.clone()), &claims(profile(changes.clone())));
        assert_eq!(world.reason(&token), reason, "{header} {changes}");
    }
    let null = EC.sign_text(
        r#"{"alg":"ES256","kid":"ec","typ":"at+jwt"}"#,
        &format!(r#"{{"iss":"https://id.corp.example/","iat":{NOW},"exp":{},"tenant":null}}"#, NOW + 1),
    );
    assert_eq!(world.reason(&null), "claim_missing");
    let pss = RSA.with(Algorithm::Ps256);
    let token = |key: &SigningKey| {
        key.sign_with_header(&key.header(json!({ "typ": "at+jwt" })), &claims(profile(json!({ "tenant": "a" }))))
    };
    assert_eq!(world.reason(&token(&pss)), "verified");
    assert_eq!(world.reason(&token(&RSA)), "algorithm_not_accepted");
}

#[test]
fn every_algorithm_verifies_its_own_signatures() {
    let es384 = SigningKey::generate("es384", Algorithm::Es384);
    let keys = FixedKeys::of(&[&RSA, &EC, &ED, &es384]);
    let names = Algorithm::ALL.map(Algorithm::name);
    let corp = json!({ "corp": { "issuer": "https://id.corp.example/", "algorithms": names } });
    let world = World { issuers: issuers(corp, &[&keys], None), ..World::new() };
    for algorithm in Algorithm::ALL {
        let key = match algorithm {
            Algorithm::Es256 => EC.with(algorithm),
            Algorithm::Es384 => es384.with(algorithm),
            Algorithm::EdDsa => ED.with(algorithm),
            _ => RSA.with(algorithm),
        };
        assert_eq!(world.reason(&key.sign(&claims(json!({})))), "verified", "{algorithm}");
    }
}

#[test]
fn a_token_without_key_id_needs_a_key_that_stands_alone() {
    let world = World::new();
    let without = |key: &SigningKey| key.sign_with_header(&key.header(json!({ "kid": null })), &claims(json!({})));
    assert_eq!(world.reason(&without(&EC)), "verified");
    let second = SigningKey::generate("ec2", Algorithm::Es256);
    world.corp_keys.set(TrustedKeySet::Usable(trusted(&[EC.jwk(), second.jwk()]).into()));
    assert_eq!(
        world.reason(&EC.sign_with_header(&EC.header(json!({ "kid": null, "x": 1 })), &claims(json!({})))),
        "key_id_missing"
    );
    assert_eq!(world.reason(&without(&ED)), "key_id_missing");
    assert_eq!(*world.corp_keys.fetches.lock().unwrap(), 0);
}

#[test]
fn an_unknown_key_causes_one_fetch_and_its_outcome_decides() {
    let token = |key: &SigningKey| key.sign(&claims(json!({})));
    let fresh = SigningKey::generate("fresh", Algorithm::Es256);
    let with_fresh = || TrustedKeySet::Usable(trusted(&[fresh.jwk()]).into());
    for (answer, keys, reason) in [
        (UnknownKeyFetch::Current, Some(with_fresh()), "verified"),
        (UnknownKeyFetch::Current, None, "unknown_key"),
        (UnknownKeyFetch::CoolingDown, None, "unknown_key"),
        (UnknownKeyFetch::CoolingDown, Some(with_fresh()), "verified"),
        (UnknownKeyFetch::Failed, None, "keys_unavailable"),
        (UnknownKeyFetch::Current, Some(TrustedKeySet::Unavailable), "keys_unavailable"),
    ] {
        let world = World::new();
        *world.corp_keys.fetch.lock().unwrap() = (answer, keys);
        assert_eq!(world.reason(&token(&EC)), "verified", "a known key needs no fetch");
        assert_eq!(*world.corp_keys.fetches.lock().unwrap(), 0);
        assert_eq!(world.reason(&token(&fresh)), reason, "{answer:?}");
        assert_eq!(*world.corp_keys.fetches.lock().unwrap(), 1);
    }
    let world = World::new();
    world.corp_keys.set(TrustedKeySet::Unavailable);
    assert_eq!((world.reason(&token(&EC)), *world.corp_keys.fetches.lock().unwrap()), ("keys_unavailable", 0));
}

#[test]
fn a_remembered_token_is_judged_again() {
    let world = World::new();
    let token = EC.sign(&claims(json!({ "nbf": NOW })));
    let (hits, misses) = {
        let counts = |world: &World| (world.cache.shared().hits(), world.cache.shared().misses());
        world.verify(&token).unwrap();
        let first = world.verify(&token).unwrap();
        assert!(Arc::ptr_eq(&first, &world.verify(&token).unwrap()));
        counts(&world)
    };
    assert_eq!((hits, misses), (2, 1));
    let at = |seconds| world.verify_at(&token, seconds).map(|_| ()).map_err(|error| error.reason());
    assert_eq!(at(NOW + 659), Ok(()));
    assert_eq!(at(NOW + 660), Err("token_expired"));
    assert_eq!(at(NOW - 61), Err("token_not_yet_valid"), "the clock was set back");
    assert_eq!(at(NOW), Ok(()));
    let known = world.corp_keys.keys.lock().unwrap().clone();
    world.corp_keys.set(TrustedKeySet::Unavailable);
    assert_eq!(at(NOW), Err("keys_unavailable"));
    world.corp_keys.set(known);
    assert_eq!(at(NOW), Ok(()));
}

#[test]
fn a_withdrawn_key_takes_its_remembered_tokens_along() {
    let world = World::new();
    let (by_ec, by_ed) = (EC.sign(&claims(json!({}))), ED.sign(&claims(json!({}))));
    world.verify(&by_ec).unwrap();
    let key = world.verify(&by_ed).unwrap().key().unwrap().clone();
    assert!(key.last_used() == Some(UnixTime::from_seconds(NOW)));
    world.corp_keys.set(TrustedKeySet::Usable(trusted(&[EC.jwk()]).into()));
    key.withdraw();
    assert_eq!(world.reason(&by_ed), "unknown_key");
    assert_eq!(world.reason(&by_ec), "verified");
}

#[test]
fn a_reload_forgets_exactly_what_it_changes() {
    let mut world = World::new();
    let token = EC.sign(&claims(json!({ "nbf": NOW + 30 })));
    let first = world.verify(&token).unwrap();
    let reload = |world: &World, corp: Value| {
        issuers(World::config(corp), &[&world.corp_keys, &world.partner_keys], Some(&world.issuers))
    };
    world.issuers = reload(&world, json!({ "audience": "another" }));
    assert!(Arc::ptr_eq(&first, &world.verify(&token).unwrap()), "the audience is no part of verification");
    world.issuers = reload(&world, json!({ "leeway": "1s" }));
    assert_eq!(world.reason(&token), "token_not_yet_valid");
    world.issuers = reload(&world, json!({ "algorithms": ["RS256"] }));
    assert_eq!(world.reason(&token), "algorithm_not_accepted");
    world.issuers = reload(&world, json!({ "issuer": "https://elsewhere.example/" }));
    assert_eq!(world.reason(&token), "unknown_issuer");
}

#[test]
fn bogus_tokens_leave_no_trace_in_the_cache() {
    let world = World::new();
    let good = EC.sign(&claims(json!({})));
    let first = world.verify(&good).unwrap();
    let signature = good.rsplit_once('.').unwrap().1;
    for number in 0..500 {
        // The end of the good token, so that it hashes to the same place.
        let bogus = EC.sign(&claims(json!({ "sub": number.to_string() })));
        let bogus = format!("{}.{signature}", bogus.rsplit_once('.').unwrap().0);
        assert_eq!(world.reason(&bogus), "bad_signature");
    }
    assert!(Arc::ptr_eq(&first, &world.verify(&good).unwrap()));
    assert_eq!(world.cache.shared().misses(), 501);
}

#[test]
fn headers_are_known_of_good_signatures_only() {
    let world = World::new();
    let tokens: Vec<String> = (0..4).map(|number| EC.sign(&claims(json!({ "sub": number.to_string() })))).collect();
    let is_known = || {
        let (header, _) = tokens[0].split_once('.').unwrap();
        world.cache.known_headers().knows(header.as_bytes())
    };
    for pair in tokens.windows(2) {
        let (input, _) = pair[0].rsplit_once('.').unwrap();
        let (_, signature) = pair[1].rsplit_once('.').unwrap();
        assert_eq!(world.reason(&format!("{input}.{signature}")), "bad_signature");
        assert!(!is_known());
    }
    for (token, is_known_then) in tokens.iter().zip([false, true, true]) {
        assert_eq!(world.reason(token), "verified");
        assert_eq!(is_known(), is_known_then, "one comes twice before it is kept");
    }
    let (input, _) = tokens[3].rsplit_once('.').unwrap();
    assert_eq!(world.reason(&format!("{input}.AA")), "bad_signature", "a known header vouches for nothing");
}

fn good_tokens() -> &'static [String] {
    static TOKENS: LazyLock<Vec<String>> =
        LazyLock::new(|| [&*RSA, &*EC, &*ED].iter().map(|key| key.sign(&claims(json!({})))).collect());
    &TOKENS
}

/// What stands in a field is taken apart before anybody has looked whether it is one token: that must not make it one.
#[test]
fn what_is_no_single_token_is_none_in_whichever_field() {
    let world = World::new();
    let good = EC.sign(&claims(json!({})));
    let now = UnixTime::from_seconds(NOW);
    let at_once = |fields: &Fields| {
        let Ok(Some(field)) = credential_field(fields, None, true) else { return (None, false) };
        (verify_at_once(field, &world.issuers, &world.cache, now), field.read().is_ok())
    };
    let fields = |name: HeaderName, scheme: &str, text: &[u8]| {
        let mut fields = Fields::default();
        fields.insert(name, HeaderValue::from_bytes(&[scheme.as_bytes(), text].concat()).unwrap());
        fields
    };
    let authorization = |text: &[u8]| fields(AUTHORIZATION, "Bearer ", text);
    // As one that nobody has seen, and as one that is remembered.
    for _ in 0..3 {
        for (before, behind) in [
            (&b""[..], &b","[..]),
            (b"", b", x"),
            (b"x,", b""),
            (b"", b"="),
            (b"", b" "),
            (b"", b"\xe9"),
            (b"\xff", b""),
            (b"\t", b""),
            (b"", b"~"),
            (b"", b"."),
            (b".", b""),
        ] {
            let text = [before, good.as_bytes(), behind].concat();
            for fields in [authorization(&text), fields(X_API_KEY, "", &text)] {
                let (at_once, is_token) = at_once(&fields);
                assert!(at_once.is_none_or(|verified| is_token && verified.is_err()), "{before:?} {behind:?}");
            }
        }
        assert!(matches!(at_once(&authorization(good.as_bytes())), (Some(Ok(_)), true)), "the control");
        let as_api_key = at_once(&fields(X_API_KEY, "", good.as_bytes()));
        assert!(matches!(as_api_key, (Some(Err(VerifyError::WrongHeader)), true)));
    }
}

proptest! {
    #[test]
    fn no_mutation_of_a_good_token_verifies(which in 0usize..3, place in any::<prop::sample::Index>(), byte in "[A-Za-z0-9._~+/=-]") {
        let world = World::new();
        let good = &good_tokens()[which];
        let mut mutated = good.clone();
        let place = place.index(good.len());
        mutated.replace_range(place..=place, &byte);
        prop_assume!(mutated != *good);
        prop_assert!(world.verify(good).is_ok());
        prop_assert!(BearerToken::parse(&mutated).is_err() || world.verify(&mutated).is_err());
    }
}
