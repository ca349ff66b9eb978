//! Owns: what a load brought, and what may be done with it.
//! Refuses: handing out a configuration in which anything is wrong, except as a draft to look for more mistakes in.
//! Always holds: a draft never becomes a [`LoadedConfig`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{
    Config,
    contents::Contents,
    sources::Sources,
    trail::Trail,
    tree::{Node, Value},
};
use crate::diagnostic::{Diagnostics, KeyPath, Segment};

/// A configuration in whose form nothing is wrong.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where everything in it stands.
    pub sources: Sources,
    /// SHA-256 over the files, in hexadecimal. Environment variables and secret files have no part in it.
    pub hash: String,
    /// The files that it was read from, as absolute paths, and what was in them.
    pub files: BTreeMap<PathBuf, Contents>,
    /// The same of the files that secrets were read from.
    pub secret_files: BTreeMap<PathBuf, Contents>,
}

/// What a load brought, whether or not it may be applied.
#[derive(Debug)]
pub struct Loaded {
    /// Where everything stands, to show diagnostics with.
    pub sources: Sources,
    /// SHA-256 over the files, in hexadecimal. Environment variables and secret files have no part in it.
    pub hash: String,
    /// The files that it was read from, those that could not be read too, as absolute paths, and what was in them.
    pub files: BTreeMap<PathBuf, Contents>,
    /// The same of the files that secrets were read from.
    pub secret_files: BTreeMap<PathBuf, Contents>,
    pub(super) content: Content,
    /// What was left out of the draft.
    pub(super) refused: BTreeSet<KeyPath>,
}

/// How much of a configuration there is.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it, and all of it is right.
    Whole(Arc<Config>),
    /// What is not wrong.
    Draft(Arc<Config>),
    /// Too little to say anything about.
    Nothing,
}

impl Loaded {
    /// The configuration, if nothing is wrong with its form.
    #[must_use]
    pub fn config(&self) -> Option<&Arc<Config>> {
        match &self.content {
            Content::Whole(config) => Some(config),
            Content::Draft(_) | Content::Nothing => None,
        }
    }

    /// The configuration as far as it could be read, to look for further mistakes in it; never to be applied. `None` if a file
    /// could not be read or is no TOML: then what seems to be missing may well be there.
    #[must_use]
    pub fn draft(&self) -> Option<&Arc<Config>> {
        match &self.content {
            Content::Whole(config) | Content::Draft(config) => Some(config),
            Content::Nothing => None,
        }
    }

    /// The configuration to be applied, if nothing is wrong with its form.
    #[must_use]
    pub fn into_config(self) -> Option<LoadedConfig> {
        let Self { sources, hash, files, secret_files, content, .. } = self;
        match content {
            Content::Whole(config) => Some(LoadedConfig { config, sources, hash, files, secret_files }),
            Content::Draft(_) | Content::Nothing => None,
        }
    }

    /// Takes out of what was found in the draft all that only follows from what the load reported: what lies at, above or below
    /// something that was left out, and what names a thing that was left out.
    pub fn drop_consequences(&self, found: &mut Diagnostics) {
        if self.refused.is_empty() {
            return;
        }
        let lost: BTreeSet<&str> = self.refused.iter().flat_map(|path| names_at(self.sources.tree(), path)).collect();
        found.retain(|one| {
            let steps = one.path.segments();
            let above = (1..=steps.len()).any(|length| {
                steps
                    .get(..length)
                    .is_some_and(|steps| self.refused.contains(&KeyPath::from_iter(steps.iter().cloned())))
            });
            let below = self.refused.range(&one.path..).next().is_some_and(|path| one.path.holds(path));
            let names_lost = self.sources.tree().find(&one.path).is_some_and(|node| names_any(node, &lost));
            !above && !below && !names_lost
        });
    }
}

/// The names by which other parts of the configuration may mean what is at `path`: a named thing's, or those of a whole
/// section.
fn names_at<'a>(tree: &'a Node, path: &'a KeyPath) -> Vec<&'a str> {
    match path.segments() {
        [Segment::Key(_), Segment::Key(name)] => vec![name],
        [Segment::Key(section)] => {
            tree.entry(section).and_then(Node::table).into_iter().flatten().map(|(name, _)| name.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

fn names_any(node: &Node, names: &BTreeSet<&str>) -> bool {
    match &node.value {
        Value::Text(text) => names.contains(text.as_str()),
        Value::Array(elements) => elements.iter().any(|element| names_any(element, names)),
        _ => false,
    }
}

/// What was left out of a draft: what is reported, and what only followed from it.
pub(super) fn refused_by(diagnostics: &Diagnostics, tree: &Node) -> BTreeSet<KeyPath> {
    let mut refused = BTreeSet::new();
    if diagnostics.has_errors() {
        refused.extend(diagnostics.iter().filter(|one| one.span.is_none()).map(|one| one.path.clone()));
        refused.remove(&KeyPath::root());
        collect_refused(tree, &Trail::Top, &mut refused);
    }
    refused
}

fn collect_refused(node: &Node, trail: &Trail<'_>, refused: &mut BTreeSet<KeyPath>) {
    if node.refused {
        refused.insert(trail.path());
        return;
    }
    match &node.value {
        Value::Table(table) => {
            table.iter().for_each(|(key, child)| collect_refused(child, &Trail::Key(trail, key), refused))
        }
        Value::Array(elements) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(index, child)| collect_refused(child, &Trail::Index(trail, index), refused));
        }
        _ => {}
    }
}
