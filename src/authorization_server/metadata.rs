//! Owns: what the issuer publishes about itself.
//! Refuses: promising what it does not do: no authorization endpoint, no ID tokens.
//! Always holds: the `issuer` in a document is byte for byte the `iss` of the tokens (RFC 8414 section 3.3).

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    settings::{Purpose, Settings},
    signing_keys::jose_algorithm,
};
use crate::{config::DialectConfig, jose::Algorithm};

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

/// The metadata of RFC 8414, and the configuration of OpenID Connect Discovery; and of each `plgd` endpoint its own.
pub(super) fn documents(settings: &Settings) -> Vec<Document> {
    let issuer = settings.issuer_url();
    let oauth = authorization_server_metadata(settings);
    let mut openid = oauth.clone();
    // Required by OpenID Connect Discovery 1.0 section 3. `authorization_endpoint` is too, and would be a lie.
    openid.insert("subject_types_supported".to_owned(), json!(["public"]));
    openid.insert(
        "id_token_signing_alg_values_supported".to_owned(),
        json!([jose_algorithm(settings.algorithm()).name()]),
    );
    let own_place = issuer.openid_configuration_path();
    let mut documents =
        vec![document(issuer.authorization_server_metadata_path(), "application/json", json_bytes(oauth))];
    for base in settings.plgd_bases() {
        let path = format!("{}/.well-known/openid-configuration", base.path);
        let tokens = json!(format!("{}/api/v1/tokens", base.url));
        if path == own_place {
            openid.insert("plgd_tokens_endpoint".to_owned(), tokens);
            // Clients of plgd look here and nowhere else; those of RFC 6749 have the document of RFC 8414, too.
            openid.insert("token_endpoint".to_owned(), json!(base.token_url));
        } else if !documents.iter().any(|document| document.path == path) {
            let members = [
                ("issuer", json!(**issuer.text())),
                ("token_endpoint", json!(base.token_url)),
                ("jwks_uri", json!(format!("{}/.well-known/jwks.json", base.url))),
                ("plgd_tokens_endpoint", tokens),
            ];
            let members = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            documents.push(document(path, "application/json", json_bytes(members)));
        }
    }
    documents.push(document(own_place, "application/json", json_bytes(openid)));
    documents
}

/// The key document, as it is now.
pub(super) fn key_document(path: String, jwks: Bytes) -> Document {
    // RFC 7517 section 8.5.2.
    document(path, "application/jwk-set+json", jwks)
}

fn document(path: String, content_type: &'static str, body: Bytes) -> Document {
    Document { path, content_type, cache_control: CACHE_CONTROL, body }
}

/// The metadata of RFC 8414 section 2.
fn authorization_server_metadata(settings: &Settings) -> Map<String, Value> {
    let issuer = settings.issuer_url();
    let mut metadata = Map::new();
    let mut set = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    set("issuer", json!(**issuer.text()));
    let oauth2 = |purpose| settings.place(DialectConfig::Oauth2, purpose);
    let any = || settings.place(DialectConfig::Auth0, Purpose::Token);
    if let Some(token_endpoint) = oauth2(Purpose::Token).or_else(any) {
        set("token_endpoint", json!(token_endpoint));
    }
    set("jwks_uri", json!(issuer.at(None, &issuer.jwks_path())));
    set("grant_types_supported", json!(["client_credentials"]));
    let methods = json!(["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"]);
    let algorithms = json!(assertion_algorithms());
    set("token_endpoint_auth_methods_supported", methods.clone());
    set("token_endpoint_auth_signing_alg_values_supported", algorithms.clone());
    for (name, purpose) in [("revocation", Purpose::Revocation), ("introspection", Purpose::Introspection)] {
        if let Some(url) = oauth2(purpose) {
            set(&format!("{name}_endpoint"), json!(url));
            set(&format!("{name}_endpoint_auth_methods_supported"), methods.clone());
            set(&format!("{name}_endpoint_auth_signing_alg_values_supported"), algorithms.clone());
        }
    }
    // Required, and empty: every response type belongs to an authorization endpoint.
    set("response_types_supported", json!([]));
    set("scopes_supported", json!(settings.scopes()));
    metadata
}

/// What client assertions may be signed with: HS256 by `client_secret_jwt` only.
fn assertion_algorithms() -> Vec<&'static str> {
    Algorithm::ALL.iter().map(|algorithm| algorithm.name()).chain(["HS256"]).collect()
}

fn json_bytes(document: Map<String, Value>) -> Bytes {
    Bytes::from(Value::Object(document).to_string())
}
