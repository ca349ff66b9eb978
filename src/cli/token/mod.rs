//! Owns: `postern token inspect`: what is in a token, in words.
//! Refuses: contacting anybody, verifying anything, and showing the signature: what is shown cannot be used as a token.
//! Always holds: a token that Postern would not even take apart is shown as far as it can be read, and said to be so;
//! nothing in a token can write control sequences to the terminal.

mod read;
pub(super) mod time;
mod unusual;

use std::io::{Read as _, Write};

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value, json};

use self::read::ReadToken;
use crate::clock::UnixTime;

/// The most that is read from standard input, in bytes.
const LONGEST_INPUT_BYTES: u64 = 1024 * 1024;

/// The claims that hold a time (RFC 7519 section 4.1, OpenID Connect Core section 2), and what each time means.
const TIMES: [(&str, &str); 5] = [
    ("iat", "issued"),
    ("nbf", "good from"),
    ("exp", "good until"),
    ("auth_time", "user signed in"),
    ("updated_at", "user changed"),
];

/// Shows what is in a token: header, claims, times in words, what is unusual.
///
/// Nothing is verified and nobody is contacted: whether the token is good is another question (`postern explain`
/// answers it). The signature is never shown.
#[derive(Clone, Debug, clap::Args)]
pub struct InspectArguments {
    /// The token, or `-` to read it from standard input, which keeps it out of the shell's history.
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Write JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Writes what is in the token to `out`; times are judged as of `now`.
///
/// # Errors
/// If it is no token that can be read at all, or if `out` or standard input fails.
pub fn run(args: &InspectArguments, out: &mut dyn Write, now: UnixTime, colour: bool) -> anyhow::Result<()> {
    let mut input = String::new();
    let token = if args.token == "-" {
        std::io::stdin()
            .take(LONGEST_INPUT_BYTES)
            .read_to_string(&mut input)
            .context("standard input could not be read")?;
        &input
    } else {
        &args.token
    };
    let token = token.trim();
    let token = match token.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => token,
    };
    ensure!(!token.is_empty(), "there is no token");
    let read = ReadToken::parse(token)?;
    let unusual = unusual::findings(&read, token, now);
    if args.json {
        show_json(&read, &unusual, out, now)?;
    } else {
        Text { out, colour }.show(&read, &unusual, now)?;
    }
    Ok(())
}

fn show_json(read: &ReadToken, unusual: &[String], out: &mut dyn Write, now: UnixTime) -> anyhow::Result<()> {
    let times: Map<String, Value> =
        times(read, now).map(|(claim, _, words)| (claim.to_owned(), json!(words))).collect();
    let shown = json!({
        "header": read.header,
        "claims": read.claims,
        "times": times,
        "signature_bytes": read.signature_bytes,
        "unusual": unusual,
    });
    writeln!(out, "{}", harmless(&serde_json::to_string_pretty(&shown)?))?;
    Ok(())
}

/// The times in a token: claim, meaning, words.
fn times(read: &ReadToken, now: UnixTime) -> impl Iterator<Item = (&'static str, &'static str, String)> + '_ {
    TIMES.into_iter().filter_map(move |(claim, meaning)| {
        let words = time::words(time::numeric_date(read.claims.get(claim)?)?, now);
        Some((claim, meaning, words))
    })
}

/// Writes for people.
struct Text<'a> {
    out: &'a mut dyn Write,
    colour: bool,
}

impl Text<'_> {
    fn show(&mut self, read: &ReadToken, unusual: &[String], now: UnixTime) -> anyhow::Result<()> {
        self.title("Header")?;
        self.object(&read.header)?;
        self.title("Claims")?;
        self.object(&read.claims)?;
        let times: Vec<_> = times(read, now).collect();
        if !times.is_empty() {
            self.title("Times")?;
            for (claim, meaning, words) in times {
                writeln!(self.out, "  {meaning:<15}{words} ({claim})")?;
            }
        }
        self.title("Signature")?;
        writeln!(self.out, "  {} bytes, not shown and not verified", read.signature_bytes)?;
        self.title("Unusual")?;
        if unusual.is_empty() {
            writeln!(self.out, "  nothing")?;
        }
        for finding in unusual {
            let finding = harmless(finding);
            if self.colour {
                writeln!(self.out, "  \u{1b}[33m- {finding}\u{1b}[0m")?;
            } else {
                writeln!(self.out, "  - {finding}")?;
            }
        }
        Ok(())
    }

    fn title(&mut self, title: &str) -> std::io::Result<()> {
        if self.colour { writeln!(self.out, "\u{1b}[1m{title}\u{1b}[0m") } else { writeln!(self.out, "{title}") }
    }

    fn object(&mut self, object: &Map<String, Value>) -> anyhow::Result<()> {
        if object.is_empty() {
            writeln!(self.out, "  nothing")?;
        }
        let width = object.keys().map(|name| name.chars().count()).max().unwrap_or_default().min(24);
        for (name, value) in object {
            writeln!(self.out, "  {:width$}  {}", harmless(name), harmless(&value.to_string()))?;
        }
        Ok(())
    }
}

/// `text` with everything that a terminal could obey, or that changes the order of reading, written as a JSON escape.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        let reorders = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() && character != '\n') || reorders {
            harmless.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            harmless.push(character);
        }
    }
    harmless
}

#[cfg(test)]
mod tests;
