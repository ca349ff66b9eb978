//! Owns: the embedded issuer's part of the configuration, compiled.
//! Refuses: touching a disk: `postern check` compiles too, and must make no keys.
//! Always holds: what compiles without an error can be opened, as far as that can be known without looking at files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    api::{self, Api},
    client::{self, Clients},
    issuer_url::IssuerUrl,
};
use crate::{
    config::{Config, DialectConfig, ServeConfig, SigningAlgorithmConfig, TokenEndpointConfig},
    diagnostic::{Diagnostics, KeyPath},
};

/// The embedded issuer before its keys are opened.
#[derive(Debug)]
pub struct Settings {
    issuer: IssuerUrl,
    enabled: bool,
    algorithm: SigningAlgorithmConfig,
    token_endpoint: Option<String>,
    apis: BTreeMap<Arc<str>, Api>,
    clients: Clients,
}

/// Compiles `[authorization_server]`. None if there is no such table, or if `diagnostics` now says why it cannot be
/// used.
pub fn compile(config: &Config, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let server = config.authorization_server.as_ref()?;
    let path = KeyPath::of(&["authorization_server"]);
    let errors_before = diagnostics.error_count();
    if config.process.data_directory.is_none() {
        diagnostics.key_error(
            &path,
            "the embedded issuer has nowhere to keep its signing keys",
            "set `data_directory` in [process]",
        );
    }
    let issuer = match IssuerUrl::parse(&server.issuer) {
        Ok(issuer) => Some(issuer),
        Err(fault) => {
            diagnostics.error(&path.key("issuer"), fault.message, fault.remedy);
            None
        }
    };
    if issuer.as_ref().is_some_and(IssuerUrl::is_in_clear) {
        diagnostics.warning(
            &path.key("issuer"),
            "the issuer is not https, so whoever is between it and a resource server can replace its keys",
            "write an https URL, which is also what RFC 8414 section 2 asks for",
        );
    }
    let token_endpoint = issuer.as_ref().and_then(|issuer| token_endpoint_url(config, issuer));
    if token_endpoint.is_none() && issuer.is_some() {
        diagnostics.warning(
            &path,
            "no token endpoint is served by the embedded issuer, so nobody can get a token",
            "add [token_endpoints.oauth] with `path = \"/oauth/token\"` and `serve = \"embedded\"`",
        );
    }
    let apis = api::compile(server, &path, diagnostics);
    let clients = client::compile(config, server, &apis, &path.key("clients"), diagnostics);
    if diagnostics.error_count() > errors_before {
        return None;
    }
    let (enabled, algorithm) = (server.m2m_enabled, server.signing.algorithm);
    Some(Settings { issuer: issuer?, enabled, algorithm, token_endpoint, apis, clients })
}

/// The URL of the first endpoint that this issuer serves in the shape of RFC 6749.
fn token_endpoint_url(config: &Config, issuer: &IssuerUrl) -> Option<String> {
    let serves = |endpoint: &&TokenEndpointConfig| {
        (endpoint.dialect, endpoint.serve) == (DialectConfig::Oauth2, ServeConfig::Embedded)
    };
    let endpoint = config.token_endpoints.values().find(serves)?;
    // A wildcard is not the name of a host; the issuer's own is as good as any that it stands for.
    let host = endpoint.host.as_deref().filter(|host| !host.contains('*'));
    Some(issuer.at(host, &endpoint.path))
}

impl Settings {
    /// The issuer's name, as it stands in `iss`.
    #[must_use]
    pub const fn issuer(&self) -> &Arc<str> {
        self.issuer.text()
    }

    /// Whether tokens are issued and accepted.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The algorithm of new tokens.
    #[must_use]
    pub const fn algorithm(&self) -> SigningAlgorithmConfig {
        self.algorithm
    }

    /// The paths of everything that is published beside the routes, known before there are keys to publish.
    #[must_use]
    pub fn document_paths(&self) -> [String; 3] {
        [
            self.issuer.jwks_path(),
            self.issuer.authorization_server_metadata_path(),
            self.issuer.openid_configuration_path(),
        ]
    }

    pub(super) const fn issuer_url(&self) -> &IssuerUrl {
        &self.issuer
    }

    pub(super) fn token_endpoint(&self) -> Option<&str> {
        self.token_endpoint.as_deref()
    }

    pub(super) const fn clients(&self) -> &Clients {
        &self.clients
    }

    pub(super) fn api(&self, audience: &str) -> Option<&Api> {
        self.apis.get(audience)
    }

    /// Every scope of every API, each once, sorted.
    pub(super) fn scopes(&self) -> BTreeSet<&str> {
        self.apis.values().flat_map(|api| api.scopes.iter()).collect()
    }
}
