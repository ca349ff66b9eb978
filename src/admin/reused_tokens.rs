//! Owns: showing how many tokens of outside providers are kept to be handed out again, and ending that.
//! Refuses: showing tokens, or whose they are.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::{IntoParams, ToSchema};

use super::{
    Operations,
    extract::Query,
    problem::{Problem, sentence},
};
use crate::token_endpoint::ReuseStatus;

/// What a token endpoint keeps of its provider's tokens, and did since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReusedTokens {
    /// The endpoint's name in the configuration.
    #[schema(value_type = String, example = "corp")]
    endpoint: Arc<str>,
    /// How many tokens are kept.
    #[schema(example = 50)]
    tokens: u64,
    /// How many bytes they take, about.
    #[schema(example = 102_400)]
    bytes: u64,
    /// How many requests were answered without one of their own to the provider.
    #[schema(example = 9950)]
    reused: u64,
    /// How many tokens were dropped before their time, by why.
    #[schema(value_type = BTreeMap<String, u64>, example = json!({ "revoked": 1 }))]
    dropped: BTreeMap<&'static str, u64>,
}

/// Which of them are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Meant {
    /// Only those of this token endpoint.
    #[param(example = "corp")]
    endpoint: Option<String>,
    /// Only those of this client, by its id at the endpoint.
    #[param(example = "billing")]
    client_id: Option<String>,
}

/// How many are not kept any more.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Dropped {
    /// How many tokens they were.
    #[schema(example = 3)]
    dropped: u64,
}

/// Shows how many tokens of providers are kept to be handed out again
#[utoipa::path(
    get, path = "/api/v1/reused-tokens", operation_id = "list_reused_tokens", tag = "reused tokens",
    responses((status = 200, description = "By token endpoint, those with `reuse`", body = Vec<ReusedTokens>)),
)]
pub(super) async fn list(State(operations): State<Arc<dyn Operations>>) -> Json<Vec<ReusedTokens>> {
    Json(operations.reused_tokens().into_iter().map(ReusedTokens::of).collect())
}

/// Hands out no token again that is kept now
///
/// Clients get another at their next request. The tokens themselves stay as good as they were: this revokes nothing.
/// It holds on this replica only: each keeps tokens for itself.
#[utoipa::path(
    delete, path = "/api/v1/reused-tokens", operation_id = "drop_reused_tokens", tag = "reused tokens", params(Meant),
    responses(
        (status = 200, description = "How many they were", body = Dropped),
        (status = 404, description = "`unknown_endpoint`: no such endpoint, or one without `reuse`"),
    ),
)]
pub(super) async fn drop(
    State(operations): State<Arc<dyn Operations>>,
    Query(meant): Query<Meant>,
) -> Result<Json<Dropped>, Problem> {
    let Meant { endpoint, client_id } = meant;
    let dropped = operations
        .drop_reused_tokens(endpoint.as_deref(), client_id.as_deref())
        .map_err(|error| Problem::new(StatusCode::NOT_FOUND, "unknown_endpoint", sentence(&error)))?;
    let actor = operations.actor();
    info!(actor = actor.name(), endpoint, client_id, dropped, "tokens are not handed out again");
    Ok(Json(Dropped { dropped }))
}

impl ReusedTokens {
    fn of(status: ReuseStatus) -> Self {
        let ReuseStatus { endpoint, tokens, bytes, reused, dropped } = status;
        let dropped = dropped.into_iter().map(|(reason, count)| (reason.label(), count)).collect();
        Self { endpoint, tokens, bytes, reused, dropped }
    }
}
