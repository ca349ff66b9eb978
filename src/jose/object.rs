//! Owns: a JSON object as a token brings it: its members in their order, all their texts in one piece of memory.
//! Refuses: what [`parse_object`] refuses, for the same reasons.
//! Always holds: it has the members that [`parse_object`] would give, and no name twice.

use std::{fmt, ops::Range};

use serde_json::{Map, Number, Value};

use super::{
    claim_name::{ClaimName, ClaimPlace, ClaimPlaces},
    json::{JsonFault, parse_object},
    plain_object,
    shape::Shape,
    strict_object,
};
use crate::ahead;

/// For how many members there is room from the start: as many as most tokens have claims.
const USUAL_MEMBERS: usize = 12;
/// How many members, each second one, and how many cache lines of texts are fetched ahead: those of usual tokens.
const MOST_FETCHED: usize = 6;
/// Up to so many names are compared one by one when one more is read.
const MOST_COMPARED: usize = 16;

/// One JSON object. A [`Map`] hashes every name, and allocates it and every text on its own: to read the claims of a usual token into one
/// takes 13,300 instructions instead of 3,700.
#[derive(Clone, Debug, Default)]
pub struct JsonObject {
    texts: String,
    members: Members,
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

/// The members of an object whose texts are elsewhere, `texts` below.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    entries: Vec<Entry>,
    /// The [`mark`]s of all names.
    marks: u64,
    /// Where those stand that are asked for of every token.
    places: ClaimPlaces,
    /// The numbers of all entries in the order of their names, once it is known that there are many.
    by_name: Vec<u32>,
}

#[derive(Clone, Debug)]
struct Entry {
    name: Span,
    value: Kept,
}

const _: () = assert!(size_of::<Entry>() == 24, "what rules look through for every request is small");

/// Where a text stands among the texts, which are less than 4 GiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Kept {
    Null,
    Boolean(bool),
    Number(Number),
    Text(Span),
    /// A list or an object.
    Nested(Box<Value>),
}

impl JsonObject {
    /// Reads one object.
    ///
    /// # Errors
    /// What is wrong with `text`.
    pub fn parse(text: Vec<u8>) -> Result<Self, JsonFault> {
        Self::parse_like(text, None).map(|(object, _)| object)
    }

    /// The same, with less ado if it has this `shape`; and whether it has.
    pub(super) fn parse_like(text: Vec<u8>, shape: Option<&Shape>) -> Result<(Self, bool), JsonFault> {
        // Looked at once and as a whole, which takes a fifth of looking at each text.
        let texts = String::from_utf8(text).map_err(|error| fault_of(error.as_bytes()))?;
        if let Some((members, has_shape)) = plain_object::read(&texts, shape) {
            return Ok((Self { texts, members }, has_shape));
        }
        // What cannot be an object is left to the reader that knows what else it is.
        if !texts.trim_ascii_start().starts_with('{') {
            return Err(fault_of(texts.as_bytes()));
        }
        let (texts, members) = strict_object::read(&texts)?;
        Ok((Self { texts, members }, false))
    }

    /// The member with this name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Member<'_>> {
        self.members.find(&self.texts, name.as_bytes()).map(|value| self.value(value))
    }

    /// The member with this name, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.member(name).and_then(Member::as_text)
    }

    /// The member that is this claim: what [`Self::member`] gives for its name, without looking for it.
    #[must_use]
    pub fn claim(&self, claim: ClaimName) -> Option<Member<'_>> {
        self.members.find_claim(&self.texts, claim).map(|value| self.value(value))
    }

    /// Has where its members and their texts are fetched.
    pub fn fetch(&self) {
        let Members { entries, marks, places, by_name: _ } = &self.members;
        ahead::fetch(marks);
        ahead::fetch(places);
        entries.iter().step_by(2).take(MOST_FETCHED).for_each(|entry| ahead::fetch(&entry.name));
        self.texts.as_bytes().iter().step_by(64).take(MOST_FETCHED).for_each(ahead::fetch);
    }

    /// How many members it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.members.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.members.entries.is_empty()
    }

    /// All members, in the order in which they were written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Member<'_>)> {
        self.members.entries.iter().map(|entry| (entry.name.of(&self.texts), self.value(&entry.value)))
    }

    /// Its texts in one piece, and where in that the names of its members are. Of an object that was read the quick way that is how it was
    /// written.
    pub(super) fn as_written(&self) -> (&str, impl Iterator<Item = Range<usize>>) {
        (&self.texts, self.members.entries.iter().map(|entry| entry.name.start as usize..entry.name.end as usize))
    }

    /// What all objects of its shape know of their names.
    pub(super) const fn marks_and_places(&self) -> (u64, ClaimPlaces) {
        (self.members.marks, self.members.places)
    }

    /// The same as a map, to be changed or written.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let nested = |entry: &Entry| if let Kept::Nested(value) = &entry.value { weight_of_element(value) } else { 0 };
        let Members { entries, marks: _, places: _, by_name } = &self.members;
        let own = entries.capacity() * size_of::<Entry>() + by_name.capacity() * size_of::<u32>();
        self.texts.capacity() + own + entries.iter().map(nested).sum::<usize>()
    }

    fn value<'a>(&'a self, value: &'a Kept) -> Member<'a> {
        match value {
            Kept::Null => Member::Null,
            Kept::Boolean(flag) => Member::Boolean(*flag),
            Kept::Number(number) => Member::Number(number),
            Kept::Text(span) => Member::Text(span.of(&self.texts)),
            Kept::Nested(value) => Member::from(&**value),
        }
    }
}

