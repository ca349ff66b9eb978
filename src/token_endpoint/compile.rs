//! Owns: `[token_endpoints.*]`, compiled.
//! Refuses: a path with parameters, a key that the dialect does not know, two things at one path, and an endpoint for an issuer
//! that is not configured.

use std::sync::Arc;

use super::{Lasting, TokenEndpoint, forwarding, places};
use crate::{
    auth::{Issuers, Requirement},
    authorization_server,
    config::{Config, DialectConfig, ManagementConfig, ServeConfig, TokenEndpointConfig},
    diagnostic::{Diagnostics, KeyPath},
    limit::SharedCounters,
};

/// Under what the embedded issuer's lock-outs are kept.
const EMBEDDED: &str = "embedded";

/// Compiles `[token_endpoints.*]`, in the order of their names. What outlives this configuration is kept in `lasting`; what
/// replicas count together, if they do, in `shared`. None if `diagnostics` now says why it cannot be used.
///
/// That two endpoints, or an endpoint and a route, do not stand at one place is for the routing table to find out.
///
/// Without `issuers`, because something is wrong with them, who may manage cannot be told, and there are no endpoints that are
/// managed.
pub fn compile(
    config: &Config,
    issuers: Option<&Issuers>,
    lasting: &Lasting,
    shared: Option<&Arc<SharedCounters>>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Arc<TokenEndpoint>>> {
    let errors_before = diagnostics.error_count();
    let mut sound = true;
    let mut endpoints = Vec::with_capacity(config.token_endpoints.len());
    for (name, endpoint) in &config.token_endpoints {
        let path = KeyPath::of(&["token_endpoints", name]);
        match (endpoint.serve, &endpoint.forward) {
            (Some(ServeConfig::Embedded), None) if config.authorization_server.is_none() => diagnostics.error(
                &path.key("serve"),
                "there is no embedded issuer",
                "add an [authorization_server] table, or remove this endpoint",
            ),
            (Some(_), Some(_)) => diagnostics.error(
                &path.key("forward"),
                "the endpoint is served by Postern and forwarded as well",
                "keep `serve` or `forward`",
            ),
            (None, None) => diagnostics.key_error(
                &path,
                "the endpoint does not say who issues",
                "write `serve = \"embedded\"`, or `forward = \"https://...\"`",
            ),
            (Some(_), None) | (None, Some(_)) => {}
        }
        judge_paths(endpoint, &path, diagnostics);
        judge_dialect(endpoint, &path, diagnostics);
        let require = |management: &ManagementConfig| {
            Requirement::compile(&path.key("management").key("require"), &management.require, issuers, diagnostics)
        };
        let management = endpoint.management.as_ref().map(require);
        sound &= !matches!(management, Some(None));
        let forwarding = forwarding::compile(name, endpoint, &path, lasting, diagnostics);
        let compiled = compile_one(name, endpoint, config, lasting, shared);
        let quota = endpoint.quota.as_ref().map(|quota| {
            let quota = lasting.quotas.of(&compiled.name, quota, &path.key("quota"), diagnostics);
            Arc::new(quota.together(shared, lasting.outbound.control()))
        });
        endpoints.push(Arc::new(TokenEndpoint { management: management.flatten(), forwarding, quota, ..compiled }));
    }
    (sound && diagnostics.error_count() == errors_before).then_some(endpoints)
}

fn compile_one(
    name: &str,
    endpoint: &TokenEndpointConfig,
    config: &Config,
    lasting: &Lasting,
    shared: Option<&Arc<SharedCounters>>,
) -> TokenEndpoint {
    // A wildcard is not the name of a host; the issuer's own is as good as any that it stands for.
    let host = endpoint.host.as_deref().filter(|host| !host.contains('*'));
    let issuer = config.authorization_server.as_ref().map(|server| server.issuer.as_str());
    let own = issuer.filter(|_| endpoint.forward.is_none());
    let url = own.and_then(|issuer| authorization_server::url_on_issuer(issuer, host, &endpoint.path));
    // One memory for all endpoints of the embedded issuer: their clients are the same, and so is whoever guesses. Before providers
    // each endpoint has its own clients, who prove themselves in its own way.
    let lockout = if endpoint.forward.is_some() { format!("forward {name}") } else { EMBEDDED.to_owned() };
    TokenEndpoint {
        name: Arc::from(name),
        host: endpoint.host.clone(),
        places: places::of(endpoint),
        url: url.map(Arc::from),
        lockout: lasting.lockouts.of(name, &lockout, &endpoint.lockout, shared),
        forwarding: None,
        quota: None,
        management: None,
    }
}

/// Every path that was written, and where the others come to stand.
fn judge_paths(endpoint: &TokenEndpointConfig, at: &KeyPath, diagnostics: &mut Diagnostics) {
    let errors_before = diagnostics.error_count();
    judge_path(Some(&endpoint.path), &at.key("path"), diagnostics);
    judge_path(endpoint.revocation_path.as_deref(), &at.key("revocation_path"), diagnostics);
    judge_path(endpoint.introspection_path.as_deref(), &at.key("introspection_path"), diagnostics);
    let base = endpoint.management.as_ref().and_then(|management| management.base_path.as_deref());
    judge_path(base.filter(|base| *base != "/"), &at.key("management").key("base_path"), diagnostics);
    if diagnostics.error_count() > errors_before {
        return;
    }
    let places = places::of(endpoint);
    for (position, place) in places.iter().enumerate() {
        if places.iter().take(position).any(|before| before.path == place.path) {
            diagnostics.key_error(
                at,
                format!("two things of this endpoint would stand at `{}`", place.path),
                "give each a path of its own",
            );
        }
    }
}

/// A plain path is one that nobody writes in two ways.
fn judge_path(written: Option<&str>, at: &KeyPath, diagnostics: &mut Diagnostics) {
    let Some(written) = written else { return };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment_is_plain = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let is_plain = written.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment_is_plain));
    if !is_plain {
        diagnostics.error(
            at,
            format!("`{written}` is not a plain path"),
            "write a path like \"/oauth/token\": letters, digits and `-._~` between single slashes, no parameters",
        );
    }
}

