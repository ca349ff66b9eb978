//! What a client may be.

use super::*;
use crate::authorization_server::api::Api;
use crate::jose::forge::{EC, ED, RSA, SigningKey};

fn fault(members: Value) -> String {
    let fault = definition(members.clone()).compile("c").map(|_| ()).unwrap_err();
    assert!(!fault.message.is_empty() && !fault.remedy.is_empty() && !fault.message.ends_with('.'));
    assert_eq!(fault.to_string(), format!("{}: {}; {}", fault.field, fault.message, fault.remedy));
    format!("{}: {}", fault.field, fault.message)
}

#[test]
fn a_whole_definition_becomes_a_client() {
    let client = definition(json!({
        "description": "Bills", "grants": { "orders": ["orders:read", "orders:write"], "users": [] },
        "claims": { "roles": ["a"], "permissions": ["p"], "metadata": { "x": 1 }, "tenantId": "t" },
        "owner": "o", "tenant": "t", "token_lifetime_seconds": 0, "public_keys": [EC.jwk(), ED.jwk()],
        "organizations": ["org_1"], "introspects": ["orders"], "assertion_issuers": ["corp"],
    }));
    let client = client.compile("billing").unwrap();
    assert_eq!((&*client.id, client.enabled, client.token_lifetime), ("billing", true, Some(Lifetime::Unlimited)));
    assert_eq!(client.grants["orders"].to_string(), "orders:read orders:write");
    assert!(client.grants["users"].is_empty() && client.claims.len() == 4);
    assert_eq!((client.owner.as_deref(), client.tenant.as_deref()), (Some("o"), Some("t")));
    assert!(matches!(&client.keys, Some(ClientKeys::Given(keys)) if keys.len() == 2));
    assert!(client.allows(AuthenticationMethod::PrivateKeyJwt));
    assert!(
        !client.allows(AuthenticationMethod::ClientSecretJwt)
            && !client.allows(AuthenticationMethod::ClientSecretBasic)
    );
    assert_eq!(Lifetime::of_seconds(5), Lifetime::Limited(Duration::from_secs(5)));
}

#[test]
fn each_fault_names_its_field() {
    let deep = (0..17).fold(json!(1), |inner, _| json!([inner]));
    let third = SigningKey::generate("third", crate::jose::Algorithm::EdDsa).jwk();
    for (members, expected) in [
        (json!({ "description": "x".repeat(1025) }), "description: the description is longer than 1024 bytes"),
        (json!({ "owner": "" }), "owner: it is empty or has control characters"),
        (json!({ "tenant": "a\n" }), "tenant: it is empty or has control characters"),
        (json!({ "organizations": ["a", "b".repeat(256)] }), "organizations[1]: it is longer than 255 bytes"),
        (json!({ "introspects": [""] }), "introspects[0]: it is empty or has control characters"),
        (json!({ "assertion_issuers": ["\0"] }), "assertion_issuers[0]: it is empty or has control characters"),
        (json!({ "grants": { "a": ["b", "c d"] } }), "grants.a[1]: `c d` cannot be a scope"),
        (json!({ "grants": { "a": [""] } }), "grants.a[0]: `` cannot be a scope"),
        (json!({ "claims": { "": 1 } }), "claims.\"\": a claim needs a name"),
        (json!({ "claims": { "deep": deep } }), "claims.deep: the claim is nested deeper than 16 levels"),
        (
            json!({ "claims": { "a": "x".repeat(4096) } }),
            "claims: the claims take 4099 bytes; at most 4096 are accepted",
        ),
        (
            json!({ "token_lifetime_seconds": 2_592_001 }),
            "token_lifetime_seconds: a token must not last longer than 30 days",
        ),
        (json!({ "authentication_methods": [] }), "authentication_methods: the client could not authenticate at all"),
        (
            json!({ "authentication_methods": ["private_key_jwt"] }),
            "authentication_methods[0]: the client has no public key to verify its assertions with",
        ),
        (
            json!({ "public_keys": [EC.jwk(), ED.jwk(), third] }),
            "public_keys: 3 public keys are given; at most 2 are accepted",
        ),
        (json!({ "public_keys": [EC.jwk(), EC.jwk()] }), "public_keys[1]: this public key is given twice"),
        (
            json!({ "public_keys": [EC.jwk()], "jwks_uri": "https://a.example/jwks" }),
            "jwks_uri: the client's keys are given twice: here and in `public_keys`",
        ),
        (
            json!({ "jwks_uri": "http://a.example/jwks" }),
            "jwks_uri: keys cannot be fetched from here: it is http, and not to this machine: whoever is on the way could \
             read what is said, and answer instead",
        ),
        (json!({ "jwks_uri": "jwks" }), "jwks_uri: keys cannot be fetched from here: it is not an absolute URL"),
    ] {
        assert_eq!(fault(members), expected);
    }
    for wrong in ["", "a\u{e9}", "a\tb", "a\0", &"a".repeat(256)] {
        assert_eq!(definition(json!({})).compile(wrong).map(|_| ()).unwrap_err().field, "client_id", "{wrong:?}");
    }
    assert!(definition(json!({ "jwks_uri": "http://127.0.0.1:1/jwks" })).compile("a client").is_ok());
}

