//! Owns: the times of a token in words.
//! Refuses: guessing at what is no NumericDate (RFC 7519 section 2).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::clock::UnixTime;

/// The seconds since the epoch that `value` stands for, fractions dropped.
pub(super) fn numeric_date(value: &Value) -> Option<i64> {
    let exact = value.as_i64();
    // `as` saturates at the ends, which lie beyond every calendar.
    exact.or_else(|| value.as_f64().filter(|seconds| seconds.is_finite()).map(|seconds| seconds as i64))
}

/// A time as a date and as a distance from `now`: `2026-11-20 17:38:00 UTC, in 59 minutes`.
pub(in crate::cli) fn words(seconds: i64, now: UnixTime) -> String {
    let date = match Timestamp::from_second(seconds) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => return format!("{seconds} seconds after 1970, which no calendar reaches"),
    };
    let now = i64::try_from(now.as_seconds()).unwrap_or(i64::MAX);
    let distance = length(Duration::from_secs(seconds.abs_diff(now)));
    match seconds.cmp(&now) {
        std::cmp::Ordering::Equal => format!("{date}, now"),
        std::cmp::Ordering::Greater => format!("{date}, in {distance}"),
        std::cmp::Ordering::Less => format!("{date}, {distance} ago"),
    }
}

/// A length of time in its largest unit that is at least 2, or else in the next smaller one.
pub(in crate::cli) fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (each, unit) in [(365 * 86_400, "years"), (86_400, "days"), (3600, "hours"), (60, "minutes")] {
        if seconds >= 2 * each {
            return format!("{} {unit}", seconds / each);
        }
    }
    if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let now = UnixTime::from_seconds(1_700_000_000);
        for (seconds, expected) in [
            (1_700_000_000, "2023-11-14 22:13:20 UTC, now"),
            (1_700_003_540, "2023-11-14 23:12:20 UTC, in 59 minutes"),
            (1_699_999_999, "2023-11-14 22:13:19 UTC, 1 second ago"),
            (0, "1970-01-01 00:00:00 UTC, 53 years ago"),
            (-1, "1969-12-31 23:59:59 UTC, 53 years ago"),
            (i64::MAX, "9223372036854775807 seconds after 1970, which no calendar reaches"),
        ] {
            assert_eq!(words(seconds, now), expected);
        }
        assert_eq!(length(Duration::from_secs(86_400 * 30)), "30 days");
        assert_eq!(length(Duration::from_secs(3600)), "60 minutes");
        assert_eq!(length(Duration::from_secs(119)), "119 seconds");
    }

    #[test]
    fn only_numbers_are_dates() {
        assert_eq!(numeric_date(&json!(5)), Some(5));
        assert_eq!(numeric_date(&json!(5.9)), Some(5));
        assert_eq!(numeric_date(&json!(1e300)), Some(i64::MAX));
        for other in [json!("5"), json!(null), json!([5]), json!({})] {
            assert_eq!(numeric_date(&other), None, "{other}");
        }
    }
}
