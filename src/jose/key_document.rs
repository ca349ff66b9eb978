//! Owns: a key set document (RFC 7517 section 5), read key by key.
//! Refuses: a document without one usable key, or with more than 100.
//! Always holds: no two usable keys have one id; whatever was left out is listed with its reason.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{SkipReason, VerificationKey, key_id};

/// The most keys that a document may hold.
const MOST_KEYS: usize = 100;

/// The keys of an issuer as its document lists them.
#[derive(Debug)]
pub struct KeyDocument {
    /// The usable ones, at least one, in the document's order.
    pub keys: Vec<VerificationKey>,
    /// The others.
    pub skipped: Vec<SkippedKey>,
}

/// A key that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its `kid`, if it has one that can be shown.
    pub key_id: Option<String>,
    /// The reason.
    pub why: SkipReason,
}

/// Why a document is no key set.
#[derive(Debug, Error)]
pub enum KeyDocumentError {
    /// It is not JSON.
    #[error("the key document is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// It has no list of keys.
    #[error("the key document has no list `keys`")]
    NoKeyList,
    /// It lists more than 100 keys.
    #[error("the key document lists {count} keys; at most 100 are accepted")]
    TooManyKeys {
        /// How many.
        count: usize,
    },
    /// None of its keys can be used.
    #[error("the key document has no usable key; it lists {}", .skipped.len())]
    NoUsableKey {
        /// What became of those that it lists.
        skipped: Vec<SkippedKey>,
    },
}

impl KeyDocument {
    /// Reads a document. A key that cannot be used is left out and said, and spoils none of the others. Of members
    /// repeated inside a key the last one counts, as RFC 7517 section 4 allows.
    ///
    /// # Errors
    /// The document is none, or has no usable key.
    pub fn parse(document: &[u8]) -> Result<Self, KeyDocumentError> {
        let document: Map<String, Value> = serde_json::from_slice(document).map_err(KeyDocumentError::NotJson)?;
        let Some(Value::Array(listed)) = document.get("keys") else { return Err(KeyDocumentError::NoKeyList) };
        if listed.len() > MOST_KEYS {
            return Err(KeyDocumentError::TooManyKeys { count: listed.len() });
        }
        let mut keys: Vec<VerificationKey> = Vec::with_capacity(listed.len());
        let mut skipped = Vec::new();
        for value in listed {
            let parsed = match value {
                Value::Object(jwk) => VerificationKey::parse(jwk),
                _ => Err(SkipReason::Malformed { member: "key" }),
            };
            match parsed {
                Ok(key) => keys.push(key),
                Err(why) => skipped.push(SkippedKey { key_id: shown_key_id(value), why }),
            }
        }
        skip_repeated(&mut keys, &mut skipped);
        if keys.is_empty() { Err(KeyDocumentError::NoUsableKey { skipped }) } else { Ok(Self { keys, skipped }) }
    }
}

/// Two usable keys of one id cannot be told apart by a token, so none of them is used.
fn skip_repeated(keys: &mut Vec<VerificationKey>, skipped: &mut Vec<SkippedKey>) {
    let ids: Vec<Option<String>> = keys.iter().map(|key| key.key_id().map(str::to_owned)).collect();
    keys.retain(|key| {
        let Some(key_id) = key.key_id() else { return true };
        let unique = ids.iter().filter(|id| id.as_deref() == Some(key_id)).count() == 1;
        if !unique {
            skipped.push(SkippedKey { key_id: Some(key_id.to_owned()), why: SkipReason::RepeatedKeyId });
        }
        unique
    });
}

fn shown_key_id(value: &Value) -> Option<String> {
    let text = value.get("kid")?.as_str()?;
    key_id::is_acceptable(text).then(|| text.to_owned())
}
