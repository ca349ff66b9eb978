//! Owns: text out of a request that an answer repeats, since its dialect does.
//! Refuses: being long, and control characters.
//! Always holds: at most [`Echo::LONGEST_CHARACTERS`]; whoever writes it escapes it as the answer's format asks.

use std::fmt;

/// A text to be repeated to whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Echo {
    text: Box<str>,
}

impl Echo {
    /// The most characters that are repeated.
    pub const LONGEST_CHARACTERS: usize = 256;

    /// The beginning of `text`, without its control characters.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let kept = text.chars().filter(|character| !character.is_control()).take(Self::LONGEST_CHARACTERS);
        Self { text: kept.collect::<String>().into() }
    }
}

impl fmt::Display for Echo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_unprintable_texts_are_cut() {
        assert_eq!(Echo::of("https://api.example/\"x\"").to_string(), "https://api.example/\"x\"");
        assert_eq!(Echo::of("a\r\nb\u{1b}[0m\0").to_string(), "ab[0m");
        assert_eq!(Echo::of(&"é".repeat(70_000)).to_string().chars().count(), 256);
    }
}
