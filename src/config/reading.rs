//! Owns: what is noted while the tree is read: diagnostics, secrets, files.
//! Refuses: ending the reading for something that can be noted.
//! Always holds: a secret's value is in no note.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{
    contents::Contents,
    environment::Environment,
    fault::{Fault, shortened},
    secret_source::FoundSecret,
    trail::Trail,
    tree::Node,
};
use crate::diagnostic::{Diagnostics, KeyPath, SourceSpan, listed, nearest};

/// The surroundings of a reading, and its notes.
pub(super) struct Reading<'a> {
    pub(super) environment: &'a dyn Environment,
    /// The directory of each source file.
    pub(super) directories: &'a [PathBuf],
    pub(super) notes: RefCell<Notes>,
}

/// What was noted.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) diagnostics: Diagnostics,
    /// Keys that are written wrong rather than missing: the table's path, and the key that was meant.
    pub(super) excused: BTreeSet<(KeyPath, String)>,
    /// Where secrets stand.
    pub(super) secrets: BTreeSet<KeyPath>,
    pub(super) secret_spans: Vec<SourceSpan>,
    /// The files that secrets were read from, and what was in them.
    pub(super) secret_files: BTreeMap<PathBuf, Contents>,
}

impl Reading<'_> {
    /// A file name as an absolute path: relative ones begin at the directory of the file that names them.
    pub(super) fn absolute(&self, file: usize, name: &str) -> Result<String, Fault> {
        let directory = self.directories.get(file).map_or(Path::new(""), PathBuf::as_path);
        std::path::absolute(directory.join(name))
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .ok_or_else(|| Fault::wrong("this is no file name that can be used", "write an absolute path in UTF-8"))
    }

    /// Notes the keys of `node` that are none of `known`.
    pub(super) fn note_unknown_keys<'k>(
        &self,
        node: &Node,
        trail: &Trail<'_>,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) {
        for (key, child) in node.table().into_iter().flatten() {
            if child.refused || known.clone().into_iter().any(|field| field == key) {
                continue;
            }
            let table = trail.path();
            let notes = &mut *self.notes.borrow_mut();
            let remedy = match nearest(key, known.clone()) {
                Some(meant) => {
                    notes.excused.insert((table.clone(), meant.to_owned()));
                    format!("write `{meant}`")
                }
                None => format!("take it out; the keys here are {}", listed(known.clone())),
            };
            notes.diagnostics.key_error(&table.key(key), format!("`{}` is not a key", shortened(key)), remedy);
        }
    }

    /// The secret that `node` is or names; an empty one if there is none, which is noted.
    pub(super) fn secret(&self, node: &Node, trail: &Trail<'_>) -> FoundSecret {
        let path = trail.path();
        let notes = &mut *self.notes.borrow_mut();
        notes.secrets.insert(path.clone());
        if node.table().is_none() {
            notes.secret_spans.push(node.span.clone());
        }
        if node.table().into_iter().flatten().any(|(_, origin)| origin.refused) {
            // Why its origin could not be read was noted already.
            return FoundSecret::none();
        }
        let relative = |file, name: &str| self.absolute(file, name);
        FoundSecret::find(node, self.environment, &relative, &mut notes.secret_files).unwrap_or_else(|problem| {
            let at = problem.key.map_or_else(|| path.clone(), |key| path.key(&key));
            notes.diagnostics.error(&at, problem.message, problem.remedy);
            FoundSecret::none()
        })
    }
}
