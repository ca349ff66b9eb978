//! Owns: registering, showing, changing and removing clients by the management API.
//! Refuses: changing a client of the configuration, except for switching it off and on.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{
    super::{
        extract::{Body, Named},
        moment::Moment,
        problem::Problem,
    },
    Asked,
    client_model::{
        ClientItem, ClientList, NewClient, NewClientSecret, RegisteredClientItem, RemovedClient, RotationRequest,
    },
};
use crate::authorization_server::client::ClientDefinition;

/// Lists the clients
#[utoipa::path(
    get, path = "/api/v1/clients", operation_id = "list_clients", tag = "clients",
    responses((status = 200, description = "All of them, by id: those of the configuration and those of the store",
               body = ClientList)),
)]
pub(in crate::admin) async fn list(asked: Asked) -> Json<ClientList> {
    Json(ClientList { clients: asked.issuer.clients().into_iter().map(ClientItem::from).collect() })
}

/// Registers a client
///
/// Without an id it gets a random one. It gets a secret unless it has other means to authenticate; the secret is in this answer
/// and never again.
#[utoipa::path(
    post, path = "/api/v1/clients", operation_id = "add_client", tag = "clients", request_body = NewClient,
    responses(
        (status = 201, description = "The client, and its secret", body = RegisteredClientItem,
         headers(("location" = String, description = "The client's own path"))),
        (status = 409, description = "`client_exists`; `configured_client`: the id stands in the configuration"),
        (status = 422, description = "`invalid_client`, with `field`, `message` and `remedy`; `invalid_body`"),
    ),
)]
pub(in crate::admin) async fn add(asked: Asked, Body(new): Body<NewClient>) -> Result<Response, Problem> {
    let NewClient { id, definition } = new;
    let registered = asked.issuer.add_client(&asked.actor, id, definition, asked.now).await?;
    let place = format!("/api/v1/clients/{}", utf8_percent_encode(&registered.id, NON_ALPHANUMERIC));
    let answer = RegisteredClientItem { id: registered.id, secret: registered.secret };
    let mut response = (StatusCode::CREATED, Json(answer)).into_response();
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Shows a client
#[utoipa::path(
    get, path = "/api/v1/clients/{id}", operation_id = "show_client", tag = "clients",
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "The client; nothing of its secrets but when they end", body = ClientItem),
        (status = 404, description = "`unknown_client`"),
    ),
)]
pub(in crate::admin) async fn show(asked: Asked, Named(id): Named) -> Result<Json<ClientItem>, Problem> {
    shown(&asked, &id)
}

/// Gives a client another definition
///
/// The whole of it: what is left out is no longer so. Its secrets stay. Tokens that were issued before stay as they are.
#[utoipa::path(
    put, path = "/api/v1/clients/{id}", operation_id = "update_client", tag = "clients", request_body = ClientDefinition,
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "The client as it is now", body = ClientItem),
        (status = 404, description = "`unknown_client`"),
        (status = 409, description = "`configured_client`: it is changed in the configuration"),
        (status = 422, description = "`invalid_client`, with `field`, `message` and `remedy`; `invalid_body`"),
    ),
)]
pub(in crate::admin) async fn update(
    asked: Asked,
    Named(id): Named,
    Body(definition): Body<ClientDefinition>,
) -> Result<Json<ClientItem>, Problem> {
    asked.issuer.update_client(&asked.actor, &id, definition, asked.now).await?;
    shown(&asked, &id)
}

/// Removes a client, and revokes its tokens
#[utoipa::path(
    delete, path = "/api/v1/clients/{id}", operation_id = "remove_client", tag = "clients",
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "How many live tokens it had", body = RemovedClient),
        (status = 404, description = "`unknown_client`"),
        (status = 409, description = "`configured_client`: it is removed from the configuration, or disabled here"),
    ),
)]
pub(in crate::admin) async fn remove(asked: Asked, Named(id): Named) -> Result<Json<RemovedClient>, Problem> {
    let revoked_tokens = asked.issuer.remove_client(&asked.actor, &id, asked.now).await?;
    Ok(Json(RemovedClient { revoked_tokens }))
}

/// Gives a client a new secret
///
/// The one before is good for the grace period yet; `"0s"` ends it at once. The new one is in this answer and never again.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/rotate", operation_id = "rotate_client", tag = "clients",
    request_body = Option<RotationRequest>,
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "The secret", body = NewClientSecret),
        (status = 404, description = "`unknown_client`"),
        (status = 409, description = "`configured_client`; `too_many_secrets`: two are good already, and the grace period \
                                      would leave them so"),
        (status = 422, description = "`invalid_grace`; `invalid_body`"),
    ),
)]
pub(in crate::admin) async fn rotate(
    asked: Asked,
    Named(id): Named,
    request: Option<Body<RotationRequest>>,
) -> Result<Json<NewClientSecret>, Problem> {
    let request = request.map(|Body(request)| request).unwrap_or_default();
    let grace = request.grace().map_err(|longest| {
        let detail = format!("A secret that was replaced is good for {longest} at most.");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_grace", detail).with("field", json!("grace"))
    })?;
    let rotation = asked.issuer.rotate_client(&asked.actor, &id, grace, asked.now).await?;
    Ok(Json(NewClientSecret { secret: rotation.secret, old_expires_at: rotation.old_expires_at.map(Moment) }))
}

/// Switches a client on again
///
/// Its unexpired and unrevoked tokens are good again. A client that the configuration switches off stays off.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/enable", operation_id = "enable_client", tag = "clients",
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "The client as it is now", body = ClientItem),
        (status = 404, description = "`unknown_client`"),
    ),
)]
pub(in crate::admin) async fn enable(asked: Asked, Named(id): Named) -> Result<Json<ClientItem>, Problem> {
    asked.issuer.enable_client(&asked.actor, &id, true, asked.now).await?;
    shown(&asked, &id)
}

/// Switches a client off
///
/// It gets no tokens, and those it has are refused, until it is switched on again. Clients of the configuration can be switched
/// off too.
#[utoipa::path(
    post, path = "/api/v1/clients/{id}/disable", operation_id = "disable_client", tag = "clients",
    params(("id" = String, Path, description = "The client, percent-encoded", example = "billing")),
    responses(
        (status = 200, description = "The client as it is now", body = ClientItem),
        (status = 404, description = "`unknown_client`"),
    ),
)]
pub(in crate::admin) async fn disable(asked: Asked, Named(id): Named) -> Result<Json<ClientItem>, Problem> {
    asked.issuer.enable_client(&asked.actor, &id, false, asked.now).await?;
    shown(&asked, &id)
}

fn shown(asked: &Asked, id: &str) -> Result<Json<ClientItem>, Problem> {
    Ok(Json(asked.issuer.client(id)?.into()))
}
