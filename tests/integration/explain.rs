//! `postern explain` and `postern token inspect`: what becomes of a request or a token, without asking anybody.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::{Value, json};

use super::command_line::postern;
use crate::support::{
    forge::{SigningKey, claims, now},
    launch::write,
};

/// An issuer that nobody answers for: a command that asked it for keys would fail or hang.
const CONFIG: &str = r#"
[listeners.public]
address = "127.0.0.1:8080"
[issuers.corp]
issuer = "https://192.0.2.1/"
jwks_uri = "https://192.0.2.1/jwks"
audience = "https://api.test/orders"
revocation = { tokens_endpoint = "https://192.0.2.1/tokens" }
[issuers.vague]
issuer = "https://192.0.2.2/"
audience = "https://api.test/orders"
algorithms = []
introspection = { endpoint = "https://192.0.2.2/introspect", client_id = "postern", client_secret = "s" }
[upstreams.orders]
endpoints = ["http://127.0.0.1:9001"]
[routes.read]
host = "api.test"
path = "/v1/tenants/{tenant}/orders/{*rest}"
methods = ["GET"]
upstream = "orders"
strip_prefix = "/v1"
[routes.read.require]
issuers = ["corp"]
scopes = ["orders:read"]
path_claims = { tenant = "tenant_id" }
[routes.trial]
path = "/trial"
upstream = "orders"
mode = "report"
[routes.trial.require]
issuers = ["corp"]
scopes = ["orders:write"]
[routes.vague]
path = "/vague"
upstream = "orders"
[routes.vague.require]
[routes.health]
path = "/healthz"
upstream = "orders"
public = true
limit = { requests = 100, per = "1s", by = "peer" }
"#;

const URL: &str = "https://api.test/v1/tenants/acme/orders/7";

fn token(change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims("https://192.0.2.1/");
    change(&mut claims);
    SigningKey::es256("k1").token(&claims)
}

fn expired_an_hour_ago(claims: &mut Value) {
    claims["iat"] = json!(now() - 7200);
    claims["exp"] = json!(now() - 3600);
}

/// Runs it with `input` on standard input.
fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = postern(folder, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// What `explain` says in both forms: the text, and the document.
fn explained(token: Option<&str>, method: &str, url: &str) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "postern.toml", CONFIG);
    let mut forms = Vec::new();
    for format in ["text", "json"] {
        let mut arguments = vec!["explain", "-c", "postern.toml", "--format", format];
        arguments.extend(token.iter().flat_map(|_| ["--token", "-"]));
        arguments.extend([method, url]);
        let output = run(folder.path(), &arguments, token.unwrap_or_default());
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        if let Some(token) = token {
            let signature = token.rsplit('.').next().unwrap();
            assert!(signature.is_empty() || !shown.contains(signature), "{shown}");
        }
        forms.push(shown);
    }
    let document = serde_json::from_str(&forms[1]).unwrap();
    (forms.swap_remove(0), document)
}

fn assert_outcome(
    token: Option<&str>,
    method: &str,
    url: &str,
    forwarded: bool,
    status: Value,
    reason: Value,
) -> (String, Value) {
    let (text, document) = explained(token, method, url);
    let outcome = &document["outcome"];
    assert_eq!(
        (&outcome["forwarded"], &outcome["status"], &outcome["reason"]),
        (&forwarded.into(), &status, &reason),
        "{document:#}"
    );
    if let Some(reason) = reason.as_str() {
        assert!(text.contains(reason) && text.contains(&status.to_string()), "{text}");
    }
    (text, document)
}

#[test]
fn an_allowed_request_is_explained_rule_by_rule() {
    let token = token(|_| {});
    let (text, document) = assert_outcome(Some(&token), "GET", URL, true, Value::Null, Value::Null);
    assert_eq!((&document["route"], &document["upstream"]), (&json!("read"), &json!("orders")));
    assert_eq!(document["forwarded_as"], "/tenants/acme/orders/7");
    assert!(document["rules"].as_array().unwrap().iter().all(|rule| rule["satisfied"] == true), "{document:#}");
    assert!(text.contains("would be forwarded") && text.contains("the signature was not verified"), "{text}");
    assert!(text.contains("whether the token was revoked was not asked"), "{text}");
}

