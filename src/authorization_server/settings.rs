//! Owns: the embedded issuer's part of the configuration, compiled.
//! Refuses: touching the store: `postern check` compiles too, and must make nothing.
//! Always holds: what compiles without an error can be opened, as far as that can be known without looking at the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use super::{
    api::{self, Api},
    api_token::ApiTokenProfile,
    client::{self, Clients, KnownNames},
    issuer_url::IssuerUrl,
    metadata,
};
use crate::{
    config::{
        ApiTokenFormatConfig, ApiTokenStrategyConfig, AuthorizationServerConfig, Config, DialectConfig, FilePath,
        ServeConfig, SigningAlgorithmConfig, StoreConfig, TokenEndpointConfig,
    },
    diagnostic::{Diagnostics, KeyPath, nearest},
    secret::Secret,
};

/// The shortest time that a key signs. Verifiers keep the key document for some minutes.
const SHORTEST_ROTATION: Duration = Duration::from_secs(60 * 60);
/// The shortest secret that private keys are encrypted under, in characters.
const SHORTEST_ENCRYPTION_KEY: usize = 32;
/// The file in the data directory that is the store unless another is named.
const STORE_FILE: &str = "postern.db";

/// The embedded issuer as it is configured, before its store is opened.
#[derive(Debug)]
pub struct Settings {
    issuer: IssuerUrl,
    enabled: bool,
    store: StoreConfig,
    encryption_key: Option<Secret>,
    algorithm: SigningAlgorithmConfig,
    rotate_every: Option<Duration>,
    places: Vec<PublishedPlace>,
    apis: BTreeMap<Arc<str>, Api>,
    clients: Clients,
    issuer_names: BTreeSet<Arc<str>>,
    owner_claim: String,
    device_id_claim: String,
    api_tokens: Option<ApiTokenSettings>,
}

/// What users and tenants may make for themselves.
#[derive(Debug)]
struct ApiTokenSettings {
    strategy: ApiTokenStrategyConfig,
    format: ApiTokenFormatConfig,
    audience: Arc<str>,
    profile: Arc<ApiTokenProfile>,
}

/// A place of a token endpoint that metadata speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PublishedPlace {
    /// Its dialect.
    pub(super) dialect: DialectConfig,
    /// What is there.
    pub(super) purpose: Purpose,
    /// Its path.
    pub(super) path: String,
    /// Its URL.
    pub(super) url: String,
    /// Where tokens are had at the same endpoint.
    pub(super) token_url: String,
}

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Tokens are issued there.
    Token,
    /// Tokens are revoked there (RFC 7009).
    Revocation,
    /// Tokens are introspected there (RFC 7662).
    Introspection,
    /// Where the paths of a `plgd` server begin.
    Base,
}

/// Compiles `[authorization_server]`. None if there is no such table, or if `diagnostics` now says why it cannot be
/// used.
pub fn compile(config: &Config, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let server = config.authorization_server.as_ref()?;
    let path = KeyPath::of(&["authorization_server"]);
    let errors_before = diagnostics.error_count();
    let store = store(config, server, &path, diagnostics);
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
    let places = issuer.as_ref().map(|issuer| places(config, issuer)).unwrap_or_default();
    if issuer.is_some()
        && !config.token_endpoints.values().any(|endpoint| endpoint.serve == Some(ServeConfig::Embedded))
    {
        diagnostics.warning(
            &path,
            "no token endpoint is served by the embedded issuer, so nobody can get a token",
            "add [token_endpoints.oauth] with `path = \"/oauth/token\"` and `serve = \"embedded\"`",
        );
    }
    judge_signing(server, &path, diagnostics);
    judge_auth0_issuer(config, server, &path, diagnostics);
    let apis = api::compile(server, &path, diagnostics);
    let issuer_names: BTreeSet<Arc<str>> = config
        .issuers
        .iter()
        .filter(|(_, issuer)| !issuer.embedded)
        .map(|(name, _)| Arc::from(name.as_str()))
        .collect();
    let clients = client::compile(config, server, &apis, &path.key("clients"), diagnostics);
    let api_tokens = api_tokens(server, &apis, &path, diagnostics);
    if diagnostics.error_count() > errors_before {
        return None;
    }
    Some(Settings {
        issuer: issuer?,
        enabled: server.m2m_enabled,
        store: store?,
        encryption_key: server.encryption_key.as_ref().map(|key| key.secret().clone()),
        algorithm: server.signing.algorithm,
        rotate_every: server.signing.rotate_every.map(|every| every.0),
        places,
        apis,
        clients,
        issuer_names,
        owner_claim: server.owner_claim.clone(),
        device_id_claim: server.device_id_claim.clone(),
        api_tokens,
    })
}

