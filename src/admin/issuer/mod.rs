//! Owns: the part of the management API that is about the embedded issuer: clients, tokens, keys, switches, the audit.
//! Refuses: everything while the configuration has no embedded issuer.
//! Always holds: what was answered as done is durable and in force here; a secret or a token is in one answer, the one that made it.

pub(super) mod audit;
mod client_model;
pub(super) mod clients;
pub(super) mod keys;
mod model;
mod refusal;
pub(super) mod switches;
mod token_model;
pub(super) mod tokens;

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    routing::{MethodRouter, get, post},
};

use super::{Operations, problem::Problem};
use crate::{
    authorization_server::{Actor, AuthorizationServer},
    clock::UnixTime,
};

/// How many entries a page has if nobody says.
const USUAL_PAGE: u32 = 100;
/// How many entries a page can have.
const LARGEST_PAGE: u32 = 1000;

/// The embedded issuer, and in whose name and when it is asked.
pub(super) struct Asked {
    issuer: Arc<AuthorizationServer>,
    actor: Actor,
    now: UnixTime,
}

impl FromRequestParts<Arc<dyn Operations>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(_: &mut Parts, operations: &Arc<dyn Operations>) -> Result<Self, Problem> {
        let issuer = operations.issuer().ok_or_else(|| {
            let detail = "The configuration has no [authorization_server], so there is nothing to manage.";
            Problem::new(StatusCode::NOT_FOUND, "no_embedded_issuer", detail)
        })?;
        Ok(Self { issuer, actor: operations.actor(), now: operations.now() })
    }
}

/// Its paths.
pub(super) fn routes() -> Vec<(&'static str, MethodRouter<Arc<dyn Operations>>)> {
    vec![
        ("/api/v1/clients", get(clients::list).post(clients::add)),
        ("/api/v1/clients/{id}", get(clients::show).put(clients::update).delete(clients::remove)),
        ("/api/v1/clients/{id}/rotate", post(clients::rotate)),
        ("/api/v1/clients/{id}/enable", post(clients::enable)),
        ("/api/v1/clients/{id}/disable", post(clients::disable)),
        ("/api/v1/tokens", get(tokens::list).post(tokens::issue)),
        ("/api/v1/tokens/{id}", get(tokens::show)),
        ("/api/v1/revocations", post(tokens::revoke)),
        ("/api/v1/keys", get(keys::list)),
        ("/api/v1/keys/rotate", post(keys::rotate)),
        ("/api/v1/keys/{key_id}/revoke", post(keys::revoke)),
        ("/api/v1/switches", get(switches::show).put(switches::set)),
        ("/api/v1/audit", get(audit::list)),
    ]
}

/// The number of entries that was asked for.
fn page_size(asked: Option<u32>) -> Result<u32, Problem> {
    match asked {
        None => Ok(USUAL_PAGE),
        Some(number @ 1..=LARGEST_PAGE) => Ok(number),
        Some(_) => {
            let detail = format!("A page has 1 to {LARGEST_PAGE} entries.");
            Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail))
        }
    }
}
