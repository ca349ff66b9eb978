//! Owns: what a response says of where it ends (RFC 9112 section 6).
//! Refuses: a coding that nobody undoes: its body would go on under a name that it does not have; a length that is
//! said more than once.
//! Always holds: a response that could be read in two ways is the last one of its connection.

use http::{
    Version,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use crate::http::{FieldLines as _, Fields};

/// How a response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In one way.
    Clear,
    /// By a length and in chunks: as one does who wants two readers to disagree. The chunks are what counts (RFC 9112 section
    /// 6.3).
    Twice,
    /// Under a coding beside `chunked`, or in a version of HTTP that has none (RFC 9112 section 6.1).
    Coded,
    /// By a length that is said more than once, be it alike (RFC 9110 section 8.6): not every reader takes the same of them.
    Repeated,
}

impl Framing {
    pub(super) fn of(version: Version, fields: &Fields) -> Self {
        let mut codings = fields.lines(&TRANSFER_ENCODING);
        match (codings.next(), codings.next()) {
            (None, _) => Self::of_length(fields),
            (Some(coding), None) if version == Version::HTTP_11 && coding.eq_ignore_ascii_case(b"chunked") => {
                if fields.contains(&CONTENT_LENGTH) { Self::Twice } else { Self::Clear }
            }
            _ => Self::Coded,
        }
    }

    fn of_length(fields: &Fields) -> Self {
        let mut lengths = fields.lines(&CONTENT_LENGTH);
        match (lengths.next(), lengths.next()) {
            (_, Some(_)) => Self::Repeated,
            (Some(length), None) if length.contains(&b',') => Self::Repeated,
            (_, None) => Self::Clear,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn one_coding_and_one_length() {
        const TE: HeaderName = TRANSFER_ENCODING;
        const CL: HeaderName = CONTENT_LENGTH;
        for (version, fields, expected) in [
            (Version::HTTP_11, &[][..], Framing::Clear),
            (Version::HTTP_11, &[(CL, "5")], Framing::Clear),
            (Version::HTTP_11, &[(TE, "chunked")], Framing::Clear),
            (Version::HTTP_11, &[(TE, "Chunked")], Framing::Clear),
            (Version::HTTP_11, &[(TE, "chunked"), (CL, "5")], Framing::Twice),
            (Version::HTTP_11, &[(CL, "5"), (TE, "chunked")], Framing::Twice),
            (Version::HTTP_11, &[(TE, "gzip, chunked")], Framing::Coded),
            (Version::HTTP_11, &[(TE, "xchunked")], Framing::Coded),
            (Version::HTTP_11, &[(TE, "chunked"), (TE, "chunked")], Framing::Coded),
            (Version::HTTP_11, &[(TE, "gzip"), (TE, "chunked"), (CL, "5")], Framing::Coded),
            (Version::HTTP_11, &[(TE, "")], Framing::Coded),
            (Version::HTTP_10, &[(TE, "chunked")], Framing::Coded),
            (Version::HTTP_10, &[(CL, "5")], Framing::Clear),
            (Version::HTTP_11, &[(CL, "5"), (CL, "5")], Framing::Repeated),
            (Version::HTTP_11, &[(CL, "5, 5")], Framing::Repeated),
            (Version::HTTP_2, &[(CL, "5"), (CL, "5")], Framing::Repeated),
            (Version::HTTP_11, &[(TE, "chunked"), (CL, "5, 5")], Framing::Twice),
        ] {
            let headers = fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            let headers: Fields = headers.collect();
            assert_eq!(Framing::of(version, &headers), expected, "{version:?} {fields:?}");
        }
    }
}