/// Where the issuer keeps what must survive a restart.
pub(super) fn store(
    config: &Config,
    server: &AuthorizationServerConfig,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<StoreConfig> {
    if let Some(store) = &server.store {
        if store.trusts_the_network() {
            diagnostics.warning(
                &path.key("store"),
                "the database's certificate is not verified, so whoever is in between can read and change what is kept",
                "add `?sslmode=verify-full`, and `&sslrootcert=FILE` for an authority of your own",
            );
        }
        return Some(store.clone());
    }
    match &config.process.data_directory {
        Some(FilePath(directory)) => Some(StoreConfig::Sqlite(PathBuf::from(directory).join(STORE_FILE))),
        None => {
            diagnostics.key_error(
                path,
                "the embedded issuer has nowhere to keep its keys and clients",
                "set `store`, like \"sqlite:data/postern.db\", or `data_directory` in [process]",
            );
            None
        }
    }
}

fn judge_signing(server: &AuthorizationServerConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    if server.signing.rotate_every.is_some_and(|every| every.0 < SHORTEST_ROTATION) {
        diagnostics.error(
            &path.key("signing").key("rotate_every"),
            "keys must sign for an hour at least, so that everybody can learn of the next one",
            "write a duration like \"90d\"",
        );
    }
    if let Some(key) = &server.encryption_key
        && key.secret().expose().chars().count() < SHORTEST_ENCRYPTION_KEY
    {
        diagnostics.error(
            &path.key("encryption_key"),
            format!("the key for encryption is shorter than {SHORTEST_ENCRYPTION_KEY} characters"),
            "make one with `openssl rand -hex 32`",
        );
    }
    for (key, claim) in [("owner_claim", &server.owner_claim), ("device_id_claim", &server.device_id_claim)] {
        if claim.is_empty() {
            diagnostics.error(&path.key(key), "a claim needs a name", "give it one, or leave the key out");
        } else if claim != "sub" && client::ISSUERS_CLAIMS.contains(&claim.as_str()) {
            diagnostics.error(
                &path.key(key),
                format!("the claim `{claim}` says something else already"),
                "choose a name of your own",
            );
        }
    }
}

/// Whoever moves here from such a product has the slash in every configuration of a resource server.
fn judge_auth0_issuer(
    config: &Config,
    server: &AuthorizationServerConfig,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) {
    let has_auth0 = config
        .token_endpoints
        .values()
        .any(|endpoint| (endpoint.dialect, endpoint.serve) == (DialectConfig::Auth0, Some(ServeConfig::Embedded)));
    if has_auth0 && !server.issuer.ends_with('/') {
        diagnostics.warning(
            &path.key("issuer"),
            "in the `auth0` dialect the issuer of a token ends with a slash, and this one does not",
            format!("write \"{}/\", here and wherever tokens are verified", server.issuer),
        );
    }
}

fn api_tokens(
    server: &AuthorizationServerConfig,
    apis: &BTreeMap<Arc<str>, Api>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<ApiTokenSettings> {
    let Some(strategy) = server.api_tokens else {
        if server.api_token_audience.is_some() {
            let message = "nobody can make API tokens, so they have no audience";
            diagnostics.key_error(&path.key("api_token_audience"), message, "set `api_tokens`, or take this out");
        }
        return None;
    };
    let audience_path = path.key("api_token_audience");
    let audience = match (&server.api_token_audience, apis.len()) {
        (Some(named), _) => match apis.get_key_value(named.as_str()) {
            Some((audience, _)) => Arc::clone(audience),
            None => {
                let remedy = nearest(named, apis.keys().map(|known| &**known)).map_or_else(
                    || format!("add [authorization_server.apis.{named:?}], or name one that is there"),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                diagnostics.error(&audience_path, format!("there is no API `{named}`"), remedy);
                return None;
            }
        },
        (None, 1) => Arc::clone(apis.keys().next()?),
        (None, _) => {
            diagnostics.key_error(
                &path.key("api_tokens"),
                "API tokens need to know which API they are for",
                "set `api_token_audience` to one of `apis`",
            );
            return None;
        }
    };
    let roles = server.roles.iter().map(|(role, config)| (role.clone(), config.permissions.iter().cloned().collect()));
    let profile =
        ApiTokenProfile { issuer: server.issuer.clone(), audience: audience.to_string(), roles: roles.collect() };
    Some(ApiTokenSettings { strategy, format: server.api_token_format, audience, profile: Arc::new(profile) })
}

/// The places that this issuer serves in the shape of RFC 6749, or like it.
fn places(config: &Config, issuer: &IssuerUrl) -> Vec<PublishedPlace> {
    let served = config.token_endpoints.values().filter(|endpoint| endpoint.serve == Some(ServeConfig::Embedded));
    let place = |endpoint: &TokenEndpointConfig, purpose, path: &str| {
        // A wildcard is not the name of a host; the issuer's own is as good as any that it stands for.
        let host = endpoint.host.as_deref().filter(|host| !host.contains('*'));
        let url = |path: &str| issuer.at(host, path);
        let token_url = url(&endpoint.path);
        PublishedPlace { dialect: endpoint.dialect, purpose, path: path.to_owned(), url: url(path), token_url }
    };
    served
        .flat_map(|endpoint| {
            [
                (Purpose::Token, Some(endpoint.path.clone())),
                (Purpose::Revocation, endpoint.revocation_place()),
                (Purpose::Introspection, endpoint.introspection_place()),
                (Purpose::Base, endpoint.plgd_base()),
            ]
            .into_iter()
            .filter_map(move |(purpose, path)| Some(place(endpoint, purpose, &path?)))
        })
        .collect()
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

    /// The paths of everything that is published beside the routes, known before there are keys to publish. Each once.
    #[must_use]
    pub fn document_paths(&self) -> BTreeSet<String> {
        let metadata = metadata::documents(self).into_iter().map(|document| document.path);
        metadata.chain(self.key_document_paths()).collect()
    }

    /// Where the key document is: at the issuer's own place, and at the place of each `plgd` server.
    pub(super) fn key_document_paths(&self) -> impl Iterator<Item = String> {
        let of_plgd = self.plgd_bases().map(|base| format!("{}/.well-known/jwks.json", base.path));
        std::iter::once(self.issuer.jwks_path()).chain(of_plgd)
    }

    /// Where the paths of `plgd` servers begin.
    pub(super) fn plgd_bases(&self) -> impl Iterator<Item = &PublishedPlace> {
        self.places.iter().filter(|place| place.purpose == Purpose::Base)
    }

    pub(super) const fn issuer_url(&self) -> &IssuerUrl {
        &self.issuer
    }

    /// The URL of the first place of this dialect and purpose.
    pub(super) fn place(&self, dialect: DialectConfig, purpose: Purpose) -> Option<&str> {
        let mut places = self.places.iter();
        places.find(|place| (place.dialect, place.purpose) == (dialect, purpose)).map(|place| place.url.as_str())
    }

    /// Where everything is kept.
    #[must_use]
    pub const fn store(&self) -> &StoreConfig {
        &self.store
    }

    /// The secret under which private keys are encrypted.
    #[must_use]
    pub const fn encryption_key(&self) -> Option<&Secret> {
        self.encryption_key.as_ref()
    }

    /// How long a key signs; none: until it is told to stop.
    #[must_use]
    pub const fn rotate_every(&self) -> Option<Duration> {
        self.rotate_every
    }

    /// The names that a client that is registered may speak of.
    #[must_use]
    pub fn known_names(&self) -> KnownNames<'_> {
        KnownNames { apis: &self.apis, issuers: &self.issuer_names }
    }

    /// The APIs of which tokens may last for ever, by name.
    pub fn unlimited_apis(&self) -> impl Iterator<Item = &Arc<str>> {
        self.apis.values().filter(|api| api.danger_allow_unlimited).map(|api| &api.audience)
    }

    /// The claim that says whose a token is.
    #[must_use]
    pub fn owner_claim(&self) -> &str {
        &self.owner_claim
    }

    pub(super) fn device_id_claim(&self) -> &str {
        &self.device_id_claim
    }

    pub(super) fn api_token_strategy(&self) -> Option<ApiTokenStrategyConfig> {
        self.api_tokens.as_ref().map(|tokens| tokens.strategy)
    }

    pub(super) fn api_token_format(&self) -> ApiTokenFormatConfig {
        self.api_tokens.as_ref().map(|tokens| tokens.format).unwrap_or_default()
    }

    pub(super) fn api_token_profile(&self) -> Option<&Arc<ApiTokenProfile>> {
        self.api_tokens.as_ref().map(|tokens| &tokens.profile)
    }

    /// The API that API tokens are for.
    pub(super) fn api_token_api(&self) -> Option<&Api> {
        self.api(&self.api_tokens.as_ref()?.audience)
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
