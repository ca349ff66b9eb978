//! The embedded issuer from its configuration to a token that verifies.

use std::collections::BTreeMap;

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Map, Value, json};

use super::*;
use crate::{
    config::Config,
    diagnostic::Diagnostics,
    oauth::{IssueRefusal, IssuedToken},
    secret::Secret,
};

const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);
const SECRET: &str = "canary-secret-of-billing";
const ORDERS: &str = "https://api.example.com/orders";

const CONFIG: &str = r#"
[process]
data_directory = "/nowhere"
[token_endpoints.oauth]
path = "/oauth/token"
serve = "embedded"
[authorization_server]
issuer = "https://api.example.com/tenant/"
token_lifetime = "1h"
[authorization_server.apis."https://api.example.com/orders"]
scopes = ["orders:read", "orders:write", "orders:admin"]
token_lifetime = "10m"
[authorization_server.apis."https://api.example.com/users"]
scopes = ["users:read"]
[authorization_server.apis."https://api.example.com/plain"]
[authorization_server.clients.billing]
secret = "canary-secret-of-billing"
grants = { "https://api.example.com/orders" = ["orders:read", "orders:write"] }
claims = { tenant_id = "acme", roles = ["reader", "admin"], level = 3 }
[authorization_server.clients.both]
secret = "canary-secret-of-both"
grants = { "https://api.example.com/orders" = ["orders:read"], "https://api.example.com/users" = ["users:read"] }
[authorization_server.clients.none]
secret = "canary-secret-of-none"
[authorization_server.clients.scopeless]
secret = "canary-secret-of-scopeless"
grants = { "https://api.example.com/plain" = [] }
"#;

fn compile_text(toml: &str) -> (Option<Settings>, Vec<String>) {
    let config: Config = toml::from_str(toml).unwrap();
    let mut diagnostics = Diagnostics::new();
    let settings = compile(&config, &mut diagnostics);
    let told = diagnostics.iter().map(|diagnostic| {
        format!("{:?} {}: {}; {}", diagnostic.severity, diagnostic.path, diagnostic.message, diagnostic.remedy)
    });
    (settings, told.collect())
}

fn open(toml: &str) -> (AuthorizationServer, tempfile::TempDir) {
    let data_directory = tempfile::tempdir().unwrap();
    let (settings, told) = compile_text(toml);
    let settings = Arc::new(settings.unwrap_or_else(|| panic!("{told:?}")));
    let server = AuthorizationServer::open(settings, data_directory.path(), None, NOW);
    (server.unwrap(), data_directory)
}

fn ask(
    server: &AuthorizationServer,
    client_id: &str,
    secret: &str,
    audience: Option<&str>,
    scope: Option<&str>,
) -> Result<IssuedToken, GrantError> {
    let client_secret = Secret::new(secret.to_owned());
    server.issue(&GrantRequest { client_id, client_secret: &client_secret, audience, scope }, NOW)
}

