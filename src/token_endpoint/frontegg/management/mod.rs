//! Owns: the management of API tokens as the product's `/identity/resources` has it.
//! Refuses: what the issuer refuses to the caller, whose tenant, user, roles and permissions its own token says.
//! Always holds: the headers that name a tenant or a user choose among what the caller may reach, and add nothing to it.

mod request;
mod response;
mod wording;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::Full;

use super::super::{
    FronteggOperation, ManagementRefusal, RequestError, answer,
    management::ManagementRequest,
    media_type::{MediaType, only},
    parameters::Parameters,
};
use crate::{
    authorization_server::{ApiTokenKind, Caller, Ownership},
    jose::Member,
};

/// The header that names a tenant.
const TENANT: &str = "frontegg-tenant-id";
/// The header that names a user.
const USER: &str = "frontegg-user-id";

/// Does what the request asks for.
pub(in crate::token_endpoint) async fn manage(
    operation: FronteggOperation,
    request: &ManagementRequest<'_>,
) -> Result<Response<Full<Bytes>>, ManagementRefusal> {
    let caller = Caller::of_claims(&request.caller_name(), |name| request.token.claim(name));
    match (operation, &request.parts.method) {
        (FronteggOperation::Configuration, &Method::POST) => set_configuration(&caller, request).await,
        (FronteggOperation::Configuration, _) => {
            let switch = request.managing.server.api_token_switch(&caller)?;
            Ok(answer::json(StatusCode::OK, &response::configuration(&switch)))
        }
        (FronteggOperation::ApiTokens(kind), &Method::POST) => create(&caller, kind, request).await,
        (FronteggOperation::ApiTokens(kind), _) => {
            let tokens = request.managing.server.api_tokens(&caller, owned(kind, request)?)?;
            Ok(response::list(kind, &tokens))
        }
        (FronteggOperation::ApiToken(kind), &Method::PATCH) => update(&caller, kind, request).await,
        (FronteggOperation::ApiToken(kind), _) => {
            let owned = owned(kind, request)?;
            let (server, now) = (request.managing.server, request.managing.at);
            server.delete_api_token(&caller, owned, request.token_id(), now).await?;
            Ok(answer::uncached(StatusCode::OK, Bytes::new()))
        }
        (FronteggOperation::Exchange(_) | FronteggOperation::Refresh(_), _) => {
            Err(RequestError::MethodNotAllowed.into())
        }
    }
}

/// The answer that says why nothing was done.
pub(in crate::token_endpoint) fn refuse_management(refusal: &ManagementRefusal) -> Response<Full<Bytes>> {
    wording::response(refusal)
}

async fn set_configuration(
    caller: &Caller,
    request: &ManagementRequest<'_>,
) -> Result<Response<Full<Bytes>>, ManagementRefusal> {
    let update = request::switch(parameters(request)?)?;
    let switch = request.managing.server.set_api_token_switch(caller, update, request.managing.at).await?;
    Ok(answer::json(StatusCode::OK, &response::configuration(&switch)))
}

async fn create(
    caller: &Caller,
    kind: ApiTokenKind,
    request: &ManagementRequest<'_>,
) -> Result<Response<Full<Bytes>>, ManagementRefusal> {
    let mut new = request::new_token(kind, owned(kind, request)?, parameters(request)?)?;
    // Of others' addresses the caller's token says nothing.
    let is_own = new.user_id.as_ref().is_none_or(|named| caller.user_id.as_ref() == Some(named));
    if kind.is_users() && is_own {
        new.email = request.token.claim("email").and_then(Member::as_text).map(str::to_owned);
    }
    let created = request.managing.server.create_api_token(caller, new, request.managing.at).await?;
    Ok(answer::json(StatusCode::CREATED, &response::ApiToken::created(&created)))
}

async fn update(
    caller: &Caller,
    kind: ApiTokenKind,
    request: &ManagementRequest<'_>,
) -> Result<Response<Full<Bytes>>, ManagementRefusal> {
    let (owned, update) = (owned(kind, request)?, request::update(parameters(request)?)?);
    let (server, now) = (request.managing.server, request.managing.at);
    let changed = server.update_api_token(caller, owned, request.token_id(), update, now).await?;
    Ok(answer::json(StatusCode::OK, &response::ApiToken::of(&changed)))
}

/// The members of the body.
fn parameters(request: &ManagementRequest<'_>) -> Result<Parameters, RequestError> {
    if MediaType::of(&request.parts.headers) != Some(MediaType::Json) {
        return Err(RequestError::UnsupportedMediaType);
    }
    Parameters::read(MediaType::Json, request.body)
}

/// Whose tokens the headers mean.
fn owned<'a>(kind: ApiTokenKind, request: &ManagementRequest<'a>) -> Result<Ownership<'a>, ManagementRefusal> {
    let headers = &request.parts.headers;
    Ok(Ownership { kind, tenant_id: named(headers, TENANT)?, user_id: named(headers, USER)? })
}

fn named<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ManagementRefusal> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let value = only(headers.get_all(name).iter()).and_then(|value| value.to_str().ok());
    value.filter(|value| !value.is_empty()).map(Some).ok_or(ManagementRefusal::AmbiguousOwnership)
}
