//! Owns: a moment as the management API writes and reads it: RFC 3339.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::ToSchema;

use crate::{clock::UnixTime, telemetry::Rfc3339};

/// A moment as RFC 3339 has it; answers say it in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-20T17:42:18.123Z")]
pub(super) struct Moment(pub(super) UnixTime);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Rfc3339(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let expected = || de::Error::custom("write a moment as RFC 3339 has it, like \"2026-11-20T17:42:18Z\"");
        Rfc3339::parse(&text).map(|Rfc3339(moment)| Self(moment)).ok_or_else(expected)
    }
}
