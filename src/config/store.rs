//! `authorization_server.store`: where what must survive a restart is kept.

use std::{fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::secret::Secret;

/// A store: a file, or a database that several replicas share. The password in its URL is never shown.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// `sqlite:FILE`, made absolute.
    Sqlite(PathBuf),
    /// `postgres://...`.
    Postgres(Secret),
}

impl StoreConfig {
    /// The name under which serde announces a store to the loader.
    pub const NEWTYPE: &'static str = "postern::Store";
    /// What the URL of a SQLite file begins with.
    pub const SQLITE: &'static str = "sqlite:";

    /// Reads the URL of a store, in which a file is absolute already.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        match url.strip_prefix(Self::SQLITE) {
            Some("") => None,
            // `sqlite:///a/b` and `sqlite:/a/b` are the same file.
            Some(file) => Some(Self::Sqlite(file.strip_prefix("//").unwrap_or(file).into())),
            None => {
                let postgres = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
                postgres.then(|| Self::Postgres(Secret::new(url.to_owned())))
            }
        }
    }

    /// Whether whoever is between it and this program could read and change what passes: a database elsewhere whose certificate is
    /// not verified.
    #[must_use]
    pub fn trusts_the_network(&self) -> bool {
        let Self::Postgres(url) = self else { return false };
        let Ok(url) = url::Url::parse(url.expose()) else { return false };
        // A socket in the file system has no host, or is named by the query.
        let is_here = match url.host_str() {
            None | Some("" | "localhost" | "127.0.0.1" | "[::1]") => true,
            Some(host) => host.starts_with('/') || host.starts_with("%2F"),
        };
        let verified = url
            .query_pairs()
            .any(|(name, value)| matches!((&*name, &*value), ("sslmode" | "ssl-mode", "verify-ca" | "verify-full")));
        !is_here && !verified
    }

    /// Its URL without the password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(file) => format!("{}{}", Self::SQLITE, file.display()),
            Self::Postgres(url) => url::Url::parse(url.expose()).map_or_else(
                |_| "postgres://[redacted]".to_owned(),
                |mut url| {
                    // A query may name a password, too.
                    url.set_query(None);
                    if url.password().is_some() && url.set_password(Some("redacted")).is_err() {
                        return "postgres://[redacted]".to_owned();
                    }
                    url.to_string()
                },
            ),
        }
    }
}

impl PartialEq for StoreConfig {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(own), Self::Sqlite(other)) => own == other,
            (Self::Postgres(own), Self::Postgres(other)) => own.matches(other.expose()),
            _ => false,
        }
    }
}

impl Serialize for StoreConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

impl<'de> Deserialize<'de> for StoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct UrlVisitor;
        impl<'de> Visitor<'de> for UrlVisitor {
            type Value = StoreConfig;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("\"sqlite:FILE\" or \"postgres://...\"")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<StoreConfig, D::Error> {
                deserializer.deserialize_any(self)
            }
            fn visit_str<E: de::Error>(self, url: &str) -> Result<StoreConfig, E> {
                StoreConfig::parse(url)
                    .ok_or_else(|| E::custom("this is no store: write \"sqlite:FILE\" or \"postgres://...\""))
            }
        }
        deserializer.deserialize_newtype_struct(Self::NEWTYPE, UrlVisitor)
    }
}

impl JsonSchema for StoreConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Store".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(sqlite:|postgres(ql)?://)." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_elsewhere_should_be_verified() {
        for (url, trusts) in [
            ("sqlite:/data/postern.db", false),
            ("postgres://a:b@localhost/x", false),
            ("postgres://a:b@127.0.0.1:5432/x?sslmode=disable", false),
            ("postgres:///x?host=/run/postgresql", false),
            ("postgres://a:b@db.example/x", true),
            ("postgres://a:b@db.example/x?sslmode=require", true),
            ("postgres://a:b@db.example/x?sslmode=verify-ca", false),
            ("postgresql://a:b@db.example/x?sslmode=verify-full&sslrootcert=/ca.pem", false),
        ] {
            assert_eq!(StoreConfig::parse(url).unwrap().trusts_the_network(), trusts, "{url}");
        }
    }
}
