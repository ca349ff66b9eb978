//! Owns: reading a file straight into the tree where nothing is wrong with it, as is the rule.
//! Refuses: judging what it does not know: multi-line strings, dotted keys in inline tables, deep nests, and everything that may be
//! wrong. Such a file is the parser's from its beginning.
//! Always holds: what it gives is what the parser gives, place for place.
//!
//! Of a reload of 10,000 routes the parser and taking over its tree were 600 million instructions, a third of all; this is 260.

use std::{num::NonZero, ops::Range};

use toml::de::DeValue;

use super::{
    growing::{Growing, Key},
    parse::scalar,
    table::Table,
    tree::{Node, Value},
};
use crate::diagnostic::SourceSpan;

/// How many keys a header or a dotted key may have, and how deep values may be nested. All of it together, and each part of a header
/// counted twice for a list of tables, is less than what is refused as nested too deep.
const DEEPEST: usize = 7;

/// The tree of the file number `file`, if it is plain.
pub(super) fn plain(file: usize, text: &str) -> Option<Table> {
    let mut tables = Growing::new(file);
    Scan { file, text, at: 0 }.document(&mut tables)?;
    tables.settle()
}

struct Scan<'s> {
    file: usize,
    text: &'s str,
    at: usize,
}

impl<'s> Scan<'s> {
    fn document(&mut self, tables: &mut Growing<'s>) -> Option<()> {
        let mut table = Growing::TOP;
        loop {
            self.gap()?;
            match self.peek() {
                None => return Some(()),
                Some(b'[') => table = self.header(tables)?,
                Some(_) => {
                    let (keys, value) = (self.keys()?, self.assigned(0)?);
                    let (key, above) = keys.split_last()?;
                    tables.assign(table, above, key, value)?;
                }
            }
            self.blank();
            if !matches!(self.peek(), None | Some(b'\r' | b'\n' | b'#')) {
                return None;
            }
        }
    }

    /// `[a.b]` or `[[a.b]]`; the number of its table.
    fn header(&mut self, tables: &mut Growing<'s>) -> Option<usize> {
        let start = self.at;
        self.take(b'[')?;
        let list = self.take(b'[').is_some();
        self.blank();
        let keys = self.keys()?;
        self.take(b']')?;
        if list {
            self.take(b']')?;
        }
        let (key, above) = keys.split_last()?;
        let span = start..self.at;
        if list { tables.list_header(above, key, span) } else { tables.header(above, key, span) }
    }

