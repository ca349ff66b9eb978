//! Owns: the `plgd` dialect: that of the plgd hub's M2M OAuth server, `/oauth/token` and `/api/v1/tokens` below one base.
//! Refuses: what that server lets through by mistake: a client without any proof, two spellings of one parameter.
//! Always holds: errors are gRPC statuses in JSON, as its gateway writes them.

mod management;
mod request;
mod response;
mod wording;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

pub(super) use self::management::{manage, refuse_management};
use super::{Answer, PlgdOperation, TokenRefusal, desk::Desk, parameters::Parameters};
use crate::config::DialectConfig;

/// Answers a request whose parameters are read.
pub(super) async fn respond(
    operation: PlgdOperation,
    headers: &HeaderMap,
    parameters: Parameters,
    desk: Desk<'_>,
) -> Result<Answer, TokenRefusal> {
    let request = request::token(operation, headers, parameters, desk.endpoint)?;
    let token = desk.issue(&request).await?;
    let response = match operation {
        PlgdOperation::Token => response::token(&token),
        // Whoever blacklists is not asking for a token, and does not come here.
        PlgdOperation::Tokens | PlgdOperation::ManagedTokens | PlgdOperation::Blacklist => response::created(&token),
    };
    let standing = desk.standing(&token.client_id, request.organization.as_deref());
    Ok(Answer::issued(response, &token).told(DialectConfig::Plgd, standing))
}

/// The answer that says why there is no token.
pub(super) fn refuse(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    wording::of(refusal).response()
}
