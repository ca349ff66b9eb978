//! Owns: the secrets that the issuer makes, in a form by which scanners find those that leaked.
//! Refuses: making one without good random numbers.
//! Always holds: a secret has 256 random bits; its text is ASCII letters, digits and one underscore, of one length.
//!
//! The form: a prefix that says what it is (`pst_` client secret, `pat_` API access token, `prt_` refresh token), 43 characters
//! for 32 random bytes, 6 characters for the CRC-32 (that of zlib) of everything before them. Both are numbers in base 62, the
//! most significant digit first, with the digits 0-9, A-Z, a-z, and filled up with zeros on the left. A scanner finds them by
//! `\b(pst|pat|prt)_[0-9A-Za-z]{49}\b`, and knows by the checksum that it found no text of another meaning.

use std::fmt;

use aws_lc_rs::rand;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_BYTES: usize = 32;
/// 62 to the power of 43 is more than 2 to the power of 256.
const RANDOM_DIGITS: usize = 43;
/// 62 to the power of 6 is more than 2 to the power of 32.
const CHECKSUM_DIGITS: usize = 6;

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// A client's, or that of an API token which is exchanged for tokens.
    Client,
    /// An API access token, used as it is.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

/// A secret that was just made, to be shown once.
pub struct GeneratedSecret {
    secret: Secret,
}

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no random numbers can be had")]
pub struct NoRandomness;

impl SecretKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Client, Self::AccessToken, Self::RefreshToken];

    /// What its text begins with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Client => "pst_",
            Self::AccessToken => "pat_",
            Self::RefreshToken => "prt_",
        }
    }

    /// What `text` is, if its prefix, its length, its characters and its checksum are those of a generated secret.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let kind = Self::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let (checked, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_DIGITS)?)?;
        let random = checked.strip_prefix(kind.prefix())?;
        let well_formed = random.len() == RANDOM_DIGITS && random.bytes().all(|byte| DIGITS.contains(&byte));
        (well_formed && checksum_of(checked) == checksum).then_some(kind)
    }
}

/// Whether `text` is a secret made here, as far as its form tells. For scanners; it says nothing about whether it is good.
#[must_use]
pub fn looks_generated(text: &str) -> bool {
    SecretKind::of(text).is_some()
}

impl GeneratedSecret {
    /// A new client secret.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::generate_for(SecretKind::Client)
    }

    /// A new secret of this kind.
    ///
    /// # Errors
    /// If there are no random numbers.
    pub fn generate_for(kind: SecretKind) -> Result<Self, NoRandomness> {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        rand::fill(&mut *random).map_err(|_| NoRandomness)?;
        Ok(Self::of_random(kind, &random))
    }

    fn of_random(kind: SecretKind, random: &[u8; RANDOM_BYTES]) -> Self {
        // Long enough from the start: a text that grows leaves copies behind.
        let mut text = String::with_capacity(kind.prefix().len() + RANDOM_DIGITS + CHECKSUM_DIGITS);
        text.push_str(kind.prefix());
        push_base62::<RANDOM_DIGITS>(random, &mut text);
        let checksum = crc32fast::hash(text.as_bytes());
        push_base62::<CHECKSUM_DIGITS>(&checksum.to_be_bytes(), &mut text);
        Self { secret: Secret::new(text) }
    }

    /// The secret, for hashing it and for the one answer that shows it.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Gives it up.
    #[must_use]
    pub fn into_secret(self) -> Secret {
        self.secret
    }
}

impl fmt::Debug for GeneratedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GeneratedSecret([redacted])")
    }
}

fn checksum_of(checked: &str) -> String {
    let mut digits = String::with_capacity(CHECKSUM_DIGITS);
    push_base62::<CHECKSUM_DIGITS>(&crc32fast::hash(checked.as_bytes()).to_be_bytes(), &mut digits);
    digits
}

