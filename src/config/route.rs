//! `[routes.*]`: who may ask for what.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{ClaimValue, HumanDuration, OneOrMany};

/// Requests of one kind: what they look like, who may make them, where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The host asked for: `"api.example.com"`, or `"*.example.com"` for every name below; default: any.
    pub host: Option<String>,
    /// The path: `/v1/orders/{id}`; a last `{*rest}` matches all that follows, and also the path without it.
    pub path: String,
    /// The methods; default: any. Each is its own: `HEAD` is not implied by `GET`.
    pub methods: Option<Vec<String>>,
    /// The name of the upstream.
    pub upstream: String,
    /// How long the whole exchange may take, bodies included; an upgraded connection is not bound by it.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Whether responses and upgraded connections are cut when the token that they were asked for with expires or is revoked.
    #[serde(default)]
    pub end_with_token: bool,
    /// Taken off the front of the path before forwarding; must be the literal beginning of `path`.
    pub strip_prefix: Option<String>,
    /// Whether the rules are enforced or only reported.
    #[serde(default)]
    pub mode: ModeConfig,
    /// Lets everyone through without a token. A route needs this or a `require` table.
    #[serde(default)]
    pub public: bool,
    /// What a token must show.
    pub require: Option<RequireConfig>,
    /// What the upstream is told about the caller.
    #[serde(default)]
    pub identity: IdentityConfig,
    /// How many requests are let through. Absent: as many as come.
    pub limit: Option<LimitConfig>,
}

const fn default_timeout() -> HumanDuration {
    HumanDuration::from_seconds(900)
}

/// Whether the rules of a route are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeConfig {
    /// A request that does not satisfy them is refused.
    #[default]
    Enforce,
    /// It is decided, logged and counted as a would-be refusal, and forwarded all the same.
    Report,
}

/// What a token must show. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequireConfig {
    /// The names of the issuers accepted; default: every issuer.
    pub issuers: Option<Vec<String>>,
    /// The audience; one, or a list of which the token must have one. Default: the issuer's `audience`. One of the two is
    /// needed.
    pub audience: Option<OneOrMany<String>>,
    /// Scopes of which the token must have all.
    pub scopes: Vec<String>,
    /// Scopes of which the token must have at least one.
    pub any_scope: Vec<String>,
    /// Claims that must have the value, or one of the values; a claim that is a list must contain it.
    pub claims: BTreeMap<String, OneOrMany<ClaimValue>>,
    /// Path parameters that must equal a claim: `{ tenant = "tenant_id" }`.
    pub path_claims: BTreeMap<String, String>,
}

/// What the upstream is told about the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityConfig {
    /// Headers and the claims that fill them: `{ "x-client-id" = "client_id" }`. They are always removed from what came in.
    pub headers: BTreeMap<String, String>,
    /// Whether the `Authorization` header goes on to the upstream, and with it `X-API-Key`, where that is a credential.
    pub authorization: AuthorizationConfig,
}

/// What happens to the `Authorization` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationConfig {
    /// Removed.
    #[default]
    Strip,
    /// Passed on.
    Keep,
}

/// How many requests are let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// How many.
    pub requests: u32,
    /// In what time, from `"1ms"` to `"1d"`. They come back evenly over it: after half of it, half of them.
    pub per: HumanDuration,
    /// Whose requests are counted together: those with one value of a claim (under one issuer), those from one `"peer"` (an
    /// IPv4 address, the /64 of an IPv6 one), or all on the `"route"`. Only by `"peer"` are requests counted before their token
    /// is verified.
    pub by: String,
}
