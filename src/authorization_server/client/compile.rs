//! Owns: the clients of `[authorization_server.clients.*]`.
//! Refuses: one that could never authenticate, and names that stand for nothing.
//! Always holds: every mistake of every client is told at once; files are read, and nothing else is touched.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    AuthenticationMethod, Client, ClientDefinition, Clients, PublicKeyDefinition,
    client_secret::ClientSecret,
    public_key,
    rules::{self, KnownNames},
};
use crate::{
    authorization_server::api::Api,
    config::{AuthorizationServerConfig, ClientConfig, Config, SecretConfig},
    diagnostic::{Diagnostics, KeyPath},
    jose::MacKey,
    pem::{self, PemError},
    secret::Secret,
};

/// The shortest secret that passes without a warning, in characters.
const SHORTEST_SECRET: usize = 16;
/// What the lifetime of a client's tokens is called in the TOML.
const LIFETIME_KEY: &str = "token_lifetime";

/// Compiles `[authorization_server.clients.*]`. What is wrong is told and left out.
pub(in crate::authorization_server) fn compile(
    config: &Config,
    server: &AuthorizationServerConfig,
    apis: &BTreeMap<Arc<str>, Api>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Clients {
    let issuers = config.issuers.iter().filter(|(_, issuer)| !issuer.embedded);
    let issuers: BTreeSet<Arc<str>> = issuers.map(|(name, _)| Arc::from(name.as_str())).collect();
    let known = KnownNames { apis, issuers: &issuers };
    let mut by_id = HashMap::with_capacity(server.clients.len());
    for (id, raw) in &server.clients {
        let path = path.key(id);
        rules::judge_id(id, &path, diagnostics);
        if let Some(client) = compile_client(id, raw, server, &known, &path, diagnostics) {
            by_id.insert(Arc::clone(&client.id), Arc::new(client));
        }
    }
    Clients { by_id }
}

fn compile_client(
    id: &str,
    raw: &ClientConfig,
    server: &AuthorizationServerConfig,
    known: &KnownNames<'_>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<Client> {
    judge_means(raw, path, diagnostics);
    let definition = definition(raw, path, diagnostics);
    if raw.owner.is_some() && raw.claims.contains_key(&server.owner_claim) {
        let message = format!("the claim `{}` is made from the client's `owner`", server.owner_claim);
        let remedy = "leave one of the two out";
        diagnostics.key_error(&path.key("claims").key(&server.owner_claim), message, remedy);
    }
    let client = definition.compile_at(id, path, LIFETIME_KEY, diagnostics);
    rules::judge_names(&definition, known, path, LIFETIME_KEY, diagnostics);
    let mut client = client?;
    let may_sign = definition.signs_with_secrets();
    let given = [&raw.secret, &raw.other_secret].into_iter().flatten();
    client.secrets = given.map(|given| ClientSecret::of_configuration(given.secret(), may_sign)).collect();
    client.enabled = raw.enabled;
    Some(client)
}

/// The document that the store would have of the client. Public keys are read from their files.
fn definition(raw: &ClientConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> ClientDefinition {
    let token_lifetime_seconds = raw.token_lifetime.map(|written| {
        if !written.0.is_zero() && written.0 < Duration::from_secs(1) {
            let remedy = "write a duration like \"1h\", or \"0s\" for tokens that last for ever";
            diagnostics.error(&path.key(LIFETIME_KEY), "a token must last a second at least", remedy);
            return 1;
        }
        written.0.as_secs()
    });
    let mut public_keys = Vec::with_capacity(raw.public_keys.len());
    for (position, file) in raw.public_keys.iter().enumerate() {
        match read_key(&file.0) {
            Ok(key) => public_keys.push(key),
            Err(error) => error.note(&path.key("public_keys").index(position), &file.0, diagnostics),
        }
    }
    ClientDefinition {
        description: raw.description.clone(),
        grants: raw.grants.clone(),
        claims: raw.claims.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        owner: raw.owner.clone(),
        tenant: raw.tenant.clone(),
        token_lifetime_seconds,
        authentication_methods: raw.authentication_methods.clone(),
        assertion_audience: raw.assertion_audience,
        organizations: raw.organizations.clone(),
        introspects: raw.introspects.clone(),
        assertion_issuers: raw.assertion_issuers.clone(),
        public_keys,
        jwks_uri: raw.jwks_uri.clone(),
    }
}

fn read_key(file: &std::path::Path) -> Result<PublicKeyDefinition, PemError> {
    // What is not UTF-8 is no key either, and is told as such.
    Ok(public_key::read(&String::from_utf8_lossy(&pem::read(file)?)))
}

/// Whether the client has what it needs to authenticate, and secrets that are worth the name.
fn judge_means(raw: &ClientConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let methods: Vec<AuthenticationMethod> =
        raw.authentication_methods.iter().flatten().copied().map(Into::into).collect();
    let may_sign = methods.contains(&AuthenticationMethod::ClientSecretJwt);
    for (key, given) in [("secret", &raw.secret), ("other_secret", &raw.other_secret)] {
        if let Some(given) = given {
            judge_secret(given.secret(), may_sign, &path.key(key), diagnostics);
        }
    }
    let text = |given: &Option<SecretConfig>| given.as_ref().map(|given| given.secret().clone());
    if let (Some(one), Some(other)) = (text(&raw.secret), text(&raw.other_secret))
        && one.matches(other.expose())
    {
        let remedy = "leave one out, or put in the one that is to replace it";
        diagnostics.error(&path.key("other_secret"), "the client's two secrets are the same", remedy);
    }
    let has_secret = raw.secret.is_some() || raw.other_secret.is_some();
    let has_keys = !raw.public_keys.is_empty() || raw.jwks_uri.is_some();
    if !has_secret && !has_keys && raw.assertion_issuers.is_empty() {
        diagnostics.key_error(
            path,
            "the client has neither a secret nor a public key, so it can never authenticate",
            "give it `secret`, `public_keys` or `jwks_uri`",
        );
        return;
    }
    let listed = path.key("authentication_methods");
    for (position, method) in methods.iter().enumerate() {
        if *method != AuthenticationMethod::PrivateKeyJwt && !has_secret {
            diagnostics.error(
                &listed.index(position),
                format!("the client has no secret for `{}`", method.name()),
                "give it `secret`, or leave the method out",
            );
        }
    }
    let uses_secret = methods.is_empty() || methods.iter().any(|method| *method != AuthenticationMethod::PrivateKeyJwt);
    if has_secret && !uses_secret {
        diagnostics.warning(
            &listed,
            "the client has a secret and may not use it",
            "add \"client_secret_basic\" or \"client_secret_post\", or leave the secret out",
        );
    }
}

fn judge_secret(secret: &Secret, may_sign: bool, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let remedy = "make one with `openssl rand -hex 32`";
    if secret.is_empty() {
        diagnostics.error(path, "the client's secret is empty", remedy);
    } else if may_sign && MacKey::new(secret.expose().as_bytes()).is_none() {
        // RFC 7518 section 3.2.
        let message = "the client's secret is shorter than 32 bytes, which is too short for `client_secret_jwt`";
        diagnostics.error(path, message, remedy);
    } else if secret.expose().chars().count() < SHORTEST_SECRET {
        diagnostics.warning(path, format!("the client's secret is shorter than {SHORTEST_SECRET} characters"), remedy);
    }
}
