//! Owns: the way from the tree to the raw structs, as a serde deserializer.
//! Refuses: words that are no variant, keys that are no field: these are noted and skipped, so that reading goes on.
//! Always holds: every fault and every note knows its path; refused nodes are not read.

use serde::de::{
    self, IntoDeserializer as _, Visitor,
    value::{StrDeserializer, StringDeserializer},
};

use super::{
    access::{Elements, Entries, OneVariant},
    admin::AccessLogTarget,
    fault::Fault,
    reading::Reading,
    store::StoreConfig,
    trail::Trail,
    tree::{Node, Value},
    value::{FilePath, SecretConfig},
};

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'t, 'de> {
    pub(super) node: &'de Node,
    pub(super) trail: &'t Trail<'t>,
    pub(super) reading: &'t Reading<'t>,
}

impl<'de> NodeDeserializer<'_, 'de> {
    fn text(&self, expected: &'static str) -> Result<&'de str, Fault> {
        match &self.node.value {
            Value::Text(text) if text.is_empty() => {
                Err(Fault::wrong("this is empty", format!("write {expected}")).at(self.trail))
            }
            Value::Text(text) => Ok(text),
            other => {
                Err(Fault::wrong(format!("{} where {expected} belongs", kind(other)), format!("write {expected}"))
                    .at(self.trail))
            }
        }
    }

    /// Hands the visitor a file name, absolute unless it is one of `words`.
    fn file_path<V: Visitor<'de>>(self, words: &[&str], visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("a file name in quotes")?;
        let name = if words.contains(&text) {
            text.to_owned()
        } else {
            self.reading.absolute(self.node.span.file, text).map_err(|fault| fault.at(self.trail))?
        };
        let inner: StringDeserializer<Fault> = name.into_deserializer();
        visitor.visit_newtype_struct(inner).map_err(|fault| fault.at(self.trail))
    }

    /// Hands the visitor the URL of a store, in which a file is absolute.
    fn store<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let text = self.text("\"sqlite:FILE\" or \"postgres://...\"")?;
        let url = match text.strip_prefix(StoreConfig::SQLITE) {
            Some(file) if !file.is_empty() => {
                let file = file.strip_prefix("//").unwrap_or(file);
                let file = self.reading.absolute(self.node.span.file, file).map_err(|fault| fault.at(self.trail))?;
                format!("{}{file}", StoreConfig::SQLITE)
            }
            _ => text.to_owned(),
        };
        let inner: StringDeserializer<Fault> = url.into_deserializer();
        visitor.visit_newtype_struct(inner).map_err(|fault| fault.at(self.trail))
    }
}

/// A kind of value as a message names it.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "a string",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "`true` or `false`",
        Value::Date => "a date or time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Date => Err(Fault::wrong("a date or time is not used here", "write a string in quotes")),
            Value::Array(elements) => visitor.visit_seq(Elements::new(elements, self)),
            Value::Table(table) => visitor.visit_map(Entries::new(table, None, self)),
        }
        .map_err(|fault| fault.at(self.trail))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Value::Table(table) = &self.node.value else { return self.deserialize_any(visitor) };
        self.reading.note_unknown_keys(self.node, self.trail, fields.iter().copied());
        visitor
            .visit_map(Entries::new(table, Some(fields), self))
            .map_err(|fault| fault.in_structure(name).at(self.trail))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        match name {
            FilePath::NEWTYPE => self.file_path(&[], visitor),
            AccessLogTarget::NEWTYPE => self.file_path(&[AccessLogTarget::STDOUT], visitor),
            SecretConfig::NEWTYPE => {
                let found = self.reading.secret(self.node, self.trail);
                visitor.visit_newtype_struct(found).map_err(|fault| fault.at(self.trail))
            }
            StoreConfig::NEWTYPE => self.store(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Text(word) if !variants.contains(&word.as_str()) => Err(Fault::unknown_word(word, variants)),
            Value::Text(word) => {
                let unit: StrDeserializer<'_, Fault> = word.as_str().into_deserializer();
                visitor.visit_enum(unit).map_err(|_| {
                    let remedy = format!("write it as a table: `{{ {word} = ... }}`");
                    Fault::wrong(format!("`{word}` needs more than its name"), remedy)
                })
            }
            Value::Table(table) => {
                let mut entries = table.iter().filter(|(_, node)| !node.refused);
                match (entries.next(), entries.next()) {
                    (Some((word, node)), None) if variants.contains(&word.as_str()) => {
                        let trail = Trail::Key(self.trail, word);
                        visitor
                            .visit_enum(OneVariant { word, content: NodeDeserializer { node, trail: &trail, ..self } })
                    }
                    (Some((word, _)), None) => {
                        Err(Fault::unknown_word(word, variants).about_the_key().at(&Trail::Key(self.trail, word)))
                    }
                    _ => Err(Fault::wrong("this table needs exactly one key", "keep one of its keys")),
                }
            }
            other => Err(Fault::wrong(format!("{} where a word belongs", kind(other)), words(variants))),
        }
        .map_err(|fault| fault.at(self.trail))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

fn words(variants: &[&'static str]) -> String {
    let quoted: Vec<String> = variants.iter().map(|word| format!("\"{word}\"")).collect();
    format!("write {}", quoted.join(" or "))
}
