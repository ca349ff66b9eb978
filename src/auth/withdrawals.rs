//! Owns: tokens that are taken back, switched off and sent in the wrong field, each beside a control that passes.

use std::sync::{Arc, atomic::Ordering};

use http::{HeaderName, header::AUTHORIZATION};
use serde_json::{Map, Value, json};

use super::{
    BearerToken, Credential, Fault, Issuers, OpaqueToken, SharedTokenCache, VerifiedToken, VerifyError, Withdrawal,
    WorkerTokenCache, credential_field,
    forge::{EC, ED, FixedKeys, FixedStanding, SigningKey, changed, issuers_with_standing},
    recall, verify,
};
use crate::{
    clock::UnixTime,
    config::Config,
    http::{Fields, headers::X_API_KEY},
    id::TokenId,
    jose::Algorithm,
};

const NOW: u64 = 1_700_000_000;
const OWN: &str = "https://own.example/";
const CORP: &str = "https://id.corp.example/";

/// The embedded issuer `own`, and `corp` elsewhere, whose tokens nobody takes back.
struct World {
    keys: [Arc<FixedKeys>; 2],
    standing: Arc<FixedStanding>,
    issuers: Issuers,
    cache: WorkerTokenCache,
}

fn config(changes: Value) -> Config {
    let whole = json!({
        "issuers": { "corp": { "issuer": CORP }, "own": { "embedded": true } },
        "authorization_server": { "issuer": OWN, "api_tokens": "access_token" },
    });
    serde_json::from_value(changed(whole, changes)).unwrap()
}

impl World {
    fn new() -> Self {
        Self::with(json!({}))
    }

    fn with(changes: Value) -> Self {
        let keys = [FixedKeys::of(&[&ED]), FixedKeys::of(&[&EC])];
        let standing = Arc::<FixedStanding>::default();
        let issuers = issuers_with_standing(&config(changes), &[&keys[0], &keys[1]], Some(&standing), None);
        Self { keys, standing, issuers, cache: WorkerTokenCache::new(Arc::new(SharedTokenCache::new())) }
    }

    fn without_api_tokens() -> Self {
        Self::with(json!({ "authorization_server": { "issuer": OWN } }))
    }

    fn verify_at(&self, credential: Credential<'_>, seconds: u64) -> Result<Arc<VerifiedToken>, VerifyError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(verify(credential, &self.issuers, None, &self.cache, UnixTime::from_seconds(seconds)))
    }

    /// As requests do it: by the short way, if it is open.
    fn field_at(&self, name: HeaderName, value: &str, seconds: u64) -> Result<Arc<VerifiedToken>, VerifyError> {
        let fields = Fields::from_iter([(name, value.parse().unwrap())]);
        let field = credential_field(&fields, None, true).unwrap().unwrap();
        let recalled = recall(field, &self.issuers, &self.cache, UnixTime::from_seconds(seconds));
        recalled.unwrap_or_else(|| self.verify_at(field.read().unwrap(), seconds))
    }

    fn bearer(&self, token: &str) -> Result<Arc<VerifiedToken>, VerifyError> {
        self.field_at(AUTHORIZATION, &format!("Bearer {token}"), NOW)
    }

    fn api_key_at(&self, token: &str, seconds: u64) -> Result<Arc<VerifiedToken>, VerifyError> {
        self.field_at(X_API_KEY, token, seconds)
    }

    fn api_key(&self, token: &str) -> Result<Arc<VerifiedToken>, VerifyError> {
        self.api_key_at(token, NOW)
    }

    fn withdraw(&self, name: TokenId, withdrawal: Withdrawal) {
        self.standing.withdrawn.lock().unwrap().insert(name, withdrawal);
    }

    fn restore(&self, name: TokenId) {
        self.standing.withdrawn.lock().unwrap().remove(&name);
    }

