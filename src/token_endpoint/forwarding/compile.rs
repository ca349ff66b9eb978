//! Owns: what `[token_endpoints.*]` says about an outside provider, compiled.
//! Refuses: what only the embedded issuer has beside `forward`, and what only a provider has without it; what cannot be said to
//! the provider in its dialect.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{ClientMap, Forwarding, outgoing::Manner, provider::Provider};
use crate::{
    config::{
        DialectConfig, HumanDuration, ProviderAuthenticationConfig, ProviderBodyConfig, ProviderConfig,
        TokenEndpointConfig,
    },
    diagnostic::{Diagnostics, KeyPath},
    outbound::{OutboundSettings, RemoteUrl, TrustAnchors},
    token_endpoint::{Lasting, reuse},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);
const MOST_REQUESTS: u32 = 256;
/// The longest answer that is read, in bytes.
const LONGEST_ANSWER_BYTES: usize = 256 * 1024;

/// Compiles the provider behind the endpoint `name` at `path`. None if it has none, or if `diagnostics` now says why it cannot be
/// used.
pub(in super::super) fn compile(
    name: &str,
    raw: &TokenEndpointConfig,
    path: &KeyPath,
    lasting: &Lasting,
    diagnostics: &mut Diagnostics,
) -> Option<Forwarding> {
    let errors_before = diagnostics.error_count();
    let Some(forward) = &raw.forward else {
        refuse_without_forward(raw, path, diagnostics);
        return None;
    };
    let default = ProviderConfig::default();
    let (provider, at) = (raw.provider.as_ref().unwrap_or(&default), path.key("provider"));
    let token = RemoteUrl::compile(forward, &path.key("forward"), diagnostics);
    let mut beside =
        |key: &str, url: Option<&String>| url.and_then(|url| RemoteUrl::compile(url, &at.key(key), diagnostics));
    let revocation = beside("revocation", provider.revocation.as_ref());
    let introspection = beside("introspection", provider.introspection.as_ref());
    let encrypted = [&token, &revocation, &introspection].into_iter().flatten().any(RemoteUrl::is_encrypted);
    let trust = TrustAnchors::compile(provider.ca.as_ref(), &at.key("ca"), encrypted || token.is_none(), diagnostics);
    let connect_timeout = bounded(provider.connect_timeout, CONNECT_TIMEOUT, &at.key("connect_timeout"), diagnostics);
    let timeout = bounded(provider.timeout, TIMEOUT, &at.key("timeout"), diagnostics);
    let most = provider.max_requests.unwrap_or(MOST_REQUESTS);
    if most == 0 {
        diagnostics.error(&at.key("max_requests"), "the provider would never be asked", "write 1 or more");
    }
    judge_clients(raw, path, diagnostics);
    let manner = manner(raw, provider, &at, diagnostics);
    judge_beside(raw, provider, path, diagnostics);
    let reuse = reuse::compile(name, raw, path, lasting, diagnostics);
    if diagnostics.error_count() > errors_before {
        return None;
    }
    let settings =
        OutboundSettings { trust: trust?, connect_timeout, timeout, longest_answer_bytes: LONGEST_ANSWER_BYTES };
    let provider = Provider {
        endpoint: Arc::from(name),
        manner,
        token: token?,
        revocation,
        introspection,
        client: lasting.outbound.client(settings),
        room: Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS))),
        counters: lasting.counters.of(name),
        told_at: AtomicU64::new(0),
        told_of_credentials_at: AtomicU64::new(0),
    };
    let clients = ClientMap::new(&raw.clients, raw.unmapped_clients);
    let gives_refresh_tokens = raw.gives_refresh_tokens();
    Some(Forwarding {
        provider: Arc::new(provider),
        clients,
        reuse,
        gives_refresh_tokens,
        reused: lasting.reuse.clone(),
    })
}

