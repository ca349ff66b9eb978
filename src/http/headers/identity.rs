//! Owns: the names of fields that nobody outside may set: those that tell an upstream who calls, and those that tell it
//! another method, path or peer than the gateway decided by.
//! Refuses: every alias: a name is compared in lower case with `_` and `.` read as `-`.
//! Always holds: a field that is not on the list costs one look at its length and, rarely, a comparison.

use http::HeaderName;

use crate::http::Fields;

/// Taken out of every request. Frameworks obey some of them, so a caller who may `GET` could `DELETE`, and one who may see
/// one path could see another.
const ALWAYS: [&str; 14] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-real-ip",
];

/// Kept under their own name, since other rooms read or rewrite them, but taken out under an alias.
const ALIASES_ONLY: [&str; 7] = [
    "content-length",
    "content-type",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// The names that are taken out of every request, compiled for a quick comparison.
#[derive(Clone, Debug)]
pub struct IdentityHeaderNames {
    /// Names by their length in bytes; aliases are as long as the name.
    by_length: Vec<Vec<Name>>,
}

impl IdentityHeaderNames {
    /// Compiles the list out of the names that any route uses to tell its upstream about the caller. They are taken out
    /// of all requests, on every route: an upstream behind two routes could not tell which of them let a field through.
    #[must_use]
    pub fn new<'a>(identity: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mut names = Self { by_length: Vec::new() };
        for name in ALIASES_ONLY {
            names.add(name, true);
        }
        for name in ALWAYS {
            names.add(name, false);
        }
        for name in identity {
            names.add(name.as_str(), false);
        }
        names
    }

    /// The same list with all aliases of `name`, which an upstream could not tell from it. `name` itself is kept, unless it is on
    /// the list already.
    #[must_use]
    pub fn and_aliases_of(mut self, name: &HeaderName) -> Self {
        if !self.contains(name) {
            self.add(name.as_str(), true);
        }
        self
    }

    /// Whether a field of this name, or one of which this is an alias, is taken out.
    #[must_use]
    pub fn contains(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        let candidates = self.by_length.get(name.len());
        candidates.is_some_and(|candidates| candidates.iter().any(|candidate| candidate.covers(name)))
    }

    /// Takes them out of `fields`.
    pub fn strip(&self, fields: &mut Fields) {
        fields.keep(|name| !self.contains(name));
    }

    fn add(&mut self, name: &str, alias_only: bool) {
        let folded: Box<[u8]> = name.bytes().map(fold).collect();
        if self.by_length.len() <= folded.len() {
            self.by_length.resize_with(folded.len() + 1, Vec::new);
        }
        if let Some(names) = self.by_length.get_mut(folded.len()) {
            names.retain(|known| known.folded != folded);
            names.push(Name { folded, alias_only });
        }
    }
}

#[derive(Clone, Debug)]
struct Name {
    folded: Box<[u8]>,
    alias_only: bool,
}

impl Name {
    fn covers(&self, name: &[u8]) -> bool {
        // Nearly always it is the name itself, or another one from its first letter on.
        if *self.folded == *name {
            return !self.alias_only;
        }
        self.folded.iter().zip(name).all(|(&folded, &byte)| folded == fold(byte))
    }
}

/// What a name's byte is to an upstream that makes a variable out of the name (RFC 3875 section 4.1.18).
const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn left(identity: &[&str], fields: &[&str]) -> Vec<String> {
        let identity: Vec<HeaderName> = identity.iter().map(|name| name.parse().unwrap()).collect();
        let spoofed = |name: &&str| (name.parse().unwrap(), HeaderValue::from_static("spoofed"));
        let mut fields: Fields = fields.iter().map(spoofed).collect();
        IdentityHeaderNames::new(&identity).strip(&mut fields);
        fields.names().map(ToString::to_string).collect()
    }

    #[test]
    fn identity_headers_go_under_every_alias() {
        let aliases = ["X_Client_Id", "X.Client.Id", "x-client-id", "X-Client_id", "x-client-id", "x.client-id"];
        assert_eq!(left(&["x-client-id"], &aliases), [""; 0]);
        assert_eq!(left(&["X_Client_Id"], &aliases), [""; 0], "the configured name is folded too");
        assert_eq!(left(&["x-client-id"], &["x-client-ip", "xclientid", "x-client-id-2"]).len(), 3);
    }

    #[test]
    fn what_overrides_method_or_path_goes() {
        assert_eq!(left(&[], &["X-HTTP-Method-Override", "x_original_url", "X-Rewrite-URL", "x-real-ip"]), [""; 0]);
    }

    #[test]
    fn fields_of_other_rooms_go_only_under_an_alias() {
        let kept = ["x-forwarded-for", "x-request-id", "content-length"];
        assert_eq!(left(&[], &kept), kept);
        assert_eq!(left(&[], &["x_forwarded_for", "X.Request.Id", "content_length", "transfer_encoding"]), [""; 0]);
        assert_eq!(left(&["x-request-id"], &["x-request-id"]), [""; 0], "a route's word counts more");
    }

    #[test]
    fn aliases_of_one_more_name_go() {
        let key = HeaderName::from_static("x-api-key");
        let taken_out = |names: &IdentityHeaderNames, field: &str| names.contains(&field.parse().unwrap());
        let without = IdentityHeaderNames::new([]);
        let with = without.clone().and_aliases_of(&key);
        for alias in ["X_API_Key", "x.api.key", "x-api_key"] {
            assert!(taken_out(&with, alias) && !taken_out(&without, alias), "{alias}");
        }
        assert!(!taken_out(&with, "X-API-Key"));
        let identity = IdentityHeaderNames::new([&key]).and_aliases_of(&key);
        assert!(taken_out(&identity, "x-api-key"), "a route's word counts more");
    }
}
