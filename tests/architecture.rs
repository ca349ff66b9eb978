//! Holds the floors of ARCHITECTURE.md: reads every `crate::` path in `src/` and refuses those that go up or sideways. Holds
//! also what the lints cannot, or what an attribute could switch off without anybody noticing.
#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The floor of each room, as the table in ARCHITECTURE.md has it.
const FLOORS: &[(&str, u8)] = &[
    ("cli", 8),
    ("app", 8),
    ("gateway", 7),
    ("admin", 7),
    ("snapshot", 6),
    ("token_endpoint", 5),
    ("authorization_server", 4),
    ("routing", 3),
    ("auth", 3),
    ("upstream", 3),
    ("server", 3),
    ("limit", 3),
    ("store", 2),
    ("outbound", 2),
    ("config", 1),
    ("http", 1),
    ("jose", 1),
    ("oauth", 1),
    ("pem", 1),
    ("telemetry", 1),
    ("clock", 0),
    ("id", 0),
    ("secret", 0),
    ("diagnostic", 0),
    ("living", 0),
    ("descriptors", 0),
    ("read_ahead", 0),
    ("received", 0),
    ("in_place", 0),
    ("ahead", 0),
    ("turn", 0),
];

/// The stairs between siblings that ARCHITECTURE.md names, as (from, imported item).
const SIBLING_STAIRS: &[(&str, &str)] = &[
    // The command line starts the composition root.
    ("cli", "app"),
    // The proof of authorization is only a proof if the forwarding function asks for that very type.
    ("upstream", "auth::Permit"),
    ("upstream", "auth::VerifiedToken"),
];

/// Rooms that may name status codes.
const SPEAKS_STATUS: &[&str] = &["gateway", "admin", "token_endpoint", "http"];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The room a file is in: `src/auth/verify.rs` and `src/clock.rs` are in `auth` and `clock`.
fn room_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").expect("below src");
    let first = inside.components().next().expect("a file").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// What a file says outside comments and outside its unit tests, which may reach for anything.
fn code_of(file: &Path) -> String {
    program_of(&fs::read_to_string(file).expect("readable"))
}

fn program_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.join("\n")
}

/// The files that are compiled for tests alone: those below a `#[cfg(test)] mod name;`.
fn files_of_tests(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut roots = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).expect("readable");
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (_, declaration) in
            lines.windows(2).map(|pair| (pair[0], pair[1])).filter(|(line, _)| *line == "#[cfg(test)]")
        {
            let module = declaration.strip_suffix(';').and_then(|declaration| declaration.split_once("mod "));
            let Some((_, name)) = module else { continue };
            let inside = match file.file_stem().and_then(|stem| stem.to_str()) {
                Some("mod" | "lib" | "main") => file.with_file_name(name),
                _ => file.with_extension("").join(name),
            };
            roots.insert(inside.with_extension("rs"));
            roots.insert(inside);
        }
    }
    files.iter().filter(|file| roots.iter().any(|root| file.starts_with(root))).cloned().collect()
}

/// Every `crate::a::B` of a text, with the braces of `crate::{a, b::C}` and `crate::a::{B, C}` multiplied out.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let preceded = code[..start].chars().next_back();
        if preceded.is_some_and(|character| character.is_alphanumeric() || character == '_' || character == '$') {
            continue;
        }
        expand("", &code[start + "crate::".len()..], &mut paths);
    }
    paths
}