fn verified_claims(server: &AuthorizationServer, token: &IssuedToken) -> Map<String, Value> {
    let document: JwkSet = serde_json::from_slice(&server.jwks()).unwrap();
    let token = token.access_token.expose();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = DecodingKey::from_jwk(document.find(&header.kid.unwrap()).unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.set_audience(&[ORDERS, "https://api.example.com/users", "https://api.example.com/plain"]);
    jsonwebtoken::decode(token, &key, &validation).unwrap().claims
}

#[test]
fn a_token_says_what_rfc_9068_asks_for() {
    let (server, _data) = open(CONFIG);
    let token = ask(&server, "billing", SECRET, Some(ORDERS), Some("orders:write")).unwrap();
    let mut claims = verified_claims(&server, &token);
    let token_id = claims.remove("jti").unwrap();
    assert_eq!(token_id.as_str(), Some(token.token_id.to_string().as_str()));
    let expected = json!({
        "iss": "https://api.example.com/tenant/",
        "sub": "billing",
        "aud": ORDERS,
        "iat": 1_700_000_000,
        "exp": 1_700_000_600,
        "client_id": "billing",
        "scope": "orders:write",
        "tenant_id": "acme",
        "roles": ["reader", "admin"],
        "level": 3,
    });
    assert_eq!(Value::Object(claims), expected);
    assert_eq!((token.lifetime.map(|lifetime| lifetime.as_secs()), &*token.client_id), (Some(600), "billing"));
    let again = ask(&server, "billing", SECRET, Some(ORDERS), Some("orders:write")).unwrap();
    assert_ne!(again.token_id, token.token_id);
}

#[test]
fn verification_accepts_what_is_issued() {
    let (server, _data) = open(CONFIG);
    let token = ask(&server, "billing", SECRET, None, None).unwrap();
    let (signing_input, signature) = token.access_token.expose().rsplit_once('.').unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let keys = server.verification_keys().unwrap();
    let good: Vec<bool> = keys
        .iter()
        .map(|(key, _)| key.verify(crate::jose::Algorithm::Es256, signing_input.as_bytes(), &signature).is_ok())
        .collect();
    assert_eq!(good, [true, false]);
    assert!(keys.iter().all(|(_, created_at)| *created_at == NOW));
}

#[test]
fn scopes_are_those_asked_for_or_all_that_were_granted() {
    let (server, _data) = open(CONFIG);
    for (client, audience, asked, expected) in [
        ("billing", None, None, Some("orders:read orders:write")),
        ("billing", None, Some("orders:read"), Some("orders:read")),
        ("billing", None, Some("orders:write orders:read orders:write"), Some("orders:write orders:read")),
        ("both", Some("https://api.example.com/users"), None, Some("users:read")),
        ("scopeless", None, None, None),
    ] {
        let token = ask(&server, client, &format!("canary-secret-of-{client}"), audience, asked).unwrap();
        assert_eq!(token.scope.as_deref(), expected);
        let claims = verified_claims(&server, &token);
        assert_eq!(claims.get("scope").and_then(Value::as_str), expected);
        assert_eq!(claims.contains_key("scope"), expected.is_some());
    }
}

#[test]
fn every_refusal_has_its_cause() {
    let (server, _data) = open(CONFIG);
    for (client, audience, scope, expected) in [
        ("none", None, None, IssueRefusal::NoGrants),
        ("none", Some(ORDERS), None, IssueRefusal::NoGrants),
        ("both", None, None, IssueRefusal::AudienceMissing),
        ("billing", Some("https://api.example.com/users"), None, IssueRefusal::AudienceNotGranted),
        ("billing", Some("https://api.example.com/nothing"), None, IssueRefusal::UnknownAudience),
        ("billing", Some(""), None, IssueRefusal::UnknownAudience),
        ("billing", None, Some("orders:admin"), IssueRefusal::ScopeNotGranted),
        ("billing", None, Some("orders:read orders:admin"), IssueRefusal::ScopeNotGranted),
        ("billing", None, Some("users:read"), IssueRefusal::ScopeNotGranted),
        ("billing", None, Some("orders:read  orders:write"), IssueRefusal::MalformedScope),
        ("billing", None, Some(""), IssueRefusal::MalformedScope),
        ("scopeless", None, Some("orders:read"), IssueRefusal::ScopeNotGranted),
    ] {
        match ask(&server, client, &format!("canary-secret-of-{client}"), audience, scope) {
            Err(GrantError::Refused { client_id, refusal }) => assert_eq!((&*client_id, refusal), (client, expected)),
            other => panic!("{client} {audience:?} {scope:?}: {other:?}"),
        }
    }
}

#[test]
fn nobody_gets_in_with_another_secret_or_name() {
    let (server, _data) = open(CONFIG);
    for (client, secret) in
        [("billing", ""), ("billing", "canary-secret-of-both"), ("billing", SECRET.trim_start_matches("canary"))]
    {
        assert!(matches!(ask(&server, client, secret, None, None), Err(GrantError::WrongSecret)));
    }
    for client in ["", "Billing", "billing ", "billing\0", "nobody"] {
        assert!(matches!(ask(&server, client, SECRET, None, None), Err(GrantError::UnknownClient)));
    }
    assert!(ask(&server, "billing", SECRET, None, None).is_ok());
}

#[test]
fn switched_off_means_that_nothing_is_issued() {
    let (server, _data) = open(&CONFIG.replace("token_lifetime = \"1h\"", "m2m_enabled = false"));
    assert!(!server.is_enabled());
    let answer = ask(&server, "billing", SECRET, None, None);
    assert!(matches!(answer, Err(GrantError::Refused { refusal: IssueRefusal::Disabled, .. })), "{answer:?}");
    // A stranger is not told.
    assert!(matches!(ask(&server, "billing", "wrong", None, None), Err(GrantError::WrongSecret)));
}

#[test]
fn every_algorithm_issues() {
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        let signing = format!("\n[authorization_server.signing]\nalgorithm = \"{algorithm}\"\n");
        let (server, _data) = open(&format!("{CONFIG}{signing}"));
        let token = ask(&server, "billing", SECRET, None, None).unwrap();
        assert_eq!(verified_claims(&server, &token)["sub"], "billing");
        assert_eq!(server.verification_keys().unwrap().len(), 2);
    }
}

