//! `[authorization_server]`: the embedded issuer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    store::StoreConfig,
    value::{FilePath, HumanDuration, SecretConfig},
};

/// The embedded issuer. Its key document and metadata are served beside the routes, at the paths RFC 8414 and OpenID
/// Connect Discovery give to its `issuer`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationServerConfig {
    /// Its name in the `iss` claim: a URL without query and fragment.
    pub issuer: String,
    /// Where clients, tokens, revocations and keys are kept: `"sqlite:FILE"`, or `"postgres://..."` when several replicas
    /// share it. Default: `postern.db` in the data directory. Read at start only.
    pub store: Option<StoreConfig>,
    /// The secret under which private keys are encrypted in the store, 32 characters or more. Without it they are kept in
    /// clear. Read at start only.
    pub encryption_key: Option<SecretConfig>,
    /// How long a token lasts, unless its API says otherwise; at most 30 days.
    #[serde(default = "default_token_lifetime")]
    pub token_lifetime: HumanDuration,
    /// `false`: nothing is issued and every token of this issuer is refused, until it is `true` again.
    #[serde(default = "yes")]
    pub m2m_enabled: bool,
    /// What users and tenants may create for themselves, unless the dialect's own management says otherwise; absent:
    /// nothing.
    pub api_tokens: Option<ApiTokenStrategyConfig>,
    /// The audience of tokens that users and tenants get for themselves: one of `apis`; may be left out if there is one
    /// only.
    pub api_token_audience: Option<String>,
    /// What an access token looks like that a user or tenant creates.
    #[serde(default)]
    pub api_token_format: ApiTokenFormatConfig,
    /// The roles that API tokens can have, each with its permissions.
    #[serde(default)]
    pub roles: BTreeMap<String, RoleConfig>,
    /// The claim that says whose a client is.
    #[serde(default = "owner_claim")]
    pub owner_claim: String,
    /// The claim that names a device, carried over from assertions of the `plgd` dialect.
    #[serde(default = "device_id_claim")]
    pub device_id_claim: String,
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

fn owner_claim() -> String {
    "owner".to_owned()
}

fn device_id_claim() -> String {
    "device_id".to_owned()
}

/// What users and tenants may create for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiTokenStrategyConfig {
    /// A client id and a secret, which are exchanged for tokens.
    ClientCredentials,
    /// Tokens that are used as they are.
    AccessToken,
}

/// What an access token looks like that a user or tenant creates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiTokenFormatConfig {
    /// Random characters, of which only a hash is kept.
    #[default]
    Opaque,
    /// A JWT.
    Jwt,
}

/// A role that API tokens can have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoleConfig {
    /// What it permits. Whoever grants the role must have all of them.
    pub permissions: Vec<String>,
}

/// The keys of the embedded issuer, made at the first start and kept in the store.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigningConfig {
    /// The algorithm of new tokens.
    pub algorithm: SigningAlgorithmConfig,
    /// How long a key signs before the next one does; absent: until `postern keys rotate`. At least an hour.
    pub rotate_every: Option<HumanDuration>,
}

/// An algorithm to sign with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[schema(as = SigningAlgorithm)]
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
    /// Lets tokens for it never expire, where a client says so and the dialect knows such tokens (`plgd`, `frontegg`).
    pub danger_allow_unlimited: bool,
}

/// A client of the embedded issuer; its name is its `client_id`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// What it is, in words.
    pub description: Option<String>,
    /// Its secret.
    pub secret: Option<SecretConfig>,
    /// Another secret that is as good, while one replaces the other.
    pub other_secret: Option<SecretConfig>,
    /// Files with its public keys, PEM or JWK, for `private_key_jwt`; one, or two while one replaces the other.
    #[serde(default)]
    pub public_keys: Vec<FilePath>,
    /// Where it publishes its public keys, for `private_key_jwt`, instead of `public_keys`.
    pub jwks_uri: Option<String>,
    /// The ways in which it may authenticate; default: those for which it has what is needed, `client_secret_jwt` aside.
    pub authentication_methods: Option<Vec<AuthenticationMethodConfig>>,
    /// What the `aud` of its assertions may be.
    #[serde(default)]
    pub assertion_audience: AssertionAudienceConfig,
    /// `false`: it gets nothing, and its tokens are refused.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// The scopes it may ask for, by audience.
    #[serde(default)]
    pub grants: BTreeMap<String, Vec<String>>,
    /// Claims put into its tokens; they never replace those that the issuer sets.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub claims: BTreeMap<String, serde_json::Value>,
    /// Whose it is; becomes the `owner_claim` of its tokens in the `plgd` dialect.
    pub owner: Option<String>,
    /// The tenant it belongs to, for listing and revoking.
    pub tenant: Option<String>,
    /// How long its tokens last, at most as long as those of the API; `"0s"`: for ever, where API and dialect allow it.
    pub token_lifetime: Option<HumanDuration>,
    /// The organisations that it may ask a token for, in the `auth0` dialect.
    #[serde(default)]
    pub organizations: Vec<String>,
    /// The APIs whose tokens it may introspect, beside its own tokens.
    #[serde(default)]
    pub introspects: Vec<String>,
    /// The issuers (of `[issuers]`) whose tokens it must present beside its id, in the `plgd` dialect.
    #[serde(default)]
    pub assertion_issuers: Vec<String>,
}

/// A way of client authentication.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, utoipa::ToSchema,
)]
#[schema(as = AuthenticationMethod)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethodConfig {
    /// Id and secret in HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// Id and secret in the body, as a form or JSON.
    ClientSecretPost,
    /// An assertion signed with the secret (RFC 7523). The secret is then kept in a form from which it can be read again.
    ClientSecretJwt,
    /// An assertion signed with a private key (RFC 7523).
    PrivateKeyJwt,
}

/// What the `aud` of an assertion may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[schema(as = AssertionAudience)]
#[serde(rename_all = "snake_case")]
pub enum AssertionAudienceConfig {
    /// The issuer, as one string.
    #[default]
    Issuer,
    /// The issuer, or the token endpoint's URL, alone or in a list: for clients that cannot do otherwise. Another server to
    /// which such a client authenticates could use its assertions here.
    TokenEndpoint,
}
