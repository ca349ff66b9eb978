//! Owns: a token that has been read and not been verified.
//! Refuses: being taken for the truth: every way to its claims has `unverified` in its name.
//! Always holds: all that it decides is which issuer's keys to try.

use std::sync::Arc;

use super::{Claims, Issuer, Issuers, VerifyError};
use crate::jose::{ClaimName, CompactJws, JoseHeader, JsonObject, KnownHeaders, Member};

/// A token whose signature has not been looked at.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    jws: CompactJws<'a>,
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a token's text.
    ///
    /// # Errors
    /// [`VerifyError::Form`].
    pub fn parse(token: &'a str) -> Result<Self, VerifyError> {
        CompactJws::parse(token).map(|jws| Self { jws }).map_err(VerifyError::Form)
    }

    /// The same, without reading a header that is among those `known`. What comes out is a [`super::BearerToken`] as well, and not opaque.
    pub(super) fn parse_recalling(token: &'a [u8], known: &KnownHeaders) -> Result<Self, VerifyError> {
        CompactJws::parse_recalling(token, known).map(|jws| Self { jws }).map_err(VerifyError::Form)
    }

    /// Its header.
    #[must_use]
    pub const fn header(&self) -> &JoseHeader {
        self.jws.header()
    }

    /// What it claims, for showing it to the operator who holds it.
    #[must_use]
    pub const fn unverified_claims(&self) -> &JsonObject {
        self.jws.unverified_payload()
    }

    /// The issuer whose keys are to be tried: the one with its `iss`, if that issuer signs with its algorithm.
    ///
    /// # Errors
    /// There is none.
    pub fn choose_issuer<'i>(&self, issuers: &'i Issuers) -> Result<&'i Arc<Issuer>, VerifyError> {
        // RFC 7519 section 4.1.1: one string. A list would let one token belong to two issuers.
        let claim = match self.unverified_claims().claim(ClaimName::Issuer) {
            Some(Member::Text(claim)) => claim,
            Some(_) => return Err(VerifyError::InvalidClaim { name: ClaimName::Issuer.name() }),
            None => return Err(VerifyError::MissingClaim { name: ClaimName::Issuer.name().into() }),
        };
        let issuer = issuers.by_issuer(claim).ok_or(VerifyError::UnknownIssuer)?;
        let algorithm = self.header().algorithm();
        if !issuer.algorithms().contains(&algorithm) {
            return Err(VerifyError::AlgorithmNotAccepted { issuer: Arc::clone(issuer.name()), algorithm });
        }
        Ok(issuer)
    }

    /// Its claims as `verify` would read them had the signature been good: for explaining rules to an operator, offline.
    ///
    /// # Errors
    /// They are not what `issuer` or the RFCs ask for.
    pub fn into_unverified_claims(self, issuer: &Issuer) -> Result<Claims, VerifyError> {
        let token_type = self.header().token_type();
        Claims::read(self.jws.into_payload(), token_type, issuer.verification())
    }

    pub(super) const fn jws(&self) -> &CompactJws<'a> {
        &self.jws
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::auth::{BearerToken, forge::EC};

    /// All that one byte more or another one makes of a token, and is still taken, is one token by itself.
    fn assert_tokens(sound: &str, known: &KnownHeaders) {
        let sound = sound.as_bytes();
        let mut taken = 0;
        for (place, byte) in (0..sound.len()).flat_map(|place| (0..=u8::MAX).map(move |byte| (place, byte))) {
            let (mut replaced, mut inserted) = (sound.to_vec(), sound.to_vec());
            replaced[place] = byte;
            inserted.insert(place, byte);
            for text in [replaced, inserted] {
                if UnverifiedToken::parse_recalling(&text, known).is_ok() {
                    let token = BearerToken::parse(str::from_utf8(&text).unwrap()).unwrap();
                    assert!(!token.is_opaque());
                    taken += usize::from(text != sound);
                }
            }
        }
        assert!(taken > 20, "{taken}");
    }

    #[test]
    fn whatever_has_the_form_is_one_token_and_not_opaque() {
        let known = KnownHeaders::default();
        assert_tokens("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", &known);
        // Long enough for vectors, its header read, and then known.
        let long = EC.sign(&json!({ "iss": "https://id.corp.example/", "sub": "x".repeat(90) }));
        for _ in 0..2 {
            assert_tokens(&long, &known);
            let token = UnverifiedToken::parse(&long).unwrap();
            (0..2).for_each(|_| known.keep(token.jws()));
        }
    }
}
