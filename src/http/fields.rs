//! Owns: the header fields of one message, in the order in which they came, and the head's own bytes that most of them stand in.
//! Refuses: telling a value to a log: with [`fmt::Debug`] there are names only.
//! Always holds: a value is one that may stand in a field (RFC 9110 section 5.5): it was judged where it was read, or is a
//! [`HeaderValue`]. Fields of one name keep their order.
//!
//! A map that hashes costs more than it saves: of the dozen fields of a message each is looked for some times, and to compare a name
//! with a dozen others takes 40 instructions, to hash it 60; to make each value and each place in a map, and to take them down
//! again, took a fifth of the instructions of a request.

use std::{fmt, ops::Range};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header fields of one message.
#[derive(Clone, Default)]
pub struct Fields {
    /// Where the values stand that came in.
    head: Bytes,
    lines: Vec<Line>,
}

#[derive(Clone)]
struct Line {
    name: HeaderName,
    value: Value,
}

#[derive(Clone)]
enum Value {
    /// With its name, in the head: where the name stands, where the value, and how many bytes of it.
    Came { name: u32, from: u32, length: u32 },
    /// Made here.
    Made(HeaderValue),
}

/// Fields that are looked up by their names: those of a message on its way, and those of one in the form of the `http` crate.
pub trait FieldLines {
    /// The values of all fields of this name, in their order.
    fn lines<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]>;
}

impl Fields {
    /// None, with room for so many.
    #[must_use]
    pub(crate) fn with_room(room: usize) -> Self {
        Self { head: Bytes::new(), lines: Vec::with_capacity(room) }
    }

    /// One more field, whose name stands at `at` in the head that is being read and whose value behind it, and was found to be one
    /// that may.
    pub(crate) fn push_read(&mut self, name: HeaderName, at: usize, value: Range<usize>) {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let value = Value::Came { name: place(at), from: place(value.start), length: place(value.len()) };
        self.lines.push(Line { name, value });
    }

    /// The head has been read: here it is, and the values that were read stand in it.
    pub(crate) fn stand_in(&mut self, head: Bytes) {
        self.head = head;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The value of the first field of this name.
    #[must_use]
    pub fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        self.lines.iter().find(|line| line.name == *name).map(|line| self.value(line))
    }

    /// The value of the field of this name, if there is exactly one.
    #[must_use]
    pub fn only(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut values = self.lines(name);
        values.next().filter(|_| values.next().is_none())
    }

