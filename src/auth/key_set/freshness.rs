//! Owns: what an answer says about how long it is good, and how to ask whether it still is (RFC 9111, RFC 9110 section 13).
//! Refuses: lifetimes outside 60 s to 24 h: a shorter one would be a storm, a longer one would outlive a rotation.
//! Always holds: what cannot be understood makes an answer fresh for the shortest time, never the longest.

use std::time::{Duration, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED},
};

use crate::clock::UnixTime;

/// The shortest lifetime that an answer can give its keys.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long an answer says that it is fresh, held between 60 s and 24 h; none if it does not say.
pub(super) fn lifetime(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let stated = by_cache_control(headers).or_else(|| by_expires(headers, now))?;
    let age = headers.get(AGE).and_then(|age| seconds(age.to_str().ok()?)).unwrap_or_default();
    Some(stated.saturating_sub(age).clamp(SHORTEST, LONGEST))
}

/// `max-age`, the smallest if there are several; nothing at all if the answer may not be stored or is unreadable.
fn by_cache_control(headers: &HeaderMap) -> Option<Duration> {
    let mut shortest: Option<Duration> = None;
    for value in headers.get_all(CACHE_CONTROL) {
        let Ok(value) = value.to_str() else { return Some(Duration::ZERO) };
        for directive in value.split(',') {
            let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
            let stated = match name.trim().to_ascii_lowercase().as_str() {
                "no-store" | "no-cache" => Duration::ZERO,
                // RFC 9111 section 4.2.1: what is no number is treated as stale.
                "max-age" => seconds(argument.trim().trim_matches('"')).unwrap_or_default(),
                _ => continue,
            };
            shortest = Some(shortest.map_or(stated, |earlier| earlier.min(stated)));
        }
    }
    shortest
}

/// `Expires`, counted from `Date`, or from now if there is none (RFC 9111 section 5.3).
fn by_expires(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let moment = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let expires = headers.get(EXPIRES)?;
    let Some(expires) = moment(expires) else { return Some(Duration::ZERO) };
    let from =
        headers.get(DATE).and_then(moment).unwrap_or_else(|| UNIX_EPOCH + Duration::from_millis(now.as_milliseconds()));
    Some(expires.duration_since(from).unwrap_or_default())
}

/// A delta-seconds (RFC 9111 section 1.2.2); one that is too great to count is as great as can be.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))))
}

/// What an answer can be recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Validators {
    entity_tag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    /// Those of an answer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self { entity_tag: headers.get(ETAG).cloned(), last_modified: headers.get(LAST_MODIFIED).cloned() }
    }

    /// Those kept as text.
    pub(super) fn from_text(entity_tag: Option<&str>, last_modified: Option<&str>) -> Self {
        let value = |text: &str| HeaderValue::from_str(text).ok();
        Self { entity_tag: entity_tag.and_then(value), last_modified: last_modified.and_then(value) }
    }

    /// These, with what a newer answer says in their place (RFC 9111 section 3.2).
    pub(super) fn renewed(&self, newer: Self) -> Self {
        Self {
            entity_tag: newer.entity_tag.or_else(|| self.entity_tag.clone()),
            last_modified: newer.last_modified.or_else(|| self.last_modified.clone()),
        }
    }

    /// Whether there is nothing to recognise an answer by.
    pub(super) const fn are_empty(&self) -> bool {
        self.entity_tag.is_none() && self.last_modified.is_none()
    }

    /// The headers that ask for an answer only if it is another one.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let tag = self.entity_tag.clone().map(|value| (IF_NONE_MATCH, value));
        let date = self.last_modified.clone().map(|value| (IF_MODIFIED_SINCE, value));
        tag.into_iter().chain(date)
    }

    /// The entity tag and date as text, where they are text.
    pub(super) fn as_text(&self) -> (Option<&str>, Option<&str>) {
        (
            self.entity_tag.as_ref().and_then(|value| value.to_str().ok()),
            self.last_modified.as_ref().and_then(|value| value.to_str().ok()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime_seconds(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        lifetime(&map, UnixTime::from_seconds(784_111_777)).map(|lifetime| lifetime.as_secs())
    }

    #[test]
    fn lifetimes_are_read_and_held_between_a_minute_and_a_day() {
        for (headers, expected) in [
            (&[][..], None),
            (&[("cache-control", "public")], None),
            (&[("cache-control", "public, max-age=600")], Some(600)),
            (&[("cache-control", "Max-Age=\"600\"")], Some(600)),
            (&[("cache-control", "max-age=600"), ("age", "100")], Some(500)),
            (&[("cache-control", "max-age=600"), ("age", "junk")], Some(600)),
            (&[("cache-control", "max-age=600, max-age=300")], Some(300)),
            (&[("cache-control", "max-age=600"), ("cache-control", "no-cache")], Some(60)),
            (&[("cache-control", "no-store")], Some(60)),
            (&[("cache-control", "max-age=0")], Some(60)),
            (&[("cache-control", "max-age=-1")], Some(60)),
            (&[("cache-control", "max-age=soon")], Some(60)),
            (&[("cache-control", "max-age=31536000")], Some(86_400)),
            (&[("cache-control", "max-age=99999999999999999999999")], Some(86_400)),
            (&[("cache-control", "s-maxage=900")], None),
            (&[("expires", "Sun, 06 Nov 1994 09:49:37 GMT")], Some(3600)),
            (&[("expires", "Sun, 06 Nov 1994 09:49:37 GMT"), ("date", "Sun, 06 Nov 1994 09:19:37 GMT")], Some(1800)),
            (&[("expires", "Sun, 06 Nov 1994 07:49:37 GMT")], Some(60)),
            (&[("expires", "0")], Some(60)),
            (&[("expires", "Sun, 06 Nov 1994 09:49:37 GMT"), ("cache-control", "max-age=120")], Some(120)),
        ] {
            assert_eq!(lifetime_seconds(headers), expected, "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_answer_is_fresh_for_less_than_a_minute_or_more_than_a_day(
            names in proptest::collection::vec(0..4usize, 0..5),
            values in proptest::collection::vec("(max-age=|no-cache|age|[ -~]){0,3}[0-9]{0,25}", 5),
            now: u64,
        ) {
            let known = [CACHE_CONTROL, EXPIRES, AGE, DATE];
            let mut headers = HeaderMap::new();
            for (name, value) in names.iter().zip(&values) {
                headers.append(&known[*name], HeaderValue::from_str(value).unwrap());
            }
            if let Some(lifetime) = lifetime(&headers, UnixTime::from_milliseconds(now)) {
                proptest::prop_assert!((SHORTEST..=LONGEST).contains(&lifetime));
            }
        }
    }

    #[test]
    fn an_answer_is_asked_for_by_its_tag_and_date() {
        let mut headers = HeaderMap::new();
        assert!(Validators::of(&headers).are_empty());
        headers.insert(ETAG, HeaderValue::from_static("\"a\""));
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        let validators = Validators::of(&headers);
        assert_eq!(
            validators.conditions().map(|(name, _)| name).collect::<Vec<_>>(),
            [IF_NONE_MATCH, IF_MODIFIED_SINCE]
        );
        let (tag, date) = validators.as_text();
        assert_eq!(Validators::from_text(tag, date), validators);
        assert_eq!(validators.renewed(Validators::default()), validators);
    }
}
