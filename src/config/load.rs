//! Owns: files and environment into a configuration, with every problem of their form found in one go.
//! Refuses: handing out a configuration in which anything is wrong, except as a draft to look for more mistakes in.
//! Always holds: the same files give the same hash; no secret is in the diagnostics, the sources or the hash.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    Config,
    environment::Environment,
    interpolate::interpolate,
    parse::parse,
    read::read,
    reading::{Notes, Reading},
    source::{self, ReadError, SourceFile},
    sources::Sources,
    trail::Trail,
    tree::{Node, Value},
    unavailable,
};
use crate::diagnostic::{Diagnostics, KeyPath, Segment, SourceSpan};

/// A configuration in whose form nothing is wrong.
#[derive(Debug)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// Where everything in it stands.
    pub sources: Sources,
    /// SHA-256 over the files, in hexadecimal. Environment variables and secret files have no part in it.
    pub hash: String,
    /// The files that it was read from, secret files included, as absolute paths.
    pub files: Vec<PathBuf>,
}

/// What a load brought, whether or not it may be applied.
#[derive(Debug)]
pub struct Loaded {
    /// Where everything stands, to show diagnostics with.
    pub sources: Sources,
    /// SHA-256 over the files, in hexadecimal. Environment variables and secret files have no part in it.
    pub hash: String,
    /// The files to watch, secret files included, those that could not be read too, as absolute paths.
    pub files: Vec<PathBuf>,
    content: Content,
    /// What was left out of the draft.
    refused: BTreeSet<KeyPath>,
}

#[derive(Debug)]
enum Content {
    Whole(Box<Config>),
    Draft(Box<Config>),
    Nothing,
}

impl Loaded {
    /// The configuration, if nothing is wrong with its form.
    #[must_use]
    pub fn config(&self) -> Option<&Config> {
        match &self.content {
            Content::Whole(config) => Some(config),
            Content::Draft(_) | Content::Nothing => None,
        }
    }

    /// The configuration as far as it could be read, to look for further mistakes in it; never to be applied. `None` if a file
    /// could not be read or is no TOML: then what seems to be missing may well be there.
    #[must_use]
    pub fn draft(&self) -> Option<&Config> {
        match &self.content {
            Content::Whole(config) | Content::Draft(config) => Some(config),
            Content::Nothing => None,
        }
    }

    /// The configuration to be applied, if nothing is wrong with its form.
    #[must_use]
    pub fn into_config(self) -> Option<LoadedConfig> {
        let Self { sources, hash, files, content, .. } = self;
        match content {
            Content::Whole(config) => Some(LoadedConfig { config: *config, sources, hash, files }),
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

/// Loads `files`, each laid over the ones before it: tables are merged key by key, everything else is replaced.
pub fn load(files: &[PathBuf], environment: &dyn Environment) -> (Loaded, Diagnostics) {
    let texts = files.iter().map(|file| (file.clone(), source::read(file))).collect();
    assemble(texts, environment)
}

/// Loads one text as if it stood in a file called `name`.
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> (Loaded, Diagnostics) {
    load_texts(&[(name, text)], environment)
}

/// Loads texts, given with the names of their files, laid over each other.
pub fn load_texts(texts: &[(&str, &str)], environment: &dyn Environment) -> (Loaded, Diagnostics) {
    let accept = |(name, text): &(&str, &str)| (PathBuf::from(name), source::accept(text.as_bytes().to_vec()));
    assemble(texts.iter().map(accept).collect(), environment)
}

fn assemble(texts: Vec<(PathBuf, Result<String, ReadError>)>, environment: &dyn Environment) -> (Loaded, Diagnostics) {
    let mut notes = Notes::default();
    let mut hash = Context::new(&SHA256);
    let mut incomplete = false;
    let mut tree = Node::new(Value::Table(BTreeMap::new()), SourceSpan::new(0, 0..0));
    let mut files = Vec::with_capacity(texts.len());
    if texts.is_empty() {
        notes.diagnostics.error(&KeyPath::root(), "there is no configuration file", "name one by `-c FILE`");
    }
    for (index, (name, text)) in texts.into_iter().enumerate() {
        let text = text.unwrap_or_else(|error| {
            notes.diagnostics.error_at(SourceSpan::new(index, 0..0), error.to_string(), error.remedy());
            incomplete = true;
            String::new()
        });
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
        let parsed = parse(index, &text, &mut notes.diagnostics);
        incomplete |= parsed.incomplete;
        tree.merge(parsed.tree);
        files.push(SourceFile::new(name, text));
    }
    let paths: Vec<PathBuf> = files.iter().map(|file| absolute(&file.name)).collect();
    let directories: Vec<PathBuf> = paths.iter().map(|path| path.parent().unwrap_or(path).to_owned()).collect();

    let excused = unavailable::refuse(&mut tree, &mut notes.diagnostics);
    notes.excused.extend(excused.into_iter().map(|(table, key)| (table, key.to_owned())));
    interpolate(&mut tree, environment, &mut notes.diagnostics);
    let reading = Reading { environment, directories: &directories, notes: notes.into() };
    let config = Box::new(read(&mut tree, incomplete, &reading));

    let Notes { diagnostics, secrets, secret_spans, secret_files, .. } = reading.notes.into_inner();
    let content = match (diagnostics.has_errors(), incomplete) {
        (false, _) => Content::Whole(config),
        (true, false) => Content::Draft(config),
        (true, true) => Content::Nothing,
    };
    let mut refused = BTreeSet::new();
    if diagnostics.has_errors() {
        refused.extend(diagnostics.iter().filter(|one| one.span.is_none()).map(|one| one.path.clone()));
        refused.remove(&KeyPath::root());
        collect_refused(&tree, &Trail::Top, &mut refused);
    }
    let loaded = Loaded {
        sources: Sources::new(files, tree, secrets.iter(), &secret_spans),
        hash: hexadecimal(hash.finish().as_ref()),
        files: paths.into_iter().chain(secret_files).collect(),
        content,
        refused,
    };
    (loaded, diagnostics)
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

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
