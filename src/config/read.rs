//! Owns: making the raw structs out of the tree: try, note what is wrong, refuse it, try again.
//! Refuses: reporting what only follows from a problem that was reported already.
//! Always holds: every named thing is tried on its own, so ten thousand wrong routes cost no more than ten thousand right ones.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::{
    Config,
    deserialize::NodeDeserializer,
    fault::{Fault, FaultKind},
    reading::Reading,
    schema,
    trail::Trail,
    tree::Node,
};
use crate::diagnostic::{Diagnostic, KeyPath, Severity};

/// How many problems are sought in one named thing before it is given up.
const ATTEMPTS: usize = 64;

/// Reads the raw structs. What is wrong is noted and left out, so the result is whole only if nothing was noted.
pub(super) fn read(tree: &mut Node, incomplete: bool, reading: &Reading<'_>) -> Config {
    reading.note_unknown_keys(tree, &Trail::Top, schema::keys_of("Config"));
    let mut reader = Reader { tree, incomplete, reading };
    Config {
        process: reader.one("process").unwrap_or_default(),
        listeners: reader.named("listeners"),
        admin: reader.one("admin"),
        telemetry: reader.one("telemetry").unwrap_or_default(),
        issuers: reader.named("issuers"),
        dns: reader.one("dns").unwrap_or_default(),
        upstreams: reader.named("upstreams"),
        routes: reader.named("routes"),
        token_endpoints: reader.named("token_endpoints"),
        authorization_server: reader.one("authorization_server"),
        shared: reader.one("shared"),
    }
}

struct Reader<'a> {
    tree: &'a mut Node,
    /// Whether keys may be missing on account of what was reported before.
    incomplete: bool,
    reading: &'a Reading<'a>,
}

impl Reader<'_> {
    /// A section that is one thing.
    fn one<T: DeserializeOwned>(&mut self, section: &str) -> Option<T> {
        self.attempt(&Trail::Key(&Trail::Top, section), |tree| tree.entry(section))
    }

    /// A section that is a table of named things.
    fn named<T: DeserializeOwned>(&mut self, section: &str) -> BTreeMap<String, T> {
        let trail = Trail::Key(&Trail::Top, section);
        let Some(node) = self.tree.entry(section).filter(|node| !node.refused) else { return BTreeMap::new() };
        let Some(table) = node.table() else {
            // Whatever it is, it is no table; reading it as one says so.
            self.attempt::<BTreeMap<String, serde::de::IgnoredAny>>(&trail, |tree| tree.entry(section));
            return BTreeMap::new();
        };
        let names: Vec<String> = table.keys().cloned().collect();
        let mut things = BTreeMap::new();
        for name in names {
            let found = self.attempt(&Trail::Key(&trail, &name), |tree| tree.entry(section)?.entry(&name));
            if let Some(thing) = found {
                things.insert(name, thing);
            }
        }
        things
    }

    /// Reads what `find` finds at `trail`, again and again without the parts that are wrong.
    fn attempt<T: DeserializeOwned>(&mut self, trail: &Trail<'_>, find: impl Fn(&Node) -> Option<&Node>) -> Option<T> {
        for _ in 0..ATTEMPTS {
            let node = find(self.tree).filter(|node| !node.refused)?;
            match T::deserialize(NodeDeserializer { node, trail, reading: self.reading }) {
                Ok(thing) => return Some(thing),
                Err(fault) => self.refuse(fault, trail),
            }
        }
        let path = trail.path();
        let notes = &mut *self.reading.notes.borrow_mut();
        notes.diagnostics.key_error(&path, "more is wrong here than is shown", "right what is shown first");
        self.tree.refuse(&path);
        None
    }

    /// Notes what is wrong, unless it follows from what was noted before, and leaves it out from now on.
    fn refuse(&mut self, fault: Fault, trail: &Trail<'_>) {
        let path = fault.path.unwrap_or_else(|| trail.path());
        let node = self.tree.find(&path);
        match fault.kind {
            FaultKind::Missing(key) => {
                if let Some(node) = node.filter(|_| !self.incomplete) {
                    self.note_missing(&path, node, fault.structure, key);
                }
            }
            // What lost a part is wrong because of that part.
            FaultKind::Wrong { .. } if node.is_some_and(Node::holds_refused) => {}
            FaultKind::Wrong { message, remedy, mark } => {
                let severity = Severity::Error;
                let diagnostic = Diagnostic { severity, path: path.clone(), mark, span: None, message, remedy };
                self.reading.notes.borrow_mut().diagnostics.push(diagnostic);
            }
        }
        self.tree.refuse(&path);
    }

    /// Notes every key that is missing from the table at `path`, of which serde told only the first.
    fn note_missing(&self, path: &KeyPath, table: &Node, structure: Option<&'static str>, first: &'static str) {
        let notes = &mut *self.reading.notes.borrow_mut();
        let mut missing: Vec<&str> = schema::required_keys_of(structure.unwrap_or_default()).collect();
        if !missing.contains(&first) {
            missing.push(first);
        }
        for key in missing {
            // If it is there but refused, or written wrong, that was reported.
            if table.entry(key).is_none() && !notes.excused.contains(&(path.clone(), key.to_owned())) {
                let meaning = schema::meaning_of(structure.unwrap_or_default(), key);
                let remedy =
                    meaning.map_or_else(|| format!("add `{key}`"), |meaning| format!("add `{key}`: {meaning}"));
                notes.diagnostics.key_error(path, format!("`{key}` is missing"), remedy);
            }
        }
    }
}
