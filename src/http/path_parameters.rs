//! Owns: the values that a route's pattern took out of a path.
//! Always holds: values are percent-decoded UTF-8; the path they come from was unambiguous.

use std::fmt;

/// Names and values of a pattern's parameters, in the pattern's order.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PathParameters {
    /// Every name followed by its value, one after the other: one allocation, however many there are.
    text: String,
    /// Where in `text` each name and each value ends.
    ends: Vec<(usize, usize)>,
}

impl PathParameters {
    /// No parameters yet, and room for `count` of them with `bytes` bytes of names and values together.
    #[must_use]
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Adds a parameter.
    pub fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_end = self.text.len();
        self.text.push_str(value);
        self.ends.push((name_end, self.text.len()));
    }

    /// The value of the parameter `name`.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(entry, _)| *entry == name).map(|(_, value)| value)
    }

    /// Names and values in the pattern's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&(name_end, value_end)| {
            let name = self.text.get(start..name_end)?;
            start = value_end;
            Some((name, self.text.get(name_end..value_end)?))
        })
    }
}

impl fmt::Debug for PathParameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_back_as_they_were_put_in() {
        let mut parameters = PathParameters::default();
        parameters.push("tenant", "acme");
        parameters.push("rest", "");
        parameters.push("name", "café");
        assert_eq!(parameters.value("tenant"), Some("acme"));
        assert_eq!(parameters.value("rest"), Some(""));
        assert_eq!(parameters.value("name"), Some("café"));
        assert_eq!(parameters.value("acme"), None);
        assert_eq!(format!("{parameters:?}"), r#"{"tenant": "acme", "rest": "", "name": "café"}"#);
    }
}
