//! Owns: the `auth0` dialect: that of a hosted identity product, `POST /oauth/token` with JSON or a form.
//! Refuses: the same as `oauth2`, in the product's words and with its statuses.
//! Always holds: a wrong secret and an unknown client are answered alike.

mod request;
mod wording;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::Full;

use super::{Answer, TokenRefusal, desk::Desk, oauth2, parameters::Parameters};
use crate::config::DialectConfig;

/// Answers a request whose parameters are read.
pub(super) async fn respond(
    headers: &HeaderMap,
    parameters: Parameters,
    desk: Desk<'_>,
) -> Result<Answer, TokenRefusal> {
    let request = request::token(headers, parameters, desk.endpoint)?;
    let token = desk.issue(&request).await?;
    let standing = desk.standing(&token.client_id, request.organization.as_deref());
    Ok(Answer::issued(oauth2::token_response(&token), &token).told(DialectConfig::Auth0, standing))
}

/// The answer that says why there is no token.
pub(super) fn refuse(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    wording::of(refusal).response()
}
