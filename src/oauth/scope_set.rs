//! Owns: sets of scopes (RFC 6749 section 3.3), and the claims in which issuers write them.
//! Refuses: tokens outside the grammar, and claims that are neither text nor a list of texts.
//! Always holds: no scope stands in a set twice; their order is that in which they were written.

use std::{collections::HashSet, fmt, iter};

use serde_json::Value;
use thiserror::Error;

use crate::ahead;

/// Up to so many scopes are compared one by one when one more is read.
const MOST_COMPARED: usize = 16;

/// Scopes, each once. They are in one piece of memory, since it is looked at for every request of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet {
    /// Separated by single spaces.
    text: String,
}

/// Scopes that are being read.
#[derive(Default)]
struct Gathering {
    set: ScopeSet,
    count: usize,
    /// All of them, once there are many: else whoever has 4,000 scopes would have 8 million comparisons made.
    many: HashSet<Box<str>>,
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
    /// Has it fetched, as it will be needed soon.
    pub fn fetch(&self) {
        self.text.as_bytes().first().into_iter().for_each(ahead::fetch);
    }

    /// Reads scopes separated by single spaces. The empty text is the empty set.
    ///
    /// # Errors
    /// It does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let mut gathering = Gathering::default();
        gathering.add_text(text)?;
        Ok(gathering.set)
    }

    /// Collects `scopes`, each one scope.
    ///
    /// # Errors
    /// One of them does not follow the grammar.
    pub fn collect<'a>(scopes: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidScope> {
        let mut gathering = Gathering::default();
        scopes.into_iter().try_for_each(|scope| gathering.add(scope))?;
        Ok(gathering.set)
    }

    /// Reads the scopes of a token out of its `claims` for scopes, which is all that is there together: `scope` (RFC 8693 section 4.2) and
    /// what other issuers call it.
    ///
    /// # Errors
    /// One of them holds something else.
    pub fn from_claims<'a>(
        claims: impl IntoIterator<Item = (&'static str, ScopeClaim<'a>)>,
    ) -> Result<Self, InvalidScope> {
        let mut gathering = Gathering::default();
        for (claim, value) in claims {
            match value {
                ScopeClaim::Text(text) => gathering.add_text(text)?,
                ScopeClaim::List(elements) => {
                    for element in elements {
                        gathering.add(element.as_str().ok_or(InvalidScope::Claim { claim })?)?;
                    }
                }
                ScopeClaim::Neither => return Err(InvalidScope::Claim { claim }),
            }
        }
        Ok(gathering.set)
    }

    /// Whether `scope` is in it.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|own| own == scope)
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
        pieces(&self.text)
    }

    /// How much memory they take, in bytes.
    #[must_use]
    pub const fn weight_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }
}

impl Gathering {
    fn add_text(&mut self, text: &str) -> Result<(), InvalidScope> {
        self.set.text.reserve(text.len());
        pieces(text).try_for_each(|scope| self.add(scope))
    }

    fn add(&mut self, scope: &str) -> Result<(), InvalidScope> {
        let in_grammar = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope.is_empty() || !scope.bytes().all(in_grammar) {
            return Err(InvalidScope::Token);
        }
        if self.is_new(scope) {
            if self.count > 0 {
                self.set.text.push(' ');
            }
            self.set.text.push_str(scope);
            self.count += 1;
        }
        Ok(())
    }

    fn is_new(&mut self, scope: &str) -> bool {
        if self.count < MOST_COMPARED {
            return !self.set.contains(scope);
        }
        if self.many.is_empty() {
            self.many.extend(self.set.iter().map(Box::from));
        }
        self.many.insert(scope.into())
    }
}

/// What the spaces of a text separate, also where that is nothing; none of the empty text.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut left = (!text.is_empty()).then_some(text);
    iter::from_fn(move || {
        let text = left?;
        // A third of what `split` takes of short texts.
        let space = memchr::memchr(b' ', text.as_bytes()).and_then(|space| text.split_at_checked(space));
        left = space.and_then(|(_, behind)| behind.get(1..));
        Some(space.map_or(text, |(piece, _)| piece))
    })
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
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

    #[test]
    fn no_scope_is_there_twice_among_few_or_many() {
        for count in [1, MOST_COMPARED - 1, MOST_COMPARED, MOST_COMPARED + 1, 2000] {
            let names: Vec<String> = (0..count).map(|number| format!("s{number}")).collect();
            let text = names.join(" ");
            let set = ScopeSet::parse(&format!("{text} s0 {text}")).unwrap();
            assert_eq!((set.len(), set.to_string()), (count, text));
            assert!(names.iter().all(|name| set.contains(name)) && !set.contains("s") && !set.contains("s0 s1"));
        }
        assert_eq!((ScopeSet::default().len(), ScopeSet::default().iter().next()), (0, None));
        assert!(!ScopeSet::default().contains("") && !ScopeSet::parse("a").unwrap().contains(""));
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
