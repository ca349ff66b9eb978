//! Owns: the switch for everything the embedded issuer does.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    super::{extract::Body, moment::Moment, problem::Problem},
    Asked,
};
use crate::{authorization_server::AuthorizationServer, clock::UnixTime};

/// How the switches stand.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Switches {
    /// Whether tokens are issued, and those that were issued are good: if the configuration and the switch both say so.
    m2m_enabled: bool,
    /// What the configuration says.
    m2m_enabled_in_configuration: bool,
    /// What was switched here.
    m2m_enabled_at_run_time: bool,
    /// Every token that was issued before this moment is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    issued_before: Option<Moment>,
}

/// A position for the switch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::admin) struct SwitchRequest {
    /// `false`: nothing is issued and no token of the issuer is good, on all replicas; `true`: unexpired ones are good again.
    #[schema(example = true)]
    m2m_enabled: bool,
}

/// How the switches stand
#[utoipa::path(
    get, path = "/api/v1/switches", operation_id = "show_switches", tag = "switches",
    responses((status = 200, description = "Their positions", body = Switches)),
)]
pub(in crate::admin) async fn show(asked: Asked) -> Json<Switches> {
    Json(positions(&asked.issuer))
}

/// Switches machine-to-machine tokens off or on
///
/// Off refuses every token of the embedded issuer and every issuance, at once here and within two seconds on other replicas. On
/// makes the unexpired and unrevoked ones good again, unless the configuration says off.
#[utoipa::path(
    put, path = "/api/v1/switches", operation_id = "set_switches", tag = "switches", request_body = SwitchRequest,
    responses(
        (status = 200, description = "The positions from now on", body = Switches),
        (status = 422, description = "`invalid_body`"),
    ),
)]
pub(in crate::admin) async fn set(asked: Asked, Body(request): Body<SwitchRequest>) -> Result<Json<Switches>, Problem> {
    asked.issuer.switch_m2m(&asked.actor, request.m2m_enabled, asked.now).await?;
    Ok(Json(positions(&asked.issuer)))
}

fn positions(issuer: &AuthorizationServer) -> Switches {
    let stand = issuer.switches();
    Switches {
        m2m_enabled: stand.configured && stand.switched,
        m2m_enabled_in_configuration: stand.configured,
        m2m_enabled_at_run_time: stand.switched,
        issued_before: stand.issued_before_seconds.map(UnixTime::from_seconds).map(Moment),
    }
}
