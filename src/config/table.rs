//! Owns: the keys of one table of the tree and their values, in the order of the keys.
//! Refuses: room for more than there is: a table of a configuration has a key or two mostly, and there are tens of thousands of
//! them. The map of the standard library has places for eleven at once.
//! Always holds: no key is there twice; the order does not depend on the order in which keys came.

use std::slice;

use super::tree::Node;

/// Keys and their values.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Table {
    /// Sorted by key.
    entries: Box<[(String, Node)]>,
}

impl Table {
    /// A table of these entries, unless a key is among them twice.
    pub(super) fn of_distinct(mut entries: Vec<(String, Node)>) -> Option<Self> {
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let distinct = entries.is_sorted_by(|(one, _), (other, _)| one < other);
        distinct.then(|| Self { entries: entries.into() })
    }

    /// How many keys there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.get(self.position(key)?).map(|(_, node)| node)
    }

    /// The value of `key`, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let position = self.position(key)?;
        self.entries.get_mut(position).map(|(_, node)| node)
    }

    /// The keys and their values, by the order of the keys.
    pub(super) fn iter(&self) -> slice::Iter<'_, (String, Node)> {
        self.entries.iter()
    }

    /// The same, the values to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node)> {
        self.entries.iter_mut().map(|(key, node)| (key.as_str(), node))
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values, by the order of their keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &Node> {
        self.entries.iter().map(|(_, node)| node)
    }

    /// Lays `over` over this table, key by key.
    pub(super) fn merge(&mut self, over: Self) {
        let mut merged = Vec::with_capacity(self.entries.len() + over.entries.len());
        let mut below = std::mem::take(&mut self.entries).into_iter().peekable();
        for (key, node) in over.entries {
            while let Some(entry) = below.next_if(|(below, _)| *below < key) {
                merged.push(entry);
            }
            match below.next_if(|(below, _)| *below == key) {
                Some((key, mut existing)) => {
                    existing.merge(node);
                    merged.push((key, existing));
                }
                None => merged.push((key, node)),
            }
        }
        merged.extend(below);
        self.entries = merged.into();
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.entries.binary_search_by(|(other, _)| other.as_str().cmp(key)).ok()
    }
}

impl FromIterator<(String, Node)> for Table {
    /// Of a key that comes twice the last value stays.
    fn from_iter<I: IntoIterator<Item = (String, Node)>>(entries: I) -> Self {
        let mut entries: Vec<(String, Node)> = entries.into_iter().collect();
        entries.reverse();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        Self { entries: entries.into() }
    }
}

impl<'t> IntoIterator for &'t Table {
    type Item = &'t (String, Node);
    type IntoIter = slice::Iter<'t, (String, Node)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{config::tree::Value, diagnostic::SourceSpan};

    fn table(entries: &[(String, i64)]) -> Table {
        let node = |number| Node::new(Value::Integer(number), SourceSpan::new(0, 0..0));
        entries.iter().map(|(key, number)| (key.clone(), node(*number))).collect()
    }

    fn said(table: &Table) -> Vec<(String, i64)> {
        let number = |node: &Node| if let Value::Integer(number) = node.value { number } else { -1 };
        table.iter().map(|(key, node)| (key.clone(), number(node))).collect()
    }

    proptest! {
        #[test]
        fn it_says_what_an_ordered_map_says(
            below in prop::collection::vec(("[a-d]{0,2}", 0..9i64), 0..8),
            above in prop::collection::vec(("[a-d]{0,2}", 10..19i64), 0..8),
        ) {
            let mut map: BTreeMap<String, i64> = below.iter().cloned().collect();
            let mut merged = table(&below);
            prop_assert_eq!(said(&merged), map.clone().into_iter().collect::<Vec<_>>());
            map.extend(above.iter().cloned());
            merged.merge(table(&above));
            prop_assert_eq!(said(&merged), map.clone().into_iter().collect::<Vec<_>>());
            for key in ["", "a", "b", "aa", "cd", "dd", "e"] {
                prop_assert_eq!(merged.get(key).is_some(), map.contains_key(key));
                prop_assert_eq!(merged.get_mut(key).is_some(), map.contains_key(key));
            }
        }
    }
}