#[test]
fn a_reload_keeps_the_open_keys_unless_the_algorithm_changes() {
    let (server, data) = open(CONFIG);
    let (settings, _) = compile_text(&CONFIG.replace("1h", "2h"));
    let reloaded = AuthorizationServer::open(Arc::new(settings.unwrap()), data.path(), Some(&server), NOW).unwrap();
    assert!(Arc::ptr_eq(server.keys(), reloaded.keys()));
    let (settings, _) = compile_text(&format!("{CONFIG}\n[authorization_server.signing]\nalgorithm = \"EdDSA\"\n"));
    let changed = AuthorizationServer::open(Arc::new(settings.unwrap()), data.path(), Some(&reloaded), NOW).unwrap();
    assert!(!Arc::ptr_eq(server.keys(), changed.keys()));
    let old = ask(&server, "billing", SECRET, None, None).unwrap();
    assert_eq!(verified_claims(&changed, &old)["sub"], "billing");
}

#[test]
fn the_documents_are_where_the_rfcs_put_them() {
    let (server, _data) = open(CONFIG);
    let documents: BTreeMap<String, Document> =
        server.documents().into_iter().map(|document| (document.path.clone(), document)).collect();
    let paths: Vec<&str> = documents.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/.well-known/oauth-authorization-server/tenant",
            "/tenant/.well-known/jwks.json",
            "/tenant/.well-known/openid-configuration",
        ]
    );
    assert!(documents.values().all(|document| document.cache_control == "public, max-age=300"));
    assert_eq!(documents["/tenant/.well-known/jwks.json"].body, server.jwks());
    let oauth: Value =
        serde_json::from_slice(&documents["/.well-known/oauth-authorization-server/tenant"].body).unwrap();
    let expected = json!({
        "issuer": "https://api.example.com/tenant/",
        "token_endpoint": "https://api.example.com/oauth/token",
        "jwks_uri": "https://api.example.com/tenant/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "response_types_supported": [],
        "scopes_supported": ["orders:admin", "orders:read", "orders:write", "users:read"],
    });
    assert_eq!(oauth, expected);
    let openid: Value = serde_json::from_slice(&documents["/tenant/.well-known/openid-configuration"].body).unwrap();
    assert_eq!(openid["id_token_signing_alg_values_supported"], json!(["ES256"]));
    assert_eq!(openid["issuer"], oauth["issuer"]);
    assert_eq!(openid["jwks_uri"], oauth["jwks_uri"]);
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_remedy() {
    let (settings, told) = compile_text(
        r#"
[authorization_server]
issuer = "https://api.example.com/?x"
token_lifetime = "31d"
[authorization_server.apis."https://api.example.com/orders"]
scopes = ["orders:read", "orders write"]
token_lifetime = "0s"
[authorization_server.clients.billing]
secret = ""
grants = { "https://api.example.com/order" = ["orders:read"], "https://api.example.com/orders" = ["orders:raed", "zzz"] }
claims = { sub = "me", scp = "all" }
"#,
    );
    assert!(settings.is_none());
    let expected = [
        "Error authorization_server: the embedded issuer has nowhere to keep its signing keys; set `data_directory` in [process]",
        "Error authorization_server.issuer: the issuer has a query or a fragment; leave out what begins with `?` or `#`",
        "Error authorization_server.token_lifetime: a token must not last longer than 30 days; write \"30d\" or less",
        "Error authorization_server.apis.\"https://api.example.com/orders\".token_lifetime: a token must last a second at least; write a duration like \"1h\"",
        "Error authorization_server.apis.\"https://api.example.com/orders\".scopes[1]: `orders write` cannot be a scope; use visible ASCII characters, without spaces, quotation marks and backslashes",
        "Error authorization_server.clients.billing.secret: the client's secret is empty; make one with `openssl rand -hex 32`",
        "Error authorization_server.clients.billing.claims.scp: the claim `scp` is the issuer's to set; leave it out, or choose a name of your own",
        "Error authorization_server.clients.billing.claims.sub: the claim `sub` is the issuer's to set; leave it out, or choose a name of your own",
        "Error authorization_server.clients.billing.grants.\"https://api.example.com/order\": there is no API `https://api.example.com/order`; did you mean `https://api.example.com/orders`?",
        "Error authorization_server.clients.billing.grants.\"https://api.example.com/orders\"[0]: the API `https://api.example.com/orders` has no scope `orders:raed`; did you mean `orders:read`?",
        "Error authorization_server.clients.billing.grants.\"https://api.example.com/orders\"[1]: the API `https://api.example.com/orders` has no scope `zzz`; add it to the scopes of [authorization_server.apis.\"https://api.example.com/orders\"]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_deserves_a_look_is_warned_of_and_applied() {
    let (settings, told) = compile_text(
        "[process]\ndata_directory = \"/x\"\n[authorization_server]\nissuer = \"http://id.example/\"\n\
         [authorization_server.clients.a]\nsecret = \"short\"\n",
    );
    assert!(settings.is_some());
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|line| line.starts_with("Warning")), "{told:?}");
    assert!(told.iter().all(|line| !line.contains("short\"") && !line.contains("`short`")), "{told:?}");
    assert_eq!(compile_text("").1, Vec::<String>::new());
}

