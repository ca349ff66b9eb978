//! Owns: the private keys of the embedded issuer, from their making to their use and their end.
//! Refuses: a record that does not open or is not the key it is named after, and making new keys in its place; touching the
//! store, which whoever asks does.
//! Always holds: there is a current key, which signs, and a next one, which verifiers already know; a key that signed stays
//! published until nothing lives of it, unless it is revoked.

mod change;
mod error;
mod key_pair;
mod record;
mod ring;
mod rotation;
mod signing_key;

pub(super) use self::signing_key::jose_algorithm;
pub use self::{
    change::{KeyChange, KeyChangeError, KeyEvent, KeyEventKind},
    error::{SigningKeyError, UnverifiableKey},
    record::{KeyState, SigningKeyRecord},
    ring::KeyRing,
    rotation::KNOWN_AFTER,
    signing_key::{SignedToken, SigningError, SigningKey, UnusableKey},
};

#[cfg(test)]
mod ring_tests;
#[cfg(test)]
mod signing_tests;
