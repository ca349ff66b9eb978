//! Owns: a JSON object as a token brings it: its members in their order, all their texts in one piece of memory.
//! Refuses: what [`parse_object`] refuses, for the same reasons.
//! Always holds: it has the members that [`parse_object`] would give, and no name twice; the work is linear in the text's length.

use std::{cell::Cell, collections::HashSet, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::json::{JsonFault, Strict, parse_object};

/// For how many members there is room from the start: as many as most tokens have claims.
const USUAL_MEMBERS: usize = 12;
/// Up to so many names are compared one by one when one more is read.
const MOST_COMPARED: usize = 16;

/// One JSON object. A [`Map`] hashes every name, and allocates it and every text on its own: to read the claims of a usual token into one
/// takes 13,300 instructions instead of 6,500.
#[derive(Clone, Debug, Default)]
pub struct JsonObject {
    texts: String,
    entries: Vec<Entry>,
}

/// The value of a member.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number.
    Number(&'a Number),
    /// A text, its escapes resolved.
    Text(&'a str),
    /// A list.
    List(&'a [Value]),
    /// An object.
    Object(&'a Map<String, Value>),
}

#[derive(Clone, Debug)]
struct Entry {
    name: Span,
    value: Kept,
}

/// Where a text stands among the texts.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

#[derive(Clone, Debug)]
enum Kept {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Span),
    List(Vec<Value>),
    Object(Box<Map<String, Value>>),
}

impl JsonObject {
    /// Reads one object.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub fn parse(text: &[u8]) -> Result<Self, JsonFault> {
        let fault_of = || parse_object(text).err().unwrap_or(JsonFault::NotJson);
        // What cannot be an object is left to the other reader, which knows what else it is.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(fault_of());
        }
        // Looked at once and as a whole, which takes a fifth of looking at each text.
        let whole = str::from_utf8(text).map_err(|_| fault_of())?;
        let fault = Cell::new(JsonFault::NotJson);
        let mut deserializer = serde_json::Deserializer::from_str(whole);
        let object = Self { texts: String::with_capacity(text.len()), entries: Vec::with_capacity(USUAL_MEMBERS) };
        let outermost = Outermost { object, strict: Strict::outermost(&fault) };
        let object = deserializer.deserialize_map(outermost).map_err(|_| fault.get())?;
        deserializer.end().map_err(|_| JsonFault::NotJson)?;
        Ok(object)
    }

    /// The member with this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Member<'_>> {
        self.entries.iter().find(|entry| self.is_named(entry, name)).map(|entry| self.value(entry))
    }

    /// The member with this name, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Member::as_text)
    }

    /// How many members it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All members, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Member<'_>)> {
        self.entries.iter().map(|entry| (self.at(entry.name), self.value(entry)))
    }

    /// The same as a map, to be changed or written.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let nested = |entry: &Entry| match &entry.value {
            Kept::List(elements) => elements.iter().map(weight_of_element).sum(),
            Kept::Object(members) => weight_of_members(members),
            _ => 0,
        };
        let entries = self.entries.capacity() * size_of::<Entry>();
        self.texts.capacity() + entries + self.entries.iter().map(nested).sum::<usize>()
    }

    fn at(&self, span: Span) -> &str {
        self.texts.get(span.start..span.end).unwrap_or_default()
    }

    fn is_named(&self, entry: &Entry, name: &str) -> bool {
        let Span { start, end } = entry.name;
        // Most differ in length.
        end - start == name.len() && self.texts.as_bytes().get(start..end) == Some(name.as_bytes())
    }

    fn value<'a>(&'a self, entry: &'a Entry) -> Member<'a> {
        match &entry.value {
            Kept::Null => Member::Null,
            Kept::Boolean(flag) => Member::Boolean(*flag),
            Kept::Number(number) => Member::Number(number),
            Kept::Text(span) => Member::Text(self.at(*span)),
            Kept::List(elements) => Member::List(elements),
            Kept::Object(members) => Member::Object(members),
        }
    }

    fn keep_text(&mut self, text: &str) -> Span {
        let start = self.texts.len();
        self.texts.push_str(text);
        Span { start, end: self.texts.len() }
    }
}

