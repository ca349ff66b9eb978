//! Owns: the `frontegg` dialect: an API token's id and secret are exchanged for a JWT, and a refresh token for the next one.
//! Refuses: forms, which the product does not read either.
//! Always holds: errors are `{"errors":["..."]}`.

mod management;
mod request;
mod response;
mod wording;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

pub(super) use self::management::{manage, refuse_management};
use super::{Answer, FronteggOperation, RequestError, TokenRefusal, desk::Desk, parameters::Parameters};
use crate::config::DialectConfig;

/// Answers a request whose parameters are read.
pub(super) async fn respond(
    operation: FronteggOperation,
    parameters: Parameters,
    desk: Desk<'_>,
) -> Result<Answer, TokenRefusal> {
    let (token, naming) = match operation {
        FronteggOperation::Exchange(naming) => {
            (desk.exchange(&request::exchange(parameters, desk.endpoint)?).await?, naming)
        }
        FronteggOperation::Refresh(naming) => (desk.refresh(&request::refresh_token(parameters)?).await?, naming),
        // Whoever manages is not asking for a token, and does not come here.
        FronteggOperation::Configuration | FronteggOperation::ApiTokens(_) | FronteggOperation::ApiToken(_) => {
            return Err(RequestError::MethodNotAllowed.into());
        }
    };
    let standing = desk.standing(&token.client_id, None);
    Ok(Answer::exchanged(response::tokens(&token, naming), &token).told(DialectConfig::Frontegg, standing))
}

/// The answer that says why there is no token.
pub(super) fn refuse(refusal: &TokenRefusal) -> Response<Full<Bytes>> {
    wording::of(refusal).response()
}
