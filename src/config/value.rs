//! Owns: the small vocabularies of values: durations, sizes, secrets, file names, one-or-many, claim values.
//! Refuses: a value that does not say its unit; a secret that prints itself.
//! Always holds: each of them reads from TOML with an error that says what to write, and serializes back (a secret as
//! `"[redacted]"`).

use std::{fmt, marker::PhantomData, path::PathBuf, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, SeqAccess, Visitor},
};

use super::secret_source::FoundSecret;
use crate::secret::Secret;

/// A length of time, written `"250ms"`, `"30s"`, `"10m"`, `"24h"` or `"90d"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// So many whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `"30s"`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remedy = || format!("`{text}` is not a duration: write a whole number and ms, s, m, h or d, like \"30s\"");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| remedy())?;
        let milliseconds_each = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(remedy()),
        };
        let milliseconds = number.checked_mul(milliseconds_each).ok_or_else(remedy)?;
        Ok(Self(Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (each, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")] {
            if milliseconds >= each && milliseconds.is_multiple_of(each) {
                return write!(formatter, "{}{unit}", milliseconds / each);
            }
        }
        if milliseconds == 0 { formatter.write_str("0s") } else { write!(formatter, "{milliseconds}ms") }
    }
}

/// A number of bytes, written `"512B"`, `"64KiB"`, `"10MiB"` or `"1GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many times 1024 bytes.
    #[must_use]
    pub const fn from_kibibytes(kibibytes: u64) -> Self {
        Self(kibibytes.saturating_mul(1024))
    }

    /// Reads `"64KiB"`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let remedy = || format!("`{text}` is not a size: write a whole number and B, KiB, MiB or GiB, like \"64KiB\"");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| remedy())?;
        let bytes_each = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(remedy()),
        };
        number.checked_mul(bytes_each).map(Self).ok_or_else(remedy)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (each, unit) in [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= each && self.0.is_multiple_of(each) {
                return write!(formatter, "{}{unit}", self.0 / each);
            }
        }
        write!(formatter, "{}B", self.0)
    }
}

/// A share, written `"0%"` to `"100%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(pub u8);

impl Percent {
    /// Reads `"20%"`.
    ///
    /// # Errors
    /// A sentence that says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let hundredths = digits.and_then(|digits| digits.parse().ok()).filter(|hundredths| *hundredths <= 100);
        hundredths.map(Self).ok_or_else(|| format!("`{text}` is not a share: write \"0%\" to \"100%\""))
    }

    /// So many hundredths of `whole`, rounded down.
    #[must_use]
    pub fn of(self, whole: usize) -> usize {
        whole.saturating_mul(usize::from(self.0)) / 100
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", self.0)
    }
}

macro_rules! text_value {
    ($type:ident, $expecting:literal, $pattern:literal, $description:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;
                impl Visitor<'_> for TextVisitor {
                    type Value = $type;
                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expecting)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        $type::parse(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(TextVisitor)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}

text_value!(HumanDuration, "a duration like \"30s\"", "^[0-9]+(ms|s|m|h|d)$", "A duration, like \"30s\".");
text_value!(Percent, "a share like \"20%\"", "^(100|[0-9]{1,2})%$", "A share, like \"20%\".");
text_value!(ByteSize, "a size like \"64KiB\"", "^[0-9]+(B|KiB|MiB|GiB)$", "A size, like \"64KiB\".");

/// A file, given relative to the configuration file that names it; absolute once loaded.
///
/// The loader resolves it: it knows the name of this newtype (see [`FilePath::NEWTYPE`]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename = "postern::FilePath")]
#[schemars(rename = "FilePath")]
pub struct FilePath(pub PathBuf);

impl FilePath {
    /// The name under which serde announces this newtype to the loader.
    pub const NEWTYPE: &'static str = "postern::FilePath";
}

/// A secret: written in place, or `{ env = "VAR" }`, or `{ file = "path" }`; read by the loader from wherever it is.
#[derive(Clone, Debug)]
pub struct SecretConfig {
    origin: SecretOrigin,
    secret: Secret,
}

/// Where a secret was read from; safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretOrigin {
    /// Written in the configuration, or put there by `${VAR}`.
    Inline,
    /// In an environment variable.
    Environment(String),
    /// In a file, whose one trailing line break is not part of the secret.
    File(FilePath),
}

