//! The loader as a whole.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;

use super::*;
use crate::diagnostic::{Diagnostics, KeyPath, Mark};

fn environment() -> BTreeMap<String, String> {
    [("POSTERN_ADMIN_TOKEN", "canary-admin"), ("BILLING_SECRET", "canary-billing"), ("EMPTY", "")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn loaded(text: &str) -> (Loaded, Diagnostics) {
    load_text("/etc/postern/postern.toml", text, &environment())
}

/// The line, what is marked, the message and the remedy of every diagnostic.
fn shown(text: &str) -> Vec<(usize, String, String, String)> {
    let (loaded, diagnostics) = loaded(text);
    let mut shown: Vec<_> = diagnostics
        .iter()
        .map(|one| {
            let place = loaded.sources.place_of(one);
            let range = place.as_ref().map(|place| place.range.clone()).unwrap_or_default();
            let line = place.map_or(0, |place| place.line);
            (line, text.get(range).unwrap_or_default().to_owned(), one.message.clone(), one.remedy.clone())
        })
        .collect();
    shown.sort();
    shown
}

fn assert_shown(text: &str, expected: &[(usize, &str, &str, &str)]) {
    let shown = shown(text);
    let shown: Vec<_> = shown
        .iter()
        .map(|(line, marked, message, remedy)| (*line, marked.as_str(), message.as_str(), remedy.as_str()))
        .collect();
    assert_eq!(shown, expected, "{text}");
}

const SIX_MISTAKES: &str = r#"[listeners.public]
adress = "127.0.0.1:8080"

[upstreams.orders]
endpoints = ["http://127.0.0.1:9001"]
connect_timeout = "2 seconds"
max_connections = "many"

[routes.orders]
path = "/orders/{*rest}"
upstream = "orders"
mode = "enforced"

[routes.orders.limit]
requests = 100

[routes.nowhere]
path = "/nowhere"
public = true
"#;

#[test]
fn six_mistakes_are_shown_at_once() {
    let (loaded, diagnostics) = loaded(SIX_MISTAKES);
    assert!(loaded.config().is_none());
    insta::assert_snapshot!(loaded.sources.render(&diagnostics, false), @r#"
    error: `adress` is not a key
     --> /etc/postern/postern.toml:2:1
      |
    2 | adress = "127.0.0.1:8080"
      | ^^^^^^
      |
      = help: write `address`

    error: `2 seconds` is not a duration
     --> /etc/postern/postern.toml:6:19
      |
    6 | connect_timeout = "2 seconds"
      |                   ^^^^^^^^^^^
      |
      = help: write a whole number and ms, s, m, h or d, like "30s"

    error: the string `many` where a whole number from 0 to 4294967295 belongs
     --> /etc/postern/postern.toml:7:19
      |
    7 | max_connections = "many"
      |                   ^^^^^^
      |
      = help: write a whole number from 0 to 4294967295

    error: `enforced` is not known here
      --> /etc/postern/postern.toml:12:8
       |
    12 | mode = "enforced"
       |        ^^^^^^^^^^
       |
       = help: write `enforce`

    error: `limit` is not available yet: requests are not limited
      --> /etc/postern/postern.toml:14:16
       |
    14 | [routes.orders.limit]
       |                ^^^^^
       |
       = help: take the table out, and limit requests elsewhere

    error: `upstream` is missing
      --> /etc/postern/postern.toml:17:9
       |
    17 | [routes.nowhere]
       |         ^^^^^^^
       |
       = help: add `upstream`: the name of the upstream
    "#);
}

#[test]
fn the_reference_is_right() {
    let text = include_str!("../../config/reference.toml");
    let (loaded, diagnostics) = loaded(text);
    assert_eq!(loaded.sources.render(&diagnostics, false), "");
    let config = loaded.config().expect("nothing is wrong with it");
    let expected = PathBuf::from("/etc/postern/tls/server.pem");
    assert_eq!(config.listeners["public"].tls.as_ref().map(|tls| tls.certificate.0.clone()), Some(expected));
    assert_eq!(config.telemetry.access_log_to, AccessLogTarget::Stdout);
    assert_eq!(
        config.authorization_server.as_ref().unwrap().clients["billing"].secret.secret().expose(),
        "canary-billing"
    );
}

#[test]
fn what_is_wrong_is_marked_and_says_what_to_write() {
    for (text, expected) in [
        ("route = {}", (1, "route", "`route` is not a key", "write `routes`")),
        (
            "[process]\nworkers = \"four\"",
            (
                2,
                "\"four\"",
                "the string `four` where a whole number from 0 to 65535 belongs",
                "write a whole number from 0 to 65535",
            ),
        ),
        (
            "[process]\nworkers = 70000",
            (2, "70000", "the number 70000 is out of range", "write a whole number from 0 to 65535"),
        ),
        ("process = 5", (1, "5", "the number 5 where a table belongs", "write a table")),
        ("routes = []", (1, "[]", "a list where a table belongs", "write a table")),
        ("[routes]\na = 1", (2, "1", "the number 1 where a table belongs", "write a table")),
        (
            "[admin]\naddress = \"localhost\"",
            (
                2,
                "\"localhost\"",
                "this is not an address and a port",
                "write one like \"127.0.0.1:8080\" or \"[::1]:8080\"",
            ),
        ),
        (
            "[listeners.a]\naddress = \"[::1]:0\"\ntrusted_proxies = [\"10.0.0.0/8\", \"x\"]",
            (3, "\"x\"", "this is not a network", "write one like \"10.0.0.0/8\""),
        ),
        ("[telemetry]\nlog_level = \"warning\"", (2, "\"warning\"", "`warning` is not known here", "write `warn`")),
        (
            "[telemetry]\nlog_format = 2026-01-01",
            (2, "2026-01-01", "a date or time where a word belongs", "write \"text\" or \"json\""),
        ),
        ("[telemetry]\naccess_log_to = \"\"", (2, "\"\"", "this is empty", "write a file name in quotes")),
        (
            "[upstreams.a]\nendpoints = []\nbalance = \"hash\"",
            (3, "\"hash\"", "`hash` needs more than its name", "write it as a table: `{ hash = ... }`"),
        ),
        (
            "[upstreams.a]\nendpoints = []\nbalance = { hsh = { claim = \"x\" } }",
            (3, "hsh", "`hsh` is not known here", "write `hash`"),
        ),
        (
            "[upstreams.a]\nendpoints = []\nbalance = { hash = { claim = 5 } }",
            (3, "5", "the number 5 where a string in quotes belongs", "write a string in quotes"),
        ),
        (
            "[upstreams.a]\nendpoints = []\nbalance = { hash = { claim = \"a\", header = \"b\" } }",
            (3, "{ claim = \"a\", header = \"b\" }", "this table needs exactly one key", "keep one of its keys"),
        ),
        (
            "[upstreams.a]\nendpoints = []\nbalance = { round_robin = 1 }",
            (3, "{ round_robin = 1 }", "`round_robin` takes no value", "write \"round_robin\" instead of the table"),
        ),
        ("[upstreams.a]\nendpoints = [{ uri = \"http://a\" }]", (2, "uri", "`uri` is not a key", "write `url`")),
        (
            "[upstreams.a]\nendpoints = [{ url = \"http://a\", weight = -1 }]",
            (2, "-1", "the number -1 is out of range", "write a whole number from 0 to 65535"),
        ),
        (
            "[upstreams.a]\nendpoints = [7]",
            (
                2,
                "7",
                "the number 7 where a URL like \"http://10.0.0.1:9001\" or { url = \"...\", weight = 2 } belongs",
                "write a URL like \"http://10.0.0.1:9001\" or { url = \"...\", weight = 2 }",
            ),
        ),
        (
            "[upstreams.a]\nendpoints = []\nidle_timeout = \"5x\"",
            (3, "\"5x\"", "`5x` is not a duration", "write a whole number and ms, s, m, h or d, like \"30s\""),
        ),
        (
            "[routes.a]\npath = \"/\"\nupstream = \"a\"\nrequire.claims = { a = [\"b\", 1.5] }",
            (
                4,
                "1.5",
                "the number 1.5 where a string, an integer or a boolean belongs",
                "write a string, an integer or a boolean",
            ),
        ),
        (
            "[process]\ndata_directory = \"${NOWHERE}/x\"",
            (
                2,
                "\"${NOWHERE}/x\"",
                "the environment variable `NOWHERE` is not set",
                "set it, or give a default: `${NOWHERE:-default}`",
            ),
        ),
        (
            "[process]\nworkers = 9223372036854775808",
            (2, "9223372036854775808", "this number is too large", "write a number up to 9223372036854775807"),
        ),
        ("[process]\nworkers = 1\nworkers = 2", (3, "workers", "this key is written twice", "keep one of the two")),
    ] {
        let expected = [expected];
        assert_shown(text, &expected);
    }
}

#[test]
fn every_missing_key_is_named_but_not_what_is_only_written_wrong() {
    assert_shown(
        "[routes.a]\n[routes.b]\npth = \"/b\"\nupstream = 5\n[token_endpoints.c]\nforward = \"x\"\n[listeners.d]",
        &[
            (
                1,
                "a",
                "`path` is missing",
                "add `path`: the path: `/v1/orders/{id}`; a last `{*rest}` matches all that follows, and also the path without it",
            ),
            (1, "a", "`upstream` is missing", "add `upstream`: the name of the upstream"),
            (3, "pth", "`pth` is not a key", "write `path`"),
            (4, "5", "the number 5 where a string in quotes belongs", "write a string in quotes"),
            (5, "c", "`path` is missing", "add `path`: the path, without parameters"),
            (
                6,
                "forward",
                "`forward` is not available yet: token requests cannot be passed to an outside issuer",
                "take it out, and write `serve = \"embedded\"`",
            ),
            (
                7,
                "d",
                "`address` is missing",
                "add `address`: the address and port, like `\"0.0.0.0:8443\"`; port 0 lets the kernel choose",
            ),
        ],
    );
}

#[test]
fn a_syntax_error_is_shown_beside_other_mistakes_and_causes_no_more() {
    let shown = shown("[routes.a]\npath = \"/a\nupstream = \"a\"\nmode = \"off\"\n[listeners.b]\naddress = \"x\"\n");
    let lines: Vec<_> = shown.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [2, 4, 6], "{shown:?}");
    assert!(loaded("a = \"").0.draft().is_none());
}

#[test]
fn every_key_that_is_not_available_yet_is_refused_by_name() {
    for (table, line, name) in [
        ("issuers.a", "introspection = { client_secret = \"canary\" }", "introspection"),
        ("routes.a", "limit = { requests = 1 }", "limit"),
        ("upstreams.a", "health = {}", "health"),
        ("upstreams.a", "outlier = 5", "outlier"),
        ("upstreams.a", "retry = []", "retry"),
        ("token_endpoints.a", "reuse = {}", "reuse"),
        ("token_endpoints.a", "quota = {}", "quota"),
        ("token_endpoints.a", "lockout = {}", "lockout"),
        ("token_endpoints.a", "forward = \"x\"", "forward"),
        ("token_endpoints.a", "dialect = \"auth0\"", "auth0"),
        ("token_endpoints.a", "dialect = \"plgd\"", "plgd"),
        ("token_endpoints.a", "dialect = \"frontegg\"", "frontegg"),
        ("authorization_server", "store = \"postgres://a:canary@b\"", "store"),
        ("authorization_server", "api_tokens = \"access_token\"", "api_tokens"),
        ("authorization_server.signing", "rotate_every = \"90d\"", "rotate_every"),
    ] {
        let text = format!("[{table}]\n{line}\n");
        let (loaded, diagnostics) = loaded(&text);
        let found = diagnostics.iter().any(|one| {
            one.message.starts_with(&format!("`{name}` is not available yet: "))
                && loaded.sources.place_of(one).is_some_and(|place| place.line == 2)
        });
        assert!(found, "{text}: {diagnostics:?}");
        assert!(!loaded.sources.render(&diagnostics, false).contains("canary"), "{text}");
    }
    assert_eq!(unavailable::described().count(), 15, "a key is not in this test");
}

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

fn client_with(secret: &str) -> String {
    format!("[authorization_server]\nissuer = \"https://a/\"\n[authorization_server.clients.b]\nsecret = {secret}\n")
}

#[test]
fn secrets_are_read_from_where_they_are_and_shown_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "canary-file\r\n").unwrap();
    let file = directory.path().join("postern.toml");
    for (secret, expected, printed) in [
        ("\"canary-inline\"", "canary-inline", "\"[redacted]\"".to_owned()),
        ("\"${BILLING_SECRET}\"", "canary-billing", "\"[redacted]\"".to_owned()),
        ("{ env = \"BILLING_SECRET\" }", "canary-billing", r#"{"env":"BILLING_SECRET"}"#.to_owned()),
        ("{ file = \"secret\" }", "canary-file", format!(r#"{{"file":"{}/secret"}}"#, directory.path().display())),
    ] {
        std::fs::write(&file, client_with(secret)).unwrap();
        let (loaded, mut diagnostics) = load(std::slice::from_ref(&file), &environment());
        assert_eq!(diagnostics.iter().count(), 0, "{diagnostics:?}");
        assert_eq!(loaded.files.contains(&directory.path().join("secret")), secret.contains("file"), "{secret}");
        let path = KeyPath::of(&["authorization_server", "clients", "b", "secret"]);
        diagnostics.error(&path, "weak", "write a longer one");
        assert!(!loaded.sources.render(&diagnostics, true).contains("canary"), "{secret}");
        assert!(!format!("{loaded:?}").contains("canary"), "{secret}");
        let LoadedConfig { config, .. } = loaded.into_config().unwrap();
        let server = config.authorization_server.as_ref().unwrap();
        assert_eq!(server.clients["b"].secret.secret().expose(), expected);
        let shown = serde_json::to_value(&config).unwrap();
        assert_eq!(shown["authorization_server"]["clients"]["b"]["secret"].to_string(), printed);
        assert!(!shown.to_string().contains("canary"), "{secret}");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_it() {
    for (secret, message) in [
        ("\"\"", "this secret is empty"),
        ("\"${EMPTY}\"", "this secret is empty"),
        ("\"${NOWHERE}\"", "the environment variable `NOWHERE` is not set"),
        ("77013", "this is no secret"),
        ("[\"canary\"]", "this is no secret"),
        ("{ env = \"NOWHERE\" }", "this environment variable is not set"),
        ("{ env = \"EMPTY\" }", "this environment variable is empty"),
        ("{ env = 77013 }", "this does not say where the secret is"),
        (
            "{ file = \"/nonexistent/secret\" }",
            "this secret file cannot be read: No such file or directory (os error 2)",
        ),
        ("{ file = \"/\" }", "this secret file cannot be read: Is a directory (os error 21)"),
        ("{ value = \"canary\" }", "a secret is found by `env` or `file`"),
        ("{ env = \"A\", value = \"canary\" }", "a secret's table has exactly one key: `env` or `file`"),
        ("{}", "a secret's table has exactly one key: `env` or `file`"),
    ] {
        let text = client_with(secret);
        let (loaded, diagnostics) = loaded(&text);
        let messages: Vec<_> = diagnostics.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(messages, [message], "{secret}");
        let place = loaded.sources.place_of(diagnostics.iter().next().unwrap()).unwrap();
        assert_eq!(place.line, 4, "{secret}");
        let rendered = loaded.sources.render(&diagnostics, false) + &loaded.sources.to_json(&diagnostics).to_string();
        for canary in ["canary", "77013"].into_iter().filter(|canary| !secret.contains(&format!("env = {canary}"))) {
            assert!(!rendered.contains(canary), "{secret}: {rendered}");
        }
        assert!(!format!("{diagnostics:?}{loaded:?}").contains("canary"), "{secret}");
    }
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
        assert!(loaded.draft().is_none() && loaded.files == [path(name)]);
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
    let text = client_with("{ env = \"BILLING_SECRET\" }");
    let one = hash(&[("a", &text)], &environment());
    assert_eq!(one.len(), 64);
    assert_eq!(one, hash(&[("b", &text)], &BTreeMap::new()));
    assert_ne!(one, hash(&[("a", &format!("{text} "))], &environment()));
    assert_ne!(hash(&[("a", "x"), ("b", "y")], &environment()), hash(&[("a", "xy")], &environment()));
}

#[test]
fn what_follows_from_a_reported_problem_is_dropped() {
    let (loaded, _) = loaded(
        "[upstreams.lost]\nendpoint = [\"http://a\"]\n[routes.a]\npath = \"/\"\nupstream = \"lost\"\n[routes.b]\npath = \"/b\"\nupstream = \"other\"\ntimeout = 5\n",
    );
    let draft = loaded.draft().unwrap();
    assert!(draft.upstreams.is_empty() && draft.routes.len() == 2);
    let mut found = Diagnostics::new();
    for route in ["a", "b"] {
        found.error(&KeyPath::of(&["routes", route, "upstream"]), "there is no such upstream", "define it");
    }
    found.error(&KeyPath::of(&["routes", "b", "timeout"]), "too long", "shorten it");
    found.error(&KeyPath::of(&["upstreams"]), "no upstreams", "write one");
    loaded.drop_consequences(&mut found);
    let left: Vec<_> = found.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(left, ["routes.b.upstream"]);
}

#[test]
fn machines_get_the_same_as_people() {
    let (loaded, diagnostics) = loaded("\n[process]\nworker = 1\n");
    assert_eq!(
        loaded.sources.to_json(&diagnostics),
        serde_json::json!([{
            "severity": "error", "path": "process.worker", "file": "/etc/postern/postern.toml", "line": 3, "column": 1,
            "message": "`worker` is not a key", "remedy": "write `workers`",
        }])
    );
}

/// Ten thousand routes, each with as many mistakes as `mistakes`.
fn many_routes(mistake: &str) -> String {
    (0..10_000).fold("[upstreams.a]\nendpoints = [\"http://a\"]\n".to_owned(), |text, number| {
        text + &format!(
            "[routes.r{number}]\npath = \"/v1/{number}/{{*rest}}\"\nupstream = \"a\"\n{mistake}[routes.r{number}.require]\n\
             scopes = [\"a:read\"]\n"
        )
    })
}

#[test]
fn ten_thousand_routes_load_and_so_do_ten_thousand_mistakes() {
    let text = many_routes("");
    let started = std::time::Instant::now();
    let (loaded, diagnostics) = loaded(&text);
    println!("10,000 routes: {:?}", started.elapsed());
    assert_eq!((loaded.config().unwrap().routes.len(), diagnostics.iter().count()), (10_000, 0));

    let text = many_routes("timeout = 1\nmode = \"x\"\nextra = 1\n");
    let started = std::time::Instant::now();
    let (_, diagnostics) = super::load_text("a.toml", &text, &environment());
    println!("30,000 mistakes: {:?}", started.elapsed());
    assert_eq!(diagnostics.iter().count(), 30_000);
}

/// Text that is near enough to a configuration to get deep into the loader.
fn near_toml() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        Just("routes.a"),
        Just("routes"),
        Just("path"),
        Just("upstream"),
        Just("require"),
        Just("claims"),
        Just("admin"),
        Just("token"),
        Just("secret"),
        Just("authorization_server.clients.x"),
        Just("process"),
        Just("\"ä\""),
        Just("env"),
        Just("upstreams.b"),
        Just("balance"),
        Just("hash"),
        Just("endpoints"),
        Just("address"),
        Just("limit"),
        Just("zz"),
    ];
    let value = prop_oneof![
        Just("1"),
        Just("-1.5e9"),
        Just("\"ä${X}\""),
        Just("\"${EMPTY}\""),
        Just("true"),
        Just("[\"a\", 1]"),
        Just("{}"),
        Just("{ env = \"EMPTY\" }"),
        Just("{ secret = 'x' }"),
        Just("\"\"\"\nä\n\"\"\""),
        Just("1979-05-27"),
        Just("nan"),
        Just("\"127.0.0.1:0\""),
        Just("[{ url = 1 }]"),
        Just("{ hash = { claim = \"a\" } }"),
        Just("\"unclosed"),
        Just("[1"),
        Just(""),
        Just("\"30s\""),
        Just("[[[]]]"),
    ];
    let line = (key, value, 0..4u8, any::<char>()).prop_map(|(key, value, form, odd)| match form {
        0 => format!("[{key}]\n"),
        1 => format!("[[{key}]]\r\n"),
        2 => format!("{key} = {value}\n"),
        _ => format!("{key} = {value}{odd}\n"),
    });
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

fn assert_sound(text: &str) {
    let (loaded, diagnostics) = load_text("x.toml", text, &environment());
    assert_eq!(loaded.config().is_some(), !diagnostics.has_errors());
    for one in diagnostics.iter() {
        assert!(!one.message.is_empty() && !one.remedy.is_empty() && !one.message.contains('\n'), "{one:?}");
        if let Some(place) = loaded.sources.place_of(one) {
            assert!(text.get(place.range.clone()).is_some(), "{one:?} is at {place:?} of {text:?}");
            assert!(place.line <= text.lines().count().max(1) + 1, "{place:?}");
        }
    }
    let _ = loaded.sources.render(&diagnostics, true);
    let _ = loaded.sources.to_json(&diagnostics);
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic_and_marked_within_itself(text in any::<String>()) {
        assert_sound(&text);
    }

    #[test]
    fn any_configuration_is_read_without_a_panic_and_marked_within_itself(text in near_toml()) {
        assert_sound(&text);
    }

    #[test]
    fn any_cut_of_a_right_configuration_is_read_without_a_panic(at in 0usize..8000, with in any::<char>()) {
        let text = include_str!("../../config/reference.toml");
        let (before, behind): (String, String) = (text.chars().take(at).collect(), text.chars().skip(at).collect());
        assert_sound(&before);
        assert_sound(&format!("{before}{with}{behind}"));
    }
}
