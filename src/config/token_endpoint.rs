//! `[token_endpoints.*]`: where clients post to get a token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{route::RequireConfig, value::HumanDuration};

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
        self.place_beside(self.revocation_path.as_ref(), "/revoke")
    }

    /// Where tokens are introspected, if anywhere.
    #[must_use]
    pub fn introspection_place(&self) -> Option<String> {
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
