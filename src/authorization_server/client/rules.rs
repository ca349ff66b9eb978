//! Owns: what a client may be, wherever it comes from.
//! Refuses: claims that would speak for the issuer; names and values that a token or a list could not carry.
//! Always holds: every mistake is noted with its place and its remedy; none is quietly mended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;

use super::{AuthenticationMethod, ClientDefinition, MOST_KEYS};
use crate::{
    authorization_server::api::{Api, LONGEST_LIFETIME},
    config::HumanDuration,
    diagnostic::{Diagnostics, KeyPath, nearest},
    oauth::ScopeSet,
};

/// Claims that no client may bring along.
///
/// Those that the issuer sets (RFC 9068 section 2.2) or that say when a token is good (RFC 7519 section 4.1); every name under
/// which scopes or the client are read; the proof of possession (RFC 7800) and the delegation (RFC 8693 section 4.1), which
/// nobody can simply claim; what marks an ID token or another kind of token, which verification refuses; and what the other
/// dialects say with authority: how the token was granted, for which organisation, whose API token it is, what it was made of.
///
/// What merely describes (`roles`, `permissions`, `metadata`, `tenantId`, `email`) is not among them: tokens of registered
/// clients have them from nowhere else, and in API tokens they come from elsewhere.
pub(in crate::authorization_server) const ISSUERS_CLAIMS: [&str; 28] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "client_id",
    "azp",
    "cid",
    "scope",
    "scp",
    "scopes",
    "cnf",
    "act",
    "may_act",
    "nonce",
    "at_hash",
    "c_hash",
    "events",
    "typ",
    "token_use",
    "gty",
    "org_id",
    "type",
    "createdByUserId",
    "userId",
    "originalTokenClaims",
];
/// The longest id or other short text, in bytes.
const LONGEST_TEXT_BYTES: usize = 255;
/// The longest description, in bytes.
const LONGEST_DESCRIPTION_BYTES: usize = 1024;
/// The most that claims may take as JSON, so that a token stays below what this very gateway accepts.
const MOST_CLAIM_BYTES: usize = 4096;
/// The deepest that claims may be nested; verification accepts 32 levels for the whole payload.
const DEEPEST_CLAIM: usize = 16;

/// The names that there are to be spoken of.
#[derive(Clone, Copy, Debug)]
pub struct KnownNames<'a> {
    /// The APIs.
    pub apis: &'a BTreeMap<Arc<str>, Api>,
    /// The issuers whose tokens can serve as assertions: those of `[issuers]` that are not embedded.
    pub issuers: &'a BTreeSet<Arc<str>>,
}

/// RFC 6749 appendix A.1.
pub(super) fn judge_id(id: &str, path: &KeyPath, diagnostics: &mut Diagnostics) {
    if id.is_empty() || !id.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        diagnostics.key_error(path, "a client's id must be visible ASCII characters", "give it another name");
    } else if id.len() > LONGEST_TEXT_BYTES {
        let message = format!("a client's id must not be longer than {LONGEST_TEXT_BYTES} characters");
        diagnostics.key_error(path, message, "give it a shorter name");
    }
}

/// Judges all of `client` that can be judged by itself, its keys aside.
pub(super) fn judge_form(client: &ClientDefinition, path: &KeyPath, lifetime_key: &str, diagnostics: &mut Diagnostics) {
    if client.description.as_ref().is_some_and(|text| text.len() > LONGEST_DESCRIPTION_BYTES) {
        let message = format!("the description is longer than {LONGEST_DESCRIPTION_BYTES} bytes");
        diagnostics.error(&path.key("description"), message, "shorten it");
    }
    judge_claims(client, &path.key("claims"), diagnostics);
    for (key, text) in [("owner", &client.owner), ("tenant", &client.tenant)] {
        if let Some(text) = text {
            judge_text(text, &path.key(key), diagnostics);
        }
    }
    for (key, texts) in [
        ("organizations", &client.organizations),
        ("introspects", &client.introspects),
        ("assertion_issuers", &client.assertion_issuers),
    ] {
        for (position, text) in texts.iter().enumerate() {
            judge_text(text, &path.key(key).index(position), diagnostics);
        }
    }
    if let Some(seconds) = client.token_lifetime_seconds
        && seconds > LONGEST_LIFETIME.as_secs()
    {
        let path = path.key(lifetime_key);
        diagnostics.error(&path, "a token must not last longer than 30 days", "write 30 days or less");
    }
    judge_scopes(client, &path.key("grants"), diagnostics);
    judge_methods(client, path, diagnostics);
}

