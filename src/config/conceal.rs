//! Owns: finding what looks like a secret in the text of a file, so that a line can be shown without it.
//! Refuses: relying on the file being right: `secrett = "..."` and a missing quote hide the value too.
//! Always holds: it hides too much rather than too little, and only ever hides values.

use std::{collections::HashMap, ops::Range};

/// The bytes of `text` that are not to be shown: values of keys that are, or are nearly, called a secret, and passwords in
/// URLs.
pub(super) fn secrets_in(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan { text, at: 0, found: Vec::new(), judged: HashMap::new() };
    scan.document();
    scan.found
}

/// Whether the value of a key of this name is likely to be a secret.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let length = key.chars().count();
    ["secret", "passw", "credential", "api_key", "apikey"].iter().any(|part| key.contains(part))
        // A word is at least as far from another as their lengths are; most keys are names of routes, and long.
        || (length.abs_diff("secret".len()) <= 2 && strsim::damerau_levenshtein(&key, "secret") <= 2)
        || (length.abs_diff("token".len()) <= 1 && strsim::damerau_levenshtein(&key, "token") <= 1)
}

/// Whether a key says where a secret is, and not what it is.
fn names_an_origin(key: &str) -> bool {
    matches!(key, "env" | "file")
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Range<usize>>,
    /// Keys that were judged before: a long file has few different ones.
    judged: HashMap<&'a str, bool>,
}

impl<'a> Scan<'a> {
    fn document(&mut self) {
        let mut last_word = 0..0;
        let mut secret_table = false;
        let mut line_begins = true;
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => self.skip_line(),
                b'[' if line_begins => secret_table = self.header(),
                b'=' => {
                    self.at += 1;
                    let key = self.text.get(last_word.clone()).unwrap_or_default();
                    if self.is_secret(key) || (secret_table && !names_an_origin(key)) {
                        self.conceal_value();
                    }
                }
                b'"' | b'\'' => last_word = self.string(),
                byte if is_bare(byte) => last_word = self.word(),
                b'\n' => {
                    last_word = 0..0;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            line_begins = byte == b'\n' || (line_begins && matches!(byte, b' ' | b'\t'));
        }
    }

