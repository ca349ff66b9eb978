//! Owns: `[admin]`, compiled.
//! Refuses: a management API that everybody on the network can use.

use std::net::SocketAddr;

use crate::{
    config::AdminConfig,
    diagnostic::{Diagnostics, KeyPath},
    secret::Secret,
};

/// A token shorter than this can be guessed.
const SHORTEST_TOKEN_BYTES: usize = 16;

/// The operator's listener.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where it listens. Read at start only.
    pub address: SocketAddr,
    /// The token that callers present.
    pub token: Option<Secret>,
}

/// Compiles `[admin]`; nothing if it has errors, which are then in `diagnostics`.
pub fn compile(config: &AdminConfig, diagnostics: &mut Diagnostics) -> Option<AdminSettings> {
    let remedy = "write `token = { env = \"POSTERN_ADMIN_TOKEN\" }`, or an address on loopback like \"127.0.0.1:9090\"";
    let token = config.token.as_ref().map(|token| token.secret());
    match token {
        None if !config.address.ip().is_loopback() => {
            let path = KeyPath::of(&["admin", "address"]);
            diagnostics.error(&path, "the admin listener can be reached from outside and asks for no token", remedy);
            return None;
        }
        Some(token) if token.is_empty() => {
            let path = KeyPath::of(&["admin", "token"]);
            diagnostics.error(&path, "the admin token is empty", "give it a value of 16 characters or more");
            return None;
        }
        Some(token) if token.expose().len() < SHORTEST_TOKEN_BYTES => {
            let path = KeyPath::of(&["admin", "token"]);
            diagnostics.warning(&path, "the admin token is short enough to be guessed", "use 16 characters or more");
        }
        _ => {}
    }
    Some(AdminSettings { address: config.address, token: token.cloned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{SecretConfig, value::SecretOrigin};

    fn compiled(address: &str, token: Option<&str>) -> (bool, Vec<String>) {
        let token = token.map(|token| SecretConfig::new(SecretOrigin::Inline, Secret::new(token.to_owned())));
        let config = AdminConfig { address: address.parse().unwrap(), token };
        let mut diagnostics = Diagnostics::new();
        let settings = compile(&config, &mut diagnostics);
        assert_eq!(settings.is_none(), diagnostics.has_errors());
        (settings.is_some(), diagnostics.iter().map(|diagnostic| diagnostic.path.to_string()).collect())
    }

    #[test]
    fn an_address_that_others_reach_needs_a_token() {
        assert_eq!(compiled("127.0.0.1:9090", None), (true, vec![]));
        assert_eq!(compiled("[::1]:9090", None), (true, vec![]));
        assert_eq!(compiled("0.0.0.0:9090", None), (false, vec!["admin.address".to_owned()]));
        assert_eq!(compiled("0.0.0.0:9090", Some("")), (false, vec!["admin.token".to_owned()]));
        assert_eq!(compiled("127.0.0.1:9090", Some("short")), (true, vec!["admin.token".to_owned()]));
        assert_eq!(compiled("0.0.0.0:9090", Some("0123456789abcdef")), (true, vec![]));
    }
}
