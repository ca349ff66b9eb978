//! Owns: how a moment is written in logs and answers: RFC 3339, UTC, milliseconds.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::clock::UnixTime;

/// A moment that shows itself like `2026-11-20T17:42:18.123Z` (RFC 3339 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub UnixTime);

impl Rfc3339 {
    /// Reads one, with any offset; none if it is not one, or lies before 1970.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let timestamp: Timestamp = text.parse().ok()?;
        let milliseconds = u64::try_from(timestamp.as_millisecond()).ok()?;
        Some(Self(UnixTime::from_milliseconds(milliseconds)))
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = i64::try_from(self.0.as_milliseconds()).unwrap_or(i64::MAX);
        // A moment past the year 9999 is shown as the last one that has a name.
        let timestamp = Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX);
        write!(formatter, "{timestamp:.3}")
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_milliseconds_in_utc() {
        assert_eq!(Rfc3339(UnixTime::default()).to_string(), "1970-01-01T00:00:00.000Z");
        let moment = UnixTime::from_milliseconds(1_795_196_538_120);
        assert_eq!(Rfc3339(moment).to_string(), "2026-11-20T17:42:18.120Z");
        for written in ["2026-11-20T17:42:18.12Z", "2026-11-20T18:42:18.120+01:00"] {
            assert_eq!(Rfc3339::parse(written), Some(Rfc3339(moment)), "{written}");
        }
        for other in ["", "2026-11-20", "2026-11-20T17:42:18", "1795196538", "1969-12-31T23:59:59Z", "now"] {
            assert_eq!(Rfc3339::parse(other), None, "{other}");
        }
        assert!(Rfc3339(UnixTime::from_milliseconds(u64::MAX)).to_string().starts_with("9999-12-3"));
    }
}
