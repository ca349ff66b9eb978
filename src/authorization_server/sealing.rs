//! Owns: how secrets that must be read again are kept in the store: encrypted under the operator's key, if there is one.
//! Refuses: opening a text under another name than the one it was sealed for, so that two of them cannot be exchanged.
//! Always holds: a text says whether it is sealed, and under which key it was, without telling anything about that key.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// What a sealed text begins with: key mark, nonce, ciphertext and tag follow in base64url.
const SEALED: &str = "sealed:v1:";
/// What a text begins with that was kept while no key was configured.
const PLAIN: &str = "plain:v1:";
/// The salt of the derivation (RFC 5869 section 3.1): constant, and good for this purpose alone.
const SALT: &[u8] = b"postern sealing v1";
const KEY_BYTES: usize = 32;
/// How much of a second derivation tells one key from another.
const MARK_BYTES: usize = 8;

/// Seals what is kept in the store (AES-256-GCM), or keeps it in clear if no `encryption_key` is configured.
pub struct Sealing {
    key: Option<SealingKey>,
}

struct SealingKey {
    key: RandomizedNonceKey,
    mark: [u8; MARK_BYTES],
}

/// Why something cannot be sealed or opened. The name says what it is; it is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealingError {
    /// No key is configured now.
    #[error("{name} is encrypted and no `encryption_key` is configured: configure the one it was encrypted under")]
    NoKey {
        /// What was to be opened.
        name: String,
    },
    /// Another key is configured now.
    #[error("{name} is encrypted under another `encryption_key`: configure the one it was encrypted under")]
    AnotherKey {
        /// What was to be opened.
        name: String,
    },
    /// It is not what was sealed under this name.
    #[error("{name} is damaged, or was put in the place of another")]
    Corrupt {
        /// What was to be opened.
        name: String,
    },
    /// The cryptography refused, as it does without random numbers.
    #[error("{name} cannot be encrypted")]
    Unsealable {
        /// What was to be sealed.
        name: String,
    },
}

impl Sealing {
    /// Sealing under a key derived (HKDF-SHA256, RFC 5869) from the operator's, or none.
    ///
    /// # Errors
    /// [`SealingError::Unsealable`] if no key can be derived, which is no fault of the operator's.
    pub fn of(encryption_key: Option<&Secret>) -> Result<Self, SealingError> {
        let derived = encryption_key.map(SealingKey::derive).map(|key| {
            key.ok_or_else(|| SealingError::Unsealable { name: "anything under this `encryption_key`".to_owned() })
        });
        Ok(Self { key: derived.transpose()? })
    }

    /// Whether there is a key: if not, everything is kept in clear.
    #[must_use]
    pub const fn seals(&self) -> bool {
        self.key.is_some()
    }

    /// Whether `text` is encrypted.
    #[must_use]
    pub fn is_sealed(text: &str) -> bool {
        text.starts_with(SEALED)
    }

    /// The text under which `plain` is kept. It opens under the same `name` only.
    ///
    /// # Errors
    /// [`SealingError::Unsealable`].
    pub fn seal(&self, name: &str, plain: &[u8]) -> Result<String, SealingError> {
        let Some(key) = &self.key else { return Ok(format!("{PLAIN}{}", URL_SAFE_NO_PAD.encode(plain))) };
        let mut sealed = Zeroizing::new(plain.to_vec());
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut *sealed)
            .map_err(|_| SealingError::Unsealable { name: name.to_owned() })?;
        let bytes = [key.mark.as_slice(), nonce.as_ref().as_slice(), sealed.as_slice()].concat();
        Ok(format!("{SEALED}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What `text` was made of. A text in clear opens with and without a key.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open(&self, name: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, SealingError> {
        let corrupt = || SealingError::Corrupt { name: name.to_owned() };
        let decode = |encoded: &str| URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new).map_err(|_| corrupt());
        if let Some(plain) = text.strip_prefix(PLAIN) {
            return decode(plain);
        }
        let bytes = decode(text.strip_prefix(SEALED).ok_or_else(corrupt)?)?;
        let (mark, bytes) = bytes.split_first_chunk::<MARK_BYTES>().ok_or_else(corrupt)?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(corrupt)?;
        let Some(key) = &self.key else { return Err(SealingError::NoKey { name: name.to_owned() }) };
        if *mark != key.mark {
            return Err(SealingError::AnotherKey { name: name.to_owned() });
        }
        let mut opened = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(name.as_bytes());
        let length = key.key.open_in_place(Nonce::from(nonce), aad, &mut opened).map_err(|_| corrupt())?.len();
        opened.truncate(length);
        Ok(opened)
    }
}

impl SealingKey {
    fn derive(encryption_key: &Secret) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(encryption_key.expose().as_bytes());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        extracted.expand(&[b"key"], Length(KEY_BYTES)).and_then(|derived| derived.fill(&mut *key)).ok()?;
        let mut mark = [0; MARK_BYTES];
        extracted.expand(&[b"mark"], Length(MARK_BYTES)).and_then(|derived| derived.fill(&mut mark)).ok()?;
        Some(Self { key: RandomizedNonceKey::new(&AES_256_GCM, &*key).ok()?, mark })
    }
}

/// So many bytes of derived key.
#[derive(Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl fmt::Debug for Sealing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealing").field("seals", &self.seals()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealing(key: &str) -> Sealing {
        Sealing::of(Some(&Secret::new(key.to_owned()))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_and_key_alone() {
        let sealing = sealing("canary key of thirty-two characters");
        let text = sealing.seal("secret:billing:a", b"hush").unwrap();
        assert!(Sealing::is_sealed(&text) && text.starts_with("sealed:v1:") && sealing.seals());
        assert_eq!(sealing.open("secret:billing:a", &text).unwrap().as_slice(), b"hush");
        assert_ne!(sealing.seal("secret:billing:a", b"hush").unwrap(), text, "nonces differ");
        let name = "secret:billing:b".to_owned();
        assert_eq!(sealing.open(&name, &text), Err(SealingError::Corrupt { name: name.clone() }));
        let other = self::sealing("another key of thirty-two characters");
        assert_eq!(other.open(&name, &text), Err(SealingError::AnotherKey { name: name.clone() }));
        assert_eq!(Sealing::of(None).unwrap().open(&name, &text), Err(SealingError::NoKey { name }));
        let shown = format!("{sealing:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_text_in_clear_says_so_and_opens_everywhere() {
        let none = Sealing::of(None).unwrap();
        let text = none.seal("a", b"hush").unwrap();
        assert_eq!((text.as_str(), Sealing::is_sealed(&text), none.seals()), ("plain:v1:aHVzaA", false, false));
        assert_eq!(none.open("a", &text).unwrap().as_slice(), b"hush");
        assert_eq!(sealing("some key").open("a", &text).unwrap().as_slice(), b"hush");
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let sealing = sealing("some key");
        let text = sealing.seal("a", b"hush").unwrap();
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(sealing.open("a", std::str::from_utf8(&changed).unwrap()).is_err(), "{position}");
        }
        for text in [
            "",
            "sealed:v1:",
            "sealed:v1:AAAA",
            "sealed:v2:AAAA",
            "hush",
            "plain:v1:%",
            text.get(..text.len() - 4).unwrap(),
        ] {
            assert_eq!(sealing.open("a", text), Err(SealingError::Corrupt { name: "a".to_owned() }), "{text}");
        }
    }
}
