//! Owns: a request's path in normal form, and the path and query that the upstream is asked for.
//! Refuses: every path that two servers could read in two ways. See [`PathError`] for the list.
//! Always holds: the path that is decided is byte for byte the path that is forwarded; normalising is idempotent.

mod error;
mod normalise;
mod prefix;

use std::borrow::Cow;

use bytes::Bytes;
use http::{Uri, uri::PathAndQuery};

pub use self::{error::PathError, prefix::PathPrefix};

/// The longest path accepted, in bytes.
const LONGEST_PATH_BYTES: usize = 8 * 1024;

/// A path in normal form: escaped unreserved characters are decoded, hex digits are upper case (RFC 3986 section 6.2.2),
/// everything else is as it came. No dot segments, no empty segments but a last one, no escaped separators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    text: Cow<'a, str>,
}

impl<'a> NormalPath<'a> {
    /// Normalises a path as it came in a request. Allocates nothing if it is in normal form already.
    ///
    /// # Errors
    /// If the path could be read in more than one way, is no path at all, or is longer than 8 KiB.
    pub fn parse(raw: &'a str) -> Result<Self, PathError> {
        Ok(Self { text: normalise::normalise(raw)? })
    }

    /// The path, beginning with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form in which paths are compared with routes: beyond the normal form, every escape is undone that stands for a
    /// character which could also stand there plainly. An upstream that decodes what it gets cannot tell `/a:b` from
    /// `/a%3Ab`, so a rule for the one must hold for the other; what is forwarded stays as the caller wrote it
    /// (RFC 3986 section 2.2).
    #[must_use]
    pub fn for_matching(&self) -> Cow<'_, str> {
        normalise::for_matching(&self.text)
    }

    /// The path without `prefix`; `None` if it does not begin with it at the border of a segment. What is left of a path
    /// that is the prefix itself is `/`.
    #[must_use]
    pub fn strip_prefix(&self, prefix: &PathPrefix) -> Option<NormalPath<'_>> {
        let tail = prefix.strip_from(&self.text)?;
        Some(NormalPath { text: Cow::Borrowed(if tail.is_empty() { "/" } else { tail }) })
    }

    /// What the upstream is asked for: this path, without `strip` if it begins with it, and the query of `original` as it
    /// came. `original` is the URI that the path was taken from; if the path is still the same, its bytes are shared.
    ///
    /// # Errors
    /// If path and query together are longer than a URI can be (64 KiB).
    pub fn path_and_query(
        &self,
        original: &Uri,
        strip: Option<&PathPrefix>,
    ) -> Result<PathAndQuery, http::uri::InvalidUri> {
        let stripped = strip.and_then(|prefix| self.strip_prefix(prefix));
        let path = stripped.as_ref().map_or(self.as_str(), NormalPath::as_str);
        if let Some(unchanged) = original.path_and_query()
            && unchanged.path() == path
            // Of `?a=b` the path reads `/`, but the text would go out without it.
            && unchanged.as_str().starts_with('/')
        {
            return Ok(unchanged.clone());
        }
        let target = match original.query() {
            None => path.to_owned(),
            Some(query) => [path, "?", query].concat(),
        };
        PathAndQuery::from_maybe_shared(Bytes::from(target))
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    fn normal(raw: &str) -> Result<String, PathError> {
        NormalPath::parse(raw).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn hostile_paths_are_refused() {
        let cases = [
            ("/public/../admin", PathError::DotSegment),
            ("/..", PathError::DotSegment),
            ("/a/.", PathError::DotSegment),
            ("/./a", PathError::DotSegment),
            ("/%2e%2e/admin", PathError::DotSegment),
            ("/.%2E/admin", PathError::DotSegment),
            ("/%2e./admin", PathError::DotSegment),
            ("/a/%2E", PathError::DotSegment),
            ("/..%2fadmin", PathError::EscapedSeparator),
            ("/a%2Fb", PathError::EscapedSeparator),
            ("/a%5cb", PathError::EscapedSeparator),
            ("/a\\b", PathError::Backslash),
            ("//admin", PathError::EmptySegment),
            ("/a//b", PathError::EmptySegment),
            ("/a//", PathError::EmptySegment),
            ("/a%252fb", PathError::EscapedTwice),
            ("/a%25%32%66b", PathError::EscapedTwice),
            ("/a%25252fb", PathError::EscapedTwice),
            ("/a%00", PathError::EscapedControl),
            ("/a%0d%0ab", PathError::EscapedControl),
            ("/a%7f", PathError::EscapedControl),
            ("/a%c2%85b", PathError::EscapedControl),
            ("/a%", PathError::BadEscape),
            ("/a%4", PathError::BadEscape),
            ("/a%zz", PathError::BadEscape),
            ("/a%2%35", PathError::BadEscape),
            ("/a;a=b/c", PathError::SegmentParameter),
            ("/admin%3Bx", PathError::SegmentParameter),
            ("/..;/admin", PathError::SegmentParameter),
            ("/a#x", PathError::Fragment),
            ("/a?x", PathError::BadCharacter),
            ("/a b", PathError::BadCharacter),
            ("/a{b}", PathError::BadCharacter),
            ("/a\u{0}", PathError::BadCharacter),
            ("/caf\u{e9}", PathError::BadCharacter),
            ("/%c0%af", PathError::NotUtf8),
            ("/%c0%ae%c0%ae/a", PathError::NotUtf8),
            ("/%ff", PathError::NotUtf8),
            ("*", PathError::NotAPath),
            ("", PathError::NotAPath),
            ("a.example:443", PathError::NotAPath),
            ("admin", PathError::NotAPath),
        ];
        for (raw, expected) in cases {
            assert_eq!(normal(raw), Err(expected), "{raw:?}");
        }
        assert_eq!(normal(&"/a".repeat(4096)).map(|path| path.len()), Ok(8192));
        assert_eq!(normal(&format!("{}/", "/a".repeat(4096))), Err(PathError::TooLong));
    }

    #[test]
    fn paths_of_one_meaning_become_one_path() {
        let cases = [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/admin.", "/admin."),
            ("/ADMIN", "/ADMIN"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/%61dmin", "/admin"),
            ("/%7euser/%2Ehidden", "/~user/.hidden"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b%3a%40", "/a%20b%3A%40"),
            ("/100%25", "/100%25"),
            ("/a:b@c!$&'()*+,=[|]", "/a:b@c!$&'()*+,=[|]"),
        ];
        for (raw, expected) in cases {
            assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw:?}");
        }
        assert!(matches!(NormalPath::parse("/a%20b").unwrap().text, Cow::Borrowed(_)), "no needless copy");
    }

    #[test]
    fn reasons_are_of_a_closed_list() {
        assert_eq!(PathError::DotSegment.reason(), "path_ambiguous");
        assert_eq!(PathError::BadEscape.reason(), "path_malformed");
        assert_eq!(PathError::TooLong.reason(), "path_too_long");
    }

    #[test]
    fn routes_see_through_needless_escapes() {
        let seen = |raw| NormalPath::parse(raw).unwrap().for_matching().into_owned();
        assert_eq!(seen("/things%3Adelete"), "/things:delete");
        assert_eq!(seen("/a%40b%7Cc"), "/a@b|c");
        assert_eq!(seen("/100%25/%7Bx%7D/%3Fa%23b/caf%C3%A9"), "/100%25/%7Bx%7D/%3Fa%23b/caf%C3%A9");
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        let stripped = |prefix: &str, path: &'static str| {
            let path = NormalPath::parse(path).unwrap();
            path.strip_prefix(&PathPrefix::parse(prefix).unwrap()).map(|path| path.as_str().to_owned())
        };
        assert_eq!(stripped("/v1", "/v1/orders/").as_deref(), Some("/orders/"));
        assert_eq!(stripped("/v1/", "/v1/orders").as_deref(), Some("/orders"));
        assert_eq!(stripped("/v1", "/v1").as_deref(), Some("/"));
        assert_eq!(stripped("/v1", "/v1/").as_deref(), Some("/"));
        assert_eq!(stripped("/v1", "/v11/orders"), None);
        assert_eq!(stripped("/v1/a", "/v1"), None);
        assert_eq!(stripped("/a:b", "/a%3Ab/c%3Ad").as_deref(), Some("/c%3Ad"));
        assert_eq!(PathPrefix::parse("/"), Err(PathError::EmptySegment));
        assert_eq!(PathPrefix::parse("v1"), Err(PathError::NotAPath));
    }

    #[test]
    fn the_upstream_is_asked_for_what_was_decided() {
        let asked = |uri: &str, strip: Option<&str>| {
            let uri: Uri = uri.parse().unwrap();
            let strip = strip.map(|prefix| PathPrefix::parse(prefix).unwrap());
            NormalPath::parse(uri.path()).unwrap().path_and_query(&uri, strip.as_ref()).unwrap().to_string()
        };
        assert_eq!(asked("/a/b?c=%2F..;d#e", None), "/a/b?c=%2F..;d");
        assert_eq!(asked("/%61?", None), "/a?");
        assert_eq!(asked("https://a.example?x", None), "/?x");
        assert_eq!(asked("https://a.example", None), "/");
        assert_eq!(asked("/v1/%61%2a?x", Some("/v1")), "/a%2A?x");
        assert_eq!(asked("/v1?x", Some("/v1")), "/?x");
        assert_eq!(asked("/v1", Some("/v1")), "/");
        assert_eq!(asked("/v1x", Some("/v1")), "/v1x");
    }

    /// Paths that are nearly always hostile in some way.
    fn hostile_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            3 => "[a-zA-Z0-9._~-]{1,4}",
            2 => "%[0-9a-fA-F]{2}",
            2 => Just("/".to_owned()),
            1 => "%(2[eEfF5]|5[cC]|00|25%32%46)",
            1 => "[%;#?\\\\.:@!*+ ]",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn normalising_is_idempotent(raw in hostile_path()) {
            if let Ok(first) = normal(&raw) {
                prop_assert_eq!(normal(&first), Ok(first.clone()));
                prop_assert!(matches!(NormalPath::parse(&first).unwrap().text, Cow::Borrowed(_)));
            }
        }

        #[test]
        fn one_more_decoding_finds_the_same_segments(raw in hostile_path()) {
            if let Ok(path) = normal(&raw) {
                let decoded = percent_decode_str(&path).decode_utf8().unwrap().into_owned();
                prop_assert_eq!(decoded.matches('/').count(), path.matches('/').count());
                prop_assert!(!decoded.contains('\\') && !decoded.contains("//"), "{}", decoded);
                prop_assert!(!decoded.split('/').any(|segment| segment == "." || segment == ".."), "{}", decoded);
                prop_assert!(!decoded.chars().any(char::is_control));
                prop_assert_eq!(percent_decode_str(&decoded).decode_utf8().unwrap(), decoded.as_str());
                let form = NormalPath::parse(&path).unwrap().for_matching().into_owned();
                prop_assert_eq!(percent_decode_str(&form).decode_utf8().unwrap(), decoded.as_str());
            }
        }

        #[test]
        fn what_was_decided_is_what_is_forwarded(raw in hostile_path(), query in "(\\?[a-z%=&]{0,8})?") {
            if let Ok(uri) = format!("{raw}{query}").parse::<Uri>()
                && let Ok(decided) = NormalPath::parse(uri.path())
            {
                let forwarded = decided.path_and_query(&uri, None).unwrap();
                prop_assert_eq!(forwarded.path(), decided.as_str());
                prop_assert_eq!(forwarded.query(), uri.query());
                prop_assert_eq!(normal(forwarded.path()), Ok(decided.as_str().to_owned()));
            }
        }

        #[test]
        fn a_stripped_path_is_normal_too(raw in hostile_path()) {
            if let Ok(path) = NormalPath::parse(&raw) {
                for prefix in ["/a", "/a/b"] {
                    if let Some(stripped) = path.strip_prefix(&PathPrefix::parse(prefix).unwrap()) {
                        prop_assert_eq!(normal(stripped.as_str()), Ok(stripped.as_str().to_owned()));
                    }
                }
            }
        }
    }
}