fn judge_claims(client: &ClientDefinition, path: &KeyPath, diagnostics: &mut Diagnostics) {
    for (name, value) in &client.claims {
        let path = path.key(name);
        if ISSUERS_CLAIMS.contains(&name.as_str()) {
            diagnostics.key_error(
                &path,
                format!("the claim `{name}` is the issuer's to set"),
                "leave it out, or choose a name of your own",
            );
        } else if name.is_empty() {
            diagnostics.key_error(&path, "a claim needs a name", "give it one, or leave it out");
        }
        if is_deeper(value, DEEPEST_CLAIM) {
            let message = format!("the claim is nested deeper than {DEEPEST_CLAIM} levels");
            diagnostics.error(&path, message, "make it flatter: verifiers refuse such tokens");
        }
    }
    let bytes: usize = client.claims.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
    if bytes > MOST_CLAIM_BYTES {
        let message = format!("the claims take {bytes} bytes; at most {MOST_CLAIM_BYTES} are accepted");
        diagnostics.error(path, message, "leave some out: a token is sent with every request");
    }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return matches!(value, Value::Array(_) | Value::Object(_)) };
    match value {
        Value::Array(elements) => elements.iter().any(|element| is_deeper(element, levels)),
        Value::Object(members) => members.values().any(|member| is_deeper(member, levels)),
        _ => false,
    }
}

fn judge_text(text: &str, path: &KeyPath, diagnostics: &mut Diagnostics) {
    if text.is_empty() || text.chars().any(char::is_control) {
        diagnostics.error(path, "it is empty or has control characters", "write a name, or leave it out");
    } else if text.len() > LONGEST_TEXT_BYTES {
        diagnostics.error(path, format!("it is longer than {LONGEST_TEXT_BYTES} bytes"), "write a shorter name");
    }
}

fn judge_scopes(client: &ClientDefinition, path: &KeyPath, diagnostics: &mut Diagnostics) {
    for (audience, scopes) in &client.grants {
        let path = path.key(audience);
        for (position, scope) in scopes.iter().enumerate() {
            let path = path.index(position);
            if ScopeSet::collect([scope.as_str()]).is_err() {
                diagnostics.error(
                    &path,
                    format!("`{}` cannot be a scope", scope.escape_debug()),
                    "use visible ASCII characters, without spaces, quotation marks and backslashes",
                );
            } else if scopes.iter().take(position).any(|earlier| earlier == scope) {
                diagnostics.warning(&path, format!("the scope `{scope}` is granted twice"), "leave one out");
            }
        }
    }
}

fn judge_methods(client: &ClientDefinition, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let has_keys = !client.public_keys.is_empty() || client.jwks_uri.is_some();
    if client.public_keys.len() > MOST_KEYS {
        let message = format!("{} public keys are given; at most {MOST_KEYS} are accepted", client.public_keys.len());
        diagnostics.error(&path.key("public_keys"), message, "keep the current one and the one that follows it");
    }
    if !client.public_keys.is_empty() && client.jwks_uri.is_some() {
        let message = "the client's keys are given twice: here and in `public_keys`";
        diagnostics.key_error(&path.key("jwks_uri"), message, "leave one of the two out");
    }
    let Some(listed) = &client.authentication_methods else { return };
    let path = path.key("authentication_methods");
    if listed.is_empty() {
        diagnostics.error(&path, "the client could not authenticate at all", "name a method, or leave the key out");
    }
    let methods: Vec<AuthenticationMethod> = listed.iter().copied().map(Into::into).collect();
    for (position, method) in methods.iter().enumerate() {
        if *method == AuthenticationMethod::PrivateKeyJwt && !has_keys {
            diagnostics.error(
                &path.index(position),
                "the client has no public key to verify its assertions with",
                "give `public_keys` or `jwks_uri`, or leave the method out",
            );
        }
        if methods.iter().take(position).any(|earlier| earlier == method) {
            let message = format!("the method `{}` is listed twice", method.name());
            diagnostics.warning(&path.index(position), message, "leave one out");
        }
    }
    if has_keys && !listed.is_empty() && !methods.contains(&AuthenticationMethod::PrivateKeyJwt) {
        diagnostics.warning(
            &path,
            "the client has public keys and may not use them",
            "add \"private_key_jwt\", or leave the keys out",
        );
    }
}

