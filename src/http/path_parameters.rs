//! Owns: the values that a route's pattern took out of a path.
//! Always holds: values are percent-decoded UTF-8; the path they come from was unambiguous.

/// Names and values of a pattern's parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathParameters {
    entries: Vec<(Box<str>, Box<str>)>,
}

impl PathParameters {
    /// Adds a parameter.
    pub fn push(&mut self, name: &str, value: &str) {
        self.entries.push((name.into(), value.into()));
    }

    /// The value of the parameter `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(entry, _)| **entry == *name).map(|(_, value)| &**value)
    }
}
