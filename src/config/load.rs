//! Owns: files and environment into a configuration, with every problem of their form found in one go.
//! Refuses: stopping at the first problem; applying anything.
//! Always holds: the same files give the same hash; no secret is in the diagnostics, the sources or the hash.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{Context, SHA256};

use super::{
    contents::Contents,
    environment::Environment,
    interpolate::interpolate,
    loaded::{Content, Loaded, refused_by},
    parse::parse,
    read::read,
    reading::{Notes, Reading},
    source::{self, FILE_BYTES_LIMIT, ReadError, SourceFile},
    sources::Sources,
    table::Table,
    tree::{Node, Value},
};
use crate::diagnostic::{Diagnostics, KeyPath, SourceSpan};

/// Loads `files`, each laid over the ones before it: tables are merged key by key, everything else is replaced.
pub fn load(files: &[PathBuf], environment: &dyn Environment) -> (Loaded, Diagnostics) {
    assemble(files.iter().map(|file| Text::of(file)).collect(), environment)
}

/// Loads one text as if it stood in a file called `name`.
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> (Loaded, Diagnostics) {
    load_texts(&[(name, text)], environment)
}

/// Loads texts, given with the names of their files, laid over each other.
pub fn load_texts(texts: &[(&str, &str)], environment: &dyn Environment) -> (Loaded, Diagnostics) {
    let accept = |(name, text): &(&str, &str)| Text {
        name: PathBuf::from(name),
        contents: Contents::Unreadable,
        text: source::accept(text.as_bytes().to_vec()),
    };
    assemble(texts.iter().map(accept).collect(), environment)
}

/// One file, read once: whatever a second look would find, these belong together.
struct Text {
    name: PathBuf,
    /// If it is a digest and the text is good, of that very text.
    contents: Contents,
    text: Result<String, ReadError>,
}

impl Text {
    fn of(file: &Path) -> Self {
        let name = file.to_owned();
        match source::read_bytes(file) {
            Ok((file, bytes)) => {
                let is_all = bytes.len() <= FILE_BYTES_LIMIT;
                let contents = if is_all { Contents::of_all(&file, &bytes) } else { Contents::of_start(&file, &bytes) };
                Self { name, contents, text: source::accept(bytes) }
            }
            Err(error) => Self { name, contents: Contents::Unreadable, text: Err(error) },
        }
    }
}

fn assemble(texts: Vec<Text>, environment: &dyn Environment) -> (Loaded, Diagnostics) {
    let mut notes = Notes::default();
    let hash = hash(&texts);
    let mut incomplete = false;
    let mut tree = Node::new(Value::Table(Table::default()), SourceSpan::new(0, 0..0));
    let mut files = Vec::with_capacity(texts.len());
    let mut read_from = BTreeMap::new();
    if texts.is_empty() {
        notes.diagnostics.error(&KeyPath::root(), "there is no configuration file", "name one by `-c FILE`");
    }
    for (index, Text { name, contents, text }) in texts.into_iter().enumerate() {
        let text = text.unwrap_or_else(|error| {
            notes.diagnostics.error_at(SourceSpan::new(index, 0..0), error.to_string(), error.remedy());
            incomplete = true;
            String::new()
        });
        let parsed = parse(index, &text, &mut notes.diagnostics);
        incomplete |= parsed.incomplete;
        tree.merge(parsed.tree);
        read_from.insert(absolute(&name), contents);
        files.push(SourceFile::new(name, text));
    }
    let directory = |path: PathBuf| path.parent().map(Path::to_owned).unwrap_or(path);
    let directories: Vec<PathBuf> = files.iter().map(|file| directory(absolute(&file.name))).collect();

    interpolate(&mut tree, environment, &mut notes.diagnostics);
    let reading = Reading { environment, directories: &directories, notes: notes.into() };
    let config = Arc::new(read(&mut tree, incomplete, &reading));

    let Notes { diagnostics, secrets, secret_spans, secret_files, .. } = reading.notes.into_inner();
    let content = match (diagnostics.has_errors(), incomplete) {
        (false, _) => Content::Whole(config),
        (true, false) => Content::Draft(config),
        (true, true) => Content::Nothing,
    };
    let refused = refused_by(&diagnostics, &tree);
    let loaded = Loaded {
        sources: Sources::new(files, tree, secrets.iter(), &secret_spans),
        hash,
        files: read_from,
        secret_files,
        content,
        refused,
    };
    (loaded, diagnostics)
}

/// SHA-256 over the bytes of all texts, each with its length behind it. Of a single file that is what its contents are known by.
fn hash(texts: &[Text]) -> String {
    if let [Text { contents: Contents::Digest(digest), text: Ok(_), .. }] = texts {
        return hexadecimal(digest);
    }
    let mut hash = Context::new(&SHA256);
    for Text { text, .. } in texts {
        let text = text.as_deref().unwrap_or_default();
        hash.update(text.as_bytes());
        hash.update(&(text.len() as u64).to_be_bytes());
    }
    hexadecimal(hash.finish().as_ref())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
