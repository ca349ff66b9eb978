//! Owns: reading the audit: who changed what, and when.

use axum::Json;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{extract::Query, moment::Moment, problem::Problem},
    Asked, page_size,
};

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct AuditQuery {
    /// How many entries a page has, 1000 at most.
    #[param(minimum = 1, maximum = 1000, default = 100, example = 50)]
    limit: Option<u32>,
    /// Only entries before the one of this number: `next` of the page before.
    #[param(example = 1042)]
    before: Option<i64>,
}

/// A page of the audit, the latest entry first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct AuditPage {
    /// The entries.
    entries: Vec<AuditItem>,
    /// What to give as `before` for the next page; absent: this was the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// Something that was changed. Secrets are in no entry.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct AuditItem {
    /// Its number; later entries have greater ones.
    #[schema(example = 1043)]
    number: i64,
    /// When.
    at: Moment,
    /// Who: `admin-api`, `cli:NAME`, the subject of a token, or `postern` itself.
    #[schema(example = "admin-api")]
    actor: String,
    /// What was done.
    #[schema(example = "client.disable")]
    action: String,
    /// To what.
    #[schema(example = "billing")]
    subject: String,
    /// What else there is to say.
    #[schema(value_type = Object, example = json!({}))]
    detail: Value,
}

/// Who changed what, and when
///
/// Every change of a client, a token, a key or a switch, wherever it was made, has been entered together with the change itself.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "list_audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of it, the latest entry first", body = AuditPage)),
)]
pub(in crate::admin) async fn list(asked: Asked, Query(query): Query<AuditQuery>) -> Result<Json<AuditPage>, Problem> {
    let limit = page_size(query.limit)?;
    // One more, to see whether this is the end.
    let mut found = asked.issuer.audit(limit.saturating_add(1), query.before).await?;
    let size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > size;
    found.truncate(size);
    let next = found.last().map(|(number, _)| *number).filter(|_| more);
    let item = |(number, entry): (i64, crate::store::AuditEntry)| AuditItem {
        number,
        at: Moment(entry.at),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    };
    Ok(Json(AuditPage { entries: found.into_iter().map(item).collect(), next }))
}
