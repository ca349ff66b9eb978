//! Owns: what deserves a second look in a token.
//! Refuses: judging whether it is good: that takes its issuer's keys and a route.
//! Always holds: a finding says what is there and why it matters, and quotes at most names and short values.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    read::ReadToken,
    time::{length, numeric_date},
};
use crate::{
    clock::UnixTime,
    jose::{Algorithm, CompactJws},
};

/// A token that lives longer than this cannot be called short-lived.
const LONG_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest value of a header that common servers accept by default, about.
const LARGE_TOKEN_BYTES: usize = 4 * 1024;

/// The claims that an access token must have (RFC 9068 section 2.2).
const ACCESS_TOKEN_CLAIMS: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];

/// Everything unusual about a token, the most serious first.
pub(super) fn findings(read: &ReadToken, token: &str, now: UnixTime) -> Vec<String> {
    let mut findings = Vec::new();
    if let Err(error) = CompactJws::parse(token) {
        findings.push(format!("Postern would refuse it at sight: {error}"));
    }
    header(&read.header, &mut findings);
    times(&read.claims, now, &mut findings);
    names(&read.claims, &mut findings);
    scopes(&read.claims, &mut findings);
    kind(read, &mut findings);
    if token.len() > LARGE_TOKEN_BYTES {
        findings.push(format!("it has {} bytes: many servers accept no header that long", token.len()));
    }
    findings
}

fn header(header: &Map<String, Value>, findings: &mut Vec<String>) {
    match header.get("alg").and_then(Value::as_str) {
        None => findings.push("no `alg`: nobody can tell how it is signed".to_owned()),
        Some(none) if none.eq_ignore_ascii_case("none") => {
            findings.push("`alg` is none: it is not signed, and anybody could have written it".to_owned());
        }
        Some("HS256" | "HS384" | "HS512") => {
            findings.push("`alg` is symmetric: whoever can verify it can also make such tokens".to_owned());
        }
        Some(name) if Algorithm::from_name(name).is_none() => {
            findings.push(format!("`alg` is {}, which Postern does not verify", short(name)));
        }
        Some(_) => {}
    }
    match header.get("typ").map(Value::as_str) {
        None => findings.push("no `typ`: it does not say what kind of token it is (RFC 8725 section 3.11)".to_owned()),
        Some(Some(name)) if is_access_token_type(name) || name.eq_ignore_ascii_case("JWT") => {}
        Some(Some(name)) => findings.push(format!("`typ` is {}, not that of an access token", short(name))),
        Some(None) => findings.push("`typ` is not a string".to_owned()),
    }
    if !header.contains_key("kid") {
        findings.push("no `kid`: it can be verified only while its issuer has one fitting key".to_owned());
    }
    for member in ["jwk", "jku", "x5u", "x5c"] {
        if header.contains_key(member) {
            findings.push(format!("the header brings its own key (`{member}`): whoever believes it believes anybody"));
        }
    }
    for member in ["crit", "b64", "zip"] {
        if header.contains_key(member) {
            findings.push(format!("the header has `{member}`, which changes how the token is to be read"));
        }
    }
    if header.get("cty").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case("JWT")) {
        findings.push("`cty` is JWT: the claims are said to be another token".to_owned());
    }
}

fn times(claims: &Map<String, Value>, now: UnixTime, findings: &mut Vec<String>) {
    let now = i64::try_from(now.as_seconds()).unwrap_or(i64::MAX);
    let mut time = |claim: &str| {
        let value = claims.get(claim)?;
        let seconds = numeric_date(value);
        if seconds.is_none() {
            findings.push(format!("`{claim}` is not a number of seconds"));
        }
        seconds
    };
    let (expires_at, not_before, issued_at) = (time("exp"), time("nbf"), time("iat"));
    if !claims.contains_key("exp") {
        findings.push("no `exp`: it never ends, and Postern refuses it".to_owned());
    }
    if expires_at.is_some_and(|expires_at| expires_at <= now) {
        findings.push("it has expired".to_owned());
    }
    if not_before.is_some_and(|not_before| not_before > now) {
        findings.push("it is not good yet (`nbf`)".to_owned());
    }
    match issued_at {
        None if !claims.contains_key("iat") => findings.push("no `iat`: its age is unknown".to_owned()),
        Some(issued_at) if issued_at > now => findings.push("it was issued in the future (`iat`)".to_owned()),
        _ => {}
    }
    if let (Some(issued_at), Some(expires_at)) = (issued_at.or(not_before), expires_at) {
        let life = Duration::from_secs(expires_at.abs_diff(issued_at));
        if expires_at <= issued_at {
            findings.push("it ends before it begins (`exp` and `iat`)".to_owned());
        } else if life > LONG_LIFE {
            findings.push(format!("it lives for {}: whoever steals it can use it that long", length(life)));
        }
    }
}