    /// Makes an opaque token, `changes` laid over its claims.
    fn opaque(&self, text: &str, api_key: bool, changes: Value) -> TokenId {
        let name = TokenId::generate();
        let claims: Map<String, Value> = claims(OWN, changes).as_object().unwrap().clone();
        self.standing.opaque.lock().unwrap().insert(text.to_owned(), OpaqueToken { name, claims, api_key });
        name
    }
}

fn claims(issuer: &str, changes: Value) -> Value {
    changed(json!({ "iss": issuer, "aud": "api", "sub": "billing", "iat": NOW, "exp": NOW + 600 }), changes)
}

fn own(changes: Value) -> String {
    EC.sign(&claims(OWN, changes))
}

fn corp(changes: Value) -> String {
    ED.sign(&claims(CORP, changes))
}

fn reason<T>(outcome: Result<T, VerifyError>) -> &'static str {
    match outcome {
        Ok(_) => "verified",
        Err(error) => error.reason(),
    }
}

#[test]
fn a_token_is_judged_on_every_request() {
    let world = World::new();
    let (token, control) = (own(json!({ "jti": TokenId::generate().to_string() })), own(json!({})));
    let name = world.bearer(&token).unwrap().token_name().unwrap();
    for (withdrawal, expected) in [
        (Withdrawal::TokenRevoked, "token_revoked"),
        (Withdrawal::ClientDisabled, "client_disabled"),
        (Withdrawal::IssuedBefore, "token_issued_before"),
        (Withdrawal::ApiTokensDisabled, "api_tokens_disabled"),
    ] {
        world.withdraw(name, withdrawal);
        let hits = world.cache.shared().hits();
        let refusal = world.bearer(&token).unwrap_err();
        assert_eq!((refusal.reason(), refusal.fault()), (expected, Fault::Downstream));
        assert_eq!(world.cache.shared().hits(), hits + 1, "it was remembered, and refused all the same");
        assert_eq!(reason(world.bearer(&control)), "verified");
        world.restore(name);
        assert_eq!(reason(world.bearer(&token)), "verified", "what ends is good again");
    }
}

/// By the short way a token fares as by the long one, whatever has become of it.
#[test]
fn what_is_recalled_is_what_would_be_verified() {
    let world = World::new();
    let name = TokenId::generate();
    let (token, key) = (
        own(json!({ "jti": name.to_string(), "nbf": NOW - 5 })),
        own(json!({ "type": "userAccessToken", "jti": TokenId::generate().to_string() })),
    );
    let of = |header: HeaderName, value: &str, seconds: u64| {
        let fields = Fields::from_iter([(header, value.parse().unwrap())]);
        let field = credential_field(&fields, None, true).unwrap().unwrap();
        let recalled = recall(field, &world.issuers, &world.cache, UnixTime::from_seconds(seconds));
        (recalled.map(reason), reason(world.verify_at(field.read().unwrap(), seconds)))
    };
    let bearer = format!("Bearer {token}");
    for seen in 0..2 {
        assert_eq!(of(AUTHORIZATION, &bearer, NOW), (None, "verified"), "seen {seen} times");
        assert_eq!(of(AUTHORIZATION, &format!("Bearer {key}"), NOW), (None, "wrong_credential_header"));
    }
    for (header, value, seconds) in [
        (AUTHORIZATION, bearer.clone(), NOW),
        (AUTHORIZATION, bearer.clone(), NOW + 1000),
        (AUTHORIZATION, bearer.clone(), NOW - 1000),
        (AUTHORIZATION, format!("bearer   {token}"), NOW),
        (AUTHORIZATION, format!("Bearer {key}"), NOW),
        (X_API_KEY, key.clone(), NOW),
        (X_API_KEY, token.clone(), NOW),
    ] {
        let (recalled, verified) = of(header, &value, seconds);
        assert_eq!(recalled, Some(verified), "{value} at {seconds}");
    }
    for (changed, back) in [
        (
            (|world, name| world.withdraw(name, Withdrawal::TokenRevoked)) as fn(&World, TokenId),
            (|world, name| world.restore(name)) as fn(&World, TokenId),
        ),
        (
            |world, _| world.standing.is_off.store(true, Ordering::SeqCst),
            |world, _| world.standing.is_off.store(false, Ordering::SeqCst),
        ),
    ] {
        changed(&world, name);
        let (recalled, verified) = of(AUTHORIZATION, &bearer, NOW);
        assert!(recalled == Some(verified) && verified != "verified", "{recalled:?} {verified}");
        back(&world, name);
    }
    let other = format!("Bearer {token}A");
    assert_eq!(of(AUTHORIZATION, &other, NOW).0, None, "another text is another token");
}

