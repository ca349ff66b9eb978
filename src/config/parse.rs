//! Owns: one file's text into a tree, with every error of its syntax.
//! Refuses: what TOML forbids; numbers that do not fit; values nested deeper than any key is.
//! Always holds: what stands on the line of a syntax error is refused, so that it causes no second diagnostic.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{
    plain::plain,
    runaway::runaways,
    table::Table,
    tree::{Node, Value},
};
use crate::diagnostic::{Diagnostics, SourceSpan};

/// How deep values may be nested. The deepest key that there is lies 5 deep; the rest is room for the claims of clients.
const DEPTH_LIMIT: usize = 32;

/// How many errors of syntax are worth telling of. A file with more is none of ours, and is not read any further.
const ERRORS_LIMIT: usize = 100;

/// A file's tree, as far as it could be read.
pub(super) struct Parsed {
    /// The tree.
    pub(super) tree: Node,
    /// Whether keys may be missing from it on account of syntax errors.
    pub(super) incomplete: bool,
}

/// Parses the text of the file number `file`.
pub(super) fn parse(file: usize, text: &str, diagnostics: &mut Diagnostics) -> Parsed {
    match plain(file, text) {
        Some(table) => Parsed { tree: Node::new(Value::Table(table), SourceSpan::new(file, 0..0)), incomplete: false },
        None => thorough(file, text, diagnostics),
    }
}

/// Parses it with everything that may be wrong with it.
pub(super) fn thorough(file: usize, text: &str, diagnostics: &mut Diagnostics) -> Parsed {
    let (document, mut errors) = DeTable::parse_recoverable(text);
    let span_of_all = SourceSpan::new(file, 0..0);
    let hopeless = errors.len() > ERRORS_LIMIT;
    errors.truncate(ERRORS_LIMIT);
    let stumbles: Vec<usize> = errors.iter().filter_map(|error| Some(error.span()?.start)).collect();
    let mut conversion =
        Conversion { file, runaways: runaways(text, document.get_ref(), &stumbles), spoilt: Vec::new(), diagnostics };
    conversion.report(text, &errors);
    let table = if hopeless { Table::default() } else { conversion.table(document.get_ref(), 0) };
    Parsed { tree: Node::new(Value::Table(table), span_of_all), incomplete: !errors.is_empty() }
}

struct Conversion<'a> {
    file: usize,
    /// The values that are not closed.
    runaways: Vec<Range<usize>>,
    /// The lines, or whole tables, about which a syntax error says all there is to say.
    spoilt: Vec<Range<usize>>,
    diagnostics: &'a mut Diagnostics,
}

impl Conversion<'_> {
    fn span(&self, range: Range<usize>) -> SourceSpan {
        SourceSpan::new(self.file, range)
    }

    /// Reports the first error of each line: what follows on the same line is mostly its consequence.
    fn report(&mut self, text: &str, errors: &[Error]) {
        for runaway in &self.runaways {
            let bracket = SourceSpan::new(self.file, runaway.start..runaway.start + 1);
            self.diagnostics.error_at(bracket, "this is not closed", "write the closing bracket at its end");
        }
        let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or_default(), error)).collect();
        errors.sort_by_key(|(span, _)| span.start);
        let mut reported_line = None;
        for (span, error) in errors {
            let line = line_around(text, span.start);
            // The end of an unclosed value is where the parser gave up, so an error there belongs to it as well.
            let swallowed = self.runaways.iter().any(|runaway| (runaway.start..=runaway.end).contains(&span.start));
            if swallowed || reported_line.as_ref() == Some(&line) {
                continue;
            }
            let (message, remedy) = explain(error.message(), text.get(span.clone()).unwrap_or_default());
            self.diagnostics.error_at(self.span(span), message, remedy);
            if error.message() != DUPLICATE {
                self.spoilt.push(spoilt_by(text, line.clone()));
            }
            reported_line = Some(line);
        }
    }

    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref().to_owned(), self.entry(key.span(), value, depth)))
            .collect()
    }

    fn entry(&mut self, key: Range<usize>, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let spoilt = self.spoilt.iter().chain(&self.runaways).any(|range| range.contains(&key.start))
            || self.runaways.iter().any(|range| range.start == value.span().start);
        let mut node = if spoilt {
            let mut node = Node::new(Value::Boolean(false), self.span(value.span()));
            node.refused = true;
            node
        } else {
            self.node(value, depth)
        };
        node.key = Some(self.span(key));
        node
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = self.span(value.span());
        let read = if depth >= DEPTH_LIMIT {
            Err(("this is nested too deep", format!("nest values at most {DEPTH_LIMIT} deep")))
        } else {
            self.value(value.get_ref(), depth)
        };
        match read {
            Ok(value) => Node::new(value, span),
            Err((message, remedy)) => {
                self.diagnostics.error_at(span.clone(), message, remedy);
                let mut node = Node::new(Value::Boolean(false), span);
                node.refused = true;
                node
            }
        }
    }

    fn value(&mut self, value: &DeValue<'_>, depth: usize) -> Result<Value, (&'static str, String)> {
        match value {
            DeValue::Array(elements) => {
                Ok(Value::Array(elements.iter().map(|element| self.node(element, depth + 1)).collect()))
            }
            DeValue::Table(table) => Ok(Value::Table(self.table(table, depth + 1))),
            other => scalar(other).unwrap_or(Ok(Value::Date)),
        }
    }
}

