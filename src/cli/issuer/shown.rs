//! Owns: how answers look: JSON, tables, moments in words.
//! Always holds: nothing in an answer can write control sequences to the terminal, or pass for another line of a table.

use std::{fmt::Write as _, io};

use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde_json::Value;

pub(super) use crate::cli::token::harmless;
use crate::{
    cli::{terminal, token::time},
    clock::UnixTime,
    telemetry::Rfc3339,
};

/// Prints what the API answered.
pub(super) fn print_json(document: &Value) -> io::Result<()> {
    terminal::print(&format!("{}\n", harmless(&format!("{document:#}"))))
}

/// A member that is text; empty if it is not there.
pub(super) fn text(object: &Value, member: &str) -> String {
    object.get(member).and_then(Value::as_str).map(in_one_line).unwrap_or_default()
}

/// The members of a list.
pub(super) fn items<'v>(object: &'v Value, member: &str) -> &'v [Value] {
    object.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A moment in words, like `2026-11-20 17:38:00 UTC, in 59 minutes`; nothing if it is not there.
pub(super) fn moment(object: &Value, member: &str, now: UnixTime) -> Option<String> {
    let written = object.get(member)?.as_str()?;
    let Some(Rfc3339(moment)) = Rfc3339::parse(written) else { return Some(in_one_line(written)) };
    Some(time::words(i64::try_from(moment.as_seconds()).unwrap_or(i64::MAX), now))
}

/// The same for a cell of a table: the distance below the date.
pub(super) fn moment_cell(object: &Value, member: &str, now: UnixTime, absent: &str) -> String {
    moment(object, member, now).map_or_else(|| absent.to_owned(), |words| words.replacen(", ", "\n", 1))
}

/// A value in words: lists with commas, texts without quotes.
pub(super) fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => in_one_line(text),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(values) if values.iter().all(Value::is_string) => {
            values.iter().map(in_words).collect::<Vec<_>>().join(", ")
        }
        other => in_one_line(&other.to_string()),
    }
}

/// `text` with its line ends written as escapes too.
pub(super) fn in_one_line(text: &str) -> String {
    harmless(text).replace('\n', "\\n")
}

/// A table, or what is said if it has no rows.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>, empty: &str) -> String {
    if rows.is_empty() {
        return format!("{empty}\n");
    }
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header);
    table.add_rows(rows);
    format!("{table}\n")
}

/// Lines of names and values, the values below each other; a value may have several lines.
pub(super) fn lines(title: &str, members: &[(String, String)]) -> String {
    let width = members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let mut text = format!("{}\n", in_one_line(title));
    for (name, value) in members {
        let mut name = in_one_line(name);
        for line in value.split('\n') {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:width$}  {line}");
            name.clear();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_cannot_speak_to_the_terminal_nor_forge_a_line() {
        let hostile = json!({ "id": "a\u{1b}[2J\nadmin  enabled\u{202e}" });
        for shown in [text(&hostile, "id"), in_words(&hostile), in_words(&hostile["id"])] {
            assert!(!shown.contains(['\u{1b}', '\n', '\u{202e}']), "{shown:?}");
        }
        assert_eq!(lines("a\nb", &[]), "a\\nb\n");
    }

    #[test]
    fn values_read_as_people_say_them() {
        for (value, words) in [
            (json!("a"), "a"),
            (json!(["a", "b"]), "a, b"),
            (json!(true), "yes"),
            (json!(7), "7"),
            (json!([1, "b"]), r#"[1,"b"]"#),
            (json!({ "a": [1] }), r#"{"a":[1]}"#),
        ] {
            assert_eq!(in_words(&value), words);
        }
    }

    #[test]
    fn moments_are_in_words() {
        let now = UnixTime::from_seconds(1_795_196_538);
        let object = json!({ "at": "2026-11-20T18:42:18.500Z", "no": 5, "odd": "soon" });
        assert_eq!(moment(&object, "at", now).unwrap(), "2026-11-20 18:42:18 UTC, in 60 minutes");
        assert_eq!(moment_cell(&object, "at", now, "never"), "2026-11-20 18:42:18 UTC\nin 60 minutes");
        assert_eq!((moment(&object, "no", now), moment(&object, "odd", now).as_deref()), (None, Some("soon")));
        assert_eq!(moment_cell(&object, "gone", now, "never"), "never");
    }

    #[test]
    fn several_lines_of_a_value_stand_below_each_other() {
        let members = [("a".to_owned(), "1\n2".to_owned()), ("long".to_owned(), "3".to_owned())];
        assert_eq!(lines("title", &members), "title\n  a     1\n        2\n  long  3\n");
    }
}
