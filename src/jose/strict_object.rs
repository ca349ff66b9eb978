//! Owns: the strict way to read a JSON object, whatever is in it, into one piece of memory.
//! Refuses: what [`super::parse_object`] refuses.
//! Always holds: the work is linear in the text's length.

use std::{cell::Cell, collections::HashSet, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{
    json::{JsonFault, Strict},
    object::{Kept, Members, Span},
};

/// The members of the object that `text` is, and their texts.
pub(super) fn read(text: &str) -> Result<(String, Members), JsonFault> {
    let fault = Cell::new(JsonFault::NotJson);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outermost = Outermost { texts: String::with_capacity(text.len()), strict: Strict::outermost(&fault) };
    let read = deserializer.deserialize_map(outermost).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| JsonFault::NotJson)?;
    Ok(read)
}

/// Reads the outermost object.
struct Outermost<'a> {
    texts: String,
    strict: Strict<'a>,
}

/// Reads the name of a member.
struct Name<'t>(&'t mut String);

/// Reads the value of a member.
struct OwnValue<'t, 'a> {
    texts: &'t mut String,
    strict: Strict<'a>,
}

impl<'de> Visitor<'de> for Outermost<'_> {
    type Value = (String, Members);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let Self { mut texts, strict } = self;
        let below = strict.descend()?;
        let mut members = Members::with_usual_capacity();
        // Once there are many, a name is looked for here.
        let mut names = HashSet::new();
        while let Some(name) = entries.next_key_seed(Name(&mut texts))? {
            if is_repeated(&members, &texts, name, &mut names) {
                return Err(strict.blame(JsonFault::RepeatedMember));
            }
            let value = entries.next_value_seed(OwnValue { texts: &mut texts, strict: below })?;
            members.push(&texts, name, value);
        }
        let members = members.ready_to_be_searched(&texts);
        Ok((texts, members))
    }
}

/// Whether a member has the name already that has just been read.
fn is_repeated(members: &Members, texts: &str, name: Span, names: &mut HashSet<Box<str>>) -> bool {
    if !members.are_many() {
        return members.have(texts, name);
    }
    let name = name.of(texts);
    if names.is_empty() {
        names.extend(members.names(texts).map(Box::from));
    }
    !names.insert(name.into())
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Span;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Span;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    /// serde_json hands names over with their escapes resolved, so `\u0061lg` is `alg` here.
    fn visit_str<E>(self, text: &str) -> Result<Span, E> {
        Ok(Span::added(self.0, text))
    }
}

impl<'de> DeserializeSeed<'de> for OwnValue<'_, '_> {
    type Value = Kept;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kept, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OwnValue<'_, '_> {
    type Value = Kept;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Kept, E> {
        Ok(Kept::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Kept, E> {
        Ok(Kept::Boolean(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kept, E> {
        Ok(Kept::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kept, E> {
        Ok(Kept::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Kept, E> {
        Number::from_f64(number).map(Kept::Number).ok_or_else(|| self.strict.blame(JsonFault::NotJson))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kept, E> {
        Ok(Kept::Text(Span::added(self.texts, text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Kept, A::Error> {
        self.strict.list(sequence).map(|elements| Kept::Nested(Box::new(elements.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Kept, A::Error> {
        self.strict.object(entries).map(|members| Kept::Nested(Box::new(members.into())))
    }
}
