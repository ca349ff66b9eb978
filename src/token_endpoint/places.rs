//! Owns: at which paths an endpoint of each dialect answers, and to what.
//! Always holds: what stands beside the endpoint's own path stands where the dialect's clients look for it.

use super::{FronteggOperation, Naming, Oauth2Operation, Operation, PlgdOperation};
use crate::{
    authorization_server::ApiTokenKind,
    config::{DialectConfig, TokenEndpointConfig},
};

/// A path, and what a request to it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path.
    pub path: String,
    /// What stands there, whatever the method: a wrong one is answered in the endpoint's dialect.
    pub operation: Operation,
}

/// The usual ends of a `frontegg` endpoint's path, by version.
const FRONTEGG_ENDS: [(&str, Naming); 2] =
    [("/auth/v1/api-token", Naming::CamelCase), ("/auth/v2/api-token", Naming::SnakeCase)];

/// Where API tokens are managed, below the base. Credentials of tenants are made at version 2 and otherwise managed at version
/// 1; both do everything here.
const FRONTEGG_MANAGEMENT_ENDS: [(&str, ApiTokenKind); 5] = [
    ("/tenants/api-tokens/v1", ApiTokenKind::TenantApiToken),
    ("/tenants/api-tokens/v2", ApiTokenKind::TenantApiToken),
    ("/users/api-tokens/v1", ApiTokenKind::UserApiToken),
    ("/tenants/access-tokens/v1", ApiTokenKind::TenantAccessToken),
    ("/users/access-tokens/v1", ApiTokenKind::UserAccessToken),
];

/// The parameter of a path that ends in a token's id.
pub(super) const TOKEN_PARAMETER: &str = "id";

/// Where the endpoint answers. The first place is that of its `path`.
pub(super) fn of(config: &TokenEndpointConfig) -> Vec<Place> {
    match config.dialect {
        DialectConfig::Oauth2 => oauth2(config),
        DialectConfig::Auth0 => vec![place(&config.path, Operation::Auth0)],
        DialectConfig::Plgd => plgd(config),
        DialectConfig::Frontegg => frontegg(config),
    }
}

fn oauth2(config: &TokenEndpointConfig) -> Vec<Place> {
    let places = [
        (Some(config.path.clone()), Oauth2Operation::Token),
        (config.revocation_place(), Oauth2Operation::Revocation),
        (config.introspection_place(), Oauth2Operation::Introspection),
    ];
    let place = |(path, operation)| Some(Place { path: path?, operation: Operation::Oauth2(operation) });
    places.into_iter().filter_map(place).collect()
}

fn plgd(config: &TokenEndpointConfig) -> Vec<Place> {
    let mut places = vec![place(&config.path, Operation::Plgd(PlgdOperation::Token))];
    let Some(base) = config.management_base() else { return places };
    let mut beside = |end: &str, operation| places.push(place(&format!("{base}{end}"), Operation::Plgd(operation)));
    if config.management.is_some() {
        beside("/api/v1/tokens", PlgdOperation::ManagedTokens);
        beside("/api/v1/blacklist", PlgdOperation::Blacklist);
    } else {
        beside("/api/v1/tokens", PlgdOperation::Tokens);
    }
    places
}

fn frontegg(config: &TokenEndpointConfig) -> Vec<Place> {
    let mut versions = vec![(config.path.clone(), Naming::CamelCase)];
    for (end, _) in FRONTEGG_ENDS {
        if let Some(base) = config.path.strip_suffix(end) {
            versions = FRONTEGG_ENDS.iter().map(|(end, naming)| (format!("{base}{end}"), *naming)).collect();
            // The endpoint's own path goes first.
            versions.sort_by_key(|(path, _)| *path != config.path);
        }
    }
    let refreshes = config.gives_refresh_tokens();
    let both = |(path, naming): (String, Naming)| {
        let refresh = FronteggOperation::Refresh(naming);
        let refresh = refreshes.then(|| place(&format!("{path}/token/refresh"), Operation::Frontegg(refresh)));
        let exchange = Place { path, operation: Operation::Frontegg(FronteggOperation::Exchange(naming)) };
        std::iter::once(exchange).chain(refresh)
    };
    let mut places: Vec<Place> = versions.into_iter().flat_map(both).collect();
    if let Some(base) = config.management_base().filter(|_| config.management.is_some()) {
        places.push(place(&format!("{base}/configurations/v1"), Operation::Frontegg(FronteggOperation::Configuration)));
        for (end, kind) in FRONTEGG_MANAGEMENT_ENDS {
            let (all, one) = (FronteggOperation::ApiTokens(kind), FronteggOperation::ApiToken(kind));
            places.push(place(&format!("{base}{end}"), Operation::Frontegg(all)));
            places.push(place(&format!("{base}{end}/{{{TOKEN_PARAMETER}}}"), Operation::Frontegg(one)));
        }
    }
    places
}

