//! Owns: the `oauth2` dialect: RFC 6749 section 4.4 with RFC 7521, RFC 7523 and RFC 8707, revocation by RFC 7009, introspection
//! by RFC 7662.
//! Refuses: grants other than client credentials, two audiences, two ways of authentication.

mod request;
mod response;
mod wording;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

pub(super) use self::response::token as token_response;
use super::{Answer, Oauth2Operation, Outcome, TokenRefusal, desk::Desk, parameters::Parameters};
use crate::config::DialectConfig;

/// Answers a request whose parameters are read.
pub(super) async fn respond(
    operation: Oauth2Operation,
    headers: &HeaderMap,
    parameters: Parameters,
    desk: Desk<'_>,
) -> Result<Answer, TokenRefusal> {
    match operation {
        Oauth2Operation::Token => {
            let request = request::token(headers, parameters, desk.endpoint)?;
            let token = desk.issue(&request).await?;
            let standing = desk.standing(&token.client_id, request.organization.as_deref());
            Ok(Answer::issued(response::token(&token), &token).told(DialectConfig::Oauth2, standing))
        }
        Oauth2Operation::Revocation => {
            desk.revoke(&request::revocation(headers, parameters, desk.endpoint)?).await?;
            Ok(Answer { response: response::revoked(), outcome: Outcome::Revoked })
        }
        Oauth2Operation::Introspection => {
            let introspected = desk.introspect(&request::introspection(headers, parameters, desk.endpoint)?).await?;
            Ok(Answer { response: response::introspected(introspected), outcome: Outcome::Introspected })
        }
    }
}

/// The answer that says why nothing was done.
pub(super) fn refuse(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    wording::of(refusal).response()
}
