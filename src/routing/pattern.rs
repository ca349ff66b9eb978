//! Owns: what requests a route answers to, compiled out of its configuration.

use crate::{
    diagnostic::{Diagnostics, KeyPath},
    http::PathPrefix,
};

use super::{HostPattern, Methods, PathPattern};

/// Which requests a route answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    /// For which hosts.
    pub host: HostPattern,
    /// For which paths.
    pub path: PathPattern,
    /// For which methods.
    pub methods: Methods,
}

impl RoutePattern {
    /// Compiles `host`, `path` and `methods` of the table at `at` (like `routes.orders`). Notes everything that is wrong
    /// with any of them, and is `None` then.
    pub fn compile(
        at: &KeyPath,
        host: Option<&str>,
        path: &str,
        methods: Option<&[String]>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut note =
            |key: &str, (message, remedy): (String, String)| diagnostics.error(&at.key(key), message, remedy);
        let host = host.map_or(Ok(HostPattern::Any), HostPattern::parse).map_err(|wrong| note("host", wrong));
        let path = PathPattern::parse(path).map_err(|wrong| note("path", wrong));
        let methods = Methods::compile(at, methods, diagnostics);
        Some(Self { host: host.ok()?, path: path.ok()?, methods: methods? })
    }

    /// Compiles a `strip_prefix` that stands at `at`: it must be the literal beginning of the path.
    pub fn compile_strip_prefix(&self, at: &KeyPath, text: &str, diagnostics: &mut Diagnostics) -> Option<PathPrefix> {
        match PathPrefix::parse(text) {
            Ok(prefix) if self.path.begins_with(&prefix) => return Some(prefix),
            Ok(_) => diagnostics.error(
                at,
                format!("`{text}` is not the literal beginning of the path `{}`", self.path),
                "write whole segments of the path, up to its first parameter at most",
            ),
            Err(error) => diagnostics.error(
                at,
                format!("`{text}` is no prefix of a path: {error}"),
                "write the first segments of the path, like `/v1`",
            ),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_noted_at_once() {
        let mut diagnostics = Diagnostics::new();
        let at = KeyPath::of(&["routes", "a"]);
        let methods = ["get".to_owned()];
        assert!(RoutePattern::compile(&at, Some("*"), "a", Some(&methods), &mut diagnostics).is_none());
        let places: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.path.to_string()).collect();
        assert_eq!(places, ["routes.a.host", "routes.a.path", "routes.a.methods[0]"]);
    }

    #[test]
    fn a_prefix_that_cannot_be_stripped_is_an_error() {
        let mut diagnostics = Diagnostics::new();
        let at = KeyPath::of(&["routes", "a"]);
        let pattern = RoutePattern::compile(&at, None, "/v1/{x}", None, &mut diagnostics).unwrap();
        assert!(pattern.compile_strip_prefix(&at, "/v1", &mut diagnostics).is_some());
        assert_eq!(diagnostics.error_count(), 0);
        for bad in ["/v2", "/", "v1", "/v1/x"] {
            assert!(pattern.compile_strip_prefix(&at.key(bad), bad, &mut diagnostics).is_none());
        }
        assert_eq!(diagnostics.error_count(), 4);
    }
}
