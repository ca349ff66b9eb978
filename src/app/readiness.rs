//! Owns: whether requests should be sent here, and what an issuer's state is.
//! Always holds: an issuer counts as missing exactly while requests that need its keys are answered 503, or every question
//! about its tokens
//! has failed for a while.

use std::sync::Arc;

use crate::{
    admin::{IssuerState, IssuerStatus, Missing, MissingKind, Readiness},
    auth::{
        Introspector, Issuer, RevocationLookup,
        key_set::{KeySetState, KeySetStatus, KeyStatus},
    },
    authorization_server::Memory,
    clock::UnixTime,
    jose::Algorithm,
    snapshot::{Exposure, Snapshot},
};

/// Whether `snapshot` can serve every request that it routes.
pub(super) fn readiness(snapshot: &Snapshot, now: UnixTime, draining: bool) -> Readiness {
    let mut missing: Vec<Missing> = Vec::new();
    for (name, keys) in &snapshot.key_sets {
        if !keys.set.is_ready() {
            let reason = why_unusable(&keys.set.status());
            missing.push(Missing { kind: MissingKind::Issuer, name: Arc::clone(name), reason });
        }
    }
    for issuer in snapshot.issuers.iter() {
        let has_keys = snapshot.key_sets.contains_key(issuer.name());
        if let Some(reason) = why_silent(issuer, has_keys, now) {
            missing.push(Missing { kind: MissingKind::Issuer, name: Arc::clone(issuer.name()), reason });
        }
    }
    for (listener, certificate) in snapshot.listeners.certificates() {
        if certificate.not_after <= now.as_seconds() {
            let reason = format!("{} has expired", certificate.file.display());
            missing.push(Missing { kind: MissingKind::Certificate, name: Arc::clone(listener), reason });
        }
    }
    Readiness {
        draining,
        missing,
        public_routes: exposed(snapshot, Exposure::Public),
        report_only_routes: exposed(snapshot, Exposure::Reports),
    }
}

/// Why none of an issuer's tokens can be judged, although its keys are good or there are none: those that it is to be asked about
/// have had no answer for a while. An issuer whose JWTs are good without asking still serves those.
fn why_silent(issuer: &Issuer, has_keys: bool, now: UnixTime) -> Option<String> {
    let introspection =
        issuer.introspection().filter(|_| !has_keys).and_then(|introspection| introspection.outage(now));
    if let Some(error) = introspection {
        return Some(format!("its introspection endpoint gives no answers: {error}"));
    }
    let error = issuer.revocation()?.outage(now)?;
    Some(format!("its tokens endpoint gives no answers: {error}"))
}

/// Why an issuer's keys cannot be used.
pub(super) fn why_unusable(status: &KeySetStatus) -> String {
    let mut reason = match status.age_seconds {
        Some(age) => {
            format!("its keys are {age} s old, which is more than max_stale, {} s", status.max_stale_seconds)
        }
        None => "no keys have been fetched yet".to_owned(),
    };
    // An error that a later success has followed explains nothing.
    if let Some(error) = status.last_error.as_ref().filter(|_| status.consecutive_failures > 0) {
        reason.push_str(": ");
        reason.push_str(error);
    }
    reason
}

/// The routes on which less is enforced in this way.
pub(super) fn exposed(snapshot: &Snapshot, wanted: Exposure) -> Vec<Arc<str>> {
    let routes = snapshot.exposed_routes().filter(|(_, exposure)| *exposure == wanted);
    routes.map(|(route, _)| Arc::from(route.name())).collect()
}

/// How one issuer stands.
pub(super) fn issuer_status(issuer: &Issuer, snapshot: &Snapshot, embedded: &Memory, now: UnixTime) -> IssuerStatus {
    let key_set = snapshot.key_sets.get(issuer.name()).map(|keys| keys.set.status());
    let state = match key_set.as_ref().map(|status| status.state) {
        _ if issuer.is_enabled() && why_silent(issuer, key_set.is_some(), now).is_some() => IssuerState::Unavailable,
        Some(KeySetState::Fresh) => IssuerState::Usable,
        Some(KeySetState::Stale) => IssuerState::Stale,
        Some(KeySetState::Unavailable) => IssuerState::Unavailable,
        None if issuer.is_enabled() => IssuerState::Usable,
        None => IssuerState::Disabled,
    };
    IssuerStatus {
        name: Arc::clone(issuer.name()),
        issuer: issuer.issuer().to_owned(),
        state,
        key_set,
        embedded_keys: issuer.standing().map(|_| embedded_keys(embedded)).unwrap_or_default(),
        introspection: issuer.introspection().map(Introspector::status),
        revocation: issuer.revocation().map(RevocationLookup::status),
    }
}

fn embedded_keys(embedded: &Memory) -> Vec<KeyStatus> {
    let moment = |time: UnixTime| crate::telemetry::Rfc3339(time).to_string();
    let keys = embedded.published_keys();
    let status = |key: &Arc<crate::auth::TrustedKey>| KeyStatus {
        key_id: key.key().key_id().map(str::to_owned),
        thumbprint: key.key().thumbprint().to_owned(),
        algorithms: key.key().algorithms().map(Algorithm::name).collect(),
        first_seen: moment(key.first_seen()),
        last_used: key.last_used().map(moment),
    };
    keys.iter().map(status).collect()
}