#[test]
fn the_demo_compiles_without_a_remark() {
    let (settings, told) = compile_text(include_str!("../../config/demo.toml"));
    assert_eq!(told, [""; 0]);
    let directory = tempfile::tempdir().unwrap();
    let server = AuthorizationServer::open(Arc::new(settings.unwrap()), directory.path(), None, NOW).unwrap();
    let token = ask(&server, "demo", "demo-secret-not-for-production", None, None).unwrap();
    assert_eq!(token.scope.as_deref(), Some("orders:read"));
}

#[test]
fn compiling_makes_no_keys() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (settings, _) = compile_text(&CONFIG.replace("/nowhere", data.to_str().unwrap()));
    assert!(settings.is_some());
    assert!(!data.exists());
}

#[test]
fn no_secret_and_no_token_is_shown() {
    let (server, _data) = open(CONFIG);
    let token = ask(&server, "billing", SECRET, None, None).unwrap();
    let errors = [
        ask(&server, "billing", "canary-wrong", None, None).unwrap_err(),
        ask(&server, "canary-id", "canary-wrong", None, None).unwrap_err(),
        ask(&server, "billing", SECRET, Some("canary-audience"), Some("canary-scope")).unwrap_err(),
    ];
    let mut shown = format!("{server:?} {token:?}");
    for error in errors {
        shown.push_str(&format!("{error} {error:?}"));
    }
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains(token.access_token.expose()));
}
