//! The embedded issuer from its configuration to a token that verifies.

use std::{collections::BTreeMap, ops::Deref};

use jsonwebtoken::{DecodingKey, Validation, jwk::JwkSet};
use serde_json::{Map, Value, json};

use super::{
    client::{AuthenticationFailure, AuthenticationMethod},
    *,
};
use crate::{
    auth::key_set::KeySets,
    clock::{ManualClock, UnixTime},
    config::{Config, DialectConfig, StoreConfig},
    diagnostic::Diagnostics,
    oauth::{IssueRefusal, IssuedToken},
    secret::Secret,
    store::Store,
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

/// An issuer, and the control plane that it works on.
struct House {
    server: AuthorizationServer,
    runtime: tokio::runtime::Runtime,
}

impl Deref for House {
    type Target = AuthorizationServer;

    fn deref(&self) -> &AuthorizationServer {
        &self.server
    }
}

fn open(toml: &str) -> (House, tempfile::TempDir) {
    let data_directory = tempfile::tempdir().unwrap();
    let (settings, told) = compile_text(toml);
    let settings = Arc::new(settings.unwrap_or_else(|| panic!("{told:?}")));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let clock = ManualClock::starting_at(NOW).clock();
    let location = StoreConfig::Sqlite(data_directory.path().join("postern.db"));
    let registry = runtime.block_on(async {
        let opening = Opening {
            store: Store::open(&location).await.unwrap(),
            memory: Arc::new(Memory::default()),
            sealing: Sealing::of(None).unwrap(),
            key_sets: Arc::new(KeySets::new(clock.clone(), None)),
            clock,
            control: tokio::runtime::Handle::current(),
        };
        let registry = Registry::open(opening).await.unwrap();
        registry.ensure_keys(settings.algorithm()).await.unwrap();
        registry
    });
    let server = AuthorizationServer::new(settings, registry);
    server.come_into_force();
    (House { server, runtime }, data_directory)
}

fn ask(
    house: &House,
    client_id: &str,
    secret: &str,
    audience: Option<&str>,
    scope: Option<&str>,
) -> Result<IssuedToken, GrantError> {
    let request = GrantRequest { audience, scope, ..GrantRequest::default() };
    ask_in(house, DialectConfig::Oauth2, (client_id, secret), request)
}

fn ask_in(
    house: &House,
    dialect: DialectConfig,
    (client_id, secret): (&str, &str),
    request: GrantRequest<'_>,
) -> Result<IssuedToken, GrantError> {
    let secret = Secret::new(secret.to_owned());
    let proof = Proof::Secret { client_id, secret: &secret, method: AuthenticationMethod::ClientSecretPost };
    house.runtime.block_on(async {
        let client = house.server.authenticate(proof, NOW).await?;
        house.server.grant(&client, dialect, request, NOW).await
    })
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
fn each_dialect_has_its_own_claims() {
    let (house, _data) = open(CONFIG);
    let ask = |dialect| {
        let request =
            GrantRequest { scope: Some("orders:read"), token_name: Some("nightly"), ..GrantRequest::default() };
        let token = ask_in(&house, dialect, ("billing", SECRET), request).unwrap();
        let header = jsonwebtoken::decode_header(token.access_token.expose()).unwrap();
        (header.typ.unwrap(), verified_claims(&house, &token), token)
    };
    let common = json!({
        "iss": "https://api.example.com/tenant/", "aud": ORDERS, "iat": 1_700_000_000, "exp": 1_700_000_600,
        "scope": "orders:read", "tenant_id": "acme", "roles": ["reader", "admin"], "level": 3,
    });
    let with = |own: Value| {
        let mut all = common.as_object().unwrap().clone();
        all.extend(own.as_object().unwrap().clone());
        Value::Object(all)
    };
    let (header_type, claims, token) = ask(DialectConfig::Auth0);
    assert_eq!(header_type, "JWT");
    let own = json!({ "sub": "billing@clients", "azp": "billing", "gty": "client-credentials" });
    assert_eq!(Value::Object(claims), with(own));
    let signing_input = token.access_token.expose().rsplit_once('.').unwrap().0;
    assert_eq!(token.token_id, crate::id::TokenId::of_signing_input(signing_input.as_bytes()));
    let (header_type, mut claims, token) = ask(DialectConfig::Plgd);
    assert_eq!(header_type, "JWT");
    assert_eq!(claims.remove("jti"), Some(json!(token.token_id.to_string())));
    let own = json!({ "sub": "billing", "client_id": "billing", "name": "nightly" });
    assert_eq!(Value::Object(claims), with(own));
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
        assert!(matches!(
            ask(&server, client, secret, None, None),
            Err(GrantError::Authentication(AuthenticationFailure::WrongSecret))
        ));
    }
    for client in ["", "Billing", "billing ", "billing\0", "nobody"] {
        assert!(matches!(
            ask(&server, client, SECRET, None, None),
            Err(GrantError::Authentication(AuthenticationFailure::UnknownClient))
        ));
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
    assert!(matches!(
        ask(&server, "billing", "wrong", None, None),
        Err(GrantError::Authentication(AuthenticationFailure::WrongSecret))
    ));
}

#[test]
fn every_algorithm_issues() {
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        let signing = format!("\n[authorization_server.signing]\nalgorithm = \"{algorithm}\"\n");
        let (server, _data) = open(&format!("{CONFIG}{signing}"));
        let token = ask(&server, "billing", SECRET, None, None).unwrap();
        assert_eq!(verified_claims(&server, &token)["sub"], "billing");
        assert_eq!(server.signing_keys().len(), 2);
    }
}

#[test]
fn another_algorithm_signs_with_new_keys_and_the_old_stay_published() {
    let (house, _data) = open(CONFIG);
    let old = ask(&house, "billing", SECRET, None, None).unwrap();
    let (settings, _) = compile_text(&format!("{CONFIG}\n[authorization_server.signing]\nalgorithm = \"EdDSA\"\n"));
    let settings = Arc::new(settings.unwrap());
    house.runtime.block_on(house.registry().ensure_keys(settings.algorithm())).unwrap();
    let changed = AuthorizationServer::new(settings, Arc::clone(house.registry()));
    let house = House { server: changed, runtime: house.runtime };
    assert_eq!(verified_claims(&house, &old)["sub"], "billing");
    let new = ask(&house, "billing", SECRET, None, None).unwrap();
    assert_eq!(verified_claims(&house, &new)["sub"], "billing");
    let algorithm = |token: &IssuedToken| jsonwebtoken::decode_header(token.access_token.expose()).unwrap().alg;
    assert_eq!((algorithm(&old), algorithm(&new)), (jsonwebtoken::Algorithm::ES256, jsonwebtoken::Algorithm::EdDSA));
}

#[test]
fn the_documents_are_where_the_rfcs_put_them() {
    let (server, _data) = open(CONFIG);
    let paths = server.settings().document_paths().into_iter();
    let documents: BTreeMap<String, Document> =
        paths.map(|path| (path.clone(), server.document(&path).unwrap())).collect();
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
    let methods = json!(["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]);
    let algorithms = &oauth["token_endpoint_auth_signing_alg_values_supported"];
    assert!(["ES256", "EdDSA", "HS256"].iter().all(|one| algorithms.as_array().unwrap().contains(&json!(one))));
    let expected = json!({
        "issuer": "https://api.example.com/tenant/",
        "token_endpoint": "https://api.example.com/oauth/token",
        "jwks_uri": "https://api.example.com/tenant/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": "https://api.example.com/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": "https://api.example.com/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
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
        "Error authorization_server: the embedded issuer has nowhere to keep its keys and clients; set `store`, like \"sqlite:data/postern.db\", or `data_directory` in [process]",
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
    assert!(settings.is_some());
    let (server, _data) = open(include_str!("../../config/demo.toml"));
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
    let mut shown = format!("{:?} {token:?}", server.server);
    for error in errors {
        shown.push_str(&format!("{error} {error:?}"));
    }
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains(token.access_token.expose()));
}