/// How the provider wants to be told.
fn manner(raw: &TokenEndpointConfig, provider: &ProviderConfig, at: &KeyPath, diagnostics: &mut Diagnostics) -> Manner {
    let dialect = provider.dialect.unwrap_or(raw.dialect);
    let is_frontegg = dialect == DialectConfig::Frontegg;
    let usual = if is_frontegg { ProviderBodyConfig::Json } else { ProviderBodyConfig::Form };
    let body = provider.body.unwrap_or(usual);
    if is_frontegg && body != ProviderBodyConfig::Json {
        diagnostics.error(&at.key("body"), "the dialect `frontegg` is spoken in JSON only", "leave it out");
    }
    if is_frontegg && provider.authentication == ProviderAuthenticationConfig::ClientSecretBasic {
        let remedy = "leave it out";
        diagnostics.error(&at.key("authentication"), "the dialect `frontegg` knows no HTTP Basic", remedy);
    }
    Manner { dialect, body, authentication: provider.authentication, audience: provider.audience }
}

fn judge_clients(raw: &TokenEndpointConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let beside = raw.provider.as_ref().is_some_and(|it| it.revocation.is_some() || it.introspection.is_some());
    let mut seen = BTreeMap::new();
    for (id, client) in raw.clients.iter().filter(|_| beside) {
        let there = client.provider_client_id.as_ref().unwrap_or(id);
        if let Some(other) = seen.insert(there, id) {
            diagnostics.warning(
                &path.key("clients").key(id),
                format!(
                    "`{other}` is the same client at the provider, so each can revoke and introspect the other's tokens"
                ),
                "give each an id of its own at the provider",
            );
        }
    }
    for (id, client) in &raw.clients {
        let at = path.key("clients").key(id);
        if id.is_empty() || client.provider_client_id.as_deref() == Some("") {
            diagnostics.key_error(&at, "a client id is empty", "write the id");
        }
        let provider_secret = client.provider_secret.secret().expose();
        let own = [Some(&client.secret), client.other_secret.as_ref()];
        if own.into_iter().flatten().any(|own| own.secret().matches(provider_secret)) {
            diagnostics.warning(
                &at.key("secret"),
                "the client presents here the very secret that it has at the provider",
                "give it one of its own, so that it need not hold the provider's",
            );
        }
    }
}

/// Paths that lead to something that the provider does not have.
fn judge_beside(raw: &TokenEndpointConfig, provider: &ProviderConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    let dialect = raw.issuing_dialect();
    for (key, written, at_provider) in [
        ("revocation_path", &raw.revocation_path, &provider.revocation),
        ("introspection_path", &raw.introspection_path, &provider.introspection),
    ] {
        let name = key.trim_end_matches("_path");
        if written.is_some() && at_provider.is_none() {
            let message = format!("it is not said where the provider has its {name} endpoint");
            diagnostics.error(&path.key(key), message, format!("add `provider.{name} = \"https://...\"`"));
        }
        let foreign = [raw.dialect, dialect].into_iter().find(|dialect| *dialect != DialectConfig::Oauth2);
        if let Some(foreign) = foreign.filter(|_| at_provider.is_some()) {
            let message = format!("the dialect `{}` has no {name} endpoint", foreign.name());
            diagnostics.key_error(&path.key("provider").key(name), message, "take it out, or change the dialect");
        }
    }
    if raw.management.is_some() {
        let message = "only the embedded issuer is managed here";
        diagnostics.key_error(&path.key("management"), message, "take the table out");
    }
}

fn refuse_without_forward(raw: &TokenEndpointConfig, path: &KeyPath, diagnostics: &mut Diagnostics) {
    for (key, is_written) in [
        ("provider", raw.provider.is_some()),
        ("clients", !raw.clients.is_empty()),
        ("unmapped_clients", raw.unmapped_clients.is_some()),
        ("reuse", raw.reuse.is_some()),
    ] {
        if is_written && raw.serve.is_some() {
            let message = format!("`{key}` is for outside providers, and Postern issues here itself");
            diagnostics.key_error(&path.key(key), message, "take it out, or write `forward` instead of `serve`");
        }
    }
}

fn bounded(
    written: Option<HumanDuration>,
    default: Duration,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Duration {
    let duration = written.map_or(default, |written| written.0);
    if !(Duration::from_millis(1)..=Duration::from_secs(60)).contains(&duration) {
        diagnostics.error(path, "this is out of range", "write a duration from \"1ms\" to \"60s\"");
    }
    duration
}
