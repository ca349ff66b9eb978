//! Owns: the private keys of the embedded issuer, from their making to their use.
//! Refuses: a key that others on the machine could read, a file that is not the key it is named after, and going on
//! without the keys that its own list names.
//! Always holds: there is a current key, which signs, and a next one, which verifiers already know; every key that was
//! ever listed is still published; a key is on disk before the first token is signed with it.

mod change;
mod directory;
mod error;
mod key_pair;
mod list;
mod record;
mod ring;
mod rotation;
mod signing_key;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Map, Value};

pub(super) use self::signing_key::jose_algorithm;
pub use self::{
    change::{KeyChange, KeyChangeError, KeyEvent, KeyEventKind},
    error::SigningKeyError,
    record::{KeyState, SigningKeyRecord},
    ring::KeyRing,
    rotation::KNOWN_AFTER,
    signing_key::{SignedToken, SigningError, SigningKey, UnusableKey},
};
use self::{
    directory::KeyDirectory,
    list::{ListedKey, Role},
};
use super::UnverifiableKey;
use crate::{clock::UnixTime, config::SigningAlgorithmConfig};

/// The keys of the embedded issuer, read from or made in one directory.
#[derive(Debug)]
pub struct SigningKeys {
    directory: PathBuf,
    algorithm: SigningAlgorithmConfig,
    current: SigningKey,
    /// The next key first, then those of algorithms that were configured before.
    others: Vec<SigningKey>,
}

impl SigningKeys {
    /// Reads the keys kept in `directory`; makes it, and the current and the next key of `algorithm`, if they are not
    /// there yet. Blocks: it reads and writes files, and making RSA keys takes a good part of a second.
    ///
    /// # Errors
    /// If a file or the directory can be read by others, cannot be read or written, or does not hold what it should.
    pub fn open(directory: &Path, algorithm: SigningAlgorithmConfig, now: UnixTime) -> Result<Self, SigningKeyError> {
        let files = KeyDirectory::open(directory)?;
        let mut list = files.read_list()?.unwrap_or_default();
        let mut keys = Vec::new();
        for listed in list.keys() {
            keys.push((listed.role, files.read_key(listed)?));
        }
        for role in [Role::Current, Role::Next] {
            if list.contains(algorithm, role) {
                continue;
            }
            let (key, pkcs8) = SigningKey::generate(algorithm, now)?;
            let listed = ListedKey::of(&key, role);
            files.write_key(&listed, &pkcs8)?;
            list.push(listed);
            keys.push((role, key));
            // Written after each key, so that a stop in between leaves a list whose every key is there.
            files.write_list(&list)?;
        }
        let mut current = None;
        let mut others = Vec::new();
        for (role, key) in keys {
            match role {
                Role::Current if key.algorithm() == algorithm => current = Some(key),
                Role::Next if key.algorithm() == algorithm => others.insert(0, key),
                Role::Current | Role::Next => others.push(key),
            }
        }
        let current = current.ok_or(SigningKeyError::Generate { algorithm })?;
        Ok(Self { directory: directory.to_owned(), algorithm, current, others })
    }

    /// Whether these are the keys that `directory` and `algorithm` call for.
    #[must_use]
    pub fn serve(&self, directory: &Path, algorithm: SigningAlgorithmConfig) -> bool {
        self.directory == directory && self.algorithm == algorithm
    }

    /// The key that signs.
    #[must_use]
    pub const fn current(&self) -> &SigningKey {
        &self.current
    }

    /// Every key whose tokens are good: the current one, the next one, then older ones.
    pub fn published(&self) -> impl Iterator<Item = &SigningKey> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// The key document (RFC 7517 section 5): public halves only.
    #[must_use]
    pub fn jwks(&self) -> Bytes {
        let keys: Vec<Value> = self.published().map(|key| Value::Object(key.public_jwk().clone())).collect();
        let mut document = Map::new();
        document.insert("keys".to_owned(), Value::Array(keys));
        Bytes::from(Value::Object(document).to_string())
    }
}

#[cfg(test)]
mod ring_tests;
#[cfg(test)]
mod tests;