#[test]
fn one_withdrawn_before_it_was_ever_seen_is_refused_and_costs_one_signature() {
    let world = World::new();
    let name = TokenId::generate();
    let token = own(json!({ "jti": name.to_string() }));
    world.withdraw(name, Withdrawal::TokenRevoked);
    for _ in 0..3 {
        assert_eq!(reason(world.bearer(&token)), "token_revoked");
    }
    assert_eq!((world.cache.shared().misses(), world.cache.shared().hits()), (1, 2));
}

#[test]
fn what_is_wrong_with_a_token_is_told_before_its_standing() {
    let world = World::new();
    let token = own(json!({ "exp": NOW + 1 }));
    let name = world.bearer(&token).unwrap().token_name().unwrap();
    world.withdraw(name, Withdrawal::TokenRevoked);
    let judged = || world.standing.judged.lock().unwrap().len();
    let before = judged();
    let later = BearerToken::parse(&token).unwrap();
    assert_eq!(reason(world.verify_at(later.into(), NOW + 1000)), "token_expired");
    let forged = format!("{token}A");
    assert_ne!(reason(world.bearer(&forged)), "token_revoked");
    assert_eq!(judged(), before, "nobody is asked about what is no token of theirs");
    assert_eq!(reason(world.bearer(&token)), "token_revoked");
}

#[test]
fn the_switch_refuses_remembered_tokens_too_and_lets_them_in_again() {
    let world = World::new();
    let (remembered, new) = (own(json!({})), own(json!({ "sub": "other" })));
    world.opaque("pst_key", true, json!({}));
    assert_eq!(reason(world.bearer(&remembered)), "verified");
    world.standing.is_off.store(true, Ordering::SeqCst);
    for token in [&remembered, &new] {
        assert_eq!(reason(world.bearer(token)), "issuer_disabled");
    }
    assert_eq!(reason(world.api_key("pst_key")), "issuer_disabled");
    assert_eq!(reason(world.api_key("pst_other")), "unknown_token");
    assert_eq!(reason(world.bearer(&corp(json!({})))), "verified", "only its own");
    world.standing.is_off.store(false, Ordering::SeqCst);
    for token in [&remembered, &new] {
        assert_eq!(reason(world.bearer(token)), "verified");
    }
    let off = json!({ "authorization_server": { "issuer": OWN, "m2m_enabled": false } });
    assert_eq!(reason(World::with(off).bearer(&remembered)), "issuer_disabled", "both must be on");
}

