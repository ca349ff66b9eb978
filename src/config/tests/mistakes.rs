//! What is wrong is shown, all at once and nothing twice.

use super::*;

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

[upstreams.orders.retry]
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

    error: `requests` is not a key
      --> /etc/postern/postern.toml:15:1
       |
    15 | requests = 100
       | ^^^^^^^^
       |
       = help: take it out; the keys here are `attempts`, `on`, `budget` and `max_body`

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
fn a_store_is_a_file_or_a_database_and_its_password_is_never_shown() {
    let issuer = "[authorization_server]\nissuer = \"https://a.example/\"\n";
    let (good, diagnostics) =
        loaded(&format!("{issuer}store = \"postgres://postern:canary@db/postern?password=canary\"\n"));
    let shown = format!("{:?} {}", good.draft(), serde_json::to_string(good.config().unwrap()).unwrap());
    assert!(diagnostics.iter().next().is_none() && !shown.contains("canary"), "{shown}");
    assert!(shown.contains("postgres://postern:redacted@db/postern"), "{shown}");
    let (file, _) = loaded(&format!("{issuer}store = \"sqlite:data/postern.db\"\n"));
    let store = file.config().unwrap().authorization_server.clone().unwrap().store.unwrap();
    assert!(matches!(&store, crate::config::StoreConfig::Sqlite(path) if path.is_absolute()), "{store:?}");
    for wrong in ["sqlite:", "mysql://a:canary@db/x", "data/postern.db"] {
        let (loaded, diagnostics) = loaded(&format!("{issuer}store = \"{wrong}\"\n"));
        let told: Vec<_> = diagnostics.iter().map(|one| (one.message.as_str(), one.remedy.as_str())).collect();
        assert_eq!(told, [("this is no store", "write \"sqlite:FILE\" or \"postgres://...\"")], "{wrong}");
        assert!(!loaded.sources.render(&diagnostics, false).contains("canary"), "{wrong}");
    }
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
