//! Owns: what a request to a token endpoint can ask for, by dialect.
//! Always holds: an operation is one of its own dialect.

use http::Method;

use crate::{authorization_server::ApiTokenKind, config::DialectConfig};

/// What stands at a place of a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Something of RFC 6749 and its companions.
    Oauth2(Oauth2Operation),
    /// A token, in the `auth0` dialect, which knows nothing else.
    Auth0,
    /// Something of the `plgd` dialect.
    Plgd(PlgdOperation),
    /// Something of the `frontegg` dialect.
    Frontegg(FronteggOperation),
}

/// What the `oauth2` dialect knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oauth2Operation {
    /// The token endpoint (RFC 6749 section 3.2).
    Token,
    /// The revocation endpoint (RFC 7009 section 2).
    Revocation,
    /// The introspection endpoint (RFC 7662 section 2).
    Introspection,
}

/// What the `plgd` dialect knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlgdOperation {
    /// `/oauth/token`: a form, or JSON with underscores.
    Token,
    /// `/api/v1/tokens`: JSON as Protocol Buffers write it.
    Tokens,
    /// The same, where tokens can be listed and revoked as well.
    ManagedTokens,
    /// `/api/v1/blacklist`: where tokens are revoked, too.
    Blacklist,
}

/// What the `frontegg` dialect knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FronteggOperation {
    /// Credentials for a token.
    Exchange(Naming),
    /// A refresh token for the next token.
    Refresh(Naming),
    /// The vendor's switch for API tokens.
    Configuration,
    /// The API tokens of one kind.
    ApiTokens(ApiTokenKind),
    /// One of them, by the last segment of the path.
    ApiToken(ApiTokenKind),
}

/// How the members of an answer are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Naming {
    /// `accessToken`, as in version 1.
    CamelCase,
    /// `access_token`, as in version 2.
    SnakeCase,
}

impl Operation {
    /// The dialect that it is spoken in.
    #[must_use]
    pub const fn dialect(self) -> DialectConfig {
        match self {
            Self::Oauth2(_) => DialectConfig::Oauth2,
            Self::Auth0 => DialectConfig::Auth0,
            Self::Plgd(_) => DialectConfig::Plgd,
            Self::Frontegg(_) => DialectConfig::Frontegg,
        }
    }

    /// The methods that it is asked with, as `Allow` names them.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Oauth2(_)
            | Self::Auth0
            | Self::Plgd(PlgdOperation::Token | PlgdOperation::Tokens | PlgdOperation::Blacklist)
            | Self::Frontegg(FronteggOperation::Exchange(_) | FronteggOperation::Refresh(_)) => "POST",
            Self::Plgd(PlgdOperation::ManagedTokens) => "GET, POST, DELETE",
            Self::Frontegg(FronteggOperation::Configuration | FronteggOperation::ApiTokens(_)) => "GET, POST",
            Self::Frontegg(FronteggOperation::ApiToken(ApiTokenKind::TenantApiToken)) => "PATCH, DELETE",
            Self::Frontegg(FronteggOperation::ApiToken(_)) => "DELETE",
        }
    }

    /// Whether it is asked with this method.
    pub(super) fn allows(self, asked: &Method) -> bool {
        self.allow().split(", ").any(|method| asked == method)
    }

    /// Whether asking for it with this method is managing, for which one needs a token, rather than asking for a token.
    #[must_use]
    pub fn is_management(self, method: &Method) -> bool {
        match self {
            Self::Oauth2(_)
            | Self::Auth0
            | Self::Plgd(PlgdOperation::Token | PlgdOperation::Tokens)
            | Self::Frontegg(FronteggOperation::Exchange(_) | FronteggOperation::Refresh(_)) => false,
            Self::Plgd(PlgdOperation::ManagedTokens) => method != Method::POST,
            Self::Plgd(PlgdOperation::Blacklist)
            | Self::Frontegg(
                FronteggOperation::Configuration | FronteggOperation::ApiTokens(_) | FronteggOperation::ApiToken(_),
            ) => true,
        }
    }
}
