//! Owns: sets of scopes (RFC 6749 section 3.3), and the claims in which issuers write them.
//! Refuses: tokens outside the grammar, and claims that are neither text nor a list of texts.
//! Always holds: no scope stands in a set twice; their order is that in which they were written.

use std::fmt;

use serde_json::Value;
use thiserror::Error;

/// Scopes, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet {
    scopes: Vec<Box<str>>,
}

/// The value of a claim for scopes.
#[derive(Clone, Copy, Debug)]
pub enum ScopeClaim<'a> {
    /// Scopes separated by single spaces.
    Text(&'a str),
    /// One scope each.
    List(&'a [Value]),
    /// What holds no scopes.
    Neither,
}

/// A text or claim that is no set of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidScope {
    /// A scope is empty or has a character that RFC 6749 section 3.3 leaves out.
    #[error("a scope is empty or has a character outside RFC 6749 section 3.3")]
    Token,
    /// A claim for scopes is neither text nor a list of texts.
    #[error("the claim `{claim}` is neither text nor a list of texts")]
    Claim {
        /// Which.
        claim: &'static str,
    },
}

impl ScopeSet {
    /// Reads scopes separated by single spaces. The empty text is the empty set.
    ///
    /// # Errors
    /// It does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let mut set = Self::default();
        set.add_text(text)?;
        Ok(set)
    }

    /// Collects `scopes`, each one scope.
    ///
    /// # Errors
    /// One of them does not follow the grammar.
    pub fn collect<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScope> {
        let mut set = Self::default();
        for scope in scopes {
            set.add(scope)?;
        }
        Ok(set)
    }

    /// Reads the scopes of a token out of its `claims` for scopes, which is all that is there together: `scope` (RFC 8693 section 4.2) and
    /// what other issuers call it.
    ///
    /// # Errors
    /// One of them holds something else.
    pub fn from_claims<'a>(
        claims: impl IntoIterator<Item = (&'static str, ScopeClaim<'a>)>,
    ) -> Result<Self, InvalidScope> {
        let mut set = Self::default();
        for (claim, value) in claims {
            match value {
                ScopeClaim::Text(text) => set.add_text(text)?,
                ScopeClaim::List(elements) => {
                    for element in elements {
                        set.add(element.as_str().ok_or(InvalidScope::Claim { claim })?)?;
                    }
                }
                ScopeClaim::Neither => return Err(InvalidScope::Claim { claim }),
            }
        }
        Ok(set)
    }

    /// Whether `scope` is in it.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| **own == *scope)
    }

    /// Whether every scope of `other` is in it.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.contains(scope))
    }

    /// Whether at least one scope of `other` is in it.
    #[must_use]
    pub fn contains_any(&self, other: &Self) -> bool {
        other.iter().any(|scope| self.contains(scope))
    }

    /// The scopes in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|scope| &**scope)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.scopes.len()
    }

    fn add_text(&mut self, text: &str) -> Result<(), InvalidScope> {
        if text.is_empty() {
            return Ok(());
        }
        // A third of what `split` takes of short texts.
        let mut start = 0;
        for end in memchr::memchr_iter(b' ', text.as_bytes()).chain([text.len()]) {
            self.add(text.get(start..end).unwrap_or_default())?;
            start = end + 1;
        }
        Ok(())
    }

    fn add(&mut self, scope: &str) -> Result<(), InvalidScope> {
        let in_grammar = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope.is_empty() || !scope.bytes().all(in_grammar) {
            return Err(InvalidScope::Token);
        }
        if !self.contains(scope) {
            self.scopes.push(scope.into());
        }
        Ok(())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(formatter, "{separator}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of_claims(claims: &Value) -> Result<String, InvalidScope> {
        let held = ["scope", "scp", "scopes"].into_iter().filter_map(|name| match claims.get(name)? {
            Value::String(text) => Some((name, ScopeClaim::Text(text))),
            Value::Array(elements) => Some((name, ScopeClaim::List(elements))),
            _ => Some((name, ScopeClaim::Neither)),
        });
        ScopeSet::from_claims(held).map(|set| set.to_string())
    }

    #[test]
    fn three_claims_in_two_forms_are_read() {
        for claims in [json!({"scope": "a b"}), json!({"scp": ["a", "b"]}), json!({"scopes": "a b", "scope": ["a"]})] {
            assert!(matches!(of_claims(&claims).as_deref(), Ok("a b")), "{claims}");
        }
        assert_eq!(of_claims(&json!({"scope": ""})).as_deref(), Ok(""));
        assert_eq!(of_claims(&json!({"roles": "a"})).as_deref(), Ok(""));
    }

    #[test]
    fn anything_else_is_refused() {
        for claims in [json!({"scope": 1}), json!({"scp": null}), json!({"scopes": {"a": true}}), json!({"scope": [1]})]
        {
            assert!(matches!(of_claims(&claims), Err(InvalidScope::Claim { .. })), "{claims}");
        }
        for claims in [
            json!({"scope": "a  b"}),
            json!({"scope": " a"}),
            json!({"scope": "a\tb"}),
            json!({"scp": ["a b"]}),
            json!({"scope": "a\"b"}),
            json!({"scope": "a\\b"}),
            json!({"scope": "\u{e9}"}),
            json!({"scope": [""]}),
        ] {
            assert_eq!(of_claims(&claims), Err(InvalidScope::Token), "{claims}");
        }
    }

    #[test]
    fn a_scope_is_matched_whole() {
        let set = ScopeSet::parse("orders:read orders:write").unwrap();
        assert!(set.contains("orders:read") && !set.contains("orders") && !set.contains("Orders:read"));
        assert!(set.contains_all(&ScopeSet::parse("orders:write").unwrap()));
        assert!(!set.contains_all(&ScopeSet::parse("orders:write admin").unwrap()));
        assert!(set.contains_any(&ScopeSet::parse("admin orders:write").unwrap()));
        assert!(!set.contains_any(&ScopeSet::default()));
    }

    proptest! {
        #[test]
        fn what_parses_prints_as_it_was_written(text in "[!-~ ]{0,30}") {
            if let Ok(set) = ScopeSet::parse(&text) {
                prop_assert_eq!(ScopeSet::parse(&set.to_string()), Ok(set.clone()));
                prop_assert!(text.split(' ').all(|scope| scope.is_empty() || set.contains(scope)));
            }
        }
    }
}