/// The keys that only some dialects know.
fn judge_dialect(endpoint: &TokenEndpointConfig, at: &KeyPath, diagnostics: &mut Diagnostics) {
    let (dialect, word) = (endpoint.dialect, endpoint.dialect.name());
    let mut foreign = |key: &str, knows: &str| {
        let message = format!("the dialect `{word}` has no `{key}`; {knows}");
        diagnostics.key_error(&at.key(key), message, "take it out, or change the dialect");
    };
    if dialect != DialectConfig::Oauth2 {
        for (key, written) in
            [("revocation_path", &endpoint.revocation_path), ("introspection_path", &endpoint.introspection_path)]
        {
            if written.is_some() {
                foreign(key, "only `oauth2` has");
            }
        }
    }
    if endpoint.management.is_none() {
        return;
    }
    match dialect {
        DialectConfig::Oauth2 | DialectConfig::Auth0 => foreign("management", "only `plgd` and `frontegg` have"),
        DialectConfig::Plgd | DialectConfig::Frontegg if endpoint.management_base().is_none() => {
            diagnostics.key_error(
                &at.key("management"),
                format!("what its paths begin with cannot be told from `{}`", endpoint.path),
                "add `base_path`, like \"/m2m-oauth-server\" or \"/identity/resources\"",
            );
        }
        DialectConfig::Plgd | DialectConfig::Frontegg => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(toml: &str) -> (Option<Vec<Arc<TokenEndpoint>>>, Vec<String>) {
        let config: Config = toml::from_str(toml).unwrap();
        let mut diagnostics = Diagnostics::new();
        let endpoints = compile(&config, None, &Lasting::offline(), None, &mut diagnostics);
        (
            endpoints,
            diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.message)).collect(),
        )
    }

    /// What is wrong with an endpoint `a` of these lines, beside an issuer.
    fn messages(lines: &str) -> Vec<String> {
        let issuer = "[authorization_server]\nissuer = \"https://a.example/\"\n";
        compiled(&format!("{issuer}[token_endpoints.a]\nserve = \"embedded\"\n{lines}")).1
    }

    #[test]
    fn an_endpoint_needs_its_issuer() {
        let endpoint = "[token_endpoints.oauth]\npath = \"/oauth/token\"\nserve = \"embedded\"\n";
        let (endpoints, messages) = compiled(endpoint);
        assert!(endpoints.is_none());
        assert_eq!(messages, ["token_endpoints.oauth.serve: there is no embedded issuer"]);
        let (endpoints, messages) =
            compiled(&format!("{endpoint}[authorization_server]\nissuer = \"https://a.example/\"\n"));
        assert_eq!(messages, [""; 0]);
        let endpoints = endpoints.unwrap();
        assert_eq!((&**endpoints[0].name(), endpoints[0].host()), ("oauth", None));
        assert_eq!(endpoints[0].places().len(), 3);
    }

    #[test]
    fn an_endpoint_knows_its_url() {
        for (host, url) in [
            ("", "https://a.example:8443/x/token"),
            ("host = \"b.example\"\n", "https://b.example:8443/x/token"),
            ("host = \"*.example\"\n", "https://a.example:8443/x/token"),
        ] {
            let (endpoints, _) = compiled(&format!(
                "[token_endpoints.oauth]\npath = \"/x/token\"\nserve = \"embedded\"\n{host}\
                 [authorization_server]\nissuer = \"https://a.example:8443/t\"\n"
            ));
            assert_eq!(endpoints.unwrap()[0].url().map(|url| &**url), Some(url));
        }
    }

    #[test]
    fn the_demo_compiles_without_a_remark() {
        let (endpoints, messages) = compiled(include_str!("../../config/demo.toml"));
        assert_eq!((endpoints.map(|endpoints| endpoints.len()), messages), (Some(1), vec![]));
    }

    #[test]
    fn only_plain_paths_compile() {
        for (path, good) in [
            ("/oauth/token", true),
            ("/t", true),
            ("/a.b/c-d_e~f", true),
            ("", false),
            ("/", false),
            ("oauth/token", false),
            ("/oauth//token", false),
            ("/oauth/token/", false),
            ("/oauth/../token", false),
            ("/./token", false),
            ("/{tenant}/token", false),
            ("/oauth/{*rest}", false),
            ("/oauth%2ftoken", false),
            ("/oauth;a/token", false),
            ("/oauth token", false),
        ] {
            let wrong = |key: &str| vec![format!("token_endpoints.a.{key}: `{path}` is not a plain path")];
            let expected = |key: &str| if good { vec![] } else { wrong(key) };
            assert_eq!(messages(&format!("path = {path:?}")), expected("path"));
            let beside = "path = \"/x\"\n";
            assert_eq!(messages(&format!("{beside}revocation_path = {path:?}")), expected("revocation_path"));
            assert_eq!(messages(&format!("{beside}introspection_path = {path:?}")), expected("introspection_path"));
            let management = format!(
                "{beside}dialect = \"plgd\"\nmanagement = {{ base_path = {path:?}, require = {{ scopes = [\"a\"] }} }}"
            );
            let root_too = if path == "/" { vec![] } else { expected("management.base_path") };
            assert_eq!(messages(&management), root_too);
        }
    }

    #[test]
    fn keys_of_other_dialects_are_refused() {
        let management = "management = { require = { scopes = [\"a\"] } }";
        for (lines, expected) in [
            (
                "dialect = \"plgd\"\npath = \"/oauth/token\"\nrevocation_path = \"/r\"".to_owned(),
                vec![
                    "token_endpoints.a.revocation_path: the dialect `plgd` has no `revocation_path`; only `oauth2` has",
                ],
            ),
            (
                "dialect = \"auth0\"\npath = \"/t\"\nintrospection_path = \"/i\"".to_owned(),
                vec![
                    "token_endpoints.a.introspection_path: the dialect `auth0` has no `introspection_path`; only `oauth2` has",
                ],
            ),
            (
                format!("dialect = \"auth0\"\npath = \"/t\"\n{management}"),
                vec![
                    "token_endpoints.a.management: the dialect `auth0` has no `management`; only `plgd` and `frontegg` have",
                ],
            ),
            (
                format!("path = \"/t\"\n{management}"),
                vec![
                    "token_endpoints.a.management: the dialect `oauth2` has no `management`; only `plgd` and `frontegg` have",
                ],
            ),
            (
                format!("dialect = \"frontegg\"\npath = \"/t\"\n{management}"),
                vec!["token_endpoints.a.management: what its paths begin with cannot be told from `/t`"],
            ),
            (format!("dialect = \"frontegg\"\npath = \"/x/auth/v1/api-token\"\n{management}"), vec![]),
            (format!("dialect = \"plgd\"\npath = \"/oauth/token\"\n{management}"), vec![]),
        ] {
            assert_eq!(messages(&lines), expected, "{lines}");
        }
    }

    #[test]
    fn no_two_things_stand_at_one_path() {
        let twice = "token_endpoints.a: two things of this endpoint would stand at";
        for (lines, path) in [
            ("path = \"/t\"\nrevocation_path = \"/t\"", "/t"),
            ("path = \"/t\"\nrevocation_path = \"/x\"\nintrospection_path = \"/x\"", "/x"),
            ("path = \"/o/token\"\nintrospection_path = \"/o/revoke\"", "/o/revoke"),
            (
                "dialect = \"plgd\"\npath = \"/a/api/v1/tokens\"\nmanagement = { base_path = \"/a\", require = { scopes = [\"a\"] } }",
                "/a/api/v1/tokens",
            ),
        ] {
            assert_eq!(messages(lines), [format!("{twice} `{path}`")], "{lines}");
        }
    }
}
