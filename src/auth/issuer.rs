//! Owns: one issuer compiled: what its tokens must be like, and where its keys come from.
//! Refuses: symmetric algorithms, a leeway beyond 5 minutes, options that its kind has no use for.
//! Always holds: [`Verification`] is all that verifying a token depends on. A reload that leaves it equal keeps the very
//! same one, which is how verified tokens outlive the reload.

use std::{fmt, sync::Arc, time::Duration};

use super::{Introspector, KeySource, RevocationLookup, TokenStanding};
use crate::{
    config::{Config, DialectConfig, IssuerConfig, KeySetConfig, OneOrMany, TokenTypeConfig},
    diagnostic::{Diagnostics, KeyPath, nearest},
    jose::Algorithm,
};

/// The largest leeway: beyond it, short-lived tokens would no longer be short-lived.
const LARGEST_LEEWAY: Duration = Duration::from_secs(300);

/// Somebody whose tokens are accepted.
#[derive(Debug)]
pub struct Issuer {
    name: Arc<str>,
    audience: Box<[Box<str>]>,
    verification: Arc<Verification>,
    is_enabled: bool,
}

/// Whoever vouches for an issuer's tokens.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// Keeps its keys.
    pub keys: Arc<dyn KeySource>,
    /// Says which of its tokens have been withdrawn, and what its opaque ones mean; only for the embedded issuer.
    pub standing: Option<Arc<dyn TokenStanding>>,
    /// Asks it what its opaque tokens mean.
    pub introspection: Option<Arc<Introspector>>,
    /// Asks it which of its tokens have been revoked.
    pub revocation: Option<Arc<RevocationLookup>>,
}

/// All that verifying an issuer's token depends on.
pub(super) struct Verification {
    pub(super) issuer: Box<str>,
    pub(super) algorithms: Box<[Algorithm]>,
    pub(super) leeway: Duration,
    pub(super) token_type: TokenTypeConfig,
    pub(super) required_claims: Box<[Box<str>]>,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) key_source: Arc<dyn KeySource>,
    pub(super) standing: Option<Arc<dyn TokenStanding>>,
    pub(super) api_keys: bool,
    pub(super) introspection: Option<Arc<Introspector>>,
    pub(super) revocation: Option<Arc<RevocationLookup>>,
}

