//! `[authorization_server]` and `[token_endpoints.*]`: where tokens are issued.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{HumanDuration, SecretConfig};

/// Where a client posts to get a token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenEndpointConfig {
    /// The host asked for; default: any.
    pub host: Option<String>,
    /// The path, without parameters.
    pub path: String,
    /// The shape of requests and answers.
    #[serde(default)]
    pub dialect: DialectConfig,
    /// Who issues.
    pub serve: ServeConfig,
}

/// The shape of token requests and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DialectConfig {
    /// RFC 6749.
    #[default]
    Oauth2,
}

/// Who issues the tokens of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServeConfig {
    /// The `[authorization_server]` of this configuration.
    Embedded,
}

/// The embedded issuer. Its key document and metadata are served beside the routes, at the paths RFC 8414 and OpenID
/// Connect Discovery give to its `issuer`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerConfig {
    /// Its name in the `iss` claim: a URL without query and fragment.
    pub issuer: String,
    /// How long a token lasts, unless its API says otherwise; at most 30 days.
    #[serde(default = "default_token_lifetime")]
    pub token_lifetime: HumanDuration,
    /// `false`: nothing is issued and every token of this issuer is refused, until it is `true` again.
    #[serde(default = "yes")]
    pub m2m_enabled: bool,
    /// Its keys.
    #[serde(default)]
    pub signing: SigningConfig,
    /// The audiences for which it issues, each under its name as it stands in `aud`.
    #[serde(default)]
    pub apis: BTreeMap<String, ApiConfig>,
    /// The clients.
    #[serde(default)]
    pub clients: BTreeMap<String, ClientConfig>,
}

const fn default_token_lifetime() -> HumanDuration {
    HumanDuration::from_seconds(3600)
}

const fn yes() -> bool {
    true
}

/// The keys of the embedded issuer, made at the first start and kept in the data directory.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigningConfig {
    /// The algorithm of new tokens.
    pub algorithm: SigningAlgorithmConfig,
}

/// An algorithm to sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 section 3.1 and RFC 8037 section 3.1")]
pub enum SigningAlgorithmConfig {
    #[default]
    ES256,
    RS256,
    PS256,
    EdDSA,
}

/// An audience of the embedded issuer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Every scope there is.
    pub scopes: Vec<String>,
    /// How long a token for it lasts; default: the issuer's.
    pub token_lifetime: Option<HumanDuration>,
}

/// A client of the embedded issuer; its name is its `client_id`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Its secret.
    pub secret: SecretConfig,
    /// The scopes it may ask for, by audience.
    #[serde(default)]
    pub grants: BTreeMap<String, Vec<String>>,
    /// Claims put into its tokens; they never replace those that the issuer sets.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub claims: BTreeMap<String, serde_json::Value>,
}
