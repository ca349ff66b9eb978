//! Clients of the configuration.

use super::*;
use crate::jose::forge::{EC, ED};

fn told(client: Value) -> Vec<String> {
    let (clients, told) = configured(json!({ "billing": client }));
    let refused = told.iter().any(|line| line.starts_with("Error"));
    assert!(refused || clients.find("billing").is_some());
    told
}

#[test]
fn a_client_of_the_configuration_is_one_like_any_other() {
    let client = sound(json!({
        "description": "Bills", "secret": "canary-secret-number-one", "grants": { "orders": ["orders:read"] },
        "claims": { "level": 3, "roles": ["a"] }, "owner": "o", "tenant": "t", "token_lifetime": "30m",
        "organizations": ["org_1"], "introspects": ["users"], "assertion_issuers": ["corp"],
    }));
    assert_eq!(client.token_lifetime, Some(Lifetime::Limited(Duration::from_secs(1800))));
    assert_eq!((&*client.id, client.enabled, client.claims.len()), ("billing", true, 2));
    assert_eq!(client.grants["orders"].to_string(), "orders:read");
    assert!(client.introspects.contains("users") && client.assertion_issuers.contains("corp"));
    assert!(
        client.allows(AuthenticationMethod::ClientSecretPost) && !client.allows(AuthenticationMethod::PrivateKeyJwt)
    );
    assert!(!format!("{client:?}").contains("canary"));
    let unlimited =
        sound(json!({ "secret": "canary-secret-number-one", "grants": { "orders": [] }, "token_lifetime": "0s" }));
    assert_eq!(unlimited.token_lifetime, Some(Lifetime::Unlimited));
    assert!(!sound(json!({ "secret": "canary-secret-number-one", "enabled": false })).enabled);
}

#[test]
fn every_mistake_is_told_where_it_is() {
    const SECRET: &str = "canary-secret-number-one-and-then-some";
    for (client, expected) in [
        (json!({}), "billing: the client has neither a secret nor a public key, so it can never authenticate"),
        (json!({ "secret": "" }), "billing.secret: the client's secret is empty"),
        (
            json!({ "secret": SECRET, "other_secret": SECRET }),
            "billing.other_secret: the client's two secrets are the same",
        ),
        (
            json!({ "secret": "canary-secret-number-one", "authentication_methods": ["client_secret_jwt"] }),
            "billing.secret: the client's secret is shorter than 32 bytes, which is too short for `client_secret_jwt`",
        ),
        (
            json!({ "secret": SECRET, "authentication_methods": ["client_secret_basic", "private_key_jwt"] }),
            "billing.authentication_methods[1]: the client has no public key to verify its assertions with",
        ),
        (
            json!({ "jwks_uri": "https://a.example/", "authentication_methods": ["private_key_jwt", "client_secret_post"] }),
            "billing.authentication_methods[1]: the client has no secret for `client_secret_post`",
        ),
        (
            json!({ "secret": SECRET, "authentication_methods": [] }),
            "billing.authentication_methods: the client could not authenticate at all",
        ),
        (
            json!({ "secret": SECRET, "public_keys": ["/nowhere/key.pem"] }),
            "billing.public_keys[0]: /nowhere/key.pem cannot be read: No such file or directory (os error 2)",
        ),
        (
            json!({ "jwks_uri": "ftp://a.example/" }),
            "billing.jwks_uri: keys cannot be fetched from here: it is not an https URL",
        ),
        (
            json!({ "secret": SECRET, "assertion_issuers": ["corpp"] }),
            "billing.assertion_issuers[0]: there is no issuer `corpp` whose tokens could be assertions",
        ),
        (
            json!({ "secret": SECRET, "assertion_issuers": ["own"] }),
            "billing.assertion_issuers[0]: there is no issuer `own` whose tokens could be assertions",
        ),
        (json!({ "secret": SECRET, "introspects": ["nothing"] }), "billing.introspects[0]: there is no API `nothing`"),
        (
            json!({ "secret": SECRET, "token_lifetime": "20ms" }),
            "billing.token_lifetime: a token must last a second at least",
        ),
        (
            json!({ "secret": SECRET, "token_lifetime": "0s", "grants": { "users": [] } }),
            "billing.token_lifetime: its tokens would never expire, and no API that is granted to it allows that",
        ),
        (
            json!({ "secret": SECRET, "token_lifetime": "2h", "grants": { "users": [], "orders": [] } }),
            "billing.token_lifetime: its tokens cannot last that long: at most 1h at the APIs that are granted to it",
        ),
        (
            json!({ "secret": SECRET, "owner": "o", "claims": { "owner": "other" } }),
            "billing.claims.owner: the claim `owner` is made from the client's `owner`",
        ),
    ] {
        let told = told(client.clone());
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with(&format!("Error {expected}; ")), "{} for {expected}", told[0]);
        assert!(!told[0].contains("canary"), "{}", told[0]);
    }
}

#[test]
fn what_deserves_a_look_is_warned_of() {
    let methods = |methods: &[&str]| json!({ "secret": "canary-secret-number-one", "jwks_uri": "https://a.example/", "authentication_methods": methods });
    for (client, expected) in [
        (json!({ "secret": "short" }), "billing.secret: the client's secret is shorter than 16 characters"),
        (methods(&["private_key_jwt"]), "billing.authentication_methods: the client has a secret and may not use it"),
        (
            methods(&["client_secret_post"]),
            "billing.authentication_methods: the client has public keys and may not use them",
        ),
        (
            methods(&["client_secret_post", "private_key_jwt", "client_secret_post"]),
            "billing.authentication_methods[2]: the method `client_secret_post` is listed twice",
        ),
        (
            json!({ "secret": "canary-secret-number-one", "grants": { "orders": ["orders:read", "orders:read"] } }),
            "billing.grants.orders[1]: the scope `orders:read` is granted twice",
        ),
        (
            json!({ "secret": "canary-secret-number-one", "grants": { "orders": [], "users": [] }, "token_lifetime": "30m" }),
            "billing.token_lifetime: its tokens for `users` last 10m all the same, as the API says",
        ),
    ] {
        let told = told(client);
        assert!(told.len() == 1 && told[0].starts_with(&format!("Warning {expected}; ")), "{told:#?} for {expected}");
    }
}

#[test]
fn public_keys_are_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (one, other) = (file("one.jwk", &EC.jwk().to_string()), file("other.jwk", &ED.jwk().to_string()));
    let client = sound(json!({ "public_keys": [one, other] }));
    assert!(matches!(&client.keys, Some(ClientKeys::Given(keys)) if keys.len() == 2));
    assert!(
        client.allows(AuthenticationMethod::PrivateKeyJwt) && !client.allows(AuthenticationMethod::ClientSecretBasic)
    );
    let told = told(json!({ "public_keys": [one, file("none.pem", "nothing"), one] }));
    assert_eq!(told.len(), 3, "{told:#?}");
    for (line, expected) in told.iter().zip([
        "Error billing.public_keys: 3 public keys are given; at most 2 are accepted",
        "Error billing.public_keys[1]: it is neither PEM nor a JWK",
        "Error billing.public_keys[2]: this public key is given twice",
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
}
