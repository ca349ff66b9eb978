//! Whom a fetch believes.

use super::super::testing::{Reply, ScriptedIssuer, Side, eventually, fetches, listed_key};

#[tokio::test]
async fn the_authorities_of_the_issuers_own_file_are_believed_and_no_others() {
    let (issuer, ca) = ScriptedIssuer::start_with_tls().await;
    let (_, other_ca) = ScriptedIssuer::start_with_tls().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let toml = format!("jwks_uri = '{}'\n[key_set]\nca = '{}'", issuer.url("/jwks"), file.display());
    let side = Side::new();

    std::fs::write(&file, other_ca).unwrap();
    let distrusting = side.start(&toml);
    eventually("a refusal", || fetches(&distrusting.status(), "unreachable") >= 1).await;
    assert!(!distrusting.is_ready());
    assert!(distrusting.status().last_error.unwrap().contains("certificate"), "{:?}", distrusting.status());

    let system = side.start(&format!("jwks_uri = '{}'", issuer.url("/jwks")));
    eventually("a refusal", || fetches(&system.status(), "unreachable") >= 1).await;
    assert!(!system.is_ready());
    assert_eq!(issuer.count("/jwks"), 0);

    // The same path with another content is another set.
    std::fs::write(&file, ca).unwrap();
    let trusting = side.ready(&toml).await;
    assert_eq!(side.ids(&trusting), ["one"]);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (issuer, ca) = ScriptedIssuer::start_with_tls().await;
    issuer.set("/jwks", Reply::keys(&[listed_key("one")]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, ca).unwrap();
    let url = format!("https://localhost:{}/jwks", issuer.address.port());
    let side = Side::new();
    let set = side.start(&format!("jwks_uri = '{url}'\n[key_set]\nca = '{}'", file.display()));
    eventually("a refusal", || fetches(&set.status(), "unreachable") >= 1).await;
    assert_eq!(issuer.count("/jwks"), 0);
}
