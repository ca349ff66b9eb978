//! `[issuers.*]`: who may sign tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{FilePath, HumanDuration, OneOrMany, SecretConfig};

/// Somebody whose tokens are accepted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The value of the `iss` claim, compared byte for byte. Left out for the embedded issuer, which has its own.
    pub issuer: Option<String>,
    /// Where the key document is (RFC 7517). Absent: found by OpenID discovery, then by RFC 8414.
    pub jwks_uri: Option<String>,
    /// The embedded issuer of `[authorization_server]`: its keys are known without a fetch.
    #[serde(default)]
    pub embedded: bool,
    /// The signature algorithms accepted; symmetric ones are refused. None (`[]`) for an issuer that signs no JWTs and has
    /// `introspection`: its keys are then not looked for.
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<String>,
    /// The audience that routes ask for unless they name their own; one, or a list of which a token must have one.
    pub audience: Option<OneOrMany<String>>,
    /// How far the issuer's clock may be off when `exp`, `nbf` and `iat` are judged; at most 5 minutes.
    #[serde(default = "default_leeway")]
    pub leeway: HumanDuration,
    /// `"at+jwt"` demands RFC 9068 access tokens; `"any"` still refuses tokens that say they are something else.
    #[serde(default)]
    pub token_type: TokenTypeConfig,
    /// Claims that must be there, beside `exp`, which always must.
    #[serde(default)]
    pub required_claims: Vec<String>,
    /// The longest `exp` - `iat` accepted (a token without `iat` is then refused). Absent: no bound.
    pub max_lifetime: Option<HumanDuration>,
    /// How its keys are kept.
    #[serde(default)]
    pub key_set: KeySetConfig,
    /// Where it is asked about tokens that are not JWTs (RFC 7662). Absent: they are refused.
    pub introspection: Option<IntrospectionConfig>,
    /// Where it is asked, for each token by its `jti`, whether the token has been revoked, as services of plgd's hub do.
    /// Absent: its JWTs are good until they expire.
    pub revocation: Option<RevocationConfig>,
}

fn default_algorithms() -> Vec<String> {
    ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec()
}

const fn default_leeway() -> HumanDuration {
    HumanDuration::from_seconds(60)
}

/// What the `typ` header of a token must say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenTypeConfig {
    /// RFC 9068 section 2.1.
    #[serde(rename = "at+jwt")]
    AccessToken,
    /// Absent, `JWT` or `at+jwt`.
    #[default]
    #[serde(rename = "any")]
    Any,
}

/// How an issuer's keys are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeySetConfig {
    /// How long a fetched key set is fresh if the answer does not say; what it says is held between 1 minute and 24 hours.
    pub max_age: HumanDuration,
    /// How old a key set may become while the issuer cannot be reached.
    pub max_stale: HumanDuration,
    /// The shortest time between two fetches on account of unknown key ids.
    pub unknown_key_cooldown: HumanDuration,
    /// What a start does while the keys are not there yet.
    pub startup: StartupConfig,
    /// Certificate authorities in PEM for fetching, instead of the system's.
    pub ca: Option<FilePath>,
}

impl Default for KeySetConfig {
    fn default() -> Self {
        Self {
            max_age: HumanDuration::from_seconds(600),
            max_stale: HumanDuration::from_seconds(86_400),
            unknown_key_cooldown: HumanDuration::from_seconds(30),
            startup: StartupConfig::Wait,
            ca: None,
        }
    }
}

/// What a start does while an issuer's keys are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartupConfig {
    /// Waits up to 10 s for them, then serves and answers 503 where they are needed.
    Wait,
    /// Does not wait.
    Degraded,
    /// Waits up to 10 s for them, then exits.
    Require,
}

/// Asking an issuer what a token means that is not a JWT (RFC 7662).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionConfig {
    /// Where: an https URL, or http to this machine.
    pub endpoint: String,
    /// The id under which Postern asks.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretConfig,
    /// How Postern authenticates.
    #[serde(default)]
    pub authentication: IntrospectionAuthenticationConfig,
    /// How long an answer is believed; never beyond the token's `exp`. At most 1 hour; `"0s"`: every request asks.
    #[serde(default = "default_cache_for")]
    pub cache_for: HumanDuration,
    /// How long it is believed that a token is not active. At most 1 hour.
    #[serde(default = "default_cache_inactive_for")]
    pub cache_inactive_for: HumanDuration,
    /// How long asking may take. At most 30 s.
    #[serde(default = "default_asking_timeout")]
    pub timeout: HumanDuration,
    /// Certificate authorities in PEM, instead of the system's.
    pub ca: Option<FilePath>,
}

/// How Postern authenticates at an introspection endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectionAuthenticationConfig {
    /// In HTTP Basic.
    #[default]
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

/// Asking an issuer of plgd's kind whether a token has been revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationConfig {
    /// Its tokens endpoint, like `"https://hub.example/m2m-oauth-server/api/v1/tokens"`: an https URL, or http to this machine.
    pub tokens_endpoint: String,
    /// How long it is believed that a token is good. That it is revoked is believed until it expires. At most 1 hour.
    #[serde(default = "default_cache_for")]
    pub cache_for: HumanDuration,
    /// How long asking may take. At most 30 s.
    #[serde(default = "default_asking_timeout")]
    pub timeout: HumanDuration,
    /// Certificate authorities in PEM, instead of the system's.
    pub ca: Option<FilePath>,
}

const fn default_cache_for() -> HumanDuration {
    HumanDuration::from_seconds(30)
}

const fn default_cache_inactive_for() -> HumanDuration {
    HumanDuration::from_seconds(5)
}

const fn default_asking_timeout() -> HumanDuration {
    HumanDuration::from_seconds(5)
}