#[test]
fn no_claim_speaks_for_the_issuer() {
    for name in [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "client_id",
        "azp",
        "cid",
        "scope",
        "scp",
        "scopes",
        "cnf",
        "act",
        "nonce",
        "events",
        "typ",
        "gty",
        "org_id",
        "type",
        "createdByUserId",
        "userId",
        "originalTokenClaims",
    ] {
        let told = fault(json!({ "claims": { name: "x" } }));
        assert_eq!(told, format!("claims.{name}: the claim `{name}` is the issuer's to set"));
    }
}

#[test]
fn names_are_looked_up_when_asked() {
    let (_, told) = configured(json!({}));
    assert_eq!(told, [""; 0]);
    let api = |name: &str, scope: &str, seconds, danger_allow_unlimited| Api {
        audience: name.into(),
        scopes: ScopeSet::collect([scope]).unwrap(),
        token_lifetime: Duration::from_secs(seconds),
        danger_allow_unlimited,
    };
    let apis = [api("orders", "read", 3600, true), api("users", "list", 600, false)];
    let apis = apis.into_iter().map(|api| (Arc::clone(&api.audience), api)).collect();
    let issuers = BTreeSet::from([Arc::from("corp")]);
    let known = KnownNames { apis: &apis, issuers: &issuers };
    for (members, expected) in [
        (json!({ "grants": { "orders": ["read"], "users": [] }, "introspects": ["users"] }), None),
        (json!({ "assertion_issuers": ["corp"], "token_lifetime_seconds": 5 }), None),
        (json!({ "grants": { "order": [] } }), Some("grants.order: there is no API `order`; did you mean `orders`?")),
        (
            json!({ "grants": { "orders": ["raed"] } }),
            Some("grants.orders[0]: the API `orders` has no scope `raed`; did you mean `read`?"),
        ),
        (json!({ "introspects": ["user"] }), Some("introspects[0]: there is no API `user`; did you mean `users`?")),
        (
            json!({ "assertion_issuers": ["own"] }),
            Some(
                "assertion_issuers[0]: there is no issuer `own` whose tokens could be assertions; name an issuer of \
                 [issuers] that is not the embedded one",
            ),
        ),
        (json!({ "grants": { "orders": [] }, "token_lifetime_seconds": 0 }), None),
        (
            json!({ "grants": { "users": [] }, "token_lifetime_seconds": 0 }),
            Some(
                "token_lifetime_seconds: its tokens would never expire, and no API that is granted to it allows that; \
                 write how long they last, or `danger_allow_unlimited = true` at the API",
            ),
        ),
        (json!({ "grants": { "orders": [], "users": [] }, "token_lifetime_seconds": 3600 }), None),
        (
            json!({ "grants": { "users": [] }, "token_lifetime_seconds": 601 }),
            Some(
                "token_lifetime_seconds: its tokens cannot last that long: at most 10m at the APIs that are granted to it; \
                 write `10m` or less, or let the API's tokens last longer",
            ),
        ),
    ] {
        let told = definition(members).judge_names(&known).err().map(|fault| fault.to_string());
        assert_eq!(told.as_deref(), expected);
    }
}

