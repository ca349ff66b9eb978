//! Owns: what the parameters of an `oauth2` request mean.
//! Always holds: what comes out names one proof and at most one audience.

use http::HeaderMap;

use super::super::{
    AudienceParameter, Echo, IntrospectionRequest, RequestError, RevocationRequest, TokenEndpoint, TokenRequest,
    authentication::{InBody, proof_of_possession},
    parameters::Parameters,
};
use crate::{config::DialectConfig, secret::Secret};

/// The one grant that is served (RFC 6749 section 4.4.2).
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// A request for a token (RFC 6749 section 4.4.2).
pub(super) fn token(
    headers: &HeaderMap,
    mut parameters: Parameters,
    endpoint: &TokenEndpoint,
) -> Result<TokenRequest, RequestError> {
    // Everything is taken out before anything is judged: a body that is malformed is that, whatever else it says.
    let grant_type = parameters.text("grant_type")?;
    let (audience, resource) = (parameters.text("audience")?, parameters.text("resource")?);
    let scope = parameters.text("scope")?;
    let in_body = InBody::take(&mut parameters)?;
    let others = parameters.rest();
    match grant_type.as_deref() {
        None => return Err(RequestError::GrantTypeMissing),
        Some(CLIENT_CREDENTIALS) => {}
        Some(other) => return Err(RequestError::UnsupportedGrantType { asked: Echo::of(other) }),
    }
    let audience_parameter = if audience.is_none() && resource.is_some() {
        AudienceParameter::Resource
    } else {
        AudienceParameter::Audience
    };
    let audience = match (audience, resource) {
        (Some(audience), Some(resource)) if audience != resource => return Err(RequestError::TwoAudiences),
        (audience, resource) => audience.or(resource),
    };
    Ok(TokenRequest {
        dialect: DialectConfig::Oauth2,
        endpoint: endpoint.name().clone(),
        token_endpoint_url: endpoint.url().cloned(),
        authentication: in_body.authentication(headers)?,
        audience,
        audience_parameter,
        scope,
        organization: None,
        token_name: None,
        expires_at: None,
        proof_of_possession: proof_of_possession(headers)?,
        others,
    })
}

/// A request to revoke a token (RFC 7009 section 2.1).
pub(super) fn revocation(
    headers: &HeaderMap,
    mut parameters: Parameters,
    endpoint: &TokenEndpoint,
) -> Result<RevocationRequest, RequestError> {
    let token = token_named(&mut parameters)?;
    let authentication = InBody::take(&mut parameters)?.authentication(headers)?;
    Ok(RevocationRequest { token_endpoint_url: endpoint.url().cloned(), authentication, token })
}

/// A request to say what a token is (RFC 7662 section 2.1).
pub(super) fn introspection(
    headers: &HeaderMap,
    mut parameters: Parameters,
    endpoint: &TokenEndpoint,
) -> Result<IntrospectionRequest, RequestError> {
    let token = token_named(&mut parameters)?;
    let authentication = InBody::take(&mut parameters)?.authentication(headers)?;
    Ok(IntrospectionRequest { token_endpoint_url: endpoint.url().cloned(), authentication, token })
}

/// The token that is meant. What sort of token the caller takes it for (`token_type_hint`) does not matter: the hint may be
/// wrong, and every sort is looked for (RFC 7009 section 2.1).
fn token_named(parameters: &mut Parameters) -> Result<Secret, RequestError> {
    parameters.secret("token")?.ok_or(RequestError::ParameterMissing { name: "token" })
}
