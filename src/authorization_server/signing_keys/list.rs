//! Owns: the list of the keys in the directory (`keys.json`): which key plays which part.
//! Refuses: a key id that is no thumbprint (it becomes part of a file name), and two keys for one part.
//! Always holds: what parses names every key once.

use serde::{Deserialize, Serialize};

use super::SigningKey;
use crate::{clock::UnixTime, config::SigningAlgorithmConfig};

/// The form of the list that this program writes and reads.
const VERSION: u32 = 1;

/// The length of a SHA-256 thumbprint in base64url (RFC 7638 section 3).
const THUMBPRINT_LENGTH: usize = 43;

/// The keys in the directory, in the order in which they were made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyList {
    version: u32,
    keys: Vec<ListedKey>,
}

/// One key in the directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListedKey {
    pub(super) key_id: String,
    pub(super) algorithm: SigningAlgorithmConfig,
    pub(super) role: Role,
    /// Seconds since the Unix epoch.
    created_at: u64,
}

/// The part that a key plays among those of its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// It signs while its algorithm is the configured one.
    Current,
    /// It is published and will sign after the current one.
    Next,
}

impl KeyList {
    pub(super) fn keys(&self) -> &[ListedKey] {
        &self.keys
    }

    pub(super) fn contains(&self, algorithm: SigningAlgorithmConfig, role: Role) -> bool {
        self.keys.iter().any(|key| key.algorithm == algorithm && key.role == role)
    }

    pub(super) fn push(&mut self, key: ListedKey) {
        self.keys.push(key);
    }

    /// What is wrong with it, if anything is.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.version != VERSION {
            return Some("it was written by a newer version of this program");
        }
        for (position, key) in self.keys.iter().enumerate() {
            let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if key.key_id.len() != THUMBPRINT_LENGTH || !key.key_id.bytes().all(base64url) {
                return Some("a key id in it is not a thumbprint");
            }
            for earlier in self.keys.iter().take(position) {
                if earlier.key_id == key.key_id {
                    return Some("it names one key twice");
                }
                if (earlier.algorithm, earlier.role) == (key.algorithm, key.role) {
                    return Some("it names two keys of one algorithm for the same part");
                }
            }
        }
        None
    }
}

impl Default for KeyList {
    fn default() -> Self {
        Self { version: VERSION, keys: Vec::new() }
    }
}

impl ListedKey {
    pub(super) fn of(key: &SigningKey, role: Role) -> Self {
        let created_at = key.created_at().as_seconds();
        Self { key_id: key.key_id().to_owned(), algorithm: key.algorithm(), role, created_at }
    }

    pub(super) const fn created_at(&self) -> UnixTime {
        UnixTime::from_seconds(self.created_at)
    }

    /// The name of its file. The algorithm stands first because a thumbprint may begin with a dash.
    pub(super) fn file_name(&self) -> String {
        format!("{:?}-{}.pem", self.algorithm, self.key_id)
    }
}