impl Members {
    /// None yet, but room for as many as most tokens have claims.
    pub(super) fn with_usual_capacity() -> Self {
        Self { entries: Vec::with_capacity(USUAL_MEMBERS), ..Self::default() }
    }

    /// None yet of the `count` ones that objects of this `shape` have.
    pub(super) fn of_shape(shape: &Shape, count: usize) -> Self {
        let (marks, places) = shape.marks_and_places();
        Self { entries: Vec::with_capacity(count), marks, places, by_name: Vec::new() }
    }

    /// Whether there are so many that another name should not be compared with each.
    pub(super) const fn are_many(&self) -> bool {
        self.entries.len() >= MOST_COMPARED
    }

    /// The names in their order.
    pub(super) fn names<'a>(&'a self, texts: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|entry| entry.name.of(texts))
    }

    /// Whether one of them has the name that stands there.
    pub(super) fn have(&self, texts: &str, name: Span) -> bool {
        self.find(texts, name.bytes_of(texts)).is_some()
    }

    fn find_claim(&self, texts: &str, claim: ClaimName) -> Option<&Kept> {
        match self.places.of(claim) {
            ClaimPlace::Nowhere => None,
            ClaimPlace::After(before) => self.entries.get(usize::from(before)).map(|entry| &entry.value),
            ClaimPlace::FarBehind => self.find(texts, claim.name().as_bytes()),
        }
    }

    /// The value of the member with this name.
    fn find(&self, texts: &str, name: &[u8]) -> Option<&Kept> {
        if self.marks & mark(name) == 0 {
            return None;
        }
        if self.by_name.is_empty() {
            return self.entries.iter().find(|entry| entry.name.is_at(texts, name)).map(|entry| &entry.value);
        }
        let name_of = |number: &u32| self.entries.get(*number as usize).map(|entry| entry.name.bytes_of(texts));
        let place = self.by_name.binary_search_by(|number| name_of(number).cmp(&Some(name))).ok()?;
        self.entries.get(*self.by_name.get(place)? as usize).map(|entry| &entry.value)
    }

    /// The same, so that a name is found among many without comparing it with each. A token has room for 1,700 members, and rules
    /// may ask for many of them on every request.
    pub(super) fn ready_to_be_searched(mut self, texts: &str) -> Self {
        if self.are_many() {
            let mut named: Vec<(&str, u32)> = self.names(texts).zip(0..).collect();
            named.sort_unstable();
            self.by_name = named.into_iter().map(|(_, number)| number).collect();
        }
        self
    }

    /// Adds one, whose name must not be there yet.
    pub(super) fn push(&mut self, texts: &str, name: Span, value: Kept) {
        let text = name.bytes_of(texts);
        self.marks |= mark(text);
        if let Some(claim) = ClaimName::of(text) {
            self.places.note(claim, self.entries.len());
        }
        self.by_name.clear();
        self.entries.push(Entry { name, value });
    }

    /// Adds the next one of the shape that it has been given.
    pub(super) fn push_next(&mut self, name: Span, value: Kept) {
        self.entries.push(Entry { name, value });
    }
}

impl Span {
    /// From `start` to `end`, in bytes. What begins beyond 4 GiB is the empty text, and no token's.
    pub(super) fn new(start: usize, end: usize) -> Self {
        // One by one: mapped as an array, this would be a call, and a sixth of reading a usual token's claims.
        let place = |place| u32::try_from(place).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end) }
    }

    /// Adds `text` to the `texts`.
    pub(super) fn added(texts: &mut String, text: &str) -> Self {
        let start = texts.len();
        texts.push_str(text);
        Self::new(start, texts.len())
    }

    /// The text that stands there.
    pub(super) fn of(self, texts: &str) -> &str {
        texts.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same as bytes, for which nobody looks where letters begin.
    fn bytes_of(self, texts: &str) -> &[u8] {
        texts.as_bytes().get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Whether it is `text` that stands there.
    fn is_at(self, texts: &str, text: &[u8]) -> bool {
        // Most differ in length.
        (self.end - self.start) as usize == text.len() && self.bytes_of(texts) == text
    }
}

fn fault_of(text: &[u8]) -> JsonFault {
    parse_object(text).err().unwrap_or(JsonFault::NotJson)
}

impl From<Map<String, Value>> for JsonObject {
    fn from(members: Map<String, Value>) -> Self {
        let (mut texts, mut own) = (String::new(), Members::default());
        for (name, value) in members {
            let name = Span::added(&mut texts, &name);
            let value = match value {
                Value::Null => Kept::Null,
                Value::Bool(flag) => Kept::Boolean(flag),
                Value::Number(number) => Kept::Number(number),
                Value::String(text) => Kept::Text(Span::added(&mut texts, &text)),
                nested @ (Value::Array(_) | Value::Object(_)) => Kept::Nested(Box::new(nested)),
            };
            own.push(&texts, name, value);
        }
        let members = own.ready_to_be_searched(&texts);
        Self { texts, members }
    }
}

/// A bit that names have in common only with some others: most that an object does not have are told so without comparing, which makes
/// 500 instructions of the 1,300 to see that none of ten comes twice. The claims that most tokens have differ in it.
fn mark(name: &[u8]) -> u64 {
    let letter = |letter: Option<&u8>| letter.copied().map_or(0, usize::from);
    let (first, last) = (letter(name.first()), letter(name.last()));
    1 << ((first * 3 + last * 2 + name.len() * 2) % 64)
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

#[cfg(test)]
mod tests;
