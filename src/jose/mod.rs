//! Owns: JWS, JWK and JWT as formats (RFC 7515, 7517, 7518, 7519), parsed strictly.
//! Refuses: whatever RFC 8725 warns of: `none`, symmetric algorithms, `crit`, keys carried in a header, repeated keys. One
//! thing may be symmetric, and is a type apart: a client's assertion.
//! Always holds: pure: no clock, no network, no configuration. What parses is unambiguous.

mod algorithm;
mod base64url;
mod claim_name;
mod client_assertion;
mod compact_jws;
mod ecdsa_signature;
mod header;
mod json;
mod jws_error;
mod key_document;
mod key_id;
mod known_headers;
mod object;
mod plain_object;
mod shape;
mod skip_reason;
mod strict_object;
mod verification_key;

#[cfg(test)]
pub(crate) mod forge;

pub use self::{
    algorithm::Algorithm,
    claim_name::ClaimName,
    client_assertion::{AssertionAlgorithm, ClientAssertion, MacKey},
    compact_jws::{CompactJws, LONGEST_TOKEN_BYTES},
    header::{JoseHeader, TokenType},
    json::{JsonFault, parse_object},
    jws_error::{JwsError, Part},
    key_document::{KeyDocument, KeyDocumentError, SkippedKey},
    known_headers::KnownHeaders,
    object::{JsonObject, Member},
    skip_reason::SkipReason,
    verification_key::{BadSignature, VerificationKey},
};
