//! What the repository shows is true: every example configuration is good, every command in the documents can be typed, every
//! link leads somewhere.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What an example may take from the environment.
const SECRETS: [(&str, &str); 7] = [
    ("POSTERN_ADMIN_TOKEN", "a-stand-in-for-the-admin-token"),
    ("BILLING_SECRET", "a-stand-in-for-the-secret-of-billing"),
    ("BILLING_SECRET_NEXT", "a-stand-in-for-the-next-secret-of-billing"),
    ("CORP_SECRET", "a-stand-in-for-the-secret-of-corp"),
    ("REPORTS_SECRET", "a-stand-in-for-the-secret-of-reports"),
    ("REPORTS_PROVIDER_SECRET", "a-stand-in-for-the-secret-of-reports-at-its-provider"),
    ("POSTERN_ENCRYPTION_KEY", "a-stand-in-for-the-key-that-private-keys-are-encrypted-under"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).current_dir(folder).env_clear().envs(SECRETS).stdin(Stdio::null());
    command.output().expect("it runs")
}

fn assert_good(file: &Path, what: &str) {
    let output = run(root(), &["check", "-c", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} is not a good configuration:\n{said}");
    assert!(!said.contains("warning"), "{what} is good, but:\n{said}");
}

/// The Markdown files of the repository, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> = ["", "docs", "benches", "src/config", "deploy", "fuzz"]
        .iter()
        .filter_map(|folder| fs::read_dir(root().join(folder)).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{files:?}");
    files.into_iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap())).collect()
}

/// Puts a stand-in in place of every certificate, key and authority that `text` names.
fn stand_ins(folder: &Path, text: &str) {
    let names = text.split('"').filter(|word| word.ends_with(".pem") || word.ends_with(".key"));
    for certificate in names.clone().filter(|name| name.ends_with(".pem")) {
        let pair = rcgen::generate_simple_self_signed(vec!["stand-in.example".to_owned()]).unwrap();
        put(&folder.join(certificate), &pair.cert.pem());
        // The key of `a.pem` is `a.key`, everywhere in the examples.
        put(&folder.join(certificate).with_extension("key"), &pair.signing_key.serialize_pem());
    }
    for name in names {
        assert!(folder.join(name).exists(), "there is no stand-in for {name}");
    }
}

fn put(file: &Path, text: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn every_example_configuration_is_good() {
    let mut found = 0;
    for entry in fs::read_dir(root().join("config")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let text = fs::read_to_string(&file).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join(file.file_name().unwrap());
            fs::write(&copy, &text).unwrap();
            stand_ins(folder.path(), &text);
            assert_good(&copy, &file.display().to_string());
            found += 1;
        }
    }
    assert!(found >= 2, "{found}");
}

#[test]
fn the_reference_shows_every_key_that_there_is() {
    let text = fs::read_to_string(root().join("config/reference.toml")).unwrap();
    let reference = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    for row in reference.lines().filter(|line| line.starts_with("| `")) {
        let key = row.split('`').nth(1).unwrap();
        let shown = [
            format!("\n{key} = "),
            format!(".{key}]"),
            format!(".{key}."),
            format!("{{ {key} = "),
            format!(", {key} = "),
        ];
        assert!(shown.iter().any(|form| text.contains(form)), "config/reference.toml does not show `{key}`");
    }
}

/// The fenced blocks of `text` in `language`, with the line on which each begins.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line.trim() == "```" => found.extend(open.take()),
            Some((_, block)) => block.push_str(&format!("{line}\n")),
            None if line.trim() == format!("```{language}") => open = Some((index + 1, String::new())),
            None => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

#[test]
fn every_configuration_in_the_documents_is_good() {
    let mut found = 0;
    for (file, text) in documents() {
        for (line, block) in blocks(&text, "toml") {
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("postern.toml");
            fs::write(&copy, &block).unwrap();
            stand_ins(folder.path(), &block);
            assert_good(&copy, &format!("{}:{line}", file.display()));
            found += 1;
        }
    }
    assert!(found >= 1);
}

/// The command lines of Postern in `text`: in indented and fenced blocks, and in backticks.
fn command_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let bare = line.strip_prefix("    ").unwrap_or(line).trim_start_matches("$ ");
        // The fault run is another program; its own step of scripts/test runs it.
        let is_ours = bare.starts_with("postern ") || bare.starts_with("cargo run ") && !bare.contains("--example");
        if is_ours {
            found.push(bare.split(" #").next().unwrap().trim().to_owned());
        }
        for (index, span) in line.split('`').enumerate() {
            if index % 2 == 1 && span.starts_with("postern ") {
                found.extend(alternatives(span));
            }
        }
    }
    found
}

/// A command line for each word of `a|b|c` in it.
fn alternatives(line: &str) -> Vec<String> {
    match line.split(' ').find(|word| word.contains('|')) {
        Some(list) => list.split('|').flat_map(|word| alternatives(&line.replacen(list, word, 1))).collect(),
        None => vec![line.to_owned()],
    }
}