impl Issuer {
    /// Compiles `issuers.<name>`. Every problem is noted; `None` if one of them is an error.
    pub(super) fn compile(
        name: &str,
        raw: &IssuerConfig,
        config: &Config,
        previous: Option<&Self>,
        keeper: Option<Keeper>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let path = KeyPath::of(&["issuers", name]);
        let issuer = issuer_claim(raw, config, &path, diagnostics);
        let algorithms = algorithms(raw, config, &path, diagnostics);
        let audience = raw.audience.as_ref().map(|own| audiences(own, &path.key("audience"), diagnostics));
        let bounds = refuse_bad_bounds(raw, &path, diagnostics);
        let Keeper { keys, standing, introspection, revocation } = keeper?;
        let verification = Verification {
            issuer: issuer?.into(),
            algorithms: algorithms?.into_boxed_slice(),
            leeway: raw.leeway.0,
            token_type: raw.token_type,
            required_claims: required_claims(raw),
            max_lifetime: raw.max_lifetime.map(|longest| longest.0),
            key_source: keys,
            standing: standing.filter(|_| raw.embedded),
            api_keys: raw.embedded && has_api_tokens(config),
            introspection,
            revocation,
        };
        let kept = previous.map(|previous| &previous.verification).filter(|kept| ***kept == verification);
        let audience = audience.map_or(Some(Box::default()), |audience| audience)?;
        bounds?;
        Some(Self {
            name: Arc::from(name),
            audience,
            is_enabled: !raw.embedded || config.authorization_server.as_ref().is_none_or(|server| server.m2m_enabled),
            verification: kept.map_or_else(|| Arc::new(verification), Arc::clone),
        })
    }

    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What its tokens have in `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.verification.issuer
    }

    /// Whether its tokens are accepted at all. The embedded issuer can be switched off (`m2m_enabled`), by its configuration
    /// and at run time: either is enough.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled && self.standing().is_none_or(|standing| standing.is_enabled())
    }

    /// Whether users and tenants may have tokens of their own from it, which are sent as `X-API-Key`.
    #[must_use]
    pub fn accepts_api_keys(&self) -> bool {
        self.verification.api_keys
    }

    /// Whoever takes its tokens back; none for an issuer elsewhere, whose tokens are good until they expire.
    #[must_use]
    pub fn standing(&self) -> Option<&dyn TokenStanding> {
        self.verification.standing.as_deref()
    }

    /// Whoever asks it what its opaque tokens mean; none where they are refused.
    #[must_use]
    pub fn introspection(&self) -> Option<&Introspector> {
        self.verification.introspection.as_deref()
    }

    /// Whoever asks it which of its tokens have been revoked; none where they are good until they expire.
    #[must_use]
    pub fn revocation(&self) -> Option<&RevocationLookup> {
        self.verification.revocation.as_deref()
    }

    /// The algorithms it signs with; none if it signs no JWTs.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.verification.algorithms
    }

    /// The audiences that routes ask for unless they name their own.
    #[must_use]
    pub const fn audience(&self) -> &[Box<str>] {
        &self.audience
    }

    /// How far its clock may be off.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        self.verification.leeway
    }

    /// Whoever keeps its keys.
    #[must_use]
    pub fn key_source(&self) -> &Arc<dyn KeySource> {
        &self.verification.key_source
    }

    pub(super) const fn verification(&self) -> &Arc<Verification> {
        &self.verification
    }
}

impl PartialEq for Verification {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            issuer,
            algorithms,
            leeway,
            token_type,
            required_claims,
            max_lifetime,
            key_source,
            standing,
            api_keys,
            introspection,
            revocation,
        } = self;
        *issuer == other.issuer
            && *algorithms == other.algorithms
            && *leeway == other.leeway
            && *token_type == other.token_type
            && *required_claims == other.required_claims
            && *max_lifetime == other.max_lifetime
            && Arc::ptr_eq(key_source, &other.key_source)
            && is_same(standing.as_ref(), other.standing.as_ref())
            && *api_keys == other.api_keys
            && is_same(introspection.as_ref(), other.introspection.as_ref())
            && is_same(revocation.as_ref(), other.revocation.as_ref())
    }
}

fn is_same<T: ?Sized>(left: Option<&Arc<T>>, right: Option<&Arc<T>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (left, right) => left.is_none() && right.is_none(),
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Verification")
            .field("issuer", &self.issuer)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Whether the embedded issuer may have tokens that users and tenants made for themselves: its configuration says so, or
/// they can be switched on at the dialect's own endpoints.
fn has_api_tokens(config: &Config) -> bool {
    config.authorization_server.as_ref().is_some_and(|server| server.api_tokens.is_some())
        || config.token_endpoints.values().any(|endpoint| endpoint.dialect == DialectConfig::Frontegg)
}

/// The claims that must be there: those named, and for access tokens of RFC 9068 those of its section 2.2.
fn required_claims(raw: &IssuerConfig) -> Box<[Box<str>]> {
    let profile: &[&str] = match raw.token_type {
        TokenTypeConfig::AccessToken => &["aud", "sub", "client_id", "iat", "jti"],
        TokenTypeConfig::Any => &[],
    };
    let named = raw.required_claims.iter().map(String::as_str);
    named.chain(profile.iter().copied()).map(Box::from).collect()
}

/// The list that `audience = ...` gives, or `None` and a diagnostic.
pub(super) fn audiences(
    raw: &OneOrMany<String>,
    path: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<Box<[Box<str>]>> {
    if raw.0.is_empty() || raw.iter().any(String::is_empty) {
        diagnostics.error(path, "an audience is missing", "name at least one audience, each of at least one character");
        return None;
    }
    Some(raw.iter().map(|audience| Box::from(audience.as_str())).collect())
}

/// The `iss` of its tokens: given, or that of the embedded issuer.
fn issuer_claim(raw: &IssuerConfig, config: &Config, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<String> {
    if !raw.embedded {
        return match raw.issuer.as_deref() {
            Some("") => {
                diagnostics.error(&path.key("issuer"), "the issuer is empty", "write what its tokens have in `iss`");
                None
            }
            Some(issuer) => Some(issuer.to_owned()),
            None => {
                let remedy = "write `issuer = \"https://...\"`, byte for byte as in `iss`, or `embedded = true`";
                diagnostics.key_error(path, "the issuer does not say what its tokens have in `iss`", remedy);
                None
            }
        };
    }
    let mut sound = true;
    for (key, given) in [
        ("issuer", raw.issuer.is_some()),
        ("jwks_uri", raw.jwks_uri.is_some()),
        ("key_set", raw.key_set != KeySetConfig::default()),
        ("introspection", raw.introspection.is_some()),
        ("revocation", raw.revocation.is_some()),
    ] {
        if given {
            let message = format!("`{key}` has no meaning for the embedded issuer, which has its own");
            diagnostics.key_error(&path.key(key), message, format!("remove `{key}`, or remove `embedded`"));
            sound = false;
        }
    }
    let Some(server) = &config.authorization_server else {
        let remedy = "add an [authorization_server] table, or remove `embedded`";
        diagnostics.error(&path.key("embedded"), "there is no embedded issuer", remedy);
        return None;
    };
    sound.then(|| server.issuer.clone())
}