/// Judges the names of APIs, scopes and issuers, and the lifetime.
pub(super) fn judge_names(
    client: &ClientDefinition,
    known: &KnownNames<'_>,
    path: &KeyPath,
    lifetime_key: &str,
    diagnostics: &mut Diagnostics,
) {
    let mut granted: Vec<&Api> = Vec::with_capacity(client.grants.len());
    for (audience, scopes) in &client.grants {
        let path = path.key("grants").key(audience);
        let Some(api) = known.apis.get(audience.as_str()) else {
            note_unknown_api(audience, known, "grant", &path, true, diagnostics);
            continue;
        };
        granted.push(api);
        for (position, scope) in scopes.iter().enumerate() {
            if !api.scopes.contains(scope) && ScopeSet::collect([scope.as_str()]).is_ok() {
                let remedy = nearest(scope, api.scopes.iter()).map_or_else(
                    || format!("add it to the scopes of [authorization_server.apis.{:?}]", api.audience),
                    |nearest| format!("did you mean `{nearest}`?"),
                );
                let message = format!("the API `{}` has no scope `{scope}`", api.audience);
                diagnostics.error(&path.index(position), message, remedy);
            }
        }
    }
    for (position, audience) in client.introspects.iter().enumerate() {
        if !known.apis.contains_key(audience.as_str()) {
            let path = path.key("introspects").index(position);
            note_unknown_api(audience, known, "name", &path, false, diagnostics);
        }
    }
    for (position, issuer) in client.assertion_issuers.iter().enumerate() {
        if !known.issuers.contains(issuer.as_str()) {
            let remedy = nearest(issuer, known.issuers.iter().map(|known| &**known)).map_or_else(
                || "name an issuer of [issuers] that is not the embedded one".to_owned(),
                |nearest| format!("did you mean `{nearest}`?"),
            );
            let message = format!("there is no issuer `{issuer}` whose tokens could be assertions");
            diagnostics.error(&path.key("assertion_issuers").index(position), message, remedy);
        }
    }
    if let Some(seconds) = client.token_lifetime_seconds {
        judge_lifetime(seconds, &granted, &path.key(lifetime_key), diagnostics);
    }
}

fn note_unknown_api(
    audience: &str,
    known: &KnownNames<'_>,
    verb: &str,
    path: &KeyPath,
    at_key: bool,
    diagnostics: &mut Diagnostics,
) {
    let remedy = nearest(audience, known.apis.keys().map(|known| &**known)).map_or_else(
        || format!("add [authorization_server.apis.{audience:?}], or {verb} one that is there"),
        |nearest| format!("did you mean `{nearest}`?"),
    );
    let message = format!("there is no API `{audience}`");
    if at_key {
        diagnostics.key_error(path, message, remedy);
    } else {
        diagnostics.error(path, message, remedy);
    }
}

fn judge_lifetime(seconds: u64, granted: &[&Api], path: &KeyPath, diagnostics: &mut Diagnostics) {
    if seconds == 0 {
        if !granted.iter().any(|api| api.danger_allow_unlimited) {
            diagnostics.error(
                path,
                "its tokens would never expire, and no API that is granted to it allows that",
                "write how long they last, or `danger_allow_unlimited = true` at the API",
            );
        }
        return;
    }
    let lifetime = Duration::from_secs(seconds);
    let Some(longest) = granted.iter().map(|api| api.token_lifetime).max() else { return };
    let shown = HumanDuration(longest);
    if lifetime > longest {
        let message = format!("its tokens cannot last that long: at most {shown} at the APIs that are granted to it");
        diagnostics.error(path, message, format!("write `{shown}` or less, or let the API's tokens last longer"));
        return;
    }
    if let Some(api) = granted.iter().find(|api| api.token_lifetime < lifetime) {
        let shown = HumanDuration(api.token_lifetime);
        let message = format!("its tokens for `{}` last {shown} all the same, as the API says", api.audience);
        diagnostics.warning(path, message, format!("write `{shown}` or less if it is meant for all of them"));
    }
}
