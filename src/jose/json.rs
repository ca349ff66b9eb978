//! Owns: JSON as a token may use it: one object, read so that no two readers can differ.
//! Refuses: repeated names at any depth (RFC 8725 section 2.4, RFC 7515 section 4), also where escapes hide the repetition;
//! nesting beyond 32 levels; anything behind the object; numbers that no `f64` holds.
//! Always holds: the work is linear in the text's length.

use std::{cell::Cell, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The deepest nesting, the outermost object counted.
const DEEPEST: usize = 32;

/// Up to so many members are searched one by one.
const MOST_COMPARED: usize = 16;

/// The member of an object with this name: what [`Map::get`] says. Among few, to compare costs 40 instructions, to hash 250.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if members.len() <= MOST_COMPARED {
        return members.iter().find(|(own, _)| own.as_str() == name).map(|(_, value)| value);
    }
    members.get(name)
}

/// What is wrong with a text that should be one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// It is no JSON, or something follows it.
    NotJson,
    /// It is JSON, and no object.
    NotAnObject,
    /// A name comes twice in one object.
    RepeatedMember,
    /// It is nested beyond 32 levels.
    TooDeep,
}

/// Reads one object.
///
/// # Errors
/// What is wrong with `text`.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    let fault = Cell::new(JsonFault::NotJson);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict::outermost(&fault).deserialize(&mut deserializer).map_err(|_| fault.get())?;
    deserializer.end().map_err(|_| JsonFault::NotJson)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonFault::NotAnObject),
    }
}

/// Reads any value strictly.
#[derive(Clone, Copy)]
pub(super) struct Strict<'a> {
    levels_left: usize,
    fault: &'a Cell<JsonFault>,
}

impl<'a> Strict<'a> {
    /// For a whole text. serde's errors are made of words: what is wrong is noted in `fault`, unless it is what stands there.
    pub(super) const fn outermost(fault: &'a Cell<JsonFault>) -> Self {
        Self { levels_left: DEEPEST, fault }
    }

    /// For what is inside of a list or an object.
    pub(super) fn descend<E: de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(self.blame(JsonFault::TooDeep)),
        }
    }

    pub(super) fn blame<E: de::Error>(self, fault: JsonFault) -> E {
        self.fault.set(fault);
        E::custom("refused")
    }

    /// The elements of a list.
    pub(super) fn list<'de, A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Value>, A::Error> {
        let below = self.descend()?;
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element_seed(below)? {
            elements.push(element);
        }
        Ok(elements)
    }

    /// The members of an object.
    pub(super) fn object<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<Map<String, Value>, A::Error> {
        let below = self.descend()?;
        let mut members = Map::new();
        // serde_json hands names over with their escapes resolved, so `\u0061lg` is `alg` here.
        while let Some(name) = entries.next_key::<String>()? {
            if member(&members, &name).is_some() {
                return Err(self.blame(JsonFault::RepeatedMember));
            }
            members.insert(name, entries.next_value_seed(below)?);
        }
        Ok(members)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| self.blame(JsonFault::NotJson))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Value, A::Error> {
        self.list(sequence).map(Value::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        self.object(entries).map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_among_few_and_among_many() {
        for count in [0, 1, MOST_COMPARED, MOST_COMPARED + 1, 100] {
            let members: Map<String, Value> = (0..count).map(|number| (format!("m{number}"), number.into())).collect();
            for name in ["m0", "m15", "m16", "m99", "m", "M0", "m00", ""] {
                assert_eq!(member(&members, name), members.get(name), "{name} among {count}");
            }
        }
    }

    #[test]
    fn reads_what_serde_json_reads() {
        let text = r#" {"a":[1,-2,3.5,1e3,true,null,"\u00e9\n"],"b":{"a":{}}} "#;
        let strict = parse_object(text.as_bytes()).unwrap();
        assert_eq!(Value::Object(strict), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn each_fault_has_its_name() {
        for (text, fault) in [
            (r#"{"a":1,"a":1}"#, JsonFault::RepeatedMember),
            (r#"{"a":1,"\u0061":1}"#, JsonFault::RepeatedMember),
            (r#"{"x":[{"a":1,"b":2,"a":3}]}"#, JsonFault::RepeatedMember),
            (r#"{"a":1}{}"#, JsonFault::NotJson),
            (r#"{"a":1e400}"#, JsonFault::NotJson),
            (r#"{"a":"\ud800"}"#, JsonFault::NotJson),
            (r#"{"a":01}"#, JsonFault::NotJson),
            (r#"{"a":1,}"#, JsonFault::NotJson),
            ("{\"a\":\"\n\"}", JsonFault::NotJson),
            ("", JsonFault::NotJson),
            ("[]", JsonFault::NotAnObject),
            ("\"a\"", JsonFault::NotAnObject),
            ("null", JsonFault::NotAnObject),
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(fault), "{text}");
        }
        assert_eq!(parse_object(b"{\"a\":\"\xff\"}"), Err(JsonFault::NotJson));
        assert_eq!(parse_object(b"\xef\xbb\xbf{}"), Err(JsonFault::NotJson));
    }

    #[test]
    fn nesting_ends_at_thirty_two() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(parse_object(nested(32).as_bytes()).is_ok());
        assert_eq!(parse_object(nested(33).as_bytes()), Err(JsonFault::TooDeep));
        assert_eq!(parse_object("{\"a\":".repeat(100_000).as_bytes()), Err(JsonFault::TooDeep));
    }
}