#[test]
fn one_token_has_one_name() {
    let world = World::new();
    let id = TokenId::generate();
    let name = |token: &str| world.bearer(token).unwrap().token_name();
    let signed = |token: &str| TokenId::of_signing_input(token.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(name(&own(json!({ "jti": id.to_string() }))), Some(id));
    for jti in [json!(null), json!("7"), json!(id.to_string().to_uppercase()), json!(format!("{{{id}}}"))] {
        let token = own(json!({ "jti": jti }));
        assert_eq!(name(&token), Some(signed(&token)), "{jti}");
    }
    assert_eq!(*world.standing.judged.lock().unwrap().first().unwrap(), id);
}

#[test]
fn nobody_takes_back_what_others_issued() {
    let world = World::new();
    let verified = world.bearer(&corp(json!({ "jti": TokenId::generate().to_string() }))).unwrap();
    assert_eq!((verified.token_name(), verified.is_api_key()), (None, false));
    assert!(world.standing.judged.lock().unwrap().is_empty());
    assert!(world.issuers.by_name("corp").unwrap().standing().is_none());
}

/// Each token has a field of its own; the other one is a 400.
#[test]
fn a_token_in_the_wrong_field_is_refused() {
    let world = World::new();
    world.opaque("pst_key", true, json!({}));
    world.opaque("pst_bearer", false, json!({}));
    for (token, is_api_key) in [
        (own(json!({})), false),
        (own(json!({ "type": "userApiToken" })), false),
        (own(json!({ "type": "tenantApiToken" })), false),
        (own(json!({ "type": "USERACCESSTOKEN" })), false),
        (own(json!({ "type": ["userAccessToken"] })), false),
        (own(json!({ "type": "userAccessToken" })), true),
        (own(json!({ "type": "tenantAccessToken" })), true),
        (corp(json!({})), false),
        (corp(json!({ "type": "userAccessToken" })), false),
        ("pst_bearer".to_owned(), false),
        ("pst_key".to_owned(), true),
    ] {
        // The second time out of the cache.
        for _ in 0..2 {
            let (as_bearer, as_api_key) = (world.bearer(&token), world.api_key(&token));
            let (right, wrong) = if is_api_key { (as_api_key, as_bearer) } else { (as_bearer, as_api_key) };
            assert_eq!(right.unwrap().is_api_key(), is_api_key, "{token}");
            let wrong = wrong.unwrap_err();
            assert_eq!((wrong.reason(), wrong.fault()), ("wrong_credential_header", Fault::Request), "{token}");
        }
    }
}

#[test]
fn the_wrong_field_tells_nothing_to_whoever_has_no_good_token() {
    let world = World::new();
    let forged = SigningKey::generate("ec", Algorithm::Es256).sign(&claims(OWN, json!({})));
    let expired = own(json!({ "iat": NOW - 900, "exp": NOW - 800 }));
    let name = world.opaque("pst_key", true, json!({}));
    world.withdraw(name, Withdrawal::TokenRevoked);
    for (token, expected) in [
        (forged.as_str(), "bad_signature"),
        (&expired, "token_expired"),
        ("pst_key", "token_revoked"),
        ("pst_other", "unknown_token"),
    ] {
        assert_eq!((reason(world.bearer(token)), reason(world.api_key(token))), (expected, expected), "{token}");
    }
}

#[test]
fn an_opaque_token_means_what_its_issuer_says() {
    let world = World::new();
    let name = world.opaque("pst_key", true, json!({ "client_id": "crawler", "scope": "orders:read" }));
    let verified = world.api_key("pst_key").unwrap();
    assert_eq!((verified.token_name(), verified.key_id(), verified.token_id()), (Some(name), None, None));
    assert_eq!((&**verified.issuer(), verified.client_id()), ("own", Some("crawler")));
    assert!(verified.claims().has_audience("api") && verified.claim_text("scope").as_deref() == Some("orders:read"));
    assert_eq!(reason(world.api_key("pst_keY")), "unknown_token", "byte for byte");

    assert_eq!(reason(world.api_key_at("pst_key", NOW + 1000)), "token_expired");
    world.withdraw(name, Withdrawal::ApiTokensDisabled);
    assert_eq!(reason(world.api_key("pst_key")), "api_tokens_disabled");
    world.restore(name);
    assert_eq!(reason(world.api_key("pst_key")), "verified");
    world.standing.opaque.lock().unwrap().clear();
    assert_eq!(reason(world.api_key("pst_key")), "unknown_token", "nothing of it is remembered here");
    assert_eq!((world.cache.shared().hits(), world.cache.shared().misses()), (0, 0));

    world.opaque("pst_wrong", true, json!({ "aud": 7 }));
    assert_eq!(reason(world.api_key("pst_wrong")), "claim_invalid");
}

#[test]
fn an_opaque_token_satisfies_what_its_issuer_asks_of_every_token() {
    let strict = json!({ "embedded": true, "required_claims": ["tenant"], "max_lifetime": "20m" });
    let world = World::with(json!({ "issuers": { "corp": { "issuer": CORP }, "own": strict } }));
    for (text, changes, expected) in [
        ("good", json!({ "tenant": "t" }), "verified"),
        ("none", json!({}), "claim_missing"),
        ("long", json!({ "tenant": "t", "exp": NOW + 2000 }), "lifetime_too_long"),
        ("ever", json!({ "tenant": "t", "exp": null }), "lifetime_too_long"),
    ] {
        world.opaque(text, true, changes);
        assert_eq!(reason(world.api_key(text)), expected, "{text}");
    }
}

#[test]
fn without_api_tokens_there_is_neither_field_nor_kind() {
    let world = World::without_api_tokens();
    assert!(!world.issuers.accepts_api_keys() && World::new().issuers.accepts_api_keys());
    world.opaque("pst_key", false, json!({}));
    assert_eq!(reason(world.bearer("pst_key")), "token_malformed");
    let token = own(json!({ "type": "userAccessToken" }));
    assert_eq!(reason(world.bearer(&token)), "verified");
    let frontegg = json!({ "path": "/auth/v1/api-token", "dialect": "frontegg", "serve": "embedded" });
    let world = World::with(json!({
        "authorization_server": { "issuer": OWN }, "token_endpoints": { "f": frontegg },
    }));
    assert!(world.issuers.accepts_api_keys(), "they can be switched on there");
}

#[test]
fn only_what_can_be_taken_back_may_last_for_ever() {
    let world = World::new();
    let endless = json!({ "exp": null });
    let verified = world.bearer(&own(endless.clone())).unwrap();
    assert_eq!(verified.expires_at(), None);
    let much_later = BearerToken::parse("pst_key").unwrap();
    world.opaque("pst_key", false, endless.clone());
    assert_eq!(reason(world.verify_at(much_later.into(), NOW * 2)), "verified");
    assert_eq!(reason(world.bearer(&corp(endless.clone()))), "claim_missing");
    world.withdraw(verified.token_name().unwrap(), Withdrawal::TokenRevoked);
    assert_eq!(reason(world.bearer(&own(endless))), "token_revoked", "another signature of the same is the same token");
}

#[test]
fn what_was_verified_under_another_standing_is_verified_anew() {
    let world = World::new();
    let compile = |changes: Value, standing: &Arc<FixedStanding>| {
        let sources = [&world.keys[0], &world.keys[1]];
        issuers_with_standing(&config(changes), &sources, Some(standing), Some(&world.issuers))
    };
    let kept = |other: &Issuers, name: &str| {
        let of = |issuers: &Issuers| Arc::clone(issuers.by_name(name).unwrap().verification());
        Arc::ptr_eq(&of(&world.issuers), &of(other))
    };
    let same = compile(json!({}), &world.standing);
    assert!(kept(&same, "own") && kept(&same, "corp"));
    let other_standing = compile(json!({}), &Arc::default());
    assert!(!kept(&other_standing, "own") && kept(&other_standing, "corp"));
    let no_api_tokens = compile(json!({ "authorization_server": { "issuer": OWN } }), &world.standing);
    assert!(!kept(&no_api_tokens, "own") && kept(&no_api_tokens, "corp"));
}

#[test]
fn an_opaque_tokens_claims_are_not_shown() {
    let claims = claims(OWN, json!({ "email": "canary" })).as_object().unwrap().clone();
    let token = OpaqueToken { name: TokenId::generate(), claims, api_key: true };
    assert!(!format!("{token:?}").contains("canary"));
}
