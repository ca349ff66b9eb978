//! Owns: from `[issuers.*.introspection]`, where an issuer is asked about tokens, as whom, and how long its answers are believed.
//! Refuses: addresses in clear beyond loopback, answers believed for longer than an hour, questions that take longer than 30 s.
//! Always holds: two settings are equal exactly if what one was told may be believed by the other.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    config::{HumanDuration, IntrospectionAuthenticationConfig, IntrospectionConfig},
    diagnostic::{Diagnostics, KeyPath},
    outbound::{OutboundSettings, RemoteUrl, TrustAnchors},
    secret::Secret,
};

/// The longest time for which an answer is believed.
const LONGEST_BELIEF: HumanDuration = HumanDuration::from_seconds(3600);
/// The longest that asking may take: whoever presented the token waits.
const LONGEST_TIMEOUT: HumanDuration = HumanDuration::from_seconds(30);
/// How long making a connection may take, if asking may take longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest answer. What a token means is a few claims.
const LONGEST_ANSWER_BYTES: usize = 256 * 1024;

/// Everything that tells one introspector from another. A reload keeps one whose settings are the same.
#[derive(Clone)]
pub struct IntrospectionSettings {
    /// The issuer's name in the configuration.
    pub(super) issuer: Arc<str>,
    pub(super) endpoint: RemoteUrl,
    pub(super) client_id: Box<str>,
    pub(super) client_secret: Secret,
    pub(super) authentication: IntrospectionAuthenticationConfig,
    pub(super) cache_for: Duration,
    pub(super) cache_inactive_for: Duration,
    pub(super) outbound: OutboundSettings,
}

impl IntrospectionSettings {
    /// Compiles `issuers.<name>.introspection`. Reads the file of authorities. `None` if `diagnostics` now says what is wrong.
    #[must_use]
    pub fn compile(name: &str, raw: &IntrospectionConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let path = KeyPath::of(&["issuers", name, "introspection"]);
        let endpoint = RemoteUrl::compile(&raw.endpoint, &path.key("endpoint"), diagnostics);
        let is_named = !raw.client_id.is_empty();
        if !is_named {
            let remedy = "write the id that the issuer gave to Postern for asking";
            diagnostics.error(&path.key("client_id"), "the client has no id", remedy);
        }
        let believed = belief("cache_for", raw.cache_for, &path, diagnostics);
        let inactive = belief("cache_inactive_for", raw.cache_inactive_for, &path, diagnostics);
        let encrypted = endpoint.as_ref().is_none_or(RemoteUrl::is_encrypted);
        let outbound = asking(raw.timeout, raw.ca.as_ref(), encrypted, &path, diagnostics);
        let settings = Self {
            issuer: Arc::from(name),
            endpoint: endpoint?,
            client_id: raw.client_id.as_str().into(),
            client_secret: raw.client_secret.secret().clone(),
            authentication: raw.authentication,
            cache_for: believed?,
            cache_inactive_for: inactive?,
            outbound: outbound?,
        };
        is_named.then_some(settings)
    }
}

/// How long something is believed, as `key` says.
pub(in crate::auth) fn belief(
    key: &str,
    value: HumanDuration,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    if value <= LONGEST_BELIEF {
        return Some(value.0);
    }
    let remedy = "write at most \"1h\": a token that is taken back is good for that long still";
    diagnostics.error(&path.key(key), format!("`{value}` is longer than an hour"), remedy);
    None
}

/// How an issuer is asked.
pub(in crate::auth) fn asking(
    limit: HumanDuration,
    ca: Option<&crate::config::FilePath>,
    encrypted: bool,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<OutboundSettings> {
    if limit.0.is_zero() {
        let remedy = "write a duration above zero, like \"5s\", or leave it out for the default";
        diagnostics.error(&path.key("timeout"), "the timeout leaves no time at all", remedy);
    }
    if limit > LONGEST_TIMEOUT {
        let remedy = "write at most \"30s\": whoever presented the token waits for the answer";
        diagnostics.error(&path.key("timeout"), format!("`{limit}` is longer than 30 s"), remedy);
    }
    let trust = TrustAnchors::compile(ca, &path.key("ca"), encrypted, diagnostics)?;
    (!limit.0.is_zero() && limit <= LONGEST_TIMEOUT).then_some(OutboundSettings {
        trust,
        connect_timeout: limit.0.min(CONNECT_TIMEOUT),
        timeout: limit.0,
        longest_answer_bytes: LONGEST_ANSWER_BYTES,
    })
}

impl PartialEq for IntrospectionSettings {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            issuer,
            endpoint,
            client_id,
            client_secret,
            authentication,
            cache_for,
            cache_inactive_for,
            outbound,
        } = self;
        *issuer == other.issuer
            && *endpoint == other.endpoint
            && *client_id == other.client_id
            && client_secret.matches(other.client_secret.expose())
            && *authentication == other.authentication
            && *cache_for == other.cache_for
            && *cache_inactive_for == other.cache_inactive_for
            && *outbound == other.outbound
    }
}

impl Eq for IntrospectionSettings {}

impl fmt::Debug for IntrospectionSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("IntrospectionSettings")
            .field("endpoint", &self.endpoint)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