fn names(claims: &Map<String, Value>, findings: &mut Vec<String>) {
    for (claim, meaning) in [("iss", "who issued it"), ("sub", "whom it is about")] {
        match claims.get(claim) {
            None => findings.push(format!("no `{claim}`: it does not say {meaning}")),
            Some(Value::String(_)) => {}
            Some(_) => findings.push(format!("`{claim}` is not a string")),
        }
    }
    match claims.get("aud") {
        None => findings
            .push("no `aud`: it is meant for nobody in particular, so anybody may take it for theirs".to_owned()),
        Some(Value::String(_)) => {}
        Some(Value::Array(audiences)) if audiences.iter().all(Value::is_string) => match audiences.len() {
            0 => findings.push("`aud` is an empty list: it is meant for nobody".to_owned()),
            1 => findings.push("`aud` is a list of one, which some resource servers do not understand".to_owned()),
            several => findings.push(format!("`aud` lists {several} audiences: each can use it at the others")),
        },
        Some(_) => findings.push("`aud` is neither a string nor a list of strings".to_owned()),
    }
}

fn scopes(claims: &Map<String, Value>, findings: &mut Vec<String>) {
    let present: Vec<&str> =
        ["scope", "scp", "scopes"].into_iter().filter(|claim| claims.contains_key(*claim)).collect();
    if present.is_empty() {
        findings.push("no scope of any form: it fits only routes that ask for none".to_owned());
    }
    if present.len() > 1 {
        findings.push(format!("scopes are in several claims at once: {}", present.join(", ")));
    }
    for claim in present {
        match claims.get(claim) {
            Some(Value::String(_)) if claim == "scope" => {}
            Some(Value::String(_) | Value::Array(_)) => findings.push(format!(
                "scopes are in `{claim}`{}, not in `scope` as one string (RFC 9068 section 2.2.3)",
                if claims.get(claim).is_some_and(Value::is_array) { " as a list" } else { "" },
            )),
            _ => findings.push(format!("`{claim}` is neither a string nor a list")),
        }
    }
}

/// What kind of token it says it is, and whether it has what that kind must have.
fn kind(read: &ReadToken, findings: &mut Vec<String>) {
    for claim in ["nonce", "at_hash", "c_hash"] {
        if read.claims.contains_key(claim) {
            findings.push(format!("`{claim}` belongs to ID tokens, which are not for calling APIs"));
        }
    }
    if read.header.get("typ").and_then(Value::as_str).is_some_and(is_access_token_type) {
        let missing: Vec<&str> =
            ACCESS_TOKEN_CLAIMS.into_iter().filter(|claim| !read.claims.contains_key(*claim)).collect();
        if !missing.is_empty() {
            findings
                .push(format!("`typ` promises an access token of RFC 9068, which must have {}", missing.join(", ")));
        }
    }
}

/// RFC 9068 section 2.1; media types are case-insensitive, and `application/` may be left out.
fn is_access_token_type(name: &str) -> bool {
    name.eq_ignore_ascii_case("at+jwt") || name.eq_ignore_ascii_case("application/at+jwt")
}

/// A value short enough for a sentence.
fn short(text: &str) -> String {
    let mut shortened: String = text.chars().take(32).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    format!("{shortened:?}")
}
