//! Owns: `[token_endpoints.*]`, compiled.
//! Refuses: a path with parameters, and an endpoint for an issuer that is not configured.

use std::sync::Arc;

use super::TokenEndpoint;
use crate::{
    config::{Config, ServeConfig, TokenEndpointConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// Compiles `[token_endpoints.*]`, in the order of their names. None if `diagnostics` now says why it cannot be used.
///
/// That two endpoints, or an endpoint and a route, do not stand at one place is for the routing table to find out.
pub fn compile(config: &Config, diagnostics: &mut Diagnostics) -> Option<Vec<Arc<TokenEndpoint>>> {
    let errors_before = diagnostics.error_count();
    let mut endpoints = Vec::with_capacity(config.token_endpoints.len());
    for (name, endpoint) in &config.token_endpoints {
        let path = KeyPath::of(&["token_endpoints", name]);
        judge_path(endpoint, &path.key("path"), diagnostics);
        match endpoint.serve {
            ServeConfig::Embedded if config.authorization_server.is_none() => diagnostics.error(
                &path.key("serve"),
                "there is no embedded issuer",
                "add an [authorization_server] table, or remove this endpoint",
            ),
            ServeConfig::Embedded => {}
        }
        endpoints.push(Arc::new(TokenEndpoint::new(name, endpoint)));
    }
    (diagnostics.error_count() == errors_before).then_some(endpoints)
}

/// A plain path is one that nobody writes in two ways.
fn judge_path(endpoint: &TokenEndpointConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let segment_is_plain = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let is_plain = endpoint.path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment_is_plain));
    if !is_plain {
        diagnostics.error(
            path,
            format!("`{}` is not a plain path", endpoint.path),
            "write a path like \"/oauth/token\": letters, digits and `-._~` between single slashes, no parameters",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(toml: &str) -> (Option<Vec<Arc<TokenEndpoint>>>, Vec<String>) {
        let config: Config = toml::from_str(toml).unwrap();
        let mut diagnostics = Diagnostics::new();
        let endpoints = compile(&config, &mut diagnostics);
        (
            endpoints,
            diagnostics.iter().map(|diagnostic| format!("{}: {}", diagnostic.path, diagnostic.message)).collect(),
        )
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
        assert_eq!((&**endpoints[0].name(), endpoints[0].path(), endpoints[0].host()), ("oauth", "/oauth/token", None));
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
            let (endpoints, _) = compiled(&format!(
                "[token_endpoints.oauth]\npath = {path:?}\nserve = \"embedded\"\n\
                 [authorization_server]\nissuer = \"https://a.example/\"\n"
            ));
            assert_eq!(endpoints.is_some(), good, "{path}");
        }
    }
}
