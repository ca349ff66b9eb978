//! Owns: finding lists and inline tables that are not closed, and so swallow the lines behind them.
//! Refuses: judging anything else; the other errors of syntax are the parser's.
//! Always holds: one bracket that is missing is one diagnostic, however many lines it spoils.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The values that are not closed: those in which the parser stumbled over a line that begins something else.
pub(super) fn runaways(text: &str, document: &DeTable<'_>, stumbles: &[usize]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if !stumbles.is_empty() {
        seek(text, document, stumbles, &mut found);
    }
    found
}

fn seek(text: &str, table: &DeTable<'_>, stumbles: &[usize], found: &mut Vec<Range<usize>>) {
    for value in table.values() {
        if is_runaway(text, value, stumbles) {
            found.push(swallowed_by(text, value));
            continue;
        }
        match value.get_ref() {
            DeValue::Table(below) => seek(text, below, stumbles, found),
            DeValue::Array(elements) => {
                for below in elements.iter().filter_map(|element| element.get_ref().as_table()) {
                    seek(text, below, stumbles, found);
                }
            }
            _ => {}
        }
    }
}

/// What the parser has read as part of the value. Its span of an inline table ends where it first stumbled.
fn swallowed_by(text: &str, value: &Spanned<DeValue<'_>>) -> Range<usize> {
    let span = value.span();
    if value.get_ref().is_array() {
        return span;
    }
    let behind = text.get(span.end..).unwrap_or_default();
    span.start..behind.find('}').map_or(text.len(), |brace| span.end + brace + 1)
}

fn is_runaway(text: &str, value: &Spanned<DeValue<'_>>, stumbles: &[usize]) -> bool {
    let begins_another: fn(&str) -> bool = match value.get_ref() {
        DeValue::Array(_) => |line| is_header(line) || is_assignment(line),
        // In an inline table that goes on over several lines, an assignment is what is expected.
        DeValue::Table(_) => is_header,
        _ => return false,
    };
    let span = value.span();
    stumbles.iter().filter(|at| span.contains(at)).any(|at| {
        let before = text.get(span.start..*at).unwrap_or_default();
        let begins_line = before.trim_end_matches([' ', '\t']).ends_with('\n');
        begins_line && text.get(*at..).is_some_and(|rest| begins_another(first_line(rest)))
    })
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Whether the line looks like `[a.b]`.
fn is_header(line: &str) -> bool {
    line.trim_start_matches('[').starts_with(|first: char| first.is_ascii_alphabetic()) && line.starts_with('[')
}

/// Whether the line looks like `a.b = 1`.
fn is_assignment(line: &str) -> bool {
    line.split_once('=').is_some_and(|(key, _)| {
        !key.trim().is_empty()
            && key.trim().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'"'))
    })
}
