//! Owns: listing, issuing and revoking tokens by the management API.
//! Refuses: withdrawing what will be issued in the future.

use axum::{Json, http::StatusCode};
use serde_json::json;

use super::{
    super::{
        extract::{Body, Named, Query},
        moment::Moment,
        problem::Problem,
    },
    Asked,
    model::Revoked,
    page_size,
    token_model::{IssuedTokenItem, RevocationRequest, TokenItem, TokenPage, TokenQuery, TokenRequest, token_id},
};
use crate::{
    authorization_server::{GrantRequest, ManagementError, Revocation},
    clock::UnixTime,
    id::TokenId,
    store::{IssuedCursor, IssuedFilter, IssuedPage},
};

/// Lists issued tokens
///
/// Live ones, unless more is asked for, the newest first.
#[utoipa::path(
    get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "tokens", params(TokenQuery),
    responses((status = 200, description = "A page of them", body = TokenPage)),
)]
pub(in crate::admin) async fn list(asked: Asked, Query(query): Query<TokenQuery>) -> Result<Json<TokenPage>, Problem> {
    let limit = page_size(query.limit)?;
    let invalid = || {
        let detail = "`after` is not the `next` of a page.";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    };
    let after = query.after.as_deref().map(|text| IssuedCursor::parse(text).ok_or_else(invalid)).transpose()?;
    let filter = IssuedFilter {
        ids: Vec::new(),
        client_id: query.client_id,
        owner: query.owner,
        tenant: query.tenant,
        audience: query.audience,
        key_id: query.key_id,
        include_revoked: query.include_revoked,
        live_at: (!query.include_expired).then_some(asked.now),
    };
    let mut page = asked.issuer.tokens(filter, limit, after).await?;
    let issued_before = asked.issued_before();
    if let Some(moment) = issued_before.filter(|_| !query.include_revoked) {
        end_at(&mut page, moment);
    }
    let item = |listed| TokenItem::of(listed, issued_before, asked.now);
    let next = page.next.map(|place| place.to_string());
    Ok(Json(TokenPage { tokens: page.tokens.into_iter().map(item).collect(), next }))
}

/// Shows an issued token
///
/// What is recorded of it, which is not the token itself.
#[utoipa::path(
    get, path = "/api/v1/tokens/{id}", operation_id = "show_token", tag = "tokens",
    params(("id" = String, Path, description = "Its id: its `jti`, if it has one")),
    responses(
        (status = 200, description = "The token", body = TokenItem),
        (status = 404, description = "`unknown_token`: it was never issued, or is forgotten since it expired long ago"),
    ),
)]
pub(in crate::admin) async fn show(asked: Asked, Named(id): Named) -> Result<Json<TokenItem>, Problem> {
    let listed = asked.issuer.token(known_token(&id)?).await?;
    Ok(Json(TokenItem::of(listed, asked.issued_before(), asked.now)))
}

/// Issues a token for a client
///
/// On the operator's word, without the client's secret, and within the client's grants.
#[utoipa::path(
    post, path = "/api/v1/tokens", operation_id = "issue_token", tag = "tokens", request_body = TokenRequest,
    responses(
        (status = 201, description = "The token, shown this once", body = IssuedTokenItem),
        (status = 404, description = "`unknown_client`"),
        (status = 422, description = "`token_refused`, with `refusal`: the client may not have it; `invalid_body`"),
    ),
)]
pub(in crate::admin) async fn issue(
    asked: Asked,
    Body(wanted): Body<TokenRequest>,
) -> Result<(StatusCode, Json<IssuedTokenItem>), Problem> {
    let TokenRequest { client_id, audience, scope, dialect } = wanted;
    let request = GrantRequest { audience: audience.as_deref(), scope: scope.as_deref(), ..GrantRequest::default() };
    let issued = asked.issuer.issue_for_operator(&asked.actor, &client_id, dialect, request, asked.now).await?;
    Ok((StatusCode::CREATED, Json(issued.into())))
}

/// Revokes tokens
///
/// They are refused here from the answer on, and within two seconds on other replicas. It cannot be taken back.
#[utoipa::path(
    post, path = "/api/v1/revocations", operation_id = "revoke_tokens", tag = "tokens", request_body = RevocationRequest,
    responses(
        (status = 200, description = "How many live tokens it was", body = Revoked),
        (status = 404, description = "`unknown_token`"),
        (status = 422, description = "`invalid_moment`: it is in the future; `invalid_body`"),
    ),
)]
pub(in crate::admin) async fn revoke(
    asked: Asked,
    Body(request): Body<RevocationRequest>,
) -> Result<Json<Revoked>, Problem> {
    let what = match request {
        RevocationRequest::TokenId(id) => {
            let id = known_token(&id)?;
            asked.issuer.token(id).await?;
            Revocation::Token(id)
        }
        RevocationRequest::ClientId(id) => Revocation::Client(id),
        RevocationRequest::Owner(owner) => Revocation::Owner(owner),
        RevocationRequest::Tenant(tenant) => Revocation::Tenant(tenant),
        RevocationRequest::KeyId(id) => Revocation::Key(id),
        RevocationRequest::IssuedBefore(Moment(moment)) if moment <= asked.now => Revocation::IssuedBefore(moment),
        RevocationRequest::IssuedBefore(_) => {
            // Whatever were issued until then would be refused as soon as it is out.
            let detail = "The moment is in the future, so that tokens would be refused which are not issued yet.";
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_moment", detail);
            return Err(problem.with("now", json!(Moment(asked.now))));
        }
    };
    let revoked = asked.issuer.revoke(&asked.actor, what, asked.now).await?;
    Ok(Json(Revoked { revoked }))
}

impl Asked {
    /// The moment before which everything that was issued is refused.
    fn issued_before(&self) -> Option<UnixTime> {
        self.issuer.switches().issued_before_seconds.map(UnixTime::from_seconds)
    }
}

/// What is no id is the id of no token.
fn known_token(id: &str) -> Result<TokenId, Problem> {
    token_id(id).ok_or_else(|| ManagementError::UnknownToken { id: id.to_owned() }.into())
}

/// Leaves out what was issued before `moment`. The newest come first, so nothing comes after the first of those.
fn end_at(page: &mut IssuedPage, moment: UnixTime) {
    let before = page.tokens.len();
    page.tokens.retain(|listed| listed.token.issued_at >= moment);
    if page.tokens.len() < before {
        page.next = None;
    }
}
