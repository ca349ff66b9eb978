//! Owns: the audiences for which tokens are issued.
//! Refuses: names and scopes that a token or a request could not carry unambiguously.
//! Always holds: a lifetime is between one second and 30 days.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    config::{ApiConfig, AuthorizationServerConfig, HumanDuration},
    diagnostic::{Diagnostics, KeyPath},
    oauth::ScopeSet,
};

/// The longest life of a token: the most that any of the products whose place we take allows.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An audience of the embedded issuer.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its name, as it stands in `aud`.
    pub audience: Arc<str>,
    /// Every scope there is.
    pub scopes: ScopeSet,
    /// How long a token for it lasts at most.
    pub token_lifetime: Duration,
    /// Whether a token for it may last for ever, if its client and its dialect say so too.
    pub danger_allow_unlimited: bool,
}

/// Compiles `[authorization_server.apis.*]`. What is wrong is told and left out.
pub(super) fn compile(
    config: &AuthorizationServerConfig,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<Arc<str>, Api> {
    let default_lifetime = lifetime(config.token_lifetime, &path.key("token_lifetime"), diagnostics);
    let mut apis = BTreeMap::new();
    for (audience, api) in &config.apis {
        let path = path.key("apis").key(audience);
        if audience.is_empty() || audience.chars().any(|character| character.is_control() || character == ' ') {
            diagnostics.key_error(
                &path,
                "the name of an API must have no spaces or control characters, and at least one character",
                "write it as it shall stand in `aud`, like \"https://api.example.com/orders\"",
            );
        }
        let token_lifetime = match api.token_lifetime {
            Some(written) => lifetime(written, &path.key("token_lifetime"), diagnostics),
            None => default_lifetime,
        };
        let audience: Arc<str> = Arc::from(audience.as_str());
        let scopes = scopes(api, &path.key("scopes"), diagnostics);
        let danger_allow_unlimited = api.danger_allow_unlimited;
        apis.insert(Arc::clone(&audience), Api { audience, scopes, token_lifetime, danger_allow_unlimited });
    }
    apis
}

fn scopes(api: &ApiConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> ScopeSet {
    let mut scopes: Vec<&str> = Vec::with_capacity(api.scopes.len());
    for (position, scope) in api.scopes.iter().enumerate() {
        let path = path.index(position);
        if ScopeSet::collect([scope.as_str()]).is_err() {
            diagnostics.error(
                &path,
                format!("`{scope}` cannot be a scope"),
                "use visible ASCII characters, without spaces, quotation marks and backslashes",
            );
        } else if scopes.contains(&scope.as_str()) {
            diagnostics.warning(&path, format!("the scope `{scope}` is listed twice"), "leave one out");
        } else {
            scopes.push(scope);
        }
    }
    // Each was found good above, one by one.
    ScopeSet::collect(scopes).unwrap_or_default()
}

fn lifetime(written: HumanDuration, path: &KeyPath, diagnostics: &mut Diagnostics) -> Duration {
    if written.0 < Duration::from_secs(1) {
        diagnostics.error(path, "a token must last a second at least", "write a duration like \"1h\"");
    } else if written.0 > LONGEST_LIFETIME {
        diagnostics.error(path, "a token must not last longer than 30 days", "write \"30d\" or less");
    }
    written.0
}