/// Reads one path, or one brace of paths, and returns what is left of the text.
fn expand<'a>(prefix: &str, text: &'a str, paths: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut inner) = text.strip_prefix('{') {
        loop {
            inner = expand(prefix, inner, paths).trim_start();
            match inner.strip_prefix(',') {
                Some(rest) => inner = rest.trim_start(),
                None => return inner.strip_prefix('}').unwrap_or(inner),
            }
            if let Some(rest) = inner.strip_prefix('}') {
                return rest;
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(text.len());
    let (segment, rest) = text.split_at(end);
    let path = if prefix.is_empty() { segment.to_owned() } else { format!("{prefix}::{segment}") };
    match rest.strip_prefix("::") {
        Some(rest) => expand(&path, rest, paths),
        None => {
            paths.insert(path);
            rest
        }
    }
}

#[test]
fn imports_go_downwards_only() {
    let mut files = Vec::new();
    source_files(Path::new("src"), &mut files);
    let mut faults = Vec::new();
    for file in files {
        let room = room_of(&file);
        if room == "main" || room == "lib" {
            continue;
        }
        let Some(own) = floor(&room) else {
            faults.push(format!("{}: room `{room}` is not in the table of floors", file.display()));
            continue;
        };
        for path in crate_paths(&code_of(&file)) {
            let target = path.split("::").next().unwrap_or_default();
            let Some(below) = floor(target) else {
                faults.push(format!("{}: `crate::{path}` names no room", file.display()));
                continue;
            };
            let stair = SIBLING_STAIRS
                .iter()
                .any(|(from, item)| *from == room && (path == *item || path.starts_with(&format!("{item}::"))));
            if target != room && below >= own && !stair {
                faults.push(format!("{}: floor {own} imports `crate::{path}` of floor {below}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_four_rooms_speak_of_status_codes() {
    let mut files = Vec::new();
    source_files(Path::new("src"), &mut files);
    let faults: Vec<String> = files
        .iter()
        .filter(|file| floor(&room_of(file)).is_some_and(|floor| floor < 8))
        .filter(|file| !SPEAKS_STATUS.contains(&room_of(file).as_str()))
        .filter(|file| code_of(file).contains("StatusCode::"))
        .map(|file| file.display().to_string())
        // A 101 is not an answer to anybody but the end of HTTP on a connection, and a key set's fetch reads answers.
        .filter(|file| !file.starts_with("src/upstream/") && !file.starts_with("src/auth/key_set/"))
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn every_module_says_what_it_owns() {
    let mut files = Vec::new();
    source_files(Path::new("src"), &mut files);
    let silent: Vec<String> = files
        .iter()
        .filter(|file| !fs::read_to_string(file).expect("readable").starts_with("//!"))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_program_neither_panics_on_purpose_nor_silences_lints() {
    /// In the whole of `src/`, and outside of tests.
    const NOWHERE: &[&str] = &["#[allow", "#![allow", "todo!", "unimplemented!", "dbg!("];
    const NOT_IN_THE_PROGRAM: &[&str] =
        &[".unwrap()", ".expect(", ".unwrap_err()", ".expect_err(", "panic!(", "unreachable!(", "unsafe "];
    let mut files = Vec::new();
    source_files(Path::new("src"), &mut files);
    let of_tests = files_of_tests(&files);
    let mut faults = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).expect("readable");
        let everything: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let program = if of_tests.contains(file) { String::new() } else { program_of(&text) };
        let said = NOWHERE.iter().filter(|word| everything.iter().any(|line| line.contains(**word)));
        let said = said.chain(NOT_IN_THE_PROGRAM.iter().filter(|word| program.contains(**word)));
        faults.extend(said.map(|word| format!("{} says `{word}`", file.display())));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let sound = |path: &str| !of_tests.contains(Path::new(path)) && Path::new(path).exists();
    assert!(sound("src/gateway/handle.rs") && sound("src/auth/permit.rs"), "the program is not taken for a test");
    assert!(of_tests.contains(Path::new("src/auth/token_attacks.rs")), "a test is not taken for the program");
}

#[test]
fn files_can_be_read_in_one_go() {
    let mut files = Vec::new();
    source_files(Path::new("src"), &mut files);
    let lines = |file: &PathBuf| fs::read_to_string(file).expect("readable").lines().count();
    let long: Vec<String> = files
        .iter()
        .map(|file| (lines(file), file))
        .filter(|(lines, _)| *lines > 600)
        .map(|(lines, file)| format!("{} has {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn the_reader_of_imports_reads_braces() {
    let paths = crate_paths("use crate::{\n    auth::{self, Permit},\n    clock,\n};\nfn f() { crate::http::x::y(); }");
    let expected = ["auth::Permit", "auth::self", "clock", "http::x::y"].map(str::to_owned);
    assert_eq!(paths, BTreeSet::from(expected));
}