#[test]
fn a_refused_request_is_explained_with_the_reason_that_the_caller_would_get() {
    let without_scope = token(|claims| claims["scope"] = json!("other"));
    let (text, document) = assert_outcome(Some(&without_scope), "GET", URL, false, json!(403), json!("scope_missing"));
    assert!(text.contains("orders:read"), "{text}");
    let refused: Vec<_> =
        document["rules"].as_array().unwrap().iter().filter(|rule| rule["satisfied"] == false).collect();
    assert_eq!(refused.len(), 1, "{document:#}");

    let of_another = token(|claims| claims["tenant_id"] = json!("other"));
    assert_outcome(Some(&of_another), "GET", URL, false, json!(403), json!("path_claim_mismatch"));
    let expired = token(expired_an_hour_ago);
    assert_outcome(Some(&expired), "GET", URL, false, json!(401), json!("token_expired"));
    let for_another = token(|claims| claims["aud"] = json!("https://other.test"));
    assert_outcome(Some(&for_another), "GET", URL, false, json!(403), json!("audience_mismatch"));
    assert_outcome(Some("garbage"), "GET", URL, false, json!(401), json!("token_malformed"));
    assert_outcome(None, "GET", URL, false, json!(401), json!("no_token"));
}

#[test]
fn what_only_its_issuer_could_tell_of_a_token_is_said_to_be_unknown() {
    let (url, unknown) = ("http://a/vague", json!("introspection_unavailable"));
    let (text, _) = assert_outcome(Some("2YotnFZFEjr1zCsicMWpAA"), "GET", url, false, json!(503), unknown);
    assert!(text.contains("the token is opaque: issuer vague would be asked what it means, and was not"), "{text}");
}

#[test]
fn a_request_that_meets_no_rules_is_explained_too() {
    let token = token(|_| {});
    assert_outcome(Some(&token), "GET", "https://api.test/nowhere", false, json!(404), json!("no_route"));
    assert_outcome(Some(&token), "POST", URL, false, json!(405), json!("method_not_allowed"));
    assert_outcome(Some(&token), "GET", "https://api.test/v1//x", false, json!(400), json!("path_ambiguous"));
    let (text, document) = assert_outcome(None, "GET", "http://other.test/healthz", true, Value::Null, Value::Null);
    assert!(text.contains("public") && text.contains("limit 100 per 1s by peer"), "{text}");
    assert_eq!(document["rules"], json!([]));
}

#[test]
fn a_method_that_is_never_forwarded_is_not_said_to_be() {
    assert_outcome(None, "TRACE", "http://other.test/healthz", false, json!(501), json!("method_not_forwarded"));
}

#[test]
fn a_route_that_only_reports_is_said_to_let_through_all_the_same() {
    let (text, _) =
        assert_outcome(Some(&token(|_| {})), "GET", "http://a/trial", true, json!(403), json!("scope_missing"));
    assert!(text.contains("only reports"), "{text}");
    assert_outcome(None, "GET", "http://a/trial", true, json!(401), json!("no_token"));
}

#[test]
fn a_token_is_taken_apart_without_showing_what_could_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let token = token(expired_an_hour_ago);
    let signature = token.rsplit('.').next().unwrap();
    for arguments in
        [&["token", "inspect", "-"][..], &["token", "inspect", "--json", "-"], &["token", "inspect", &token]]
    {
        let output = run(folder.path(), arguments, &format!("Bearer {token}\n"));
        let shown = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{shown}");
        for word in ["ES256", "k1", "https://192.0.2.1/", "orders:read", "expired"] {
            assert!(shown.contains(word), "{word} is not in {shown}");
        }
        assert!(!shown.contains(signature) && !shown.contains('\u{1b}'), "{shown}");
    }
    let output = run(folder.path(), &["token", "inspect", "not a token"], "");
    assert_eq!(output.status.code(), Some(1));
}
