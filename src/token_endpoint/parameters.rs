//! Owns: the parameters in the body of a request, out of a form or JSON.
//! Refuses: a parameter that comes twice, whatever it is called (RFC 6749 section 3.2), text that is not UTF-8, and JSON
//! nested deeper than anything here can need.
//! Always holds: a parameter without a value is as if it were not there (the same section); unknown ones are ignored.

use std::fmt;

use percent_encoding::percent_decode;
use serde_json::{Map, Value};

use super::{RequestError, media_type::MediaType};
use crate::{
    jose::{JsonFault, parse_object},
    secret::Secret,
};

/// The most parameters a request may have. What is known is ten.
const MOST_PARAMETERS: usize = 64;

/// The parameters of a request, taken out one by one.
pub(super) struct Parameters {
    values: Map<String, Value>,
}

impl Parameters {
    /// Reads a body.
    pub(super) fn read(media_type: MediaType, body: &[u8]) -> Result<Self, RequestError> {
        match media_type {
            MediaType::Form => Self::from_form(body),
            MediaType::Json => Self::from_json(body),
        }
    }

    /// Reads `application/x-www-form-urlencoded` (RFC 6749 appendix B).
    fn from_form(body: &[u8]) -> Result<Self, RequestError> {
        let mut values = Map::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
            let name = decode_form(name).ok_or(RequestError::MalformedBody)?;
            let value = decode_form(value).ok_or(RequestError::MalformedBody)?;
            if values.len() >= MOST_PARAMETERS {
                return Err(RequestError::MalformedBody);
            }
            if values.insert(name, Value::String(value)).is_some() {
                return Err(RequestError::RepeatedParameter);
            }
        }
        Ok(Self { values })
    }

    /// Reads a JSON object whose members are the parameters.
    fn from_json(body: &[u8]) -> Result<Self, RequestError> {
        let values = parse_object(body).map_err(|fault| match fault {
            JsonFault::RepeatedMember => RequestError::RepeatedParameter,
            JsonFault::NotJson | JsonFault::NotAnObject | JsonFault::TooDeep => RequestError::MalformedBody,
        })?;
        if values.len() > MOST_PARAMETERS { Err(RequestError::MalformedBody) } else { Ok(Self { values }) }
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, RequestError> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
            Some(_) => Err(RequestError::MalformedBody),
        }
    }

    /// Takes a text that nobody may see.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<Secret>, RequestError> {
        Ok(self.text(name)?.map(Secret::new))
    }

    /// Takes a whole number, which may be written as text, as in forms it always is.
    pub(super) fn integer(&mut self, name: &str) -> Result<Option<i64>, RequestError> {
        if let Some(Value::Number(number)) = self.values.get(name) {
            let number = number.as_i64().ok_or(RequestError::MalformedBody)?;
            return Ok(Some(number));
        }
        let parse = |text: String| text.parse().map_err(|_| RequestError::MalformedBody);
        self.text(name)?.map(parse).transpose()
    }

    /// Takes a yes or no.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, RequestError> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(RequestError::MalformedBody),
        }
    }

    /// Takes an object as it is.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, RequestError> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(RequestError::MalformedBody),
        }
    }

    /// Takes all that is left and is a text, a number, or yes or no, in its order.
    pub(super) fn rest(&mut self) -> Vec<(String, String)> {
        let values = std::mem::take(&mut self.values);
        let text = |value| match value {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        values.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
    }

    /// Takes a list of texts; none if there is nothing in it.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, RequestError> {
        Ok(self.list(name)?.filter(|texts| !texts.is_empty()))
    }

    /// Takes a list of texts, which may have nothing in it.
    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<String>>, RequestError> {
        let texts = match self.values.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(elements)) => elements.into_iter().map(|element| match element {
                Value::String(text) => Ok(text),
                _ => Err(RequestError::MalformedBody),
            }),
            Some(_) => return Err(RequestError::MalformedBody),
        };
        texts.collect::<Result<Vec<String>, RequestError>>().map(Some)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither names nor values: a secret can be on either side of a `=`.
        formatter.debug_struct("Parameters").finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> Parameters {
        Parameters::read(MediaType::Json, body.as_bytes()).unwrap()
    }

    #[test]
    fn whole_numbers_may_be_written_as_text() {
        for (value, number) in [
            ("5", Ok(Some(5))),
            ("\"5\"", Ok(Some(5))),
            ("-5", Ok(Some(-5))),
            ("null", Ok(None)),
            ("\"\"", Ok(None)),
            ("5.5", Err(RequestError::MalformedBody)),
            ("\"5.5\"", Err(RequestError::MalformedBody)),
            ("9223372036854775808", Err(RequestError::MalformedBody)),
            ("true", Err(RequestError::MalformedBody)),
            ("[5]", Err(RequestError::MalformedBody)),
        ] {
            assert_eq!(json(&format!("{{\"a\":{value}}}")).integer("a"), number, "{value}");
        }
        let form = |body: &str| Parameters::read(MediaType::Form, body.as_bytes()).unwrap().integer("a");
        assert_eq!((form("a=%35"), form("a="), form("b=1")), (Ok(Some(5)), Ok(None), Ok(None)));
        assert_eq!(form("a=+5"), Err(RequestError::MalformedBody));
    }

    #[test]
    fn lists_hold_texts_only() {
        for (value, texts) in [
            (r#"["a","b"]"#, Ok(Some(vec!["a".to_owned(), "b".to_owned()]))),
            ("[]", Ok(None)),
            ("null", Ok(None)),
            (r#""a""#, Err(RequestError::MalformedBody)),
            (r#"["a",1]"#, Err(RequestError::MalformedBody)),
            (r#"{"a":1}"#, Err(RequestError::MalformedBody)),
        ] {
            assert_eq!(json(&format!("{{\"a\":{value}}}")).texts("a"), texts, "{value}");
        }
    }

    #[test]
    fn deep_json_is_refused_however_it_ends() {
        let nested = |levels: usize| format!("{{\"x\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(Parameters::read(MediaType::Json, nested(31).as_bytes()).is_ok());
        for levels in [32, 30_000] {
            let read = Parameters::read(MediaType::Json, nested(levels).as_bytes());
            assert_eq!(read.err(), Some(RequestError::MalformedBody), "{levels}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", json(r#"{"client_secret":"canary"}"#)), "Parameters { .. }");
    }
}
