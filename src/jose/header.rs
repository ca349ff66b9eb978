//! Owns: the header of a token (RFC 7515 section 4.1), as far as it may say anything.
//! Refuses: every member by which a token could bring its own key or change the rules of reading it.
//! Always holds: the algorithm is asymmetric and the key id is safe to look up and to log.

use std::sync::Arc;

use super::{Algorithm, JsonObject, JwsError, Member, key_id};

/// Members that end the reading, whatever their value.
///
/// `crit` demands extensions (RFC 7515 section 4.1.11) and none is known here; `b64` changes what is signed (RFC 7797);
/// `jwk`, `jku`, `x5u` and `x5c` bring keys along; `enc` and `zip` belong to JWE.
const FORBIDDEN: [&str; 8] = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "enc", "zip"];

/// What a token's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    algorithm: Algorithm,
    // Shared, since most headers are those of a token before.
    key_id: Option<Arc<str>>,
    token_type: TokenType,
}

/// What a token says it is (RFC 7515 section 4.1.9, RFC 8725 section 3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// Nothing.
    Unspecified,
    /// `JWT`.
    Jwt,
    /// `at+jwt` (RFC 9068 section 2.1).
    AccessToken,
}

impl JoseHeader {
    pub(super) fn parse(members: &JsonObject) -> Result<Self, JwsError> {
        refuse_forbidden(members)?;
        Ok(Self {
            algorithm: algorithm(members.member("alg"))?,
            key_id: key_id(members.member("kid"))?,
            token_type: token_type(members.member("typ"))?,
        })
    }

    /// Its `alg`.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its `kid`: 1 to 256 bytes without control characters.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Its `typ`.
    #[must_use]
    pub const fn token_type(&self) -> TokenType {
        self.token_type
    }
}

pub(super) fn refuse_forbidden(members: &JsonObject) -> Result<(), JwsError> {
    match FORBIDDEN.into_iter().find(|name| members.member(name).is_some()) {
        Some(member) => Err(JwsError::ForbiddenMember { member }),
        None => Ok(()),
    }
}

pub(super) fn algorithm(value: Option<Member<'_>>) -> Result<Algorithm, JwsError> {
    let Some(Member::Text(name)) = value else { return Err(JwsError::AlgorithmMissing) };
    Algorithm::from_name(name).ok_or_else(|| {
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "NONE" => JwsError::AlgorithmNone,
            "HS256" | "HS384" | "HS512" => JwsError::AlgorithmSymmetric,
            _ => JwsError::AlgorithmUnknown,
        }
    })
}

pub(super) fn key_id(value: Option<Member<'_>>) -> Result<Option<Arc<str>>, JwsError> {
    match value {
        None => Ok(None),
        Some(Member::Text(text)) if key_id::is_acceptable(text) => Ok(Some(text.into())),
        Some(_) => Err(JwsError::KeyIdUnusable),
    }
}

/// Media types are compared without regard to case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn token_type(value: Option<Member<'_>>) -> Result<TokenType, JwsError> {
    let text = match value {
        None => return Ok(TokenType::Unspecified),
        Some(Member::Text(text)) => text.to_ascii_lowercase(),
        Some(_) => return Err(JwsError::TypeUnknown),
    };
    match text.strip_prefix("application/").unwrap_or(&text) {
        "jwt" => Ok(TokenType::Jwt),
        "at+jwt" => Ok(TokenType::AccessToken),
        _ => Err(JwsError::TypeUnknown),
    }
}
