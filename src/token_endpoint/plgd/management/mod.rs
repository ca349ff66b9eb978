//! Owns: listing and revoking tokens as the `plgd` hub does it.
//! Refuses: revoking without saying what, which there means everything that the owner has.
//! Always holds: nobody sees or revokes tokens of another owner than that of their own token.

mod listing;
mod query;
mod wording;

use std::error::Error;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use serde::Serialize;

use self::{listing::Listing, query::Query};
use super::super::{
    ManagementRefusal, PlgdOperation, RequestError, answer,
    management::{ManagementRequest, boxed},
    media_type::MediaType,
    parameters::Parameters,
};
use crate::{
    authorization_server::{Actor, OwnersRevocation},
    id::TokenId,
    jose::Member,
};

/// What `DELETE` answers, as Protocol Buffers write it: a 64-bit number is text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    blacklisted_count: String,
    deleted_count: String,
}

/// What blacklisting answers.
#[derive(Serialize)]
struct Blacklisted {
    count: String,
}

/// Does what the request asks for.
pub(in crate::token_endpoint) async fn manage(
    operation: PlgdOperation,
    request: &ManagementRequest<'_>,
) -> Result<Response<UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>>, ManagementRefusal> {
    let owner = owner(request)?;
    match operation {
        PlgdOperation::Blacklist => {
            let done = revoke(request, owner, named_in_body(request.body)?).await?;
            Ok(boxed(answer::json(StatusCode::OK, &Blacklisted { count: done.revoked.to_string() })))
        }
        PlgdOperation::Token | PlgdOperation::Tokens | PlgdOperation::ManagedTokens => {
            let query = Query::read(request.parts.uri.query().unwrap_or_default())?;
            if request.parts.method == Method::GET {
                return Listing::begin(request.managing.server, owner, query).await;
            }
            let done = revoke(request, owner, query.ids.unwrap_or_default()).await?;
            let deleted =
                Deleted { blacklisted_count: done.revoked.to_string(), deleted_count: done.forgotten.to_string() };
            Ok(boxed(answer::json(StatusCode::OK, &deleted)))
        }
    }
}

/// The answer that says why nothing was done.
pub(in crate::token_endpoint) fn refuse_management(refusal: &ManagementRefusal) -> Response<Full<Bytes>> {
    wording::response(refusal)
}

/// Whose tokens the caller manages. A list of owners is none: it could not be told which of them is meant.
fn owner<'a>(request: &ManagementRequest<'a>) -> Result<&'a str, ManagementRefusal> {
    let claim = request.token.claim(request.managing.server.settings().owner_claim());
    claim.and_then(Member::as_text).filter(|owner| !owner.is_empty()).ok_or(ManagementRefusal::OwnerMissing)
}

async fn revoke(
    request: &ManagementRequest<'_>,
    owner: &str,
    named: Vec<String>,
) -> Result<OwnersRevocation, ManagementRefusal> {
    if named.is_empty() {
        return Err(ManagementRefusal::IdFilterMissing);
    }
    // What is no token's name names none, and is not revoked.
    let ids = named.iter().filter_map(|id| TokenId::parse(id)).collect();
    let actor = Actor::new(&request.caller_name());
    Ok(request.managing.server.revoke_of_owner(&actor, owner, ids, request.managing.at).await?)
}

/// The `idFilter` of a body. Readers of Protocol Buffers take either spelling, and would believe one of two.
fn named_in_body(body: &[u8]) -> Result<Vec<String>, ManagementRefusal> {
    let mut parameters = Parameters::read(MediaType::Json, body)?;
    match (parameters.texts("idFilter")?, parameters.texts("id_filter")?) {
        (Some(_), Some(_)) => Err(RequestError::RepeatedParameter.into()),
        (camel, snake) => Ok(camel.or(snake).unwrap_or_default()),
    }
}