impl SecretConfig {
    /// The name under which serde announces a secret to the loader, which reads it from wherever it is.
    pub const NEWTYPE: &'static str = "postern::Secret";

    /// A secret that was read from `origin`.
    #[must_use]
    pub const fn new(origin: SecretOrigin, secret: Secret) -> Self {
        Self { origin, secret }
    }

    /// The secret.
    #[must_use]
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Where it was read from.
    #[must_use]
    pub const fn origin(&self) -> &SecretOrigin {
        &self.origin
    }
}

impl Serialize for SecretConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        match &self.origin {
            SecretOrigin::Inline => serializer.serialize_str("[redacted]"),
            SecretOrigin::Environment(variable) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("env", variable)?;
                map.end()
            }
            SecretOrigin::File(path) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("file", path)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for SecretConfig {
    /// The loader announces itself by handing over three strings: the kind of origin, the origin, the secret. Any other
    /// deserializer can give a string only.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;
        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = SecretConfig;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a secret")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<SecretConfig, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_str<E: de::Error>(self, secret: &str) -> Result<SecretConfig, E> {
                Ok(SecretConfig::new(SecretOrigin::Inline, Secret::new(secret.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<SecretConfig, A::Error> {
                let mut part = || parts.next_element::<String>()?.ok_or_else(|| de::Error::invalid_length(0, &self));
                let (kind, origin, secret) = (part()?, part()?, part()?);
                let origin = match kind.as_str() {
                    FoundSecret::ENVIRONMENT => SecretOrigin::Environment(origin),
                    FoundSecret::FILE => SecretOrigin::File(FilePath(origin.into())),
                    _ => SecretOrigin::Inline,
                };
                Ok(SecretConfig::new(origin, Secret::new(secret)))
            }
        }
        deserializer.deserialize_newtype_struct(Self::NEWTYPE, SecretVisitor)
    }
}

impl JsonSchema for SecretConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str| {
            json_schema!({
                "type": "object", "properties": { key: { "type": "string" } },
                "required": [key], "additionalProperties": false
            })
        };
        json_schema!({ "anyOf": [{ "type": "string" }, one("env"), one("file")] })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OneOrMany<T>(pub Vec<T>);

impl<T> OneOrMany<T> {
    /// The values, in the order in which they are written.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrManyVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("one value or a list of them")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(text.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
                T::deserialize(flag.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = sequence.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMany(values))
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// What a claim is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClaimValue {
    /// A JSON string, equal byte for byte.
    Text(String),
    /// A JSON integer.
    Integer(i64),
    /// A JSON boolean.
    Boolean(bool),
}

impl fmt::Display for ClaimValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Boolean(flag) => write!(formatter, "{flag}"),
        }
    }
}

impl Serialize for ClaimValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Boolean(flag) => serializer.serialize_bool(*flag),
        }
    }
}

impl<'de> Deserialize<'de> for ClaimValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ClaimVisitor;
        impl Visitor<'_> for ClaimVisitor {
            type Value = ClaimValue;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, an integer or a boolean")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ClaimValue, E> {
                Ok(ClaimValue::Text(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<ClaimValue, E> {
                Ok(ClaimValue::Integer(number))
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<ClaimValue, E> {
                Ok(ClaimValue::Boolean(flag))
            }
        }
        deserializer.deserialize_any(ClaimVisitor)
    }
}

impl JsonSchema for ClaimValue {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ClaimValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}