fn place(path: &str, operation: Operation) -> Place {
    Place { path: path.to_owned(), operation }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(toml: &str) -> Vec<String> {
        let config: TokenEndpointConfig = toml::from_str(&format!("serve = \"embedded\"\n{toml}")).unwrap();
        of(&config).into_iter().map(|place| format!("{} {:?}", place.path, place.operation)).collect()
    }

    #[test]
    fn revocation_and_introspection_stand_beside_a_path_that_ends_in_token() {
        assert_eq!(
            places("path = \"/oauth/token\""),
            [
                "/oauth/token Oauth2(Token)",
                "/oauth/revoke Oauth2(Revocation)",
                "/oauth/introspect Oauth2(Introspection)"
            ]
        );
        assert_eq!(
            places("path = \"/token\"\nrevocation_path = \"/r\""),
            ["/token Oauth2(Token)", "/r Oauth2(Revocation)", "/introspect Oauth2(Introspection)"]
        );
        assert_eq!(places("path = \"/get\""), ["/get Oauth2(Token)"]);
        assert_eq!(
            places("path = \"/get\"\nintrospection_path = \"/i\""),
            ["/get Oauth2(Token)", "/i Oauth2(Introspection)"]
        );
        assert_eq!(places("path = \"/oauth/token\"\ndialect = \"auth0\""), ["/oauth/token Auth0"]);
    }

    #[test]
    fn plgd_has_its_tokens_below_its_base() {
        let plgd = "dialect = \"plgd\"\n";
        assert_eq!(
            places(&format!("{plgd}path = \"/m2m-oauth-server/oauth/token\"")),
            ["/m2m-oauth-server/oauth/token Plgd(Token)", "/m2m-oauth-server/api/v1/tokens Plgd(Tokens)"]
        );
        assert_eq!(
            places(&format!("{plgd}path = \"/oauth/token\"")),
            ["/oauth/token Plgd(Token)", "/api/v1/tokens Plgd(Tokens)"]
        );
        assert_eq!(places(&format!("{plgd}path = \"/get\"")), ["/get Plgd(Token)"]);
        for (base, below) in [("/a", "/a/api/v1"), ("/", "/api/v1")] {
            let management = format!("[management]\nbase_path = {base:?}\nrequire = {{ scopes = [\"a\"] }}");
            assert_eq!(
                places(&format!("{plgd}path = \"/get\"\n{management}")),
                [
                    "/get Plgd(Token)".to_owned(),
                    format!("{below}/tokens Plgd(ManagedTokens)"),
                    format!("{below}/blacklist Plgd(Blacklist)")
                ]
            );
        }
    }

    #[test]
    fn frontegg_speaks_two_versions_each_with_its_refresh() {
        let frontegg = "dialect = \"frontegg\"\n";
        let base = "/identity/resources/auth";
        let version = |number: u8, naming: &str| {
            [
                format!("{base}/v{number}/api-token Frontegg(Exchange({naming}))"),
                format!("{base}/v{number}/api-token/token/refresh Frontegg(Refresh({naming}))"),
            ]
        };
        let (first, second) = (version(1, "CamelCase"), version(2, "SnakeCase"));
        assert_eq!(
            places(&format!("{frontegg}path = \"{base}/v1/api-token\"")),
            [first.clone(), second.clone()].concat()
        );
        assert_eq!(places(&format!("{frontegg}path = \"{base}/v2/api-token\"")), [second, first].concat());
        assert_eq!(
            places(&format!("{frontegg}path = \"/t\"")),
            ["/t Frontegg(Exchange(CamelCase))", "/t/token/refresh Frontegg(Refresh(CamelCase))"]
        );
    }

    #[test]
    fn frontegg_is_managed_below_its_base_if_it_is() {
        let frontegg = "dialect = \"frontegg\"\npath = \"/identity/resources/auth/v1/api-token\"\n";
        let found = places(&format!("{frontegg}[management]\nrequire = {{ scopes = [\"a\"] }}"));
        assert_eq!((places(frontegg).len(), found.len()), (4, 15));
        for expected in [
            "/identity/resources/configurations/v1 Frontegg(Configuration)",
            "/identity/resources/tenants/api-tokens/v2 Frontegg(ApiTokens(TenantApiToken))",
            "/identity/resources/users/access-tokens/v1/{id} Frontegg(ApiToken(UserAccessToken))",
        ] {
            assert!(found.iter().any(|place| place == expected), "{expected} in {found:#?}");
        }
    }
}
