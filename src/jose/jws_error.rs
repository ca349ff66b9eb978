//! Owns: everything that can be wrong with the form of a token.
//! Refuses: quoting the token.

use std::fmt;

use thiserror::Error;

use super::json::JsonFault;

/// Why a text is no token that Postern would verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JwsError {
    /// Longer than [`super::LONGEST_TOKEN_BYTES`].
    #[error("the token has {bytes} bytes; at most {} are accepted", super::LONGEST_TOKEN_BYTES)]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Not three parts with dots between them (RFC 7515 section 3.1).
    #[error("the token does not consist of three parts")]
    NotThreeParts,
    /// Five parts: a JWE (RFC 7516 section 3.1).
    #[error("the token is encrypted")]
    Encrypted,
    /// Padding, white space, unused bits, or characters outside the alphabet.
    #[error("the token's {part} is not base64url")]
    NotBase64Url {
        /// Where.
        part: Part,
    },
    /// Nothing behind the second dot.
    #[error("the token has no signature")]
    EmptySignature,
    /// Not JSON, or something behind it, or a number out of range.
    #[error("the token's {part} is not JSON")]
    NotJson {
        /// Where.
        part: Part,
    },
    /// JSON, but no object.
    #[error("the token's {part} is not a JSON object")]
    NotAnObject {
        /// Where.
        part: Part,
    },
    /// A name stands twice in one object.
    #[error("the token's {part} repeats a member")]
    RepeatedMember {
        /// Where.
        part: Part,
    },
    /// Nested deeper than 32 levels.
    #[error("the token's {part} is nested too deeply")]
    TooDeep {
        /// Where.
        part: Part,
    },
    /// No `alg`, or not a string.
    #[error("the header's `alg` is missing or not a string")]
    AlgorithmMissing,
    /// `alg` is `none`, in whatever case.
    #[error("the header's `alg` is `none`")]
    AlgorithmNone,
    /// `alg` is a message authentication code, which whoever verifies could also make.
    #[error("the header's `alg` is symmetric")]
    AlgorithmSymmetric,
    /// `alg` is something else that Postern does not know.
    #[error("the header's `alg` is not known")]
    AlgorithmUnknown,
    /// `kid` is no string of 1 to 256 bytes without control characters.
    #[error("the header's `kid` is not a string of 1 to 256 bytes without control characters")]
    KeyIdUnusable,
    /// `typ` says that it is something else than a token for access.
    #[error("the header's `typ` is not that of an access token")]
    TypeUnknown,
    /// A header member that must not be there.
    #[error("the header has a `{member}`, which is not accepted")]
    ForbiddenMember {
        /// Its name.
        member: &'static str,
    },
}

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Before the first dot.
    Header,
    /// Between the dots.
    Payload,
    /// Behind the second dot.
    Signature,
}

impl JwsError {
    /// The error's name in logs and metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "token_too_large",
            Self::Encrypted => "token_encrypted",
            Self::NotThreeParts
            | Self::NotBase64Url { .. }
            | Self::EmptySignature
            | Self::NotJson { .. }
            | Self::NotAnObject { .. }
            | Self::RepeatedMember { .. }
            | Self::TooDeep { .. } => "token_malformed",
            Self::AlgorithmMissing | Self::AlgorithmNone | Self::AlgorithmSymmetric | Self::AlgorithmUnknown => {
                "algorithm_not_accepted"
            }
            Self::KeyIdUnusable | Self::ForbiddenMember { .. } => "header_not_accepted",
            Self::TypeUnknown => "token_type_not_accepted",
        }
    }

    pub(super) const fn of_json(fault: JsonFault, part: Part) -> Self {
        match fault {
            JsonFault::NotJson => Self::NotJson { part },
            JsonFault::NotAnObject => Self::NotAnObject { part },
            JsonFault::RepeatedMember => Self::RepeatedMember { part },
            JsonFault::TooDeep => Self::TooDeep { part },
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}
