//! Owns: what the parameters of a `frontegg` request mean.

use super::super::{ExchangeRequest, RequestError, TokenEndpoint, parameters::Parameters};
use crate::secret::Secret;

/// `{clientId, secret}`.
pub(super) fn exchange(mut parameters: Parameters, endpoint: &TokenEndpoint) -> Result<ExchangeRequest, RequestError> {
    let client_id = parameters.text("clientId")?;
    let secret = parameters.secret("secret")?;
    Ok(ExchangeRequest {
        endpoint: endpoint.name().clone(),
        client_id: client_id.ok_or(RequestError::ParameterMissing { name: "clientId" })?,
        secret: secret.ok_or(RequestError::ParameterMissing { name: "secret" })?,
    })
}

/// `{refreshToken}`, or `{refresh_token}` as the answers of version 2 call it.
pub(super) fn refresh_token(mut parameters: Parameters) -> Result<Secret, RequestError> {
    match (parameters.secret("refreshToken")?, parameters.secret("refresh_token")?) {
        (Some(_), Some(_)) => Err(RequestError::RepeatedParameter),
        (one, other) => one.or(other).ok_or(RequestError::ParameterMissing { name: "refreshToken" }),
    }
}