    /// Whether the header that begins here ends in a secret's name.
    fn header(&mut self) -> bool {
        let mut last_word = 0..0;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' | b'#' | b'=' => break,
                b']' => {
                    self.at += 1;
                    break;
                }
                b'"' | b'\'' => last_word = self.string(),
                byte if is_bare(byte) => last_word = self.word(),
                _ => self.at += 1,
            }
        }
        self.text.get(last_word).is_some_and(|name| self.is_secret(name))
    }

    fn is_secret(&mut self, key: &'a str) -> bool {
        *self.judged.entry(key).or_insert_with(|| names_a_secret(key))
    }

    /// Conceals the value that begins here, and everything in it if it is a table or a list.
    fn conceal_value(&mut self) {
        let mut depth = 0usize;
        let mut names_origin = false;
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if depth == 0 => return,
                b'#' => self.skip_line(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' | b',' => {
                    depth = depth.saturating_sub(usize::from(byte != b','));
                    names_origin = false;
                    self.at += 1;
                    if depth == 0 {
                        return;
                    }
                }
                byte if is_bare(byte) || matches!(byte, b'"' | b'\'') => {
                    let part = if is_bare(byte) { self.word() } else { self.string() };
                    if depth > 0 && self.next_is(&['=', '.']) {
                        names_origin = self.text.get(part).is_some_and(names_an_origin);
                    } else if !names_origin {
                        self.found.push(part);
                    }
                    if depth == 0 {
                        return self.conceal_remains();
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Conceals what is left on the line behind a value that does not end where it should.
    fn conceal_remains(&mut self) {
        if !self.next_is(&[',', '}', ']', '#', '\r', '\n']) {
            let start = self.at;
            self.skip_line();
            self.found.push(start..self.at);
        }
    }

    /// Whether the next character that is no blank is one of `characters`.
    fn next_is(&self, characters: &[char]) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.trim_start_matches([' ', '\t']).starts_with(characters)
    }

    /// Steps over the string that begins here; the bytes between its quotes. One that is not closed ends with its line.
    fn string(&mut self) -> Range<usize> {
        let quote = self.peek().unwrap_or_default();
        let multi_line = self.text.as_bytes().get(self.at..self.at + 3).is_some_and(|three| three == [quote; 3]);
        let width = if multi_line { 3 } else { 1 };
        self.at += width;
        let start = self.at;
        let may_end = |byte: u8| byte == quote || matches!(byte, b'\\' | b'\n');
        let end = loop {
            self.skip_until(may_end);
            match self.peek() {
                None => break self.at,
                Some(b'\n') if !multi_line => break self.at,
                Some(b'\\') if quote == b'"' => {
                    self.at += 1;
                    self.at += usize::from(self.peek().is_some_and(|escaped| escaped != b'\n'));
                }
                Some(byte) if byte == quote => {
                    let closed = self
                        .text
                        .as_bytes()
                        .get(self.at..self.at + width)
                        .is_some_and(|end| end.iter().all(|byte| *byte == quote));
                    if closed {
                        let end = self.at;
                        self.at += width;
                        break end;
                    }
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        };
        let end = end.min(self.text.len());
        self.password(start..end);
        start..end
    }

    /// Conceals the password of a URL in the string.
    fn password(&mut self, string: Range<usize>) {
        let Some(url) = self.text.get(string.clone()).filter(|text| text.as_bytes().contains(&b':')) else { return };
        let Some((scheme, rest)) = url.split_once("://") else { return };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((user, _)) = authority.rsplit_once('@') else { return };
        if let Some((name, password)) = user.split_once(':') {
            let start = string.start + scheme.len() + 3 + name.len() + 1;
            self.found.push(start..start + password.len());
        }
    }

    fn word(&mut self) -> Range<usize> {
        let start = self.at;
        self.skip_until(|byte| !is_bare(byte));
        start..self.at
    }

    fn skip_line(&mut self) {
        self.skip_until(|byte| byte == b'\n');
    }

    /// Steps to the next byte that is `wanted`, or to the end.
    fn skip_until(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| wanted(*byte)).unwrap_or(rest.len());
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// What a bare key, or a bare value, is made of. Characters beyond ASCII count: the word is wrong, but still a word.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b':') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for range in secrets_in(text) {
            bytes[range].fill(b'*');
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn what_is_called_a_secret_is_hidden_however_it_is_written() {
        for text in [
            "secret = \"canary\"",
            "secrett = \"canary\"",
            "sercet = 'canary'",
            "admin.token = \"canary\"",
            "\"secret\" = \"canary\"",
            "tokn = \"\"\"\nca\\\"nary\ncanary\"\"\"",
            "secret = \"canary",
            "secret = canary",
            "secret = \"pass\"canary\"",
            "secret = { value = \"canary\" }",
            "secret = [\"canary\",\n 'canary']",
            "secret = { env = \"A\", value = \"canary\" }",
            "billing = { grants = 5, secret = \"canary\", scopes = [] }",
            "[clients.billing.secret]\nvalue = \"canary\"",
            "[a.secret\nvalue = \"canary\"",
            "introspection = { client_secret = \"canary\" }",
            "store = \"postgres://user:canary@host/db\"",
            "password=\"canary\"",
            "x = \"a\\\\\"\nsecret = \"canary\"",
            "x = \"open\nsecret = \"canary\"",
            "x = '\\'\nsecret = \"canary\"",
        ] {
            assert!(!shown(text).contains("canary"), "{text} is shown as {}", shown(text));
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for text in [
            "path = \"/v1\" # secret = of success",
            "token_lifetime = \"1h\"",
            "token = { env = \"ADMIN_TOKEN\" }",
            "[clients.a]\nsecret = { file = \"a.secret\" }\ngrants = { a = [\"b\"] }",
            "private_key = \"tls/server.key\"",
            "url = \"http://host:80/a@b\"",
        ] {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("a = { secret = \"x\", grnats = 5 }"), "a = { secret = \"*\", grnats = 5 }");
    }

    proptest! {
        #[test]
        fn ranges_lie_in_the_text(text in "(secret|token|=|\"|'|[{]|[}]|\\[|\\]|\n|#|://|@|:|\\\\|ä|.)*") {
            for range in secrets_in(&text) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }
}
