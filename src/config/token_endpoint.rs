//! `[token_endpoints.*]`: where clients post to get a token.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    route::RequireConfig,
    value::{ByteSize, FilePath, HumanDuration, SecretConfig},
};

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
    /// Who issues, if that is Postern. An endpoint needs this or `forward`.
    pub serve: Option<ServeConfig>,
    /// The token endpoint of an outside provider, which issues: an https URL, or http to this machine.
    pub forward: Option<String>,
    /// How the provider is asked; only with `forward`.
    pub provider: Option<ProviderConfig>,
    /// Clients that are known here under an id and secret of their own and stand for others at the provider, by the id that
    /// is used here; only with `forward`.
    #[serde(default)]
    pub clients: BTreeMap<String, ForwardedClientConfig>,
    /// What becomes of clients that are not among `clients`; only with `forward`.
    pub unmapped_clients: Option<UnmappedClientsConfig>,
    /// Gives a client the provider's token that it was given before, while enough of it is left; only with `forward`. Absent:
    /// never.
    pub reuse: Option<ReuseConfig>,
    /// How many tokens a client gets. Absent: as many as it asks for.
    pub quota: Option<QuotaConfig>,
    /// Where tokens are revoked (RFC 7009), `oauth2` only; default: beside a `path` that ends in `/token`, as `/revoke`.
    pub revocation_path: Option<String>,
    /// Where tokens are introspected (RFC 7662), `oauth2` only; default: beside a `path` that ends in `/token`, as
    /// `/introspect`.
    pub introspection_path: Option<String>,
    /// The dialect's own management endpoints, `plgd` and `frontegg` only; absent: they are not served.
    pub management: Option<ManagementConfig>,
    /// Who is locked out after failing to authenticate.
    #[serde(default)]
    pub lockout: LockoutConfig,
}

impl TokenEndpointConfig {
    /// Where tokens are revoked, if anywhere.
    #[must_use]
    pub fn revocation_place(&self) -> Option<String> {
        if self.forward.is_some() && self.provider.as_ref()?.revocation.is_none() {
            return None;
        }
        self.place_beside(self.revocation_path.as_ref(), "/revoke")
    }

    /// Where tokens are introspected, if anywhere.
    #[must_use]
    pub fn introspection_place(&self) -> Option<String> {
        if self.forward.is_some() && self.provider.as_ref()?.introspection.is_none() {
            return None;
        }
        self.place_beside(self.introspection_path.as_ref(), "/introspect")
    }

    /// Where the paths of a `plgd` server begin, if this is one and that is known.
    #[must_use]
    pub fn plgd_base(&self) -> Option<String> {
        (self.dialect == DialectConfig::Plgd).then(|| self.management_base().map(str::to_owned)).flatten()
    }

    /// What the paths of the dialect's own management begin with: what was written, or what comes before the dialect's usual
    /// end in `path`; nothing for the root. None for other dialects, and where the path has not that end.
    #[must_use]
    pub fn management_base(&self) -> Option<&str> {
        let ends: &[&str] = match self.dialect {
            DialectConfig::Oauth2 | DialectConfig::Auth0 => &[],
            DialectConfig::Plgd => &["/oauth/token"],
            DialectConfig::Frontegg => &["/auth/v1/api-token", "/auth/v2/api-token"],
        };
        let derived = || ends.iter().find_map(|end| self.path.strip_suffix(end));
        let written = self.management.as_ref().and_then(|management| management.base_path.as_deref());
        // The root is written as a slash, and every path below it begins with one.
        written.map(|base| if base == "/" { "" } else { base }).or_else(derived)
    }

    /// The dialect of whoever issues: the provider's, where there is one that speaks another.
    #[must_use]
    pub fn issuing_dialect(&self) -> DialectConfig {
        self.provider.as_ref().and_then(|provider| provider.dialect).unwrap_or(self.dialect)
    }

    /// Whether clients may have refresh tokens, in the dialect that has them. Those of an outside provider go round what is
    /// counted here and who is known here, so there are none where either is asked for.
    #[must_use]
    pub fn gives_refresh_tokens(&self) -> bool {
        let refuses_unmapped = self.unmapped_clients == Some(UnmappedClientsConfig::Refuse);
        let is_bounded = self.quota.is_some() || refuses_unmapped;
        self.issuing_dialect() == DialectConfig::Frontegg && !(self.forward.is_some() && is_bounded)
    }

    fn place_beside(&self, written: Option<&String>, end: &str) -> Option<String> {
        if self.dialect != DialectConfig::Oauth2 {
            return None;
        }
        written.cloned().or_else(|| self.path.strip_suffix("/token").map(|beginning| format!("{beginning}{end}")))
    }
}

/// The shape of token requests and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[schema(as = Dialect)]
#[serde(rename_all = "snake_case")]
pub enum DialectConfig {
    /// RFC 6749.
    #[default]
    Oauth2,
    /// That of a hosted identity product in the style of Auth0.
    Auth0,
    /// That of plgd's M2M OAuth server.
    Plgd,
    /// That of Frontegg's API tokens.
    Frontegg,
}

impl DialectConfig {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Oauth2, Self::Auth0, Self::Plgd, Self::Frontegg];

    /// Its name, as it is written in the configuration, in records and in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Oauth2 => "oauth2",
            Self::Auth0 => "auth0",
            Self::Plgd => "plgd",
            Self::Frontegg => "frontegg",
        }
    }
}

