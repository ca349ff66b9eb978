//! Owns: steps 5 to 7: from a request's credential to a permit for its route.
//! Refuses: letting through what the rules refuse, unless the operator wrote `mode = "report"`.
//! Always holds: every decision is counted, also one that is only reported.

use std::sync::Arc;

use http::request::Parts;
use tokio::time::timeout_at;

use super::{Rejection, identity, record::Record, worker::Worker};
use crate::{
    auth::{self, Access, Permit, Requirement, VerifiedToken, VerifyError},
    clock::UnixTime,
    http::PathParameters,
    snapshot::{Route, Snapshot},
    token_endpoint::DropReason,
};

/// The permit for a request on `route`.
pub(super) async fn permit(
    worker: &Worker,
    snapshot: &Snapshot,
    route: &Route,
    parts: &Parts,
    parameters: &PathParameters,
    record: &mut Record,
) -> Result<Permit, Rejection> {
    let requirement = match &route.access {
        Access::Public(public) => return Ok(Permit::public(public)),
        Access::Protected(requirement) => requirement,
    };
    let deadline = record.deadline(route.timeout);
    let verified = verified(worker, snapshot, requirement, parts, record.time());
    // The issuer may have to be asked, and that counts towards the time of the whole exchange.
    let verified = timeout_at(deadline, verified).await.unwrap_or(Err(VerifyError::IssuerTooSlow.into()));
    let (token, decision) = match verified {
        Ok(token) => {
            let decision = authorize(requirement, route, &token, parameters);
            (Some(token), decision)
        }
        Err(rejection) => (None, Err(rejection)),
    };
    let report_only = requirement.report_only();
    record.decided(token.as_ref(), decision.as_ref().err(), report_only.is_some());
    match (decision, report_only) {
        (Err(_), Some(report_only)) => Ok(Permit::report_only(report_only)),
        (decision, _) => decision.inspect_err(|rejection| end_reuse(snapshot, parts, rejection)),
    }
}

async fn verified(
    worker: &Worker,
    snapshot: &Snapshot,
    requirement: &Requirement,
    parts: &Parts,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, Rejection> {
    let issuers = &snapshot.issuers;
    let found = auth::extract(&parts.headers, parts.uri.query(), issuers.accepts_api_keys())?;
    let found = found.ok_or(Rejection::NoToken)?;
    Ok(auth::verify(found, issuers, requirement.introspecting(), worker.tokens(), now).await?)
}

/// A token that is refused for itself is not handed out again. One that is refused for what the next one would be refused for, too, is:
/// else every such request would be one to the provider.
fn end_reuse(snapshot: &Snapshot, parts: &Parts, rejection: &Rejection) {
    let Rejection::Token(error) = rejection else { return };
    if snapshot.reuses.is_empty() || !error.is_cured_by_another_token() {
        return;
    }
    if let Ok(Some(found)) = auth::extract(&parts.headers, parts.uri.query(), snapshot.issuers.accepts_api_keys()) {
        snapshot.reuses.drop_token(found.token().as_str(), DropReason::Refused);
    }
}

fn authorize(
    requirement: &Requirement,
    route: &Route,
    token: &Arc<VerifiedToken>,
    parameters: &PathParameters,
) -> Result<Permit, Rejection> {
    let permit = requirement.authorize(token, parameters)?;
    identity::judge(&route.identity, token)?;
    Ok(permit)
}
