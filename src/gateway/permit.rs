//! Owns: steps 5 to 7: from a request's credential to a permit for its route.
//! Refuses: letting through what the rules refuse, unless the operator wrote `mode = "report"`.
//! Always holds: every decision is counted, also one that is only reported.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use tokio::time::{Instant, timeout_at};

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
            None => {
                let (now, deadline) = (record.time(), record.deadline(route.terms.timeout));
                pin!(verified(field, worker, snapshot, requirement, (now, deadline))).await
            }
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

/// Verifies a token that this worker does not keep, until the `deadline` at most.
async fn verified(
    field: CredentialField<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
    requirement: &Requirement,
    (now, deadline): (UnixTime, Instant),
) -> Result<Arc<VerifiedToken>, Rejection> {
    let (issuers, introspecting) = (&snapshot.issuers, requirement.introspecting());
    if let Some(verified) = auth::verify_at_once(field, issuers, worker.tokens(), now) {
        return Ok(verified?);
    }
    let credential = field.read()?;
    // Boxed, since few requests need it: else each would carry the room for it.
    let asking = in_place::boxed(|| auth::verify_asking(credential, issuers, introspecting, worker.tokens(), now));
    let mut asking = Box::into_pin(asking);
    // Often nobody has to be asked after all, and then there is nothing to put a bound to.
    match poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await {
        Poll::Ready(verified) => Ok(verified?),
        // The issuer has to be asked, and that counts towards the time of the whole exchange.
        Poll::Pending => Ok(timeout_at(deadline, asking).await.unwrap_or(Err(VerifyError::IssuerTooSlow))?),
    }
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
