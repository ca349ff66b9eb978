//! Owns: the parameters in the body of a token request, out of a form or JSON.
//! Refuses: a parameter that comes twice, whatever it is called (RFC 6749 section 3.2), and text that is not UTF-8.
//! Always holds: a parameter without a value is as if it were not there (the same section); unknown ones are ignored.

use std::{collections::HashSet, fmt};

use percent_encoding::percent_decode;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::RequestError;
use crate::secret::Secret;

/// The most parameters a request may have. What is known is eight.
const MOST_PARAMETERS: usize = 64;

/// The known parameters of a token request.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<Secret>,
    pub(super) audience: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
    /// Whether there is a `client_assertion` or its type (RFC 7521 section 4.2). The assertion itself is not kept.
    pub(super) has_assertion: bool,
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    pub(super) fn from_form(body: &[u8]) -> Result<Self, RequestError> {
        let mut parameters = Self::default();
        let mut seen = Seen::default();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
            let name = decode_form(name).ok_or(RequestError::MalformedBody)?;
            let value = decode_form(value).ok_or(RequestError::MalformedBody)?;
            parameters.set(&name, value);
            seen.note(name)?;
        }
        Ok(parameters)
    }

    /// Reads a JSON object whose members are the parameters.
    pub(super) fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let mut parameters = Self::default();
        let mut fault = None;
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let read = ObjectSeed { parameters: &mut parameters, fault: &mut fault }.deserialize(&mut deserializer);
        if let Some(fault) = fault {
            return Err(fault);
        }
        read.and_then(|()| deserializer.end()).map_err(|_| RequestError::MalformedBody)?;
        Ok(parameters)
    }

    fn set(&mut self, name: &str, value: String) {
        if value.is_empty() {
            return;
        }
        match name {
            "grant_type" => self.grant_type = Some(value),
            "client_id" => self.client_id = Some(value),
            "client_secret" => self.client_secret = Some(Secret::new(value)),
            "audience" => self.audience = Some(value),
            "resource" => self.resource = Some(value),
            "scope" => self.scope = Some(value),
            "client_assertion" | "client_assertion_type" => self.has_assertion = true,
            _ => {}
        }
    }

    fn is_known(name: &str) -> bool {
        let known = [
            "grant_type",
            "client_id",
            "client_secret",
            "audience",
            "resource",
            "scope",
            "client_assertion",
            "client_assertion_type",
        ];
        known.contains(&name)
    }
}

/// Undoes the encoding of forms: `+` is a space, `%xx` a byte. None if what comes out is not UTF-8.
pub(super) fn decode_form(encoded: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    String::from_utf8(percent_decode(&spaced).collect()).ok()
}

/// The two sides of the first `separator`.
pub(super) fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == separator)?;
    let (left, right) = bytes.split_at(position);
    Some((left, right.get(1..).unwrap_or_default()))
}

/// The names that came already.
#[derive(Default)]
struct Seen {
    names: HashSet<String>,
}

impl Seen {
    fn note(&mut self, name: String) -> Result<(), RequestError> {
        if self.names.len() >= MOST_PARAMETERS {
            return Err(RequestError::MalformedBody);
        }
        if self.names.insert(name) { Ok(()) } else { Err(RequestError::RepeatedParameter) }
    }
}

/// Reads an object member by member, since a map type would let the last of two repeated members win.
struct ObjectSeed<'a> {
    parameters: &'a mut Parameters,
    fault: &'a mut Option<RequestError>,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = Seen::default();
        while let Some(name) = map.next_key::<String>()? {
            if Parameters::is_known(&name) {
                match map.next_value::<Value>()? {
                    Value::String(value) => self.parameters.set(&name, value),
                    Value::Null => {}
                    _ => *self.fault = Some(RequestError::MalformedBody),
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            if let Err(fault) = seen.note(name) {
                *self.fault = Some(fault);
            }
        }
        Ok(())
    }
}
