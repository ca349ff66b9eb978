//! Owns: why a key of a document is left out (RFC 7517 section 5: an implementation ignores what it cannot use).
//! Refuses: quoting the key. What stands in a reason is safe to log.

use thiserror::Error;

use super::Algorithm;

/// Why a key is not used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// It is no JSON object, or a member that must be text is not.
    #[error("it is malformed: `{member}` is missing or not what RFC 7517 and RFC 7518 ask for")]
    Malformed {
        /// The member, or `key` if it is no object.
        member: &'static str,
    },
    /// Its `kid` is empty, longer than 256 bytes or holds control characters.
    #[error("its `kid` is empty, longer than 256 bytes, or holds control characters")]
    UnusableKeyId,
    /// Its `kty` is neither `RSA`, `EC`, `OKP` nor `oct`.
    #[error("its `kty` is not known")]
    UnknownKeyType,
    /// Its `use` is not `sig` (RFC 7517 section 4.2).
    #[error("its `use` is not `sig`")]
    NotForSignatures,
    /// Its `key_ops` do not name `verify` (RFC 7517 section 4.3).
    #[error("its `key_ops` do not name `verify`")]
    NotForVerification,
    /// It is a symmetric key (RFC 7518 section 6.4).
    #[error("it is a symmetric key")]
    Symmetric,
    /// It carries private members, so its issuer gave it away.
    #[error("it carries the private member `{member}`: whoever reads the document could sign with it")]
    Private {
        /// The first private member found.
        member: &'static str,
    },
    /// Its modulus is shorter than 2048 or longer than 8192 bits (RFC 7518 section 3.3).
    #[error("its modulus has {bits} bits; 2048 to 8192 are accepted")]
    ModulusSize {
        /// The length of the modulus.
        bits: usize,
    },
    /// Its exponent is even, 1, or longer than 32 bits.
    #[error("its public exponent is even, 1, or longer than 32 bits")]
    Exponent,
    /// Its `crv` is neither `P-256`, `P-384` nor `Ed25519`, or does not belong to its `kty`.
    #[error("its `crv` is not known or does not belong to its `kty`")]
    UnsuitableCurve,
    /// Its `alg` is unknown to Postern: symmetric, for encryption, or too new.
    #[error("its `alg` is not one of RS, PS, ES and EdDSA")]
    UnknownAlgorithm,
    /// Its `alg` cannot be done with a key of its kind.
    #[error("its `alg` {algorithm} cannot be done with a key of its kind")]
    UnsuitableAlgorithm {
        /// What it claims to be for.
        algorithm: Algorithm,
    },
    /// Its numbers are no public key: a point off the curve, say.
    #[error("its numbers are no public key")]
    Invalid,
    /// Another key of the document has the same `kid`, so neither can be told by it.
    #[error("another key has the same `kid`; neither is used")]
    RepeatedKeyId,
}
