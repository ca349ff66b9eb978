//! Owns: the way back from a key path to a file and a line.
//! Refuses: keeping secrets: those in the texts are starred out, and those in the tree are gone.
//! Always holds: a place lies in its file.

use std::{fmt, ops::Range, path::PathBuf};

use super::{
    conceal::secrets_in,
    source::SourceFile,
    tree::{Node, Value},
};
use crate::diagnostic::{Diagnostic, KeyPath, Mark, SourceSpan};

/// The files of a configuration and where in them everything is.
pub struct Sources {
    pub(super) files: Vec<SourceFile>,
    tree: Node,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The bytes of the file.
    pub range: Range<usize>,
}

impl Sources {
    /// Keeps `files` and `tree`, without the values at `secrets` and without what stands at `secret_spans`.
    pub(super) fn new<'a>(
        mut files: Vec<SourceFile>,
        mut tree: Node,
        secrets: impl Iterator<Item = &'a KeyPath>,
        secret_spans: &[SourceSpan],
    ) -> Self {
        for path in secrets {
            if let Some(Node { value: value @ Value::Text(_), .. }) = tree.find_mut(path) {
                *value = Value::Boolean(false);
            }
        }
        for (index, file) in files.iter_mut().enumerate() {
            let mut concealed = secrets_in(file.text());
            let known = secret_spans.iter().filter(|span| span.file == index);
            concealed.extend(known.map(|span| file.clip(span.start..span.end)));
            file.conceal(concealed);
        }
        Self { files, tree }
    }

    /// Where `path` stands: its key or its value. If it is not there, the key of the nearest thing above it that is. `None`
    /// if there is nothing above it but the whole.
    #[must_use]
    pub fn locate(&self, path: &KeyPath, mark: Mark) -> Option<Place> {
        self.place(&self.span_of(path, mark)?)
    }

    /// Where a diagnostic belongs.
    #[must_use]
    pub fn place_of(&self, diagnostic: &Diagnostic) -> Option<Place> {
        match &diagnostic.span {
            Some(span) => self.place(span),
            None => self.locate(&diagnostic.path, diagnostic.mark),
        }
    }

    /// The file that diagnostics without a place are about.
    pub(super) fn main_file(&self) -> Option<&SourceFile> {
        self.files.first()
    }

    /// The tree, as far as it holds no secrets.
    pub(super) const fn tree(&self) -> &Node {
        &self.tree
    }

    fn span_of(&self, path: &KeyPath, mark: Mark) -> Option<SourceSpan> {
        let mut node = &self.tree;
        let mut named = None;
        for segment in path.segments() {
            match node.step(segment) {
                Some(below) => node = below,
                None => return named,
            }
            named = node.key.clone().or_else(|| Some(node.span.clone()));
        }
        match mark {
            _ if path.segments().is_empty() => None,
            Mark::Key => named,
            Mark::Value => Some(node.span.clone()),
        }
    }

    fn place(&self, span: &SourceSpan) -> Option<Place> {
        let file = self.files.get(span.file)?;
        let range = file.clip(span.start..span.end);
        let (line, bytes) = file.line(range.start);
        let before = file.text().get(bytes.start..range.start).unwrap_or_default();
        Some(Place { file: file.name.clone(), line, column: before.chars().count() + 1, range })
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.files.iter().map(|file| &file.name)).finish()
    }
}