/// What a value is that holds no others; `None` if it does.
pub(super) fn scalar(value: &DeValue<'_>) -> Option<Result<Value, (&'static str, String)>> {
    Some(Ok(match value {
        DeValue::String(text) => Value::Text(text.as_ref().to_owned()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => return Some(Err(("this number is too large", format!("write a number up to {}", i64::MAX)))),
        },
        DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => {
                let remedy = "write a finite number".to_owned();
                return Some(Err(("this is not a number that can be used here", remedy)));
            }
        },
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(_) | DeValue::Table(_) => return None,
    }))
}

/// What the parser says about a key or a table that is written twice.
const DUPLICATE: &str = "duplicate key";

/// What the parser says about a value that is no string, number or word.
const UNQUOTED: &str = "string values must be quoted, expected literal string";

/// The parser's message in two: what is wrong, and what to write.
fn explain(message: &str, marked: &str) -> (String, String) {
    let said = |problem: &str, remedy: &str| (problem.to_owned(), remedy.to_owned());
    match message {
        DUPLICATE => return said("this key is written twice", "keep one of the two"),
        UNQUOTED if marked.trim().is_empty() => return said("there is no value here", "write one behind the `=`"),
        // What is marked may be a secret.
        UNQUOTED => return said("this string is not in quotes", "put it in quotes"),
        _ => {}
    }
    match message.split_once(", expected ") {
        Some((problem, "nothing")) => (problem.to_owned(), "take this out".to_owned()),
        Some((problem, expected)) => (problem.to_owned(), format!("write {expected}")),
        None => (message.to_owned(), "write it as TOML wants it (https://toml.io/en/v1.0.0)".to_owned()),
    }
}

/// The line that holds the byte `at`, without its end.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let (before, behind) = text.as_bytes().split_at(at.min(text.len()));
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |position| position + 1);
    let length = behind.iter().position(|byte| *byte == b'\n').unwrap_or(behind.len());
    start..before.len() + length
}

/// What an error on `line` makes unreadable: the line, or all of the table if it is the table's header.
fn spoilt_by(text: &str, line: Range<usize>) -> Range<usize> {
    let is_header = |line: &str| line.trim_start().starts_with('[');
    // The text of an unterminated value may be read as a key that begins just before the line's end.
    let mut end = line.end + 1;
    if text.get(line.clone()).is_some_and(is_header) {
        for following in text.get(end..).unwrap_or_default().split_inclusive('\n') {
            if is_header(following) {
                break;
            }
            end += following.len();
        }
    }
    line.start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Parsed, Vec<(String, usize)>) {
        let mut diagnostics = Diagnostics::new();
        let parsed = parse(0, text, &mut diagnostics);
        let found = diagnostics
            .iter()
            .map(|one| (one.message.clone(), one.span.as_ref().map_or(0, |span| span.start)))
            .collect();
        (parsed, found)
    }

    #[test]
    fn every_line_with_an_error_is_reported_once() {
        let text = "a = \nb = 1\nc = tru\nd = \"x\nb = 2\n";
        let (parsed, found) = parsed(text);
        let lines: Vec<_> = found
            .iter()
            .map(|(_, start)| text.bytes().take(*start).filter(|byte| *byte == b'\n').count() + 1)
            .collect();
        assert_eq!(lines, [1, 3, 4, 5], "{found:?}");
        assert!(parsed.incomplete);
        assert!(parsed.tree.entry("b").is_some_and(|node| !node.refused));
    }

    #[test]
    fn a_broken_header_spoils_its_table_only() {
        let (parsed, found) = parsed("[a]\nx = 1\n[b\ny = 2\n[c]\nz = 3\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(parsed.tree.find(&crate::diagnostic::KeyPath::of(&["c", "z"])).is_some_and(|node| !node.refused));
        for node in parsed.tree.table().into_iter().flatten().map(|(_, node)| node) {
            assert!(node.refused || node.entry("y").is_none_or(|y| y.refused), "y was read into another table");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_at_all_is_given_up_soon() {
        let text: String = (0..50_000).map(|number| format!("key{number} =\n")).collect();
        let (parsed, found) = parsed(&text);
        assert_eq!(
            (found.len(), parsed.tree.table().map(Table::len), parsed.incomplete),
            (ERRORS_LIMIT, Some(0), true)
        );
    }

    #[test]
    fn what_is_not_closed_is_one_mistake() {
        for text in [
            "[a]\nx = [1, 2\ny = 3\nz = \"4\"\n[b]\nx = 1\n",
            "[a]\nx = [1, [2, 3]\n[b.c]\nx = 1\n",
            "[a]\nx = { y = 1\n[b]\nx = 1\n[c]\nd = true\n",
            "[[a]]\nx = [\n\"1\",\n\n[[b]]\nx = 1\n",
        ] {
            let (_, found) = parsed(text);
            let bracket = text.find("= ").map_or(0, |at| at + 2);
            assert_eq!(found, [("this is not closed".to_owned(), bracket)], "{text}");
        }
        let (_, found) = parsed("a = [\n  [1]\n  [2]\n]\nb = { c = 1\n d = 2 }\n");
        assert!(found.iter().all(|(message, _)| message != "this is not closed"), "{found:?}");
    }

    #[test]
    fn numbers_that_do_not_fit_and_deep_nests_are_refused() {
        let deep = format!("a = {}{}", "[".repeat(60), "]".repeat(60));
        let dotted = format!("{} = 1", vec!["a"; 70].join("."));
        for (text, message) in [
            ("a = 9223372036854775808", "this number is too large"),
            ("a = nan", "this is not a number that can be used here"),
            (deep.as_str(), "this is nested too deep"),
            (dotted.as_str(), "this is nested too deep"),
        ] {
            let (_, found) = parsed(text);
            assert_eq!(found.first().map(|(message, _)| message.as_str()), Some(message), "{text}");
        }
    }
}
