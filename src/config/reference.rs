//! Owns: docs/configuration.md: every key with its type, its default and its meaning.
//! Refuses: saying anything about a key that the schema does not say.
//! Always holds: what the page says is what the loader reads: both come from the raw structs and their comments.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::schema;

/// What the page says before its tables.
const INTRODUCTION: &str = include_str!("reference.md");

/// The page docs/configuration.md.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.trim_end().to_owned();
    page.push_str("\n\n");
    if let Some(top) = schema::definition("Config") {
        sections(&mut page, "", top);
    }
    page
}

/// The sections of all tables below `table`, each followed by those below it.
fn sections(page: &mut String, path: &str, table: &Value) {
    for (key, property) in properties(table) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match table_in(property) {
            Some(Held::Table(below)) => section(page, &format!("[{path}]"), &path, below),
            Some(Held::Named(below)) => section(page, &format!("[{path}.<name>]"), &format!("{path}.<name>"), below),
            Some(Held::List(below)) => section(page, &format!("[[{path}]]"), &path, below),
            None => {}
        }
    }
}

fn section(page: &mut String, title: &str, path: &str, table: &Value) {
    let _ = write!(page, "\n## `{title}`\n\n{}\n\n", wrapped(&description(table)));
    page.push_str("| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
    for (key, property) in properties(table) {
        let cells = [format!("`{key}`"), kind(property), default(table, key, property), meaning(property)];
        let _ = writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
    sections(page, path, table);
}

/// A table that a key holds.
enum Held<'a> {
    Table(&'a Value),
    Named(&'a Value),
    List(&'a Value),
}

fn table_in(property: &Value) -> Option<Held<'_>> {
    let property = present(property);
    let keyed = |schema| Some(resolved(present(schema))).filter(|schema| schema.get("properties").is_some());
    keyed(property)
        .map(Held::Table)
        .or_else(|| keyed(property.get("additionalProperties")?).map(Held::Named))
        .or_else(|| keyed(property.get("items")?).map(Held::List))
}

/// What a schema means when the key is there: schemars writes an optional thing as that or null.
fn present(schema: &Value) -> &Value {
    let is_null = |one: &&Value| one.get("type").and_then(Value::as_str) == Some("null");
    match alternatives(schema) {
        [one, null] if is_null(&null) => one,
        _ => schema,
    }
}

fn alternatives(schema: &Value) -> &[Value] {
    ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)?.as_array()).map_or(&[], Vec::as_slice)
}

fn resolved(schema: &Value) -> &Value {
    name(schema).and_then(schema::definition).unwrap_or(schema)
}

fn name(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

fn properties(table: &Value) -> impl Iterator<Item = (&String, &Value)> {
    table.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

fn description(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The type of a value in a few words.
fn kind(schema: &Value) -> String {
    let schema = present(schema);
    match name(schema) {
        Some("HumanDuration") => return "duration".to_owned(),
        Some("ByteSize") => return "size".to_owned(),
        Some("FilePath") => return "file".to_owned(),
        Some("Secret") => return "secret".to_owned(),
        Some("Store") => return "URL".to_owned(),
        _ => {}
    }
    match table_in(schema) {
        Some(Held::Table(_)) => return "table".to_owned(),
        Some(Held::Named(_)) => return "tables, by name".to_owned(),
        Some(Held::List(_)) => return "list of tables".to_owned(),
        None => {}
    }
    let schema = resolved(schema);
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().filter(|word| !word.is_null()).map(code).collect::<Vec<_>>().join(" or ");
    }
    if let Some(word) = schema.get("const") {
        return code(word);
    }
    match alternatives(schema) {
        [] => {}
        [one, many] if many.get("items") == Some(one) => return format!("{}, or a list of these", kind(one)),
        several => {
            let mut kinds: Vec<String> = several.iter().map(kind).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
        _ => return "any value".to_owned(),
    };
    let kinds: Vec<String> = types.into_iter().map(|one| plain_kind(one, schema)).collect();
    kinds.join(" or ")
}

fn plain_kind(one: &str, schema: &Value) -> String {
    match (one, schema.get("items"), schema.get("additionalProperties")) {
        ("array", Some(items), _) => format!("list of {}", kind(items)),
        ("object", _, Some(values @ Value::Object(_))) => format!("table of {}", kind(values)),
        ("object", ..) => "table of any value".to_owned(),
        _ => one.to_owned(),
    }
}

fn code(value: &Value) -> String {
    format!("`{value}`")
}

fn default(table: &Value, key: &str, property: &Value) -> String {
    let required =
        table.get("required").and_then(Value::as_array).is_some_and(|keys| keys.iter().any(|one| one == key));
    match property.get("default") {
        _ if required => "required".to_owned(),
        None | Some(Value::Null | Value::Object(_)) => String::new(),
        Some(value) => code(value),
    }
}

/// The key's meaning, then that of each word that may be its value.
fn meaning(property: &Value) -> String {
    let mut meaning = description(property);
    for one in alternatives(resolved(present(property))) {
        let said = description(one);
        let word = one.get("const").map(code).or_else(|| Some(format!("`{}`", properties(one).next()?.0)));
        if let (false, Some(word)) = (said.is_empty(), word) {
            let _ = write!(meaning, " {word}: {said}");
        }
    }
    meaning
}

/// The text in lines of at most 120 characters.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 120;
    let mut lines = String::with_capacity(text.len());
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 {
            let breaks = width + 1 + word.len() > WIDTH;
            lines.push(if breaks { '\n' } else { ' ' });
            width = if breaks { 0 } else { width + 1 };
        }
        lines.push_str(word);
        width += word.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `POSTERN_BLESS=1 cargo test reference` writes the page anew.
    #[test]
    fn the_page_is_what_the_code_says() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("POSTERN_BLESS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == reference(), "docs/configuration.md is out of date: POSTERN_BLESS=1 cargo test reference");
    }

    #[test]
    fn every_key_has_a_meaning() {
        for line in reference().lines().filter(|line| line.starts_with("| `")) {
            let meaning = line.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
            assert!(meaning.len() > 3, "{line}");
        }
    }

    #[test]
    fn no_table_of_the_schema_takes_unknown_keys() {
        fn assert_closed(schema: &Value, at: &str) {
            if schema.get("properties").is_some() {
                assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)), "{at}");
            }
            for (key, below) in schema.as_object().into_iter().flatten() {
                assert_closed(below, &format!("{at}/{key}"));
            }
            for (index, below) in schema.as_array().into_iter().flatten().enumerate() {
                assert_closed(below, &format!("{at}/{index}"));
            }
        }
        assert_closed(&schema::schema(), "");
    }
}