    /// Whether there is a field of this name.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.lines.iter().any(|line| line.name == *name)
    }

    /// The names, one for each field.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.lines.iter().map(|line| &line.name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &[u8])> {
        self.lines.iter().map(|line| (&line.name, self.value(line)))
    }

    /// Writes them, each in a line of its own (RFC 9112 section 5), but for those that are to be passed over. What came is written as it
    /// was spelled, and in one piece with what it still stands beside.
    pub fn write(&self, output: &mut Vec<u8>, is_passed_over: impl Fn(&HeaderName) -> bool) {
        let mut piece = 0..0;
        for line in self.lines.iter().filter(|line| !is_passed_over(&line.name)) {
            match self.whole_line(line) {
                Some(next) if next.start == piece.end => piece.end = next.end,
                Some(next) => output.extend_from_slice(self.head(std::mem::replace(&mut piece, next))),
                None => {
                    output.extend_from_slice(self.head(std::mem::take(&mut piece)));
                    write_line(output, self.spelled(line), self.value(line));
                }
            }
        }
        output.extend_from_slice(self.head(piece));
    }

    /// Where in the head the line of a field stands, if it came as one writes it.
    fn whole_line(&self, line: &Line) -> Option<Range<usize>> {
        let Value::Came { name, from, length } = line.value else { return None };
        let (name, from, end) = (name as usize, from as usize, (from as usize).saturating_add(length as usize));
        let colon = name.saturating_add(line.name.as_str().len());
        let is_plain = self.head(colon..from) == b": " && self.head(end..end.saturating_add(2)) == b"\r\n";
        is_plain.then(|| name..end.saturating_add(2))
    }

    /// The name of a field as it came; in lower case if it was made here.
    fn spelled<'a>(&'a self, line: &'a Line) -> &'a [u8] {
        let made = line.name.as_str().as_bytes();
        match line.value {
            Value::Came { name, .. } => self.head(name as usize..(name as usize).saturating_add(made.len())),
            Value::Made(_) => made,
        }
    }

    fn head(&self, place: Range<usize>) -> &[u8] {
        self.head.get(place).unwrap_or_default()
    }

    /// The first value of this name, to be kept.
    #[must_use]
    pub fn first_owned(&self, name: &HeaderName) -> Option<HeaderValue> {
        self.lines.iter().find(|line| line.name == *name).and_then(|line| self.owned(line))
    }

    /// Room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.lines.reserve(more);
    }

    /// One more field, behind those that are there.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.lines.push(Line { name, value: Value::Made(value) });
    }

    /// One field of this name, in the place of those that are there.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        match self.lines.iter().position(|line| line.name == name) {
            None => self.append(name, value),
            Some(first) => {
                let mut behind = self.lines.iter().skip(first.saturating_add(1));
                if behind.any(|line| line.name == name) {
                    self.lines.retain(|line| line.name != name);
                    self.append(name, value);
                } else if let Some(line) = self.lines.get_mut(first) {
                    line.value = Value::Made(value);
                }
            }
        }
    }

    /// Takes out all fields of this name.
    pub fn remove(&mut self, name: &HeaderName) {
        self.keep(|known| known != name);
    }

    /// Takes out the fields whose names are not to be kept.
    pub fn keep(&mut self, keeps: impl Fn(&HeaderName) -> bool) {
        // Mostly all of them are.
        if !self.lines.iter().all(|line| keeps(&line.name)) {
            self.lines.retain(|line| keeps(&line.name));
        }
    }

    fn value<'a>(&'a self, line: &'a Line) -> &'a [u8] {
        match &line.value {
            Value::Came { from, length, .. } => {
                self.head(*from as usize..(*from as usize).saturating_add(*length as usize))
            }
            Value::Made(value) => value.as_bytes(),
        }
    }

    /// A value that can be kept without the message.
    fn owned(&self, line: &Line) -> Option<HeaderValue> {
        match &line.value {
            // It was found good when it came; if it were not, it would be no field.
            Value::Came { .. } => HeaderValue::from_bytes(self.value(line)).ok(),
            Value::Made(value) => Some(value.clone()),
        }
    }
}

/// Writes one field and the end of its line.
pub fn write_field(output: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    write_line(output, name.as_str().as_bytes(), value);
}

fn write_line(output: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    output.reserve(name.len().saturating_add(value.len()).saturating_add(4));
    output.extend_from_slice(name);
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}

impl FieldLines for Fields {
    fn lines<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.lines.iter().filter(move |line| line.name == *name).map(|line| self.value(line))
    }
}

impl FieldLines for HeaderMap {
    fn lines<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        let mut lines: Vec<Line> = Vec::with_capacity(map.len());
        for (name, value) in map {
            // The map says the name once for all values that it has.
            let name = name.or_else(|| lines.last().map(|line| line.name.clone()));
            lines.extend(name.map(|name| Line { name, value: Value::Made(value) }));
        }
        Self { head: Bytes::new(), lines }
    }
}

impl From<Fields> for HeaderMap {
    fn from(mut fields: Fields) -> Self {
        let mut map = Self::with_capacity(fields.lines.len());
        for line in std::mem::take(&mut fields.lines) {
            if let Some(value) = fields.owned(&line) {
                map.append(line.name, value);
            }
        }
        map
    }
}

impl Extend<(HeaderName, HeaderValue)> for Fields {
    fn extend<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(&mut self, fields: T) {
        self.lines.extend(fields.into_iter().map(|(name, value)| Line { name, value: Value::Made(value) }));
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Fields {
    fn from_iter<T: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: T) -> Self {
        let mut all = Self::default();
        all.extend(fields);
        all
    }
}

impl PartialEq for Fields {
    /// Whether both say the same in the same order.
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests;