impl From<Map<String, Value>> for JsonObject {
    fn from(members: Map<String, Value>) -> Self {
        let mut object = Self::default();
        for (name, value) in members {
            let name = object.keep_text(&name);
            let value = match value {
                Value::Null => Kept::Null,
                Value::Bool(flag) => Kept::Boolean(flag),
                Value::Number(number) => Kept::Number(number),
                Value::String(text) => Kept::Text(object.keep_text(&text)),
                Value::Array(elements) => Kept::List(elements),
                Value::Object(members) => Kept::Object(Box::new(members)),
            };
            object.entries.push(Entry { name, value });
        }
        object
    }
}

impl<'a> Member<'a> {
    /// The text that it is.
    #[must_use]
    pub const fn as_text(self) -> Option<&'a str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The list that it is.
    #[must_use]
    pub const fn as_list(self) -> Option<&'a [Value]> {
        if let Self::List(elements) = self { Some(elements) } else { None }
    }

    /// The number that it is.
    #[must_use]
    pub const fn as_number(self) -> Option<&'a Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// The same by itself.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Boolean(flag) => Value::Bool(flag),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.to_owned()),
            Self::List(elements) => Value::Array(elements.to_vec()),
            Self::Object(members) => Value::Object(members.clone()),
        }
    }
}

impl<'a> From<&'a Value> for Member<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Boolean(*flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(elements) => Self::List(elements),
            Value::Object(members) => Self::Object(members),
        }
    }
}

/// As JSON.
impl fmt::Display for Member<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(formatter)
    }
}

/// What an entry of a nested list or object costs beside its text.
const NESTED_BYTES: usize = 112;

fn weight_of_members(members: &Map<String, Value>) -> usize {
    members.iter().map(|(name, value)| name.len() + weight_of_element(value)).sum()
}

fn weight_of_element(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(elements) => elements.iter().map(weight_of_element).sum(),
        Value::Object(members) => weight_of_members(members),
    };
    NESTED_BYTES + inside
}

/// Reads the outermost object into `object`.
struct Outermost<'a> {
    object: JsonObject,
    strict: Strict<'a>,
}

/// Reads the name of a member.
struct Name<'o>(&'o mut JsonObject);

/// Reads the value of a member.
struct OwnValue<'o, 'a> {
    object: &'o mut JsonObject,
    strict: Strict<'a>,
}

impl<'de> Visitor<'de> for Outermost<'_> {
    type Value = JsonObject;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<JsonObject, A::Error> {
        let Self { mut object, strict } = self;
        let below = strict.descend()?;
        // Once there are many, a name is looked for here.
        let mut names = HashSet::new();
        while let Some(name) = entries.next_key_seed(Name(&mut object))? {
            if is_repeated(&object, name, &mut names) {
                return Err(strict.blame(JsonFault::RepeatedMember));
            }
            let value = entries.next_value_seed(OwnValue { object: &mut object, strict: below })?;
            object.entries.push(Entry { name, value });
        }
        Ok(object)
    }
}