/// Public keys as openssl writes them: Ed25519, P-384, P-521, RSA; and what only its label makes a private key.
const ED_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAkgMr/whnjauSkgNkJ/gfVeDTGExX0ZQLZRnmaaQcrts=\n-----END PUBLIC KEY-----\n";
const P384_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEi2R2TK7fvf8E83YH4rt7/19xgQwIcmLE\nh5kpMJUEgVFDOxzVvZ7QSe3ttCQR1JPiZh7jvCyZCXjPrhfiqUZtWTOcJEA3uK8S\nqNNG1C1sOIHlmB8jCPg0+cV9eHCzAJy2\n-----END PUBLIC KEY-----\n";
const P521_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQBflMCjAuLuz0UFfAWDB6klM5oRviI\nEFSOZM7/3A6lG7i0wzvwxzx7eWuuE3I47UmJJymZFNNMtTU79SRnAjm1Q2MBMrNT\n/vq4rpjh1xFSF2CvAGz/ej6jBbwIihgsQgfGrzLflVD9HyQP5YABR8gSYZ5RltPW\nzwLwLi0pawWxCBKk6bM=\n-----END PUBLIC KEY-----\n";
const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA6CIAvdZpHEApEFu5rD2V\n9FZKxgMrNpLeKSyjfcae9DBS4g1f/tO84NHTAgYirz4FgxrxGok3fNIFOJwMULkk\niuNO/FAnXsSw7df8wG9nlf6+P720j11VIHPkSPkLytB2W9TJDmSBnewDShCoT4eW\nIb1RJfeFZWwtpQ13VYBxPf591wWoFO8ZRMyNPQUEE1pR/fXsksm6eFfO1A3mL+TC\nRzWsPcmW13/4ptgJQMtBZeAEgbqJd5O+V12icLl1UGuwqRLwUinyIXqTDuu9aZKN\ntgs/D3FE3vw4Fq+11wVcCnZZ6s5Hb7BSbs5hk+40+gXnh8/bCfrEurE29IX5taR/\nUwIDAQAB\n-----END PUBLIC KEY-----\n";
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

#[test]
fn public_keys_are_pem_or_jwk_and_nothing_private() {
    for (good, algorithm) in [
        (json!(ED_PEM), crate::jose::Algorithm::EdDsa),
        (json!(P384_PEM), crate::jose::Algorithm::Es384),
        (json!(RSA_PEM), crate::jose::Algorithm::Ps256),
        (RSA.jwk(), crate::jose::Algorithm::Rs256),
    ] {
        let client = definition(json!({ "public_keys": [good] })).compile("c").unwrap();
        let Some(ClientKeys::Given(keys)) = &client.keys else { panic!() };
        assert!(keys[0].fits(algorithm), "{algorithm}");
    }
    let mut private = EC.jwk();
    private["d"] = json!("AA");
    for (wrong, expected) in [
        (json!(""), "it is neither PEM nor a JWK"),
        (json!("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "it is neither PEM nor a JWK"),
        (json!(PRIVATE_PEM), "it is a private key, which nobody but the client may have"),
        (json!(format!("{ED_PEM}{P384_PEM}")), "it holds several keys"),
        (json!(P521_PEM), "it is a key of a kind that is not accepted"),
        (
            json!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "it is a certificate or something else",
        ),
        (json!({ "keys": [EC.jwk()] }), "it holds several keys"),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }), "the key cannot be used: it is a symmetric key"),
        (private, "the key cannot be used: it carries the private member `d`"),
    ] {
        let told = fault(json!({ "public_keys": [wrong] }));
        assert!(told.starts_with(&format!("public_keys[0]: {expected}")), "{told}");
        assert!(!told.contains("AAAA"), "{told}");
    }
}

#[test]
fn a_pem_and_a_jwk_of_one_key_are_one_key() {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED_X });
    assert_eq!(fault(json!({ "public_keys": [jwk, ED_PEM] })), "public_keys[1]: this public key is given twice");
}

const ED_X: &str = "kgMr_whnjauSkgNkJ_gfVeDTGExX0ZQLZRnmaaQcrts";