    /// A key with its dots, and the blanks behind it.
    fn keys(&mut self) -> Option<Vec<Key<'s>>> {
        let mut keys = vec![self.key()?];
        while self.take(b'.').is_some() {
            self.blank();
            keys.push(self.key()?);
        }
        (keys.len() <= DEEPEST).then_some(keys)
    }

    /// One key, and the blanks behind it.
    fn key(&mut self) -> Option<Key<'s>> {
        let start = self.at;
        let name = match self.peek()? {
            quote @ (b'"' | b'\'') => self.plain_string(quote)?,
            _ => self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))?,
        };
        let key = Key { name, span: start..self.at };
        self.blank();
        Some(key)
    }

    /// `= value`.
    fn assigned(&mut self, depth: usize) -> Option<Node> {
        self.take(b'=')?;
        self.blank();
        self.value(depth)
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        let start = self.at;
        let value = match self.peek()? {
            _ if depth > DEEPEST => return None,
            b'[' => Value::Array(self.array(depth)?),
            b'{' => Value::Table(self.inline_table(depth)?),
            b'\'' => Value::Text(self.plain_string(b'\'')?.to_owned()),
            b'"' => match self.plain_string(b'"') {
                Some(text) => Value::Text(text.to_owned()),
                None => self.string_with_escapes(start)?,
            },
            _ => match self
                .run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'_' | b'.' | b':'))?
            {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                number => scalar(DeValue::parse(number).ok()?.get_ref())?.ok()?,
            },
        };
        Some(Node::new(value, self.span(start..self.at)))
    }

    fn array(&mut self, depth: usize) -> Option<Vec<Node>> {
        self.take(b'[')?;
        let mut elements = Vec::new();
        self.gap()?;
        while self.take(b']').is_none() {
            elements.push(self.value(depth + 1)?);
            self.gap()?;
            self.comma_unless(b']')?;
        }
        Some(elements)
    }

    fn inline_table(&mut self, depth: usize) -> Option<Table> {
        self.take(b'{')?;
        let mut entries = Vec::new();
        self.gap()?;
        while self.take(b'}').is_none() {
            let key = self.key()?;
            let value = self.assigned(depth + 1)?;
            entries.push((key.name.to_owned(), Node { key: Some(self.span(key.span)), ..value }));
            self.gap()?;
            self.comma_unless(b'}')?;
        }
        Table::of_distinct(entries)
    }

    /// A comma and the gap behind it, if the list does not end here.
    fn comma_unless(&mut self, end: u8) -> Option<()> {
        if self.peek()? == end {
            return Some(());
        }
        self.take(b',')?;
        self.gap()
    }

    /// What stands in the quotes that begin here, if it stands for itself. Else nothing is stepped over.
    fn plain_string(&mut self, quote: u8) -> Option<&'s str> {
        let behind = self.text.get(self.at + 1..)?;
        let length = behind.bytes().position(|byte| byte == quote || !stands_for_itself(byte, quote))?;
        let (inside, rest) = behind.split_at_checked(length)?;
        // Three quotes begin a string of many lines.
        if !rest.starts_with(char::from(quote)) || (inside.is_empty() && rest.as_bytes().get(1) == Some(&quote)) {
            return None;
        }
        self.at += length + 2;
        Some(inside)
    }

    fn string_with_escapes(&mut self, start: usize) -> Option<Value> {
        let mut escaped = false;
        let length = self.text.get(start + 1..)?.bytes().position(|byte| {
            let ends = byte == b'\n' || (byte == b'"' && !escaped);
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        // Without anything inside it would be the beginning of a string of many lines.
        self.at = start + 1 + NonZero::new(length)?.get() + 1;
        scalar(DeValue::parse(self.text.get(start..self.at)?).ok()?.get_ref())?.ok()
    }

    /// The bytes from here on that are `of` one kind; there has to be one.
    fn run(&mut self, of: impl Fn(u8) -> bool) -> Option<&'s str> {
        let rest = self.text.get(self.at..)?;
        let length = rest.bytes().position(|byte| !of(byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|run| !run.is_empty())
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Blanks, ends of lines and comments.
    fn gap(&mut self) -> Option<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n') => self.at += 1,
                Some(b'\r') => {
                    self.at += 1;
                    self.take(b'\n')?;
                }
                Some(b'#') => {
                    let rest = self.text.get(self.at..)?;
                    self.at += rest.bytes().position(|byte| !stands_for_itself(byte, b'#')).unwrap_or(rest.len());
                    if !matches!(self.peek(), None | Some(b'\r' | b'\n')) {
                        return None;
                    }
                }
                _ => return Some(()),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn span(&self, range: Range<usize>) -> SourceSpan {
        SourceSpan::new(self.file, range)
    }
}

/// Whether a byte may stand in a comment, or between such quotes, and means itself.
const fn stands_for_itself(byte: u8, quote: u8) -> bool {
    !((byte < b' ' && byte != b'\t') || byte == 0x7f || (byte == b'\\' && quote == b'"'))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{prelude::*, test_runner::TestRunner};

    use super::*;
    use crate::{
        config::parse::thorough,
        diagnostic::{Diagnostic, Diagnostics},
    };

    /// Whether a text is plain; what is, has to be what the parser makes of it.
    fn is_plain(text: &str) -> bool {
        let Some(plain) = plain(3, text) else { return false };
        let mut diagnostics = Diagnostics::new();
        let parsed = thorough(3, text, &mut diagnostics);
        assert_eq!(diagnostics.iter().collect::<Vec<_>>(), Vec::<&Diagnostic>::new(), "{text:?}");
        assert!(!parsed.incomplete);
        assert_eq!(Value::Table(plain), parsed.tree.value, "{text:?}");
        true
    }

    #[test]
    fn what_configurations_look_like_is_plain() {
        assert!(is_plain(include_str!("../../config/reference.toml")));
        for text in [
            "",
            "a = 1 # one\r\n\r\n\t# none\r\nb = 'it\"s \\ é'",
            "[a.b]\nx = 1\n[a]\ny = [ 'x', # why\n \"z\",\n]\n[a.c]\nz = {}",
            "[ a . 'b.c' ]\n\"\" = { x = 1, \"y z\" = [[1], { z = true }] }",
            "a.b.c = 1\na.b.d = 2\na.e = 3\n[b]\nc.d = 1",
            "[[a.b]]\nx = 1\n[[a.b]]\nx = 2\n[a.b.c]\ny = 1\n[a]\nz = 1",
            "a = 1_000\nb = 0x1f\nc = -1.5e3\nd = 1979-05-27\ne = \"tab\\t \\\\ \\\" \\u00e9\"",
        ] {
            assert!(is_plain(text), "{text}");
        }
    }

    #[test]
    fn the_deepest_that_is_plain_is_not_too_deep() {
        let keys = ["a", "b", "c", "d", "e", "f", "g"];
        let headers = (1..=DEEPEST).map(|depth| format!("[[{}]]\n", keys[..depth].join("."))).collect::<String>();
        let nest = format!("{}{}", "[".repeat(DEEPEST + 1), "]".repeat(DEEPEST + 1));
        assert!(is_plain(&format!("{headers}{} = {nest}", keys.join("."))));
        assert!(!is_plain(&format!("{headers}{} = [{nest}]", keys.join("."))));
    }

    #[test]
    fn what_is_wrong_or_unusual_is_not() {
        for text in [
            "a = 1\na = 2",
            "[a]\n[a]",
            "a = 1\n[a]",
            "[a]\nb = 1\n[a.b]",
            "a.b = 1\n[a]",
            "[a.b]\n[a]\nb.c = 1\n[a.b]",
            "[[a]]\n[a]",
            "[a]\n[[a]]",
            "a = [1]\n[[a]]",
            "a = {}\na.b = 1",
            "a = { b = 1, b = 2 }",
            "a = { b = 1 }\n[a.c]",
            "a = 1 b = 2",
            "a = \"x\ny\"",
            "a = \"x",
            "a = \"x\\q\"",
            "a = \"\"\"x\"\"\"",
            "a = '''x'''",
            "a = 'x\u{7f}'",
            "# \u{1}",
            "a = 1\rb = 2",
            "a = 01",
            "a = nan",
            "a = 9223372036854775808",
            "a = tru",
            "a =",
            "= 1",
            "[a",
            "[]",
            "[ [a]]",
            "[[a] ]",
            "a = [1 2]",
            "a = [1,,2]",
            "\u{feff}a = 1",
            "a.b.c.d.e.f.g.h.i = 1",
            "a = [[[[[[[[[[1]]]]]]]]]]",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }

    /// How many of so many texts are plain and not empty.
    fn plain_ones(cases: u32, texts: impl Strategy<Value = String>) -> u32 {
        let count = Cell::new(0);
        let judge = |text: String| {
            count.set(count.get() + u32::from(is_plain(&text) && !text.is_empty()));
            Ok(())
        };
        TestRunner::new(ProptestConfig::with_cases(cases)).run(&texts, judge).unwrap();
        count.get()
    }

    #[test]
    fn tables_and_keys_are_the_parsers() {
        let line = r"\[[ab](\.[ab]){0,2}\]|\[\[[ab](\.[ab])?\]\]|[abcd](\.[abcd]){0,2} ?= ?(1|'x'|\[1, 2\]|\{ [ab] = 1,? ?([ab] = 2)? ?\})|#|";
        let count = plain_ones(2048, proptest::collection::vec(line, 0..9).prop_map(|lines| lines.join("\n")));
        assert!(count > 500, "{count}");
    }

    #[test]
    fn so_is_every_byte() {
        let piece = prop::sample::select(vec![
            "[", "]", "{", "}", "=", ",", ".", "a", "b", "1", "_", "-", "'", "\"", "\\", "#", " ", "\t", "\n", "\r\n",
            "\r", "é", "\u{7f}", "\u{1}", "a = ", "\nb = ", "\"x\"", "'y'", "true", "\\n", "\n[c]\n", "{ a = ", "[1, ",
            "\"\"\"",
        ]);
        let count = plain_ones(2048, proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat()));
        assert!(count > 5, "{count}");
    }

    /// A value as a configuration may have it.
    fn value() -> impl Strategy<Value = String> {
        let scalar = r#"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,3})?|true|false|'[ -&(-~é]{0,6}'|"([ !#-\[\]-~é]|\\[bfnrt"\\]|\\u00[0-9a-f]{2}){0,6}""#;
        scalar.prop_recursive(3, 12, 3, |value| {
            let gap = "[ \t]{0,2}|\r?\n|#[ -~]{0,4}\n";
            let array = (proptest::collection::vec(value.clone(), 0..3), gap)
                .prop_map(|(values, gap)| format!("[{gap}{}{gap}]", values.join(&format!("{gap},{gap}"))));
            let table = proptest::collection::vec(value, 0..3).prop_map(|values| {
                let entries = values.iter().enumerate().map(|(index, value)| format!("k{index} = {value}"));
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            });
            prop_oneof![array, table]
        })
    }

    /// A whole file with nothing wrong in it.
    fn right_file() -> impl Strategy<Value = String> {
        let entries = || {
            proptest::collection::vec((r#"[a-z_-]{0,3}|'[a-z ]{0,2}|"[a-z.]{0,2}|[a-z]\.[a-z]"#, value()), 0..4)
                .prop_map(|entries| {
                    let line = |(index, (key, value)): (usize, &(String, String))| {
                        let quote = key
                            .chars()
                            .next()
                            .filter(|first| matches!(first, '\'' | '"'))
                            .map_or(String::new(), String::from);
                        format!("{key}{index}{quote} = {value}\n")
                    };
                    entries.iter().enumerate().map(line).collect::<String>()
                })
        };
        let header = (r"X\.|'Y z' \. |", any::<bool>());
        (entries(), proptest::collection::vec((header, entries()), 0..4)).prop_map(|(top, tables)| {
            let table = |(index, ((above, list), entries)): (usize, &((String, bool), String))| {
                // In capitals, so that no key has such a name.
                let name = format!("{above}T{index}");
                let header = if *list { format!("[[{name}]]\n{entries}[[{name}]]") } else { format!("[{name}] # one") };
                format!("\n{header}\n{entries}")
            };
            top + &tables.iter().enumerate().map(table).collect::<String>()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn what_is_right_is_plain_and_one_byte_makes_no_difference_to_the_parser(
            text in right_file(), at in any::<prop::sample::Index>(), byte in "[ -~\t\r\n\u{7f}]",
        ) {
            prop_assert!(is_plain(&text), "{}", text);
            let places: Vec<_> = text.char_indices().collect();
            if !places.is_empty() {
                let (from, instead) = places[at.index(places.len())];
                let (before, rest) = text.split_at(from);
                let behind = rest.strip_prefix(instead).unwrap();
                is_plain(&format!("{before}{byte}{behind}"));
                is_plain(&format!("{before}{byte}{rest}"));
                is_plain(&format!("{before}{behind}"));
            }
        }
    }
}
