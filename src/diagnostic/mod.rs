//! Owns: what is wrong with a configuration, as data: where, what, and what to write instead.
//! Refuses: knowing files or how to print; `config` resolves a [`KeyPath`] to a file and a line.
//! Always holds: every diagnostic carries a remedy; collecting one never stops the search for the next.

mod suggest;

use std::{collections::BTreeSet, fmt, ops::Range};

pub use self::suggest::{listed, nearest};

/// The way from the top of the configuration to one value: `routes.orders-read.require.scopes[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPath {
    segments: Vec<Segment>,
}

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Segment {
    /// A table's key.
    Key(String),
    /// An array's element, counted from zero.
    Index(usize),
}

impl KeyPath {
    /// The whole configuration.
    #[must_use]
    pub const fn root() -> Self {
        Self { segments: Vec::new() }
    }

    /// The path of `keys`, one below the other.
    #[must_use]
    pub fn of(keys: &[&str]) -> Self {
        Self { segments: keys.iter().map(|key| Segment::Key((*key).to_owned())).collect() }
    }

    /// The path one key further down.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.child(Segment::Key(key.to_owned()))
    }

    /// The path of one element of the array at this path.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.child(Segment::Index(index))
    }

    /// The steps from the top.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The path one step up. `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.segments.split_last()?;
        Some(Self { segments: above.to_vec() })
    }

    /// Whether `other` is this path, or lies below it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.segments.starts_with(&self.segments)
    }

    /// The path one step further down.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut segments = Vec::with_capacity(self.segments.len() + 1);
        segments.extend_from_slice(&self.segments);
        segments.push(segment);
        Self { segments }
    }
}

impl FromIterator<Segment> for KeyPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self { segments: segments.into_iter().collect() }
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) => {
                    if position > 0 {
                        formatter.write_str(".")?;
                    }
                    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                    if !key.is_empty() && key.bytes().all(bare) {
                        formatter.write_str(key)?;
                    } else {
                        write!(formatter, "{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A stretch of one source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceSpan {
    /// Which file, in the order in which they were given, counted from zero.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// The byte behind the last one.
    pub end: usize,
}

impl SourceSpan {
    /// The bytes `range` of the file number `file`.
    #[must_use]
    pub const fn new(file: usize, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }
}

/// Whether a diagnostic stops the configuration from being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// It is applied, and the operator is told.
    Warning,
}

/// Which part of an entry the mark goes under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The name on the left of the `=`.
    Key,
    /// The value on the right of it.
    Value,
}

/// One thing that is wrong, and how to right it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Whether it stops the configuration.
    pub severity: Severity,
    /// Where it is.
    pub path: KeyPath,
    /// What is marked there.
    pub mark: Mark,
    /// The place itself, where no path leads to it: a file that cannot be read, text that is no TOML.
    pub span: Option<SourceSpan>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

/// All that was found wrong so far.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
    known: BTreeSet<Diagnostic>,
}

impl Diagnostics {
    /// An empty collection.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), known: BTreeSet::new() }
    }

    /// Notes an error at the value of `path`.
    pub fn error(&mut self, path: &KeyPath, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Error,
            path: path.clone(),
            mark: Mark::Value,
            span: None,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Notes an error at the key of `path`.
    pub fn key_error(&mut self, path: &KeyPath, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Error,
            path: path.clone(),
            mark: Mark::Key,
            span: None,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Notes an error at a place to which no path leads.
    pub fn error_at(&mut self, span: SourceSpan, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Error,
            path: KeyPath::root(),
            mark: Mark::Value,
            span: Some(span),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Notes something that is applied but deserves a look.
    pub fn warning(&mut self, path: &KeyPath, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Diagnostic {
            severity: Severity::Warning,
            path: path.clone(),
            mark: Mark::Value,
            span: None,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Adds a diagnostic, unless the very same one is there already.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.known.insert(diagnostic.clone()) {
            self.entries.push(diagnostic);
        }
    }

    /// Takes over all of `other`.
    pub fn extend(&mut self, other: Self) {
        for diagnostic in other.entries {
            self.push(diagnostic);
        }
    }

    /// Whether anything stops the configuration.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity == Severity::Error)
    }

    /// How many entries are errors.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.severity == Severity::Error).count()
    }

    /// Keeps those of which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Diagnostic) -> bool) {
        self.entries.retain(|entry| keep(entry));
        self.known.retain(|entry| keep(entry));
    }

    /// The diagnostics in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_an_operator_would_write_it() {
        let path = KeyPath::of(&["routes", "orders-read", "require"]).key("scopes").index(1);
        assert_eq!(path.to_string(), "routes.orders-read.require.scopes[1]");
        assert_eq!(KeyPath::of(&["a", "https://b"]).to_string(), r#"a."https://b""#);
    }

    #[test]
    fn a_path_holds_what_is_below_it() {
        let route = KeyPath::of(&["routes", "a"]);
        assert!(route.holds(&route) && route.holds(&route.key("path")));
        assert!(!route.holds(&KeyPath::of(&["routes", "ab"])) && !route.key("path").holds(&route));
        assert_eq!(route.key("path").parent(), Some(route));
    }

    #[test]
    fn the_same_diagnostic_is_kept_once() {
        let mut diagnostics = Diagnostics::new();
        diagnostics.error(&KeyPath::of(&["a"]), "wrong", "right");
        diagnostics.error(&KeyPath::of(&["a"]), "wrong", "right");
        diagnostics.warning(&KeyPath::of(&["a"]), "odd", "even");
        assert_eq!((diagnostics.error_count(), diagnostics.iter().count()), (1, 2));
    }
}
