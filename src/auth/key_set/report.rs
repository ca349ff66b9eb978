//! Owns: how the last attempts to fetch a key set went, for whoever looks at it.
//! Refuses: taking part in decisions.
//! Always holds: it is replaced whole after every attempt.

use std::time::Instant;

use crate::clock::UnixTime;

/// How the last attempts went.
#[derive(Clone, Debug, Default)]
pub(super) struct Report {
    /// When the last attempt ended.
    pub(super) last_attempt: Option<UnixTime>,
    /// Why the last attempt failed, and when; kept when a later one succeeds.
    pub(super) last_error: Option<(UnixTime, String)>,
    /// How many failed in a row.
    pub(super) failures: u32,
    /// When the next one is due.
    pub(super) next_attempt: Option<Instant>,
    /// Why the issuer's metadata are not followed, while an earlier answer still is.
    pub(super) discovery_error: Option<String>,
}

/// The longest text of an error, in characters: some quote what they could not read.
const LONGEST_ERROR: usize = 500;

/// An error with its causes, in one line of bounded length.
pub(in crate::auth) fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text.chars().take(LONGEST_ERROR).collect()
}
