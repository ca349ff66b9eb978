//! Owns: the merged tree of all files, in which every value and every key knows its file and place.
//! Refuses: knowing what a key means.
//! Always holds: a refused node stays in the tree, so that it can be found and shown, but nothing reads it again.

use super::table::Table;
use crate::diagnostic::{KeyPath, Segment, SourceSpan};

/// A value and where it stands.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Node {
    /// What it is.
    pub(super) value: Value,
    /// Where it stands; a table with a header stands where its header is.
    pub(super) span: SourceSpan,
    /// Where its key stands. Elements of an array and the top have none.
    pub(super) key: Option<SourceSpan>,
    /// Whether a problem with it was reported; then nothing reads it again.
    pub(super) refused: bool,
}

/// What a value is.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date or a time, which nothing in a configuration is.
    Date,
    Array(Vec<Node>),
    Table(Table),
}

impl Node {
    /// A value at a place, without a key.
    pub(super) const fn new(value: Value, span: SourceSpan) -> Self {
        Self { value, span, key: None, refused: false }
    }

    /// Lays `over` over this node: tables key by key, everything else is replaced.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (Value::Table(below), Value::Table(above)) => below.merge(above),
            (_, value) => *self = Self { value, ..over },
        }
    }

    /// The keys, if it is a table.
    pub(super) const fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value of `key`, if this is a table that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        self.table()?.get(key)
    }

    /// What one step leads to.
    pub(super) fn step(&self, segment: &Segment) -> Option<&Self> {
        match (&self.value, segment) {
            (Value::Table(table), Segment::Key(key)) => table.get(key),
            (Value::Array(elements), Segment::Index(index)) => elements.get(*index),
            _ => None,
        }
    }

    /// What `path` leads to.
    pub(super) fn find(&self, path: &KeyPath) -> Option<&Self> {
        path.segments().iter().try_fold(self, Self::step)
    }

    /// What `path` leads to, to be changed.
    pub(super) fn find_mut(&mut self, path: &KeyPath) -> Option<&mut Self> {
        path.segments().iter().try_fold(self, |node, segment| match (&mut node.value, segment) {
            (Value::Table(table), Segment::Key(key)) => table.get_mut(key),
            (Value::Array(elements), Segment::Index(index)) => elements.get_mut(*index),
            _ => None,
        })
    }

    /// Marks what `path` leads to as refused.
    pub(super) fn refuse(&mut self, path: &KeyPath) {
        if let Some(node) = self.find_mut(path) {
            node.refused = true;
        }
    }

    /// Whether anything below was refused.
    pub(super) fn holds_refused(&self) -> bool {
        let lost = |node: &Self| node.refused || node.holds_refused();
        match &self.value {
            Value::Table(table) => table.values().any(lost),
            Value::Array(elements) => elements.iter().any(lost),
            _ => false,
        }
    }
}
