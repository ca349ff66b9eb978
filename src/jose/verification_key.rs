//! (skeleton: to be written) one public key, ready for use.

use super::Algorithm;

/// A public key that has been parsed for use once.
#[derive(Debug)]
pub struct VerificationKey {
    key_id: Option<Box<str>>,
}

impl VerificationKey {
    /// Its `kid` (RFC 7517 section 4.5).
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Whether signatures of `algorithm` can be verified with it.
    #[must_use]
    pub fn fits(&self, _algorithm: Algorithm) -> bool {
        false
    }
}
