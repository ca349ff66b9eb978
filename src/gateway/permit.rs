//! Owns: steps 5 to 7: from a request's credential to a permit for its route.
//! Refuses: letting through what the rules refuse, unless the operator wrote `mode = "report"`.
//! Always holds: every decision is counted, also one that is only reported.

use std::{future::poll_fn, sync::Arc, task::Poll};

use tokio::time::timeout_at;

use super::{Rejection, identity::Told, record::Record, worker::Worker};
use crate::{
    auth::{self, Access, CredentialField, Permit, Requirement, VerifiedToken, VerifyError},
    clock::UnixTime,
    http::{PathParameters, RequestHead},
    in_place,
    routing::RouteMatch,
    snapshot::{Destination, Route, Snapshot},
    token_endpoint::DropReason,
};

/// The permit for a request on `route`, and what its upstream is told of the caller.
pub(super) async fn permit(
    worker: &Worker,
    snapshot: &Snapshot,
    route: &Route,
    head: &RequestHead,
    matched: &RouteMatch<'_, '_, Destination>,
    record: &mut Record,
) -> Result<(Permit, Told), Rejection> {
    let requirement = match &route.terms.access {
        Access::Public(public) => return Ok((Permit::public(public), Told::default())),
        Access::Protected(requirement) => requirement,
    };
    let verified = match credential_field(snapshot, head) {
        Err(rejection) => Err(rejection),
        Ok(field) => match auth::recall(field, &snapshot.issuers, worker.tokens(), record.time()) {
            Some(known) => known.map_err(Rejection::from),
            None => match verified_at_once(field, worker, snapshot, requirement, record.time()) {
                Some(verified) => verified,
                None => {
                    // Boxed, since few requests need it: else each would carry the room for it.
                    let now = record.time();
                    let verified = in_place::boxed(|| verified(field, worker, snapshot, requirement, now));
                    let mut verified = Box::into_pin(verified);
                    // Mostly nobody has to be asked, and then there is nothing to put a bound to.
                    match poll_fn(|context| Poll::Ready(verified.as_mut().poll(context))).await {
                        Poll::Ready(verified) => verified,
                        // The issuer has to be asked, and that counts towards the time of the whole exchange.
                        Poll::Pending => {
                            let deadline = record.deadline(route.terms.timeout);
                            timeout_at(deadline, verified).await.unwrap_or(Err(VerifyError::IssuerTooSlow.into()))
                        }
                    }
                }
            },
        },
    };
    let (token, decision) = match verified {
        Ok(token) => {
            let decision = authorize(requirement, route, &token, matched);
            (Some(token), decision)
        }
        Err(rejection) => (None, Err(rejection)),
    };
    let report_only = requirement.report_only();
    record.decided(token.as_ref(), decision.as_ref().err(), report_only.is_some());
    match (decision, report_only) {
        (Err(_), Some(report_only)) => Ok((Permit::report_only(report_only), Told::default())),
        (decision, _) => decision.inspect_err(|rejection| end_reuse(snapshot, head, rejection)),
    }
}

fn credential_field<'a>(snapshot: &Snapshot, head: &'a RequestHead) -> Result<CredentialField<'a>, Rejection> {
    let api_keys = snapshot.issuers.accepts_api_keys();
    auth::credential_field(&head.fields, head.uri.query(), api_keys)?.ok_or(Rejection::NoToken)
}

fn verified_at_once(
    field: CredentialField<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    requirement: &Requirement,
    now: UnixTime,
) -> Option<Result<Arc<VerifiedToken>, Rejection>> {
    let credential = match field.read() {
        Ok(credential) => credential,
        Err(error) => return Some(Err(error.into())),
    };
    let introspecting = requirement.introspecting();
    let verified = auth::verify_at_once(credential, &snapshot.issuers, introspecting, worker.tokens(), now)?;
    Some(verified.map_err(Rejection::from))
}

async fn verified(
    field: CredentialField<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    requirement: &Requirement,
    now: UnixTime,
) -> Result<Arc<VerifiedToken>, Rejection> {
    let introspecting = requirement.introspecting();
    Ok(auth::verify(field.read()?, &snapshot.issuers, introspecting, worker.tokens(), now).await?)
}

/// A token that is refused for itself is not handed out again. One that is refused for what the next one would be refused for, too, is:
/// else every such request would be one to the provider.
fn end_reuse(snapshot: &Snapshot, head: &RequestHead, rejection: &Rejection) {
    let Rejection::Token(error) = rejection else { return };
    if snapshot.reuses.is_empty() || !error.is_cured_by_another_token() {
        return;
    }
    if let Ok(Some(found)) = auth::extract(&head.fields, head.uri.query(), snapshot.issuers.accepts_api_keys()) {
        snapshot.reuses.drop_token(found.token().as_str(), DropReason::Refused);
    }
}

fn authorize(
    requirement: &Requirement,
    route: &Route,
    token: &Arc<VerifiedToken>,
    matched: &RouteMatch<'_, '_, Destination>,
) -> Result<(Permit, Told), Rejection> {
    let parameters = if requirement.is_about_path() { matched.parameters() } else { PathParameters::default() };
    let permit = requirement.authorize(token, &parameters)?;
    Ok((permit, Told::of(&route.terms.identity, token)?))
}
