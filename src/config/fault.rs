//! Owns: why serde could not make something of a value, in the words of an operator.
//! Refuses: the words of Rust: no `struct`, no `u16`, no `map`.
//! Always holds: where it happened is noted as soon as the error leaves the value.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::trail::Trail;
use crate::diagnostic::{KeyPath, Mark, listed, nearest};

/// What the reading of one value stopped at.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// Where. `None` until it has left the value.
    pub(super) path: Option<KeyPath>,
    /// The raw struct that was being read there.
    pub(super) structure: Option<&'static str>,
}

#[derive(Debug)]
pub(super) enum FaultKind {
    /// A key that must be there is not.
    Missing(&'static str),
    /// The value is wrong.
    Wrong { message: String, remedy: String, mark: Mark },
}

impl Fault {
    /// A wrong value.
    pub(super) fn wrong(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let kind = FaultKind::Wrong { message: message.into(), remedy: remedy.into(), mark: Mark::Value };
        Self { kind, path: None, structure: None }
    }

    /// A word that is none of `known`.
    pub(super) fn unknown_word(word: &str, known: &[&'static str]) -> Self {
        let remedy = match (nearest(word, known.iter().copied()), known) {
            (Some(meant), _) => format!("write `{meant}`"),
            (None, [one]) => format!("write `{one}`"),
            (None, _) => format!("write one of {}", listed(known.iter().copied())),
        };
        Self::wrong(format!("`{}` is not known here", shortened(word)), remedy)
    }

    /// The same fault, at `trail` unless it happened further down.
    pub(super) fn at(mut self, trail: &Trail<'_>) -> Self {
        if self.path.is_none() {
            self.path = Some(trail.path());
        }
        self
    }

    /// The same fault, in the struct `name` unless it happened further down.
    pub(super) fn in_structure(mut self, name: &'static str) -> Self {
        if self.path.is_none() {
            self.structure = Some(name);
        }
        self
    }

    /// The same fault, about the key.
    pub(super) fn about_the_key(mut self) -> Self {
        if let FaultKind::Wrong { mark, .. } = &mut self.kind {
            *mark = Mark::Key;
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Missing(key) => write!(formatter, "`{key}` is missing"),
            FaultKind::Wrong { message, remedy, .. } => write!(formatter, "{message}: {remedy}"),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    /// The raw structs' own errors read `what is wrong: write what is right`.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        if let Some((problem, remedy)) = message.split_once(": write ") {
            return Self::wrong(problem, format!("write {remedy}"));
        }
        // These come from the standard library and from ipnet, which do not say what to write.
        match message.as_str() {
            "invalid socket address syntax" => {
                Self::wrong("this is not an address and a port", "write one like \"127.0.0.1:8080\" or \"[::1]:8080\"")
            }
            "invalid IP address syntax" => Self::wrong("this is not a network", "write one like \"10.0.0.0/8\""),
            _ => Self::wrong(message, "write a value as docs/configuration.md describes it"),
        }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        Self::wrong(format!("{} where {expected} belongs", found(unexpected)), format!("write {expected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        Self::wrong(format!("{} is out of range", found(unexpected)), format!("write {expected}"))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let expected = in_words(&expected.to_string());
        Self::wrong(format!("{length} elements where {expected} belongs"), format!("write {expected}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown_word(variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown_word(field, expected).about_the_key()
    }

    fn missing_field(field: &'static str) -> Self {
        Self { kind: FaultKind::Missing(field), path: None, structure: None }
    }
}

/// A value as a message names it.
fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(flag) => format!("`{flag}`"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Str(text) => format!("the string `{}`", shortened(text)),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// Text that comes from outside, made fit for one line.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(printable).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    shown
}

fn printable(character: char) -> Box<dyn Iterator<Item = char>> {
    if character.is_control() { Box::new(character.escape_default()) } else { Box::new(std::iter::once(character)) }
}

/// What serde expects, in an operator's words.
fn in_words(expected: &str) -> String {
    match expected {
        "a map" | "map" => "a table".to_owned(),
        "a sequence" | "sequence" => "a list".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" | "string" => "a string in quotes".to_owned(),
        "path string" => "a file name in quotes".to_owned(),
        "socket address" | "an IPv4 or IPv6 socket address" => {
            "an address and a port like \"127.0.0.1:8080\"".to_owned()
        }
        "IP network address" => "a network like \"10.0.0.0/8\"".to_owned(),
        "any valid JSON value" => "a value".to_owned(),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" => format!("a whole number from 0 to {}", i64::MAX),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}
