//! Where files are, what they are laid over, where in them things stand.

use std::{
    slice,
    time::{Duration, Instant},
};

use super::*;

#[test]
fn later_files_are_laid_over_earlier_ones() {
    let base =
        "[process]\nworkers = 2\ngrace_period = \"1m\"\n[upstreams.a]\nendpoints = [\"http://a\", \"http://b\"]\n";
    let over = "process.workers = 8\nupstreams.a.endpoints = [\"http://c\"]\nupstreams.b.endpoints = [5]\n";
    let (loaded, diagnostics) = load_texts(&[("/a/base.toml", base), ("/b/over.toml", over)], &environment());
    let config = loaded.draft().unwrap();
    assert_eq!((config.process.workers, config.process.grace_period.to_string()), (Some(8), "1m".to_owned()));
    assert_eq!(config.upstreams["a"].endpoints.iter().map(|one| one.url.as_str()).collect::<Vec<_>>(), ["http://c"]);
    let place = loaded.sources.place_of(diagnostics.iter().next().unwrap()).unwrap();
    assert_eq!((place.file, place.line, place.column), (PathBuf::from("/b/over.toml"), 3, 26));
    let workers = loaded.sources.locate(&KeyPath::of(&["process", "workers"]), Mark::Value).unwrap();
    assert_eq!((workers.file, workers.line), (PathBuf::from("/b/over.toml"), 1));
    let grace_period = loaded.sources.locate(&KeyPath::of(&["process", "grace_period"]), Mark::Key).unwrap();
    assert_eq!((grace_period.file, grace_period.line, grace_period.column), (PathBuf::from("/a/base.toml"), 3, 1));
}

#[test]
fn a_variable_of_a_value_that_was_replaced_need_not_be_set() {
    let (_, diagnostics) = load_texts(
        &[("a.toml", "process.data_directory = \"${NOWHERE}\""), ("b.toml", "process.data_directory = \"x\"")],
        &environment(),
    );
    assert_eq!(diagnostics.iter().count(), 0, "{diagnostics:?}");
}

#[test]
fn a_path_that_is_not_there_leads_to_what_is_above_it() {
    let (loaded, _) = loaded("[routes.a]\npath = \"/\"\nupstream = \"x\"\n");
    let sources = &loaded.sources;
    let line_of = |path: KeyPath| sources.locate(&path, Mark::Value).map(|place| (place.line, place.column));
    assert_eq!(line_of(KeyPath::of(&["routes", "a", "require", "scopes"]).index(3)), Some((1, 9)));
    assert_eq!(line_of(KeyPath::of(&["routes", "a", "path"])), Some((2, 8)));
    assert_eq!(line_of(KeyPath::of(&["routes", "a", "path", "deeper"])), Some((2, 1)));
    assert_eq!(line_of(KeyPath::of(&["listeners", "a"])), None);
}

#[test]
fn file_names_begin_at_the_file_that_names_them() {
    let (loaded, _) = load_texts(
        &[
            ("/etc/a/base.toml", "process.data_directory = \"data\"\ntelemetry.access_log_to = \"./stdout\""),
            ("/etc/b/over.toml", "issuers.i.key_set.ca = \"../ca.pem\"\nissuers.j.key_set.ca = \"/ca.pem\""),
        ],
        &environment(),
    );
    let config = loaded.config().unwrap();
    assert_eq!(config.process.data_directory.as_ref().unwrap().0, PathBuf::from("/etc/a/data"));
    assert_eq!(config.issuers["i"].key_set.ca.as_ref().unwrap().0, PathBuf::from("/etc/b/../ca.pem"));
    assert_eq!(config.issuers["j"].key_set.ca.as_ref().unwrap().0, PathBuf::from("/ca.pem"));
    assert_eq!(config.telemetry.access_log_to, AccessLogTarget::File(FilePath("/etc/a/stdout".into())));
}

#[test]
fn files_that_are_no_configuration_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("empty"), "\n").unwrap();
    std::fs::write(path("binary"), b"\xff\xfe").unwrap();
    std::fs::write(path("large"), "#".repeat(5 << 20)).unwrap();
    for (name, message) in [
        ("absent", "this file cannot be read: No such file or directory (os error 2)"),
        ("empty", "this file is empty"),
        ("binary", "this file is not UTF-8: byte 0 is wrong"),
        ("large", "this file is larger than 4 MiB"),
    ] {
        let (loaded, diagnostics) = load(&[path(name)], &environment());
        assert_eq!(diagnostics.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), [message]);
        assert!(loaded.draft().is_none() && loaded.files.keys().eq([&path(name)]));
        let rendered = loaded.sources.render(&diagnostics, false);
        assert!(rendered.contains(&path(name).display().to_string()), "{rendered}");
    }
    let (loaded, diagnostics) = load(&[], &environment());
    assert!(loaded.config().is_none() && diagnostics.has_errors());
    assert!(loaded.sources.render(&diagnostics, false).contains("there is no configuration file"));
}

#[test]
fn the_hash_is_that_of_the_files_and_of_nothing_else() {
    let hash = |texts: &[(&str, &str)], environment: &dyn Environment| load_texts(texts, environment).0.hash;
    let text = super::secrets::client_with("{ env = \"BILLING_SECRET\" }");
    let one = hash(&[("a", &text)], &environment());
    assert_eq!(one.len(), 64);
    assert_eq!(one, hash(&[("b", &text)], &BTreeMap::new()));
    assert_ne!(one, hash(&[("a", &format!("{text} "))], &environment()));
    assert_ne!(hash(&[("a", "x"), ("b", "y")], &environment()), hash(&[("a", "xy")], &environment()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postern.toml");
    std::fs::write(&file, &text).unwrap();
    assert_eq!(one, load(&[file], &environment()).0.hash, "read from a file");
}

#[test]
fn the_contents_and_the_hash_are_those_of_the_text_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postern.toml");
    let texts = ["process.workers = 1\n".to_owned(), "process.workers = 2\n".to_owned(), "#".repeat(5 << 20)];
    let files = ["one", "two", "large"].map(|name| folder.path().join(name));
    for (file, text) in files.iter().zip(&texts) {
        std::fs::write(file, text).unwrap();
    }
    let contents = files.each_ref().map(|file| Contents::of(file));
    std::fs::hard_link(&files[2], &path).unwrap();
    let next = folder.path().join("next");
    let load_often = || {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = [0; 3];
        while seen.iter().any(|count| *count < 30) {
            assert!(Instant::now() < deadline, "{seen:?}");
            let (loaded, _) = load(slice::from_ref(&path), &environment());
            let workers = loaded.config().and_then(|config| config.process.workers);
            let read = workers.map_or(2, |workers| usize::from(workers) - 1);
            let (alone, _) = load_texts(&[("alone", &texts[read])], &environment());
            assert_eq!(loaded.files[&path], contents[read]);
            assert!(loaded.hash == alone.hash || read == 2);
            seen[read] += 1;
        }
    };
    std::thread::scope(|scope| {
        let loads = scope.spawn(load_often);
        for file in files.iter().cycle().take_while(|_| !loads.is_finished()) {
            std::fs::hard_link(file, &next).unwrap();
            std::fs::rename(&next, &path).unwrap();
        }
    });
}