fn algorithms(
    raw: &IssuerConfig,
    config: &Config,
    at: &KeyPath,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Algorithm>> {
    let path = at.key("algorithms");
    let known = || Algorithm::ALL.map(Algorithm::name);
    if raw.algorithms.is_empty() {
        if raw.introspection.is_some() && !raw.embedded {
            for (key, given) in [("jwks_uri", raw.jwks_uri.is_some()), ("revocation", raw.revocation.is_some())] {
                if given {
                    let message = format!("`{key}` has no effect: with `algorithms = []` the issuer signs no JWTs");
                    diagnostics.warning(&at.key(key), message, format!("remove `{key}`, or name the algorithms"));
                }
            }
            return Some(Vec::new());
        }
        let remedy = format!(
            "name at least one of {}; none is for an issuer with `introspection` whose tokens are no JWTs",
            known().join(", ")
        );
        diagnostics.error(&path, "no algorithm is accepted", remedy);
        return None;
    }
    let mut algorithms = Vec::with_capacity(raw.algorithms.len());
    let mut sound = true;
    for (index, name) in raw.algorithms.iter().enumerate() {
        if let Some(algorithm) = Algorithm::from_name(name) {
            algorithms.push(algorithm);
            continue;
        }
        sound = false;
        let upper = name.to_ascii_uppercase();
        let (message, remedy) = if ["HS256", "HS384", "HS512"].contains(&upper.as_str()) {
            let remedy = "use an asymmetric one, like \"RS256\" or \"ES256\"";
            (format!("`{name}` is symmetric: whoever verifies with it could sign as well"), remedy.to_owned())
        } else if upper == "NONE" {
            ("`none` is no signature".to_owned(), format!("name one of {}", known().join(", ")))
        } else {
            let remedy = nearest(name, known()).map(|nearest| format!("did you mean \"{nearest}\"?"));
            let remedy = remedy.unwrap_or_else(|| format!("name one of {}", known().join(", ")));
            (format!("`{name}` is no algorithm known here"), remedy)
        };
        diagnostics.error(&path.index(index), message, remedy);
    }
    sound &= signing_is_accepted(raw, config, &path, diagnostics);
    sound.then_some(algorithms)
}

/// The embedded issuer must not sign with what is refused here.
fn signing_is_accepted(raw: &IssuerConfig, config: &Config, path: &KeyPath, diagnostics: &mut Diagnostics) -> bool {
    let Some(server) = config.authorization_server.as_ref().filter(|_| raw.embedded) else { return true };
    let signing = format!("{:?}", server.signing.algorithm);
    let accepted = raw.algorithms.contains(&signing);
    if !accepted {
        let message = format!("the embedded issuer signs with {signing}, which is not accepted");
        diagnostics.error(path, message, format!("add \"{signing}\""));
    }
    accepted
}

fn refuse_bad_bounds(raw: &IssuerConfig, path: &KeyPath, diagnostics: &mut Diagnostics) -> Option<()> {
    let mut sound = true;
    if raw.leeway.0 > LARGEST_LEEWAY {
        diagnostics.error(&path.key("leeway"), "the leeway is longer than 5 minutes", "write at most \"5m\"");
        sound = false;
    }
    if raw.max_lifetime.is_some_and(|longest| longest.0.is_zero()) {
        let remedy = "write how long a token may last, like \"24h\", or remove it";
        diagnostics.error(&path.key("max_lifetime"), "no token lasts so short", remedy);
        sound = false;
    }
    for (index, claim) in raw.required_claims.iter().enumerate() {
        if claim.is_empty() {
            let path = path.key("required_claims").index(index);
            diagnostics.error(&path, "the claim has no name", "write the name of a claim, or remove it");
            sound = false;
        }
    }
    sound.then_some(())
}
