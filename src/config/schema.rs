//! Owns: the JSON Schema of the TOML, made from the raw structs and their comments.
//! Refuses: unknown keys, in the schema as in the loader.
//! Always holds: it is made once, and it is the only other description of the configuration that there is.

use std::sync::LazyLock;

use serde_json::Value;

use super::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Config).to_value();
    if let Some(top) = schema.as_object_mut() {
        top.insert("title".to_owned(), "Postern configuration".into());
    }
    schema
});

/// The JSON Schema (draft 2020-12) of a configuration.
#[must_use]
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The schema of the raw struct `structure`.
pub(super) fn definition(structure: &str) -> Option<&'static Value> {
    if structure == "Config" { Some(&SCHEMA) } else { SCHEMA.get("$defs")?.get(structure) }
}

/// The keys of a raw struct.
pub(super) fn keys_of(structure: &str) -> impl Iterator<Item = &'static str> + Clone {
    let properties = definition(structure).and_then(|schema| schema.get("properties")?.as_object());
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
}

/// The keys of a raw struct that must be there.
pub(super) fn required_keys_of(structure: &str) -> impl Iterator<Item = &'static str> {
    let required = definition(structure).and_then(|schema| schema.get("required")?.as_array());
    required.into_iter().flatten().filter_map(Value::as_str)
}

/// What a key is for: the first sentence of its comment, to be put after a colon.
pub(super) fn meaning_of(structure: &str, key: &str) -> Option<String> {
    let property = definition(structure)?.get("properties")?.get(key)?;
    let description = property.get("description")?.as_str()?.replace('\n', " ");
    let sentence = description.split(". ").next()?.trim_end_matches('.');
    let mut characters = sentence.chars();
    let first = characters.next()?;
    Some(first.to_lowercase().chain(characters).collect())
}
