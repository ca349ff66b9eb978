//! Owns: reading a secret from where it is: in place, in an environment variable, in a file.
//! Refuses: empty secrets, secrets in other forms, files over 64 KiB.
//! Always holds: no problem that it reports holds a value: not the secret, and not what was found in its place.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::de::{self, Visitor, value::SeqDeserializer};

use super::{
    contents::Contents,
    environment::Environment,
    fault::Fault,
    tree::{Node, Value},
};

/// The largest secret file.
const SECRET_BYTES_LIMIT: u64 = 64 * 1024;

/// The remedy of most problems.
const FORMS: &str = "write the secret as { env = \"VAR\" }, { file = \"path\" } or a string in quotes";

/// A secret and where it was found, on its way to [`super::SecretConfig`], which reads it as three strings.
pub(super) struct FoundSecret {
    kind: &'static str,
    origin: String,
    secret: String,
}

/// Why there is no secret.
pub(super) struct Unfound {
    /// The key of the secret's table that is wrong.
    pub(super) key: Option<String>,
    pub(super) message: String,
    pub(super) remedy: String,
}

impl FoundSecret {
    /// What a secret written in place is called.
    pub(super) const INLINE: &'static str = "inline";
    /// What one from the environment is called.
    pub(super) const ENVIRONMENT: &'static str = "env";
    /// What one from a file is called.
    pub(super) const FILE: &'static str = "file";

    /// What stands in for a secret that could not be found, in a configuration that is not applied.
    pub(super) const fn none() -> Self {
        Self { kind: Self::INLINE, origin: String::new(), secret: String::new() }
    }

    /// Reads the secret at `node`. The file that it is in, if it is in one, is added to `files` even if it cannot be read.
    pub(super) fn find(
        node: &Node,
        environment: &dyn Environment,
        absolute: &dyn Fn(usize, &str) -> Result<String, Fault>,
        files: &mut BTreeMap<PathBuf, Contents>,
    ) -> Result<Self, Unfound> {
        let table = match &node.value {
            Value::Text(secret) if secret.is_empty() => return Err(Unfound::new("this secret is empty", FORMS)),
            Value::Text(secret) => {
                return Ok(Self { kind: Self::INLINE, origin: String::new(), secret: secret.clone() });
            }
            Value::Table(table) => table,
            _ => return Err(Unfound::new("this is no secret", FORMS)),
        };
        let mut entries = table.iter();
        let (Some((key, origin)), None) = (entries.next(), entries.next()) else {
            return Err(Unfound::new("a secret's table has exactly one key: `env` or `file`", FORMS));
        };
        let at_key = |unfound: Unfound| Unfound { key: Some(key.clone()), ..unfound };
        let Value::Text(name) = &origin.value else {
            return Err(at_key(Unfound::new("this does not say where the secret is", FORMS)));
        };
        match key.as_str() {
            Self::ENVIRONMENT => Self::from_environment(name, environment).map_err(at_key),
            Self::FILE => {
                let path = absolute(origin.span.file, name)
                    .map_err(|_| at_key(Unfound::new("this is no file name that can be used", FORMS)))?;
                files.insert(PathBuf::from(&path), Contents::of(Path::new(&path)));
                let secret = read(Path::new(&path)).map_err(|error| at_key(error.into()))?;
                Ok(Self { kind: Self::FILE, origin: path, secret })
            }
            _ => Err(at_key(Unfound::new("a secret is found by `env` or `file`", FORMS))),
        }
    }

    fn from_environment(name: &str, environment: &dyn Environment) -> Result<Self, Unfound> {
        match environment.variable(name) {
            Some(secret) if !secret.is_empty() => Ok(Self { kind: Self::ENVIRONMENT, origin: name.to_owned(), secret }),
            Some(_) => Err(Unfound::new("this environment variable is empty", "put the secret into it")),
            None => Err(Unfound::new("this environment variable is not set", "set it to the secret")),
        }
    }
}

impl Unfound {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key: None, message: message.into(), remedy: remedy.into() }
    }
}

#[derive(Debug, thiserror::Error)]
enum SecretFileError {
    #[error("this secret file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("this secret file is larger than 64 KiB")]
    TooLarge,
    #[error("this secret file is not UTF-8")]
    NotUtf8,
    #[error("this secret file is empty")]
    Empty,
}

impl From<SecretFileError> for Unfound {
    fn from(error: SecretFileError) -> Self {
        let remedy = match error {
            SecretFileError::Unreadable(_) => "name a file that this user may read",
            SecretFileError::TooLarge | SecretFileError::NotUtf8 | SecretFileError::Empty => {
                "put the secret into it, as one line of text"
            }
        };
        Self::new(error.to_string(), remedy)
    }
}

/// The secret in the file, without one line break at its end.
fn read(path: &Path) -> Result<String, SecretFileError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(SecretFileError::Unreadable)?;
    file.take(SECRET_BYTES_LIMIT + 1).read_to_end(&mut bytes).map_err(SecretFileError::Unreadable)?;
    if bytes.len() as u64 > SECRET_BYTES_LIMIT {
        return Err(SecretFileError::TooLarge);
    }
    let mut secret = String::from_utf8(bytes).map_err(|_| SecretFileError::NotUtf8)?;
    if secret.ends_with('\n') {
        secret.pop();
        if secret.ends_with('\r') {
            secret.pop();
        }
    }
    if secret.is_empty() { Err(SecretFileError::Empty) } else { Ok(secret) }
}

impl<'de> de::Deserializer<'de> for FoundSecret {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(SeqDeserializer::new([self.kind.to_owned(), self.origin, self.secret].into_iter()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
