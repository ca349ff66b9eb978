//! Owns: `[shared]`, compiled.
//! Refuses: servers that are reached in another way than by TCP; certificates that nobody verifies; a URL in a message.
//! Always holds: what is wrong with the URL is told without showing any of it.

use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo as _};
use url::Url;

use crate::{
    config::SharedConfig,
    diagnostic::{Diagnostics, KeyPath},
    secret::Secret,
};

/// The longest prefix.
const MOST_PREFIX_BYTES: usize = 64;
/// The longest that a request may wait for the server.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What is written into the configuration.
const FORMS: &str = "write \"redis://host:6379/0\", or \"rediss://host:6379/0\" for TLS, with user:password@ before the host if need be";

/// Where replicas count together, and how long is waited for it.
#[derive(Clone, Debug)]
pub struct SharedSettings {
    url: Secret,
    timeout: Duration,
    prefix: String,
}

impl SharedSettings {
    /// Compiles `[shared]`.
    pub fn compile(raw: &SharedConfig, diagnostics: &mut Diagnostics) -> Option<Self> {
        let at = KeyPath::of(&["shared"]);
        let errors_before = diagnostics.error_count();
        let SharedConfig { redis, timeout, prefix } = raw;
        let settings = Self { url: redis.secret().clone(), timeout: timeout.0, prefix: prefix.clone() };
        if let Err(message) = settings.judge_url() {
            diagnostics.error(&at.key("redis"), message, FORMS);
        }
        if timeout.0.is_zero() || timeout.0 > LONGEST_TIMEOUT {
            let remedy = "write a duration from \"1ms\" to \"10s\": requests wait so long for the server at most";
            diagnostics.error(&at.key("timeout"), format!("`{timeout}` is no time to wait for the server"), remedy);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if prefix.is_empty() || prefix.len() > MOST_PREFIX_BYTES || !prefix.bytes().all(plain) {
            let remedy = "write 1 to 64 letters, digits, `-`, `_`, `.` or `:`, like \"postern\"";
            diagnostics.error(&at.key("prefix"), "names of keys cannot begin with this", remedy);
        }
        (diagnostics.error_count() == errors_before).then_some(settings)
    }

    fn judge_url(&self) -> Result<(), &'static str> {
        let url = Url::parse(self.url.expose()).map_err(|_| "this is no URL")?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err("this is not the URL of a Redis server");
        }
        if url.fragment().is_some() {
            return Err("this URL has a `#`: certificates are always verified, and nothing else stands there");
        }
        self.connection_info().map(drop).ok_or("this URL does not say where a Redis server is")
    }

    /// Where to connect to, as the driver reads the URL.
    pub(super) fn connection_info(&self) -> Option<ConnectionInfo> {
        self.url.expose().into_connection_info().ok()
    }

    /// How long an answer is waited for.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A name with the prefix of all names.
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix)
    }
}

impl PartialEq for SharedSettings {
    fn eq(&self, other: &Self) -> bool {
        self.timeout == other.timeout && self.prefix == other.prefix && self.url.matches(other.url.expose())
    }
}

impl Eq for SharedSettings {}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(toml: serde_json::Value) -> Result<SharedSettings, Vec<String>> {
        let mut diagnostics = Diagnostics::new();
        let raw: SharedConfig = serde_json::from_value(toml).unwrap();
        SharedSettings::compile(&raw, &mut diagnostics)
            .ok_or_else(|| diagnostics.iter().map(|entry| format!("{}: {}", entry.path, entry.message)).collect())
    }

    #[test]
    fn a_url_is_redis_or_rediss_and_never_shown() {
        for good in ["redis://h:6379/0", "redis://h", "rediss://user:canary@h:6380/1", "redis://:canary@[::1]:6379"] {
            let settings = compile(serde_json::json!({ "redis": good })).unwrap();
            assert_eq!(
                (settings.timeout, settings.full_name("a")),
                (Duration::from_millis(20), "postern:a".to_owned())
            );
            assert!(!format!("{settings:?}").contains("canary"));
        }
        for bad in [
            "canary",
            "http://canary@h/",
            "unix:///canary",
            "redis+unix:///canary",
            "redis:///canary",
            "rediss://canary@h/#insecure",
            "redis://canary@h/x",
        ] {
            let told = compile(serde_json::json!({ "redis": bad })).unwrap_err();
            assert!(told.len() == 1 && told[0].starts_with("shared.redis: "), "{bad}: {told:?}");
            assert!(!told[0].contains("canary"), "{told:?}");
        }
    }

    #[test]
    fn everything_else_has_bounds() {
        let compiled = |timeout: &str, prefix: &str| {
            compile(serde_json::json!({ "redis": "redis://h", "timeout": timeout, "prefix": prefix }))
        };
        assert!(compiled("1ms", "a:b-c_d.e").is_ok() && compiled("10s", "p").is_ok());
        let told = compiled("0s", "").unwrap_err();
        assert!(told.len() == 2 && told[0].starts_with("shared.timeout") && told[1].starts_with("shared.prefix"));
        assert!(
            compiled("11s", "p").is_err() && compiled("1s", "a b").is_err() && compiled("1s", &"a".repeat(65)).is_err()
        );
    }

    #[test]
    fn settings_are_the_same_only_if_all_of_them_are() {
        let one = compile(serde_json::json!({ "redis": "redis://h" })).unwrap();
        assert_eq!(one, one.clone());
        for other in [
            serde_json::json!({ "redis": "redis://i" }),
            serde_json::json!({ "redis": "redis://h", "prefix": "x" }),
            serde_json::json!({ "redis": "redis://h", "timeout": "1s" }),
        ] {
            assert_ne!(one, compile(other).unwrap());
        }
    }
}