/// Who issues the tokens of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServeConfig {
    /// The `[authorization_server]` of this configuration.
    Embedded,
}

/// A dialect's own management endpoints, on the listeners for everybody, behind rules of their own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagementConfig {
    /// What their paths begin with; default: what comes before the dialect's usual end in the endpoint's `path`, which is
    /// `/oauth/token` for `plgd` and `/auth/v1/api-token` for `frontegg`.
    pub base_path: Option<String>,
    /// What a caller's token must show, as for a route.
    pub require: RequireConfig,
}

/// Who is locked out, and for how long. Failures are counted for each client id and the address (of IPv6: the /64) they come
/// from, so that nobody can lock out others. Ten times as many for one client id from all addresses, or for one address under
/// all ids, lock out where that client has not authenticated in the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LockoutConfig {
    /// How many failures in a row lock out; 0 switches it off.
    pub failures: u32,
    /// Failures longer apart than this are not in a row.
    pub window: HumanDuration,
    /// How long the lock-out lasts.
    pub lock_for: HumanDuration,
}

impl Default for LockoutConfig {
    fn default() -> Self {
        let (window, lock_for) = (HumanDuration::from_seconds(60), HumanDuration::from_seconds(300));
        Self { failures: 10, window, lock_for }
    }
}

/// How an outside provider is asked for tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// The shape of its requests and answers; default: that of the endpoint.
    pub dialect: Option<DialectConfig>,
    /// The form of the bodies that it reads; default: JSON for `frontegg`, a form for the others.
    pub body: Option<ProviderBodyConfig>,
    /// Where it is told a client's secret; default: where the client put it.
    pub authentication: ProviderAuthenticationConfig,
    /// How it is told what a token is for; default: as the client said it.
    pub audience: ProviderAudienceConfig,
    /// Where it revokes tokens (RFC 7009), `oauth2` only; without it there is no revocation endpoint here.
    pub revocation: Option<String>,
    /// Where it introspects tokens (RFC 7662), `oauth2` only; without it there is no introspection endpoint here.
    pub introspection: Option<String>,
    /// How long making a connection may take; default `"2s"`.
    pub connect_timeout: Option<HumanDuration>,
    /// How long one request may take, from the name to the last byte; default `"10s"`.
    pub timeout: Option<HumanDuration>,
    /// How many requests may be under way to it at once; what is more is answered 503. Default 256.
    pub max_requests: Option<u32>,
    /// Certificate authorities in PEM, instead of the system's.
    pub ca: Option<FilePath>,
}

/// The form of the bodies that a provider reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderBodyConfig {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `application/json`.
    Json,
}

/// Where a provider is told a client's secret. Assertions are always told in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAuthenticationConfig {
    /// Where the client put it.
    #[default]
    AsSent,
    /// In HTTP Basic.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}

/// How a provider is told what a token is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderAudienceConfig {
    /// By the parameter that the client used.
    #[default]
    AsSent,
    /// By `audience`.
    Audience,
    /// By `resource` (RFC 8707).
    Resource,
}

/// A client that is known here under an id and secret of its own, and stands for another at the provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForwardedClientConfig {
    /// The secret that the client presents here. It never reaches the provider.
    pub secret: SecretConfig,
    /// Another that is as good, while one replaces the other.
    pub other_secret: Option<SecretConfig>,
    /// The client's id at the provider; default: the same as here.
    pub provider_client_id: Option<String>,
    /// The client's secret at the provider, which the client need not know.
    pub provider_secret: SecretConfig,
}

/// What becomes of clients that are not in the endpoint's `clients`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnmappedClientsConfig {
    /// What they present goes on to the provider, which judges it.
    #[default]
    Forward,
    /// They are refused as unknown.
    Refuse,
}

/// Handing out again a token that a client was given before. RFC 6749 section 5.1 says `no-store`, so it is for the operator to
/// say. Never for assertions, DPoP, or a downstream that presents a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReuseConfig {
    /// The least time that must be left of it.
    pub min_remaining: HumanDuration,
    /// How many bytes of tokens are kept.
    #[serde(default = "default_reuse_bytes")]
    pub max_bytes: ByteSize,
    /// Whether an upstream's 401 to a request with the token ends its reuse, too, as every 401 of Postern's own does.
    #[serde(default)]
    pub drop_on_upstream_401: bool,
}

const fn default_reuse_bytes() -> ByteSize {
    ByteSize::from_kibibytes(16 * 1024)
}

/// How many tokens each client gets, by hours and days of UTC. What is handed out again (`reuse`) is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaConfig {
    /// Tokens an hour. Absent: no bound.
    pub per_hour: Option<u64>,
    /// Tokens a day. Absent: no bound.
    pub per_day: Option<u64>,
    /// Whether a request beyond is refused; `false`: it is counted and warned of.
    #[serde(default = "enforced")]
    pub enforce: bool,
    /// How many each organisation gets, over all its clients.
    pub organizations: Option<AllowanceConfig>,
    /// Clients that get another number, by their ids.
    #[serde(default)]
    pub clients: BTreeMap<String, AllowanceConfig>,
}

const fn enforced() -> bool {
    true
}

/// How many tokens somebody gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AllowanceConfig {
    /// Tokens an hour. Absent: no bound.
    pub per_hour: Option<u64>,
    /// Tokens a day. Absent: no bound.
    pub per_day: Option<u64>,
}
