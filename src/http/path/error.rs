//! Owns: why a path is refused.

use thiserror::Error;

use super::LONGEST_PATH_BYTES;

/// Why a path is refused. All of these are the caller's fault (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// `.` or `..` as a segment, in any mix of plain and escaped dots (RFC 3986 section 5.2.4).
    #[error("a segment of the path is `.` or `..`")]
    DotSegment,
    /// Two slashes in a row, which some servers read as one.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// A `\`, which some servers read as a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// `%2F` or `%5C`, which some servers read as the end of a segment.
    #[error("the path has an escaped slash or backslash")]
    EscapedSeparator,
    /// `%25` and two hex digits: a second decoding would find another path.
    #[error("the path is escaped twice")]
    EscapedTwice,
    /// A `;`, plain or escaped, after which some servers cut the segment off.
    #[error("the path has a `;`")]
    SegmentParameter,
    /// A `#`, which never belongs into a request (RFC 9110 section 7.1).
    #[error("the path has a fragment")]
    Fragment,
    /// An escaped control character, NUL among them.
    #[error("the path has an escaped control character")]
    EscapedControl,
    /// A `%` without two hex digits (RFC 3986 section 2.1).
    #[error("the path has a `%` without two hex digits")]
    BadEscape,
    /// A byte that may not stand in a path unescaped (RFC 3986 section 3.3).
    #[error("the path has a character that must be escaped")]
    BadCharacter,
    /// The escapes spell something that is not UTF-8 (overlong forms among them).
    #[error("the path's escapes are not UTF-8")]
    NotUtf8,
    /// It does not begin with `/`: `*` and `host:port` name no resource that could be forwarded (RFC 9112 section 3.2).
    #[error("the request target is no path")]
    NotAPath,
    /// More than 8 KiB.
    #[error("the path is longer than {LONGEST_PATH_BYTES} bytes")]
    TooLong,
}

impl PathError {
    /// A stable name for logs, metrics and the caller.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DotSegment
            | Self::EmptySegment
            | Self::Backslash
            | Self::EscapedSeparator
            | Self::EscapedTwice
            | Self::SegmentParameter
            | Self::Fragment => "path_ambiguous",
            Self::EscapedControl | Self::BadEscape | Self::BadCharacter | Self::NotUtf8 | Self::NotAPath => {
                "path_malformed"
            }
            Self::TooLong => "path_too_long",
        }
    }
}
