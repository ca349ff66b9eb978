//! Owns: the tables of a file while it is read: headers, dotted keys and lists of tables add to what others began.
//! Refuses: what TOML forbids to be written twice; it says only that there is something, and leaves telling it to the parser.
//! Always holds: every key and every table stands where the parser would say that it stands.

use std::{collections::HashMap, ops::Range};

use super::{
    table::Table,
    tree::{Node, Value},
};
use crate::diagnostic::SourceSpan;

/// A key and where it stands.
#[derive(Clone)]
pub(super) struct Key<'s> {
    pub(super) name: &'s str,
    pub(super) span: Range<usize>,
}

/// All tables of a file. Each has a number; the top has 0.
pub(super) struct Growing<'s> {
    file: usize,
    tables: Vec<GrowingTable<'s>>,
}

struct GrowingTable<'s> {
    origin: Origin,
    entries: Vec<(String, Node)>,
    below: Vec<Below<'s>>,
    /// Where in `below` a key is.
    positions: HashMap<&'s str, usize>,
}

/// Why there is a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It has a header, or is the top.
    Header,
    /// A header names something below it.
    LongerHeader,
    /// A dotted key names something in it.
    DottedKey,
}

/// What a key leads to that may grow on.
struct Below<'s> {
    key: Key<'s>,
    span: Range<usize>,
    is: Is,
}

enum Is {
    Table(usize),
    /// `[[list]]`: the tables and where their headers stand.
    List(Vec<(usize, Range<usize>)>),
}

impl<'s> Growing<'s> {
    pub(super) const TOP: usize = 0;

    pub(super) fn new(file: usize) -> Self {
        Self { file, tables: vec![GrowingTable::new(Origin::Header)] }
    }

    /// The table of the header `[above.key]` that stands at `span`.
    pub(super) fn header(&mut self, above: &[Key<'s>], key: &Key<'s>, span: Range<usize>) -> Option<usize> {
        let parent = self.descend(Self::TOP, above, false)?;
        let Some(position) = self.position(parent, key.name) else {
            return self.add_table(parent, key, span, Origin::Header);
        };
        let below = self.tables.get_mut(parent)?.below.get_mut(position)?;
        (below.key, below.span) = (key.clone(), span);
        let Is::Table(table) = below.is else { return None };
        let origin = &mut self.tables.get_mut(table)?.origin;
        (std::mem::replace(origin, Origin::Header) == Origin::LongerHeader).then_some(table)
    }

    /// The table of the header `[[above.key]]` that stands at `span`.
    pub(super) fn list_header(&mut self, above: &[Key<'s>], key: &Key<'s>, span: Range<usize>) -> Option<usize> {
        let parent = self.descend(Self::TOP, above, false)?;
        let table = self.tables.len();
        match self.position(parent, key.name) {
            None => self.add(parent, key, span.clone(), Is::List(vec![(table, span)]))?,
            Some(position) => match &mut self.tables.get_mut(parent)?.below.get_mut(position)?.is {
                Is::List(list) => list.push((table, span)),
                Is::Table(_) => return None,
            },
        }
        self.tables.push(GrowingTable::new(Origin::Header));
        Some(table)
    }

    /// Puts `value` into a table, by a key that may be dotted.
    pub(super) fn assign(&mut self, table: usize, above: &[Key<'s>], key: &Key<'s>, value: Node) -> Option<()> {
        let table = self.descend(table, above, true)?;
        let key_span = SourceSpan::new(self.file, key.span.clone());
        self.tables.get_mut(table)?.entries.push((key.name.to_owned(), Node { key: Some(key_span), ..value }));
        Some(())
    }

    /// The whole tree, unless a key is in a table twice.
    pub(super) fn settle(mut self) -> Option<Table> {
        self.settled(Self::TOP)
    }

    fn settled(&mut self, table: usize) -> Option<Table> {
        let GrowingTable { mut entries, below, .. } =
            std::mem::replace(self.tables.get_mut(table)?, GrowingTable::new(Origin::Header));
        entries.reserve_exact(below.len());
        for Below { key, span, is } in below {
            let value = match is {
                Is::Table(table) => Value::Table(self.settled(table)?),
                Is::List(list) => {
                    let element = |(table, span)| {
                        let span = SourceSpan::new(self.file, span);
                        Some(Node::new(Value::Table(self.settled(table)?), span))
                    };
                    Value::Array(list.into_iter().map(element).collect::<Option<_>>()?)
                }
            };
            let mut node = Node::new(value, SourceSpan::new(self.file, span));
            node.key = Some(SourceSpan::new(self.file, key.span));
            entries.push((key.name.to_owned(), node));
        }
        Table::of_distinct(entries)
    }

    /// The table that `keys` lead to from `table`, with those on the way that are not there yet.
    fn descend(&mut self, table: usize, keys: &[Key<'s>], dotted: bool) -> Option<usize> {
        let new = if dotted { Origin::DottedKey } else { Origin::LongerHeader };
        keys.iter().try_fold(table, |table, key| {
            let Some(position) = self.position(table, key.name) else {
                return self.add_table(table, key, key.span.clone(), new);
            };
            let below = match &self.tables.get(table)?.below.get(position)?.is {
                Is::Table(below) => *below,
                Is::List(list) => list.last()?.0,
            };
            if dotted {
                let origin = &mut self.tables.get_mut(below)?.origin;
                if std::mem::replace(origin, Origin::DottedKey) == Origin::Header {
                    return None;
                }
            }
            Some(below)
        })
    }

    fn add_table(&mut self, parent: usize, key: &Key<'s>, span: Range<usize>, origin: Origin) -> Option<usize> {
        let table = self.tables.len();
        self.add(parent, key, span, Is::Table(table))?;
        self.tables.push(GrowingTable::new(origin));
        Some(table)
    }

    fn add(&mut self, parent: usize, key: &Key<'s>, span: Range<usize>, is: Is) -> Option<()> {
        let parent = self.tables.get_mut(parent)?;
        parent.positions.insert(key.name, parent.below.len());
        parent.below.push(Below { key: key.clone(), span, is });
        Some(())
    }

    fn position(&self, table: usize, key: &str) -> Option<usize> {
        let table = self.tables.get(table)?;
        // A header mostly goes on with what the one before it began.
        match table.below.last() {
            Some(last) if last.key.name == key => Some(table.below.len() - 1),
            _ => table.positions.get(key).copied(),
        }
    }
}

impl GrowingTable<'_> {
    fn new(origin: Origin) -> Self {
        Self { origin, entries: Vec::new(), below: Vec::new(), positions: HashMap::new() }
    }
}