/// Writes a big-endian number with `WIDTH` digits; what is beyond them is left out.
fn push_base62<const WIDTH: usize>(number: &[u8], text: &mut String) {
    let mut number = Zeroizing::new(number.to_vec());
    let mut digits = Zeroizing::new([0_u8; WIDTH]);
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u16;
        for byte in number.iter_mut() {
            let dividend = (remainder << 8) | u16::from(*byte);
            // Both fit: the remainder is below 62, so the quotient is below 256.
            *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
            remainder = dividend % 62;
        }
        *digit = DIGITS.get(usize::from(remainder)).copied().unwrap_or(b'0');
    }
    text.extend(digits.iter().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// Reads a base 62 number back, by Horner's rule over bytes.
    fn read_base62(digits: &str) -> [u8; RANDOM_BYTES] {
        let mut number = [0_u8; RANDOM_BYTES];
        for digit in digits.bytes() {
            let mut carry = DIGITS.iter().position(|known| *known == digit).unwrap();
            for byte in number.iter_mut().rev() {
                let sum = usize::from(*byte) * 62 + carry;
                *byte = (sum & 0xff) as u8;
                carry = sum >> 8;
            }
            assert_eq!(carry, 0);
        }
        number
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let zero = GeneratedSecret::of_random(SecretKind::Client, &[0; RANDOM_BYTES]);
        let checked = format!("pst_{}", "0".repeat(43));
        // The CRC-32 of zlib over `checked`, computed by another implementation.
        assert_eq!(zero.secret().expose(), format!("{checked}{CHECKSUM_OF_ZERO}"));
        let full = GeneratedSecret::of_random(SecretKind::RefreshToken, &[0xff; RANDOM_BYTES]);
        assert_eq!(full.secret().expose().len(), 53);
        assert_eq!(read_base62(full.secret().expose().get(4..47).unwrap()), [0xff; RANDOM_BYTES]);
        assert_eq!(format!("{zero:?}"), "GeneratedSecret([redacted])");
    }

    const CHECKSUM_OF_ZERO: &str = "0O7J8C";

    #[test]
    fn no_two_are_alike() {
        let all: HashSet<String> =
            (0..1000).map(|_| GeneratedSecret::generate().unwrap().secret().expose().to_owned()).collect();
        assert_eq!(all.len(), 1000);
    }

    #[test]
    fn what_only_resembles_one_is_told_apart() {
        let good = GeneratedSecret::generate().unwrap().into_secret();
        let good = good.expose();
        assert_eq!(SecretKind::of(good), Some(SecretKind::Client));
        let other_kind = good.replacen("pst_", "pat_", 1);
        let longer = format!("{good}0");
        for wrong in [
            "",
            "pst_",
            "pst_0",
            &other_kind,
            &longer,
            good.get(1..).unwrap(),
            good.get(..52).unwrap(),
            &good.to_lowercase(),
            "ü",
        ] {
            assert!(!looks_generated(wrong), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_secret_is_recognised_and_keeps_all_its_bits(random: [u8; RANDOM_BYTES], kind in 0..3_usize) {
            let kind = SecretKind::ALL[kind];
            let secret = GeneratedSecret::of_random(kind, &random).into_secret();
            let text = secret.expose();
            prop_assert_eq!(text.len(), 53);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            prop_assert_eq!(SecretKind::of(text), Some(kind));
            prop_assert_eq!(read_base62(text.get(4..47).unwrap()), random);
        }

        #[test]
        fn one_wrong_character_is_noticed(random: [u8; RANDOM_BYTES], at in 4..53_usize, digit in 0..62_usize) {
            let secret = GeneratedSecret::of_random(SecretKind::Client, &random).into_secret();
            let mut text = secret.expose().as_bytes().to_vec();
            let changed = text[at] != DIGITS[digit];
            text[at] = DIGITS[digit];
            prop_assert_eq!(looks_generated(std::str::from_utf8(&text).unwrap()), !changed);
        }

        #[test]
        fn no_text_panics(text in "(pst_|pat_)?\\PC{0,60}") {
            let _ = looks_generated(&text);
        }
    }
}
