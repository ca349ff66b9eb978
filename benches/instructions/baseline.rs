//! What is compared with: `benches/instructions.toml`.

use std::{collections::BTreeMap, fs};

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;

/// Where it is.
pub(crate) const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
/// How it is made anew.
pub(crate) const RENEW: &str = "cargo bench --bench instructions -- --bless (without CARGO_PROFILE_... and RUSTFLAGS)";

/// The counts of a version, and under which conditions they were made.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    pub(crate) conditions: Conditions,
    /// Instructions of one iteration, by the name of the case.
    pub(crate) instructions: BTreeMap<String, u64>,
}

impl Baseline {
    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(PATH).map_err(|error| format!("{PATH}: {error}; to make it: {RENEW}"))?;
        toml::from_str(&text).map_err(|error| format!("{PATH}: {error}"))
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        let text = format!(
            "# Instructions of one iteration. Written by: cargo bench --bench instructions -- --bless\n\n{text}"
        );
        fs::write(PATH, text).map_err(|error| format!("{PATH}: {error}"))
    }
}