/// The words of a command line with stand-ins for what it leaves open; nothing if it is no command of Postern.
fn words(line: &str) -> Option<Vec<String>> {
    let line = match line.strip_prefix("cargo run") {
        Some(rest) => rest.split_once(" -- ")?.1,
        None => line.strip_prefix("postern ")?,
    };
    let stand_in = |word: &str| match word.trim_matches(|symbol| matches!(symbol, '[' | ']' | '"')) {
        "FILE..." | "FILE" | "postern.toml" => "postern.toml".to_owned(),
        "T" | "TOKEN" | "$TOKEN" => "e30.e30.e30".to_owned(),
        "METHOD" => "GET".to_owned(),
        "URL" => "http://127.0.0.1:1".to_owned(),
        "SHELL" => "bash".to_owned(),
        other => other.to_owned(),
    };
    Some(line.split_whitespace().map(stand_in).collect())
}

#[test]
fn every_command_in_the_documents_can_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, example) = blocks(&readme, "toml").swap_remove(0);
    fs::write(folder.path().join("postern.toml"), example).unwrap();
    let mut seen = Vec::new();
    for (file, text) in documents() {
        for line in command_lines(&text) {
            let Some(words) = words(&line) else { panic!("{line:?} in {} is not understood", file.display()) };
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            seen.push(words[0].to_owned());
            let place = format!("`{line}` in {}", file.display());
            // Those that end by themselves are run; of the others it is seen that the words are known.
            let runs = match words[0] {
                "serve" | "demo" | "health" => false,
                // They need a store, or a gateway that runs: tests/integration/cli_issuer.rs runs every one of them.
                "client" | "keys" => false,
                "explain" => words.contains(&"GET"),
                "check" => words.contains(&"-c"),
                "token" => words.len() > 2 && words[1] == "inspect",
                _ => words.len() > 1 || words[0] == "schema",
            };
            if runs {
                let output = run(folder.path(), &words);
                assert!(output.status.success(), "{place} fails:\n{}", String::from_utf8_lossy(&output.stderr));
            } else {
                let output = run(folder.path(), &[words.as_slice(), &["--help"]].concat());
                assert!(output.status.success(), "{place} is not known:\n{}", String::from_utf8_lossy(&output.stderr));
            }
            let unknown = words.iter().find(|word| word.starts_with("--") && !is_known(&folder, &words, word));
            assert_eq!(unknown, None, "{place}");
        }
    }
    for command in ["serve", "demo", "check", "explain", "token", "client", "keys", "schema", "health", "completions"] {
        assert!(seen.iter().any(|name| name == command), "no document shows `postern {command}`");
    }
}

/// Whether the help of the command that `words` begin with knows `option`.
fn is_known(folder: &tempfile::TempDir, words: &[&str], option: &str) -> bool {
    let option = option.split('=').next().unwrap();
    let names = if matches!(words.first(), Some(&("client" | "keys" | "token"))) { 2 } else { 1 };
    let command: Vec<&str> = words.iter().copied().take(names).chain(["--help"]).collect();
    let help = run(folder.path(), &command);
    String::from_utf8_lossy(&help.stdout).split([' ', ',', '\n']).any(|word| word == option)
}

#[test]
fn every_subcommand_is_in_the_operators_document() {
    let help = run(root(), &["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let operations = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for command in commands.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        assert!(operations.contains(&format!("`postern {command}")), "docs/operations.md does not know `{command}`");
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut found = 0;
    for (file, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (path, fragment) = target.split_once('#').map_or((target, None), |(path, name)| (path, Some(name)));
            let linked = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            // The page that docs/configuration.md is made from is written to be read there.
            let linked = if linked.exists() { linked } else { root().join("docs").join(path) };
            assert!(linked.exists(), "{} links to {target}, which is not there", file.display());
            if let Some(fragment) = fragment {
                let text = fs::read_to_string(&linked).unwrap();
                let known =
                    text.lines().filter(|line| line.starts_with('#')).any(|heading| anchor(heading) == fragment);
                assert!(known, "{} links to {target}, which has no such heading", file.display());
            }
            found += 1;
        }
    }
    assert!(found >= 8, "{found}");
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

/// The names of all tests in the repository.
fn names_of_tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // `#[test]`, `#[tokio::test(..)]`, and what may stand between it and the function.
                for test in text.split("test]\n").chain(text.split("test(flavor").skip(1)).skip(1) {
                    let head = test.split('{').next().unwrap();
                    let Some((_, name)) = head.rsplit_once("fn ") else { continue };
                    names.insert(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
                }
            }
        }
    }
    assert!(names.len() > 500, "{}", names.len());
    names
}

#[test]
fn every_test_that_the_document_of_security_names_is_there() {
    let (tests, text) = (names_of_tests(), fs::read_to_string(root().join("docs/security.md")).unwrap());
    let (mut is_shown_by, mut rows, mut wrong) = (false, 0, Vec::new());
    for (index, line) in text.lines().enumerate() {
        let last_cell = line.trim_matches('|').rsplit(" | ").next().unwrap_or_default();
        if !line.starts_with('|') {
            is_shown_by = false;
        } else if line.trim_end_matches(" |").ends_with("| shown by") {
            is_shown_by = true;
        } else if is_shown_by && !line.starts_with("| ---") {
            rows += 1;
            let names: Vec<&str> = last_cell.split('`').skip(1).step_by(2).collect();
            let is_open = ["| does not hold", "| not applicable"].iter().any(|words| line.contains(words));
            if names.is_empty() && !is_open {
                wrong.push(format!("docs/security.md:{}: nothing shows it", index + 1));
            }
            for name in names.iter().filter(|name| !tests.contains(**name)) {
                wrong.push(format!("docs/security.md:{}: there is no test `{name}`", index + 1));
            }
        }
    }
    assert!(rows > 60, "{rows}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
