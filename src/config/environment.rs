//! Owns: where `${VAR}` and `{ env = "VAR" }` look a variable up.
//! Refuses: reaching for the process's environment behind a test's back.
//! Always holds: reading never changes anything.

use std::collections::BTreeMap;

/// Environment variables.
pub trait Environment {
    /// The variable's value. `None` if it is not set, or is not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}
