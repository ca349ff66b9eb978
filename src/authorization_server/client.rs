//! Owns: the clients written in the configuration, and what each may ask for.
//! Refuses: grants for APIs and scopes that do not exist, and claims that would speak for the issuer.
//! Always holds: a client's grants name known APIs and scopes; whether a client exists cannot be told by time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde_json::{Map, Value};

use super::{api::Api, client_secret::StoredSecret};
use crate::{
    config::ClientConfig,
    diagnostic::{Diagnostics, KeyPath, nearest},
    oauth::ScopeSet,
    secret::Secret,
};

/// The shortest secret that passes without a warning, in characters.
const SHORTEST_SECRET: usize = 16;

/// Claims that the issuer alone may make: those it sets (RFC 9068 section 2.2), those that say when a token is good
/// (RFC 7519 section 4.1), every name under which scopes are read, and the proof of possession (RFC 7800), which a
/// client cannot simply claim.
const ISSUERS_CLAIMS: [&str; 12] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "scp", "scopes", "cnf"];

/// The clients, by id.
#[derive(Debug)]
pub(super) struct Clients {
    by_id: HashMap<Arc<str>, Client>,
    nobody: StoredSecret,
}

/// A client that may get tokens.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: Arc<str>,
    secret: StoredSecret,
    pub(super) grants: BTreeMap<Arc<str>, ScopeSet>,
    pub(super) claims: Map<String, Value>,
}

/// Why nobody was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthenticationFailure {
    UnknownClient,
    WrongSecret,
}

impl Clients {
    /// The client of `id`, if `secret` is its secret. An unknown client costs the same hash and the same comparison as
    /// a wrong secret.
    pub(super) fn authenticate(&self, id: &str, secret: &Secret) -> Result<&Client, AuthenticationFailure> {
        let client = self.by_id.get(id);
        let proven = client.map_or(&self.nobody, |client| &client.secret).matches(secret);
        match client {
            Some(client) if proven => Ok(client),
            Some(_) => Err(AuthenticationFailure::WrongSecret),
            None => Err(AuthenticationFailure::UnknownClient),
        }
    }
}

/// Compiles `[authorization_server.clients.*]`. What is wrong is told and left out.
pub(super) fn compile(
    clients: &BTreeMap<String, ClientConfig>,
    apis: &BTreeMap<Arc<str>, Api>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Clients {
    let mut by_id = HashMap::with_capacity(clients.len());
    for (id, config) in clients {
        let path = path.key(id);
        // RFC 6749 appendix A.1.
        if id.is_empty() || !id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            diagnostics.key_error(&path, "a client's id must be visible ASCII characters", "give it another name");
        }
        if let Some(secret) = &config.secret {
            judge_secret(secret.secret(), &path.key("secret"), diagnostics);
        }
        judge_claims(&config.claims, &path.key("claims"), diagnostics);
        let id: Arc<str> = Arc::from(id.as_str());
        let client = Client {
            id: Arc::clone(&id),
            secret: config
                .secret
                .as_ref()
                .map_or_else(StoredSecret::nobodys, |secret| StoredSecret::of(secret.secret())),
            grants: compile_grants(&config.grants, apis, &path.key("grants"), diagnostics),
            claims: config.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        };
        by_id.insert(id, client);
    }
    Clients { by_id, nobody: StoredSecret::nobodys() }
}

fn judge_secret(secret: &Secret, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let remedy = "make one with `openssl rand -hex 32`";
    if secret.is_empty() {
        diagnostics.error(path, "the client's secret is empty", remedy);
    } else if secret.expose().chars().count() < SHORTEST_SECRET {
        diagnostics.warning(path, format!("the client's secret is shorter than {SHORTEST_SECRET} characters"), remedy);
    }
}

fn judge_claims(claims: &BTreeMap<String, Value>, path: &KeyPath, diagnostics: &mut Diagnostics) {
    for name in claims.keys() {
        if ISSUERS_CLAIMS.contains(&name.as_str()) {
            diagnostics.key_error(
                &path.key(name),
                format!("the claim `{name}` is the issuer's to set"),
                "leave it out, or choose a name of your own",
            );
        } else if name.is_empty() {
            diagnostics.key_error(&path.key(name), "a claim needs a name", "give it one, or leave it out");
        }
    }
}

fn compile_grants(
    grants: &BTreeMap<String, Vec<String>>,
    apis: &BTreeMap<Arc<str>, Api>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<Arc<str>, ScopeSet> {
    let mut compiled = BTreeMap::new();
    for (audience, scopes) in grants {
        let path = path.key(audience);
        let Some(api) = apis.get(audience.as_str()) else {
            let remedy = nearest(audience, apis.keys().map(|known| &**known)).map_or_else(
                || format!("add [authorization_server.apis.{audience:?}], or grant one that is there"),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            diagnostics.key_error(&path, format!("there is no API `{audience}`"), remedy);
            continue;
        };
        compiled.insert(Arc::clone(&api.audience), compile_scopes(scopes, api, &path, diagnostics));
    }
    compiled
}

fn compile_scopes(scopes: &[String], api: &Api, path: &KeyPath, diagnostics: &mut Diagnostics) -> ScopeSet {
    let mut granted: Vec<&str> = Vec::with_capacity(scopes.len());
    for (position, scope) in scopes.iter().enumerate() {
        let path = path.index(position);
        if !api.scopes.contains(scope) {
            let remedy = nearest(scope, api.scopes.iter()).map_or_else(
                || format!("add it to the scopes of [authorization_server.apis.{:?}]", api.audience),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            diagnostics.error(&path, format!("the API `{}` has no scope `{scope}`", api.audience), remedy);
        } else if granted.contains(&scope.as_str()) {
            diagnostics.warning(&path, format!("the scope `{scope}` is granted twice"), "leave one out");
        } else {
            granted.push(scope);
        }
    }
    // Each is a scope of the API, so it follows the grammar.
    ScopeSet::collect(granted).unwrap_or_default()
}
