//! Owns: what the parameters of an `auth0` request mean.

use http::HeaderMap;

use super::super::{
    AudienceParameter, Echo, RequestError, TokenEndpoint, TokenRequest,
    authentication::{InBody, proof_of_possession},
    parameters::Parameters,
};
use crate::config::DialectConfig;

/// The one grant that is served.
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// A request for a token.
pub(super) fn token(
    headers: &HeaderMap,
    mut parameters: Parameters,
    endpoint: &TokenEndpoint,
) -> Result<TokenRequest, RequestError> {
    let grant_type = parameters.text("grant_type")?;
    let audience = parameters.text("audience")?;
    let scope = parameters.text("scope")?;
    let organization = parameters.text("organization")?;
    let in_body = InBody::take(&mut parameters)?;
    let others = parameters.rest();
    match grant_type.as_deref() {
        None => return Err(RequestError::GrantTypeMissing),
        Some(CLIENT_CREDENTIALS) => {}
        Some(other) => return Err(RequestError::UnsupportedGrantType { asked: Echo::of(other) }),
    }
    Ok(TokenRequest {
        dialect: DialectConfig::Auth0,
        endpoint: endpoint.name().clone(),
        token_endpoint_url: endpoint.url().cloned(),
        authentication: in_body.authentication(headers)?,
        audience,
        audience_parameter: AudienceParameter::Audience,
        scope,
        organization,
        token_name: None,
        expires_at: None,
        proof_of_possession: proof_of_possession(headers)?,
        others,
    })
}