/// Whether a member has the name already that has just been read.
fn is_repeated(object: &JsonObject, name: Span, names: &mut HashSet<Box<str>>) -> bool {
    let name = object.at(name);
    if object.entries.len() < MOST_COMPARED {
        return object.entries.iter().any(|entry| object.is_named(entry, name));
    }
    if names.is_empty() {
        names.extend(object.entries.iter().map(|entry| Box::from(object.at(entry.name))));
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
        Ok(self.0.keep_text(text))
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
        Ok(Kept::Text(self.object.keep_text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, sequence: A) -> Result<Kept, A::Error> {
        self.strict.list(sequence).map(Kept::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Kept, A::Error> {
        self.strict.object(entries).map(|members| Kept::Object(Box::new(members)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A text in JSON, its characters escaped or not.
    fn text_of(choices: &[(char, bool)]) -> String {
        let mut written = String::from("\"");
        for (character, escaped) in choices {
            match character {
                '"' | '\\' => written.extend(['\\', *character]),
                _ if *escaped || character.is_control() => {
                    let mut units = [0; 2];
                    for unit in character.encode_utf16(&mut units) {
                        written.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => written.push(*character),
            }
        }
        written + "\""
    }

    fn texts() -> impl Strategy<Value = String> {
        let character = prop_oneof![proptest::char::range('a', 'c'), any::<char>()];
        proptest::collection::vec((character, any::<bool>()), 0..4).prop_map(|choices| text_of(&choices))
    }

    /// A text that is nearly JSON: what is an object has repeated names often enough.
    fn documents() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,19}|1)(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?";
        let leaf = prop_oneof![
            3 => texts(),
            2 => number,
            1 => Just("true".to_owned()),
            1 => Just("null".to_owned()),
            1 => Just("01".to_owned()),
        ];
        leaf.prop_recursive(4, 40, 24, |inner| {
            let member = (texts(), "[ \\t\\r\\n]{0,2}", inner.clone());
            let member = member.prop_map(|(name, space, value)| format!("{space}{name}{space}:{space}{value}{space}"));
            prop_oneof![
                1 => proptest::collection::vec(inner, 0..4).prop_map(|elements| format!("[{}]", elements.join(","))),
                3 => proptest::collection::vec(member, 0..24).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn assert_read_alike(text: &[u8]) {
        let read = JsonObject::parse(text);
        assert_eq!(read.as_ref().map(JsonObject::to_map).map_err(|fault| *fault), parse_object(text), "{text:?}");
        let Ok(object) = read else { return };
        for (name, value) in object.to_map() {
            assert_eq!(object.member(&name).map(Member::to_value), Some(value), "{name:?} of {text:?}");
        }
        assert_eq!(JsonObject::from(object.to_map()).to_map(), object.to_map());
    }

    #[test]
    fn what_it_gives_and_refuses_is_what_the_other_reader_gives_and_refuses() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let many = |last: &str| {
            let members: Vec<String> = (0..60).map(|number| format!("\"m{number}\":{number}")).collect();
            format!("{{{},\"{last}\":1}}", members.join(","))
        };
        for text in [
            r#" {"a":[1,-2,3.5,1e3,true,null,"\u00e9\n"],"b":{"a":{}}} "#,
            r#"{"":"","\"":"\ud83d\ude00","c":18446744073709551616,"d":-9223372036854775808,"e":-0}"#,
            "{}",
            " \n{ } ",
            "{\"a\":1}{}",
            "{\"a\":1,\"a\":1,",
            "{\"a\":1,\"\\u0061\":1}",
            "{\"a\":{\"b\":1,\"b\":1}}",
            "{\"a\":1e400}",
            "{\"a\":01}",
            "{\"a\":1,}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "{1:1}",
            "{\"a\" 1}",
            "{",
            "{\"a",
            "\u{feff}{}",
            "\u{b}{}",
            "\u{c}{}",
            "",
            "[]",
            "[] x",
            "\"a\"",
            "7",
            "null",
            &nested(32),
            &nested(33),
            &"{\"a\":".repeat(1000),
            &many("m60"),
            &many("m0"),
            &many("m15"),
            &many("m16"),
            &many("m59"),
        ] {
            assert_read_alike(text.as_bytes());
        }
        for text in
            [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":1,\"a\":1,\"b\":\"\xff\"}", b"{}\xff", b"\xef\xbb\xbf{}", b"\xff"]
        {
            assert_read_alike(text);
        }
        assert!(JsonObject::parse(many("m60").as_bytes()).is_ok_and(|object| object.len() == 61));
        assert_eq!(JsonObject::parse(many("m16").as_bytes()).err(), Some(JsonFault::RepeatedMember));
    }

    #[test]
    fn members_keep_their_order_and_their_types() {
        let object = JsonObject::parse(br#"{"t":"x","n":7,"b":true,"z":null,"l":["x"],"o":{"a":1}}"#).unwrap();
        assert_eq!(object.iter().map(|(name, _)| name).collect::<String>(), "tnbzlo");
        assert_eq!((object.text("t"), object.text("n"), object.text("")), (Some("x"), None, None));
        assert!(matches!(object.member("z"), Some(Member::Null)) && object.member("Z").is_none());
        assert_eq!(object.member("n").and_then(Member::as_number), Some(&Number::from(7)));
        assert_eq!(object.member("l").and_then(Member::as_list), Some(&[json!("x")][..]));
        let shown: Vec<String> = object.iter().map(|(_, value)| value.to_string()).collect();
        assert_eq!(shown, ["\"x\"", "7", "true", "null", "[\"x\"]", "{\"a\":1}"]);
        assert!(object.weight_bytes() > 500 && JsonObject::default().weight_bytes() == 0);
    }

    proptest! {
        #[test]
        fn documents_are_read_alike(text in documents()) {
            assert_read_alike(text.as_bytes());
        }

        #[test]
        fn spoilt_documents_are_read_alike(text in documents(), place: proptest::sample::Index, byte: u8) {
            let mut text = text.into_bytes();
            let place = place.index(text.len());
            text[place] = byte;
            assert_read_alike(&text);
            assert_read_alike(&text[..place]);
        }
    }
}
