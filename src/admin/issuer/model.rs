//! Owns: what several operations on the embedded issuer answer with.

use serde::Serialize;
use utoipa::ToSchema;

/// What a revocation did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::admin) struct Revoked {
    /// How many live tokens it was that are refused from now on; absent if they were not counted, as with a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = 12)]
    pub(super) revoked: Option<u64>,
}
