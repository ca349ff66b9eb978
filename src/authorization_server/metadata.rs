//! Owns: what the issuer publishes about itself.
//! Refuses: promising what it does not do: no authorization endpoint, no ID tokens.
//! Always holds: the `issuer` in a document is byte for byte the `iss` of the tokens (RFC 8414 section 3.3).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{settings::Settings, signing_keys::jose_algorithm};

/// How long others may keep a document, in seconds: short enough that a new key is known before it signs.
const CACHE_CONTROL: &str = "public, max-age=300";

/// A document to be served on the public listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path, which has no parameters.
    pub path: String,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The value of `Cache-Control`.
    pub cache_control: &'static str,
    /// What is served.
    pub body: Bytes,
}

/// The key document, the metadata of RFC 8414, and the configuration of OpenID Connect Discovery.
pub(super) fn documents(settings: &Settings, jwks: Bytes) -> Vec<Document> {
    let issuer = settings.issuer_url();
    let oauth = authorization_server_metadata(settings);
    let mut openid = oauth.clone();
    // Required by OpenID Connect Discovery 1.0 section 3. `authorization_endpoint` is too, and would be a lie.
    openid.insert("subject_types_supported".to_owned(), json!(["public"]));
    openid.insert(
        "id_token_signing_alg_values_supported".to_owned(),
        json!([jose_algorithm(settings.algorithm()).name()]),
    );
    let document =
        |path: String, content_type, body| Document { path, content_type, cache_control: CACHE_CONTROL, body };
    vec![
        // RFC 7517 section 8.5.2.
        document(issuer.jwks_path(), "application/jwk-set+json", jwks),
        document(issuer.authorization_server_metadata_path(), "application/json", json_bytes(oauth)),
        document(issuer.openid_configuration_path(), "application/json", json_bytes(openid)),
    ]
}

/// The metadata of RFC 8414 section 2.
fn authorization_server_metadata(settings: &Settings) -> Map<String, Value> {
    let issuer = settings.issuer_url();
    let mut metadata = Map::new();
    let mut set = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    set("issuer", json!(**issuer.text()));
    if let Some(token_endpoint) = settings.token_endpoint() {
        set("token_endpoint", json!(token_endpoint));
    }
    set("jwks_uri", json!(issuer.at(None, &issuer.jwks_path())));
    set("grant_types_supported", json!(["client_credentials"]));
    set("token_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post"]));
    // Required, and empty: every response type belongs to an authorization endpoint.
    set("response_types_supported", json!([]));
    set("scopes_supported", json!(settings.scopes()));
    metadata
}

fn json_bytes(document: Map<String, Value>) -> Bytes {
    Bytes::from(Value::Object(document).to_string())
}
