//! Owns: how the deserializer walks tables, lists and enum variants.
//! Refuses: refused nodes and, in a struct, keys that are no field.
//! Always holds: each step down is on the trail while what is below it is read.

use std::{iter::Enumerate, slice};

use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess, VariantAccess, Visitor,
    value::StrDeserializer,
};

use super::{deserialize::NodeDeserializer, fault::Fault, table::Table, trail::Trail, tree::Node};

/// The entries of a table.
pub(super) struct Entries<'t, 'de> {
    rest: slice::Iter<'de, (String, Node)>,
    fields: Option<&'static [&'static str]>,
    current: Option<(&'de str, &'de Node)>,
    table: NodeDeserializer<'t, 'de>,
}

impl<'t, 'de> Entries<'t, 'de> {
    /// All entries, or those that are `fields`.
    pub(super) fn new(
        entries: &'de Table,
        fields: Option<&'static [&'static str]>,
        table: NodeDeserializer<'t, 'de>,
    ) -> Self {
        Self { rest: entries.iter(), fields, current: None, table }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let fields = self.fields;
        let readable =
            |(key, node): &&(String, Node)| !node.refused && fields.is_none_or(|fields| fields.contains(&key.as_str()));
        let Some((key, node)) = self.rest.find(readable) else { return Ok(None) };
        self.current = Some((key, node));
        let key_deserializer: StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
        seed.deserialize(key_deserializer)
            .map(Some)
            .map_err(|fault| fault.about_the_key().at(&Trail::Key(self.table.trail, key)))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, node) =
            self.current.take().ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        let trail = Trail::Key(self.table.trail, key);
        seed.deserialize(NodeDeserializer { node, trail: &trail, ..self.table }).map_err(|fault| fault.at(&trail))
    }
}

/// The elements of a list.
pub(super) struct Elements<'t, 'de> {
    rest: Enumerate<slice::Iter<'de, Node>>,
    list: NodeDeserializer<'t, 'de>,
}

impl<'t, 'de> Elements<'t, 'de> {
    pub(super) fn new(elements: &'de [Node], list: NodeDeserializer<'t, 'de>) -> Self {
        Self { rest: elements.iter().enumerate(), list }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.rest.find(|(_, node)| !node.refused) else { return Ok(None) };
        let trail = Trail::Index(self.list.trail, index);
        seed.deserialize(NodeDeserializer { node, trail: &trail, ..self.list })
            .map(Some)
            .map_err(|fault| fault.at(&trail))
    }
}

/// A variant written as a table with its name as the only key.
pub(super) struct OneVariant<'t, 'de> {
    pub(super) word: &'de str,
    pub(super) content: NodeDeserializer<'t, 'de>,
}

impl<'de> EnumAccess<'de> for OneVariant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let word: StrDeserializer<'_, Fault> = self.word.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for OneVariant<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        let message = format!("`{}` takes no value", self.word);
        Err(Fault::wrong(message, format!("write \"{}\" instead of the table", self.word)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        let trail = self.content.trail;
        seed.deserialize(self.content).map_err(|fault| fault.at(trail))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(self.content, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_struct(self.content, "", fields, visitor)
    }
}
